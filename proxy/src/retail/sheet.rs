//! A CSV file as rows with their line numbers, whatever state the file is in.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use csv::{Position, StringRecord};

/// The header of the shop's own catalogue form.
pub const CATALOGUE_HEADER: &str = "sku,name,description,price,currency,stock";
/// The header of the Online Retail data set (D. Chen, 2015, doi 10.24432/C5BW33).
pub const RETAIL_HEADER: &str =
    "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country";

/// The longest header looked at, bytes: a file that is no CSV is known as such without reading it
/// whole, even one without an end.
const HEADER_LIMIT: usize = 4096;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The file cannot be taken as a whole. Nothing was done; the command may be repeated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not there, is a directory, or may not be read.
    #[error("cannot read the CSV file '{path}': {source}")]
    Unreadable {
        /// The path as it was given.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// It begins with something else than one of the two headers.
    #[error(
        "'{path}' is no CSV file that can be used here: {found}; the first line must be\n  {CATALOGUE_HEADER}\nor\n  {RETAIL_HEADER}"
    )]
    UnknownHeader {
        /// The path as it was given.
        path: String,
        /// What stands there instead.
        found: String,
    },
}

/// Which columns a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// [`CATALOGUE_HEADER`].
    Catalogue,
    /// [`RETAIL_HEADER`].
    Retail,
}

impl Form {
    /// How many fields a row has.
    pub fn columns(self) -> usize {
        self.header().split(',').count()
    }

    fn header(self) -> &'static str {
        match self {
            Form::Catalogue => CATALOGUE_HEADER,
            Form::Retail => RETAIL_HEADER,
        }
    }

    fn of_header(header: &str) -> Option<Self> {
        let names = |text: &str| -> Vec<String> {
            text.split(',')
                .map(|name| name.trim().trim_matches('"').to_ascii_lowercase())
                .collect()
        };
        [Form::Catalogue, Form::Retail]
            .into_iter()
            .find(|form| names(form.header()) == names(header))
    }
}

/// A file that was recognised by its header.
#[derive(Debug)]
pub struct Sheet {
    /// Which columns it has.
    pub form: Form,
    /// Every line after the header that is not blank.
    pub rows: Vec<Row>,
    /// The file's bytes as they were read.
    pub bytes: Vec<u8>,
}

/// One row: as a rule one line; a field in quotes may hold line breaks (RFC 4180).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The number of its first line; the header is line 1.
    pub line: u64,
    /// Its fields, as many as the form has columns and without white space around them, or what is
    /// wrong with it.
    pub fields: Result<StringRecord, String>,
}

impl Sheet {
    /// Reads the file, unless its beginning says that it is none of ours.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let shown = path.display().to_string();
        let unreadable = |source| Error::Unreadable {
            path: shown.clone(),
            source,
        };
        let mut file = File::open(path).map_err(unreadable)?;
        let mut bytes = Vec::new();
        file.by_ref()
            .take(HEADER_LIMIT as u64)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        let unknown = |found| Error::UnknownHeader {
            path: shown.clone(),
            found,
        };
        recognise(&bytes).map_err(unknown)?;
        file.read_to_end(&mut bytes).map_err(unreadable)?;
        Self::parse(bytes).map_err(unknown)
    }

    /// Makes rows of a file's bytes; the error says what stands where a header should.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, String> {
        let (form, header_bytes) = recognise(&bytes)?;
        let rows = rows(&bytes[header_bytes..], form.columns());
        Ok(Self { form, rows, bytes })
    }
}

/// The form of the file that begins with `bytes`, and the length of the header's line, bytes.
fn recognise(bytes: &[u8]) -> Result<(Form, usize), String> {
    if bytes.is_empty() {
        return Err("it is empty".into());
    }
    let mark = if bytes.starts_with(BYTE_ORDER_MARK) {
        BYTE_ORDER_MARK.len()
    } else {
        0
    };
    let length = line_length(&bytes[mark..]);
    let header = &bytes[mark..][..length.min(HEADER_LIMIT)];
    let text = std::str::from_utf8(header)
        .ok()
        .filter(|text| !text.contains('\0'));
    let text = text
        .ok_or("it does not begin with a line of UTF-8 text")?
        .trim();
    let form = Form::of_header(text).ok_or_else(|| {
        let shown: String = text
            .chars()
            .take(100)
            .flat_map(char::escape_debug)
            .collect();
        format!("its first line is '{shown}'")
    })?;
    Ok((form, mark + length))
}

