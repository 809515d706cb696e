//! The rows of a CSV file with the numbers of their lines, whatever state they are in.

use std::io::{Read, Seek};

use csv::{Position, StringRecord};

/// One row: as a rule one line; a field in quotes may hold line breaks (RFC 4180).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The number of its first line; the header is line 1.
    pub line: u64,
    /// Its fields, as many as the form has columns and without white space around them, or what is
    /// wrong with it.
    pub fields: Result<StringRecord, String>,
}

/// Splits what follows the header. A row that is not right never swallows the lines after it, as
/// a stray quotation mark would make it do: it gives up its first line and the next is looked at anew.
pub(super) fn split(bytes: &[u8], columns: usize) -> Vec<Row> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .terminator(csv::Terminator::Any(b'\n'))
        .from_reader(std::io::Cursor::new(bytes));
    let mut rows = Vec::new();
    let (mut offset, mut line) = (0, 2);
    while offset < bytes.len() {
        let first_line = line_length(&bytes[offset..]);
        let mut taken = first_line;
        if !bytes[offset..][..first_line].trim_ascii().is_empty() {
            let record = read_at(&mut reader, offset);
            let whole = (reader.position().byte() as usize).clamp(offset, bytes.len()) - offset;
            let fields = if whole > first_line && !is_well_quoted(&bytes[offset..][..whole]) {
                Err("it has a quotation mark that is not closed".into())
            } else {
                record.and_then(|record| check(record, columns))
            };
            if fields.is_ok() {
                taken = whole;
            }
            rows.push(Row { line, fields });
        }
        line += bytes[offset..][..taken]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count() as u64;
        offset += taken;
    }
    rows
}

fn read_at<R: Read + Seek>(
    reader: &mut csv::Reader<R>,
    offset: usize,
) -> Result<StringRecord, String> {
    let mut place = Position::new();
    place.set_byte(offset as u64);
    let mut record = csv::ByteRecord::new();
    reader
        .seek(place)
        .and_then(|()| reader.read_byte_record(&mut record))
        .map_err(|error| error.to_string())?;
    let mut record = StringRecord::from_byte_record(record).map_err(|_| "it is not UTF-8 text")?;
    record.trim();
    Ok(record)
}

fn check(record: StringRecord, columns: usize) -> Result<StringRecord, String> {
    if record.len() != columns {
        return Err(format!(
            "it has {} fields instead of {columns}",
            record.len()
        ));
    }
    if record.iter().any(|field| field.contains('\0')) {
        return Err("it holds a NUL byte".into());
    }
    Ok(record)
}

/// True when quotation marks stand only around fields or doubled within them, as RFC 4180 has it.
/// The reader is kinder than that, and would join two lines with a stray mark each to one row.
fn is_well_quoted(row: &[u8]) -> bool {
    let (mut quoted, mut before, mut rest) = (false, b',', row.iter().copied().peekable());
    while let Some(byte) = rest.next() {
        if byte == b'"' && quoted {
            match rest.peek() {
                Some(b'"') => drop(rest.next()),
                None | Some(b',' | b'\r' | b'\n') => quoted = false,
                Some(_) => return false,
            }
        } else if byte == b'"' {
            quoted = before == b',';
            if !quoted {
                return false;
            }
        }
        before = byte;
    }
    !quoted
}

/// The length of the line that `bytes` begin with, its line feed included.
pub(super) fn line_length(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(bytes.len(), |feed| feed + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(body: &[u8]) -> Vec<Row> {
        split(body, 8)
    }

    /// The line numbers of the rows; a malformed one with a minus.
    fn lines(rows: &[Row]) -> Vec<i64> {
        let number = |row: &Row| row.line as i64 * if row.fields.is_ok() { 1 } else { -1 };
        rows.iter().map(number).collect()
    }

    #[test]
    fn rows_have_the_numbers_of_their_lines() {
        let rows = rows(b"1,A,x,1,d,1,c,UK\r\n\r\n2,B, y ,1,d,1,c,UK\r\n3,C,z\r\n4,D,,1,d,1,,UK");
        assert_eq!(lines(&rows), [2, 4, -5, 6]);
        let second = rows[1].fields.as_ref().expect("a sound row");
        assert_eq!((&second[2], &second[7]), ("y", "UK"));
    }

    #[test]
    fn a_quoted_field_may_hold_commas_and_line_breaks() {
        let rows = rows(b"1,A,\"a, \"\"b\"\"\nc\",1,d,1,c,UK\n2,B,12\" RULER,1,d,1,c,UK\n");
        assert_eq!(lines(&rows), [2, 4]);
        assert_eq!(
            &rows[0].fields.as_ref().expect("a sound row")[2],
            "a, \"b\"\nc"
        );
        assert_eq!(
            &rows[1].fields.as_ref().expect("a sound row")[2],
            "12\" RULER"
        );
    }

    #[test]
    fn a_stray_quotation_mark_costs_its_own_line_only() {
        let one_stray = rows(b"1,A,\"x,1,d,1,c,UK\n2,B,y,1,d,1,c,UK\n3,C,z,1,d,1,c,UK\n");
        assert_eq!(lines(&one_stray), [-2, 3, 4]);
        let two_stray = rows(b"1,A,\"x,1,d,1,c,UK\n2,B,\"y,1,d,1,c,UK\n3,C,z,1,d,1,c,UK\n");
        assert_eq!(lines(&two_stray), [-2, -3, 4]);
    }

    #[test]
    fn bytes_that_are_no_text_cost_their_own_line_only() {
        let rows = rows(b"1,A,caf\xe9,1,d,1,c,UK\n2,B,y\0,1,d,1,c,UK\n3,C,z,1,d,1,c,UK\n");
        assert_eq!(lines(&rows), [-2, -3, 4]);
    }
}