/// Splits what follows the header. A row that is not right never swallows the lines after it, as
/// a stray quotation mark would make it do: it gives up its first line and the next is looked at anew.
fn rows(bytes: &[u8], columns: usize) -> Vec<Row> {
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
fn line_length(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(bytes.len(), |feed| feed + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retail(body: &str) -> Sheet {
        Sheet::parse(format!("\u{feff}{RETAIL_HEADER}\r\n{body}").into_bytes())
            .expect("the header is known")
    }

    /// The line numbers of the rows; a malformed one with a minus.
    fn lines(sheet: &Sheet) -> Vec<i64> {
        let number = |row: &Row| row.line as i64 * if row.fields.is_ok() { 1 } else { -1 };
        sheet.rows.iter().map(number).collect()
    }

    #[test]
    fn rows_have_the_numbers_of_their_lines() {
        let sheet = retail("1,A,x,1,d,1,c,UK\r\n\r\n2,B, y ,1,d,1,c,UK\r\n3,C,z\r\n4,D,,1,d,1,,UK");
        assert_eq!(lines(&sheet), [2, 4, -5, 6]);
        let second = sheet.rows[1].fields.as_ref().expect("a sound row");
        assert_eq!((&second[2], &second[7]), ("y", "UK"));
    }

    #[test]
    fn a_quoted_field_may_hold_commas_and_line_breaks() {
        let sheet = retail("1,A,\"a, \"\"b\"\"\nc\",1,d,1,c,UK\n2,B,12\" RULER,1,d,1,c,UK\n");
        assert_eq!(lines(&sheet), [2, 4]);
        assert_eq!(
            &sheet.rows[0].fields.as_ref().expect("a sound row")[2],
            "a, \"b\"\nc"
        );
        assert_eq!(
            &sheet.rows[1].fields.as_ref().expect("a sound row")[2],
            "12\" RULER"
        );
    }

    #[test]
    fn a_stray_quotation_mark_costs_its_own_line_only() {
        let sheet = retail("1,A,\"x,1,d,1,c,UK\n2,B,y,1,d,1,c,UK\n3,C,z,1,d,1,c,UK\n");
        assert_eq!(lines(&sheet), [-2, 3, 4]);
        let sheet = retail("1,A,\"x,1,d,1,c,UK\n2,B,\"y,1,d,1,c,UK\n3,C,z,1,d,1,c,UK\n");
        assert_eq!(lines(&sheet), [-2, -3, 4]);
    }

    #[test]
    fn bytes_that_are_no_text_cost_their_own_line_only() {
        let mut bytes = format!("{RETAIL_HEADER}\n").into_bytes();
        bytes.extend(b"1,A,caf\xe9,1,d,1,c,UK\n2,B,y\0,1,d,1,c,UK\n3,C,z,1,d,1,c,UK\n");
        assert_eq!(
            lines(&Sheet::parse(bytes).expect("the header is known")),
            [-2, -3, 4]
        );
    }

    #[test]
    fn what_is_no_csv_is_refused_by_its_beginning() {
        for bytes in [
            &b""[..],
            b"\x7fELF\x02\x01\0\0",
            b"\0\0\0\0",
            b"a,b,c\n1,2,3\n",
            b"\xff\xfes\0k\0u\0",
            b"{\"a\":1}",
        ] {
            assert!(Sheet::parse(bytes.to_vec()).is_err(), "{bytes:?}");
        }
        assert!(matches!(
            Sheet::open(Path::new("/")),
            Err(Error::Unreadable { .. })
        ));
        assert!(matches!(
            Sheet::open(Path::new("/dev/zero")),
            Err(Error::UnknownHeader { .. })
        ));
    }

    #[test]
    fn the_two_forms_are_told_apart_by_the_header() {
        let catalogue = Sheet::parse(format!("{CATALOGUE_HEADER}\nA-1,x,y,1,GBP,5\n").into_bytes());
        assert_eq!(
            catalogue.expect("the header is known").form,
            Form::Catalogue
        );
        assert_eq!(retail("").form, Form::Retail);
    }
}
