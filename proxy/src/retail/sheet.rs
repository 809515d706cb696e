//! A CSV file as rows with their line numbers, whatever state the file is in.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::rows::{Row, line_length, split};

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
    #[error("cannot read the CSV file '{path}'")]
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
        let rows = split(&bytes[header_bytes..], form.columns());
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

#[cfg(test)]
mod tests {
    use super::*;

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
        let retail = Sheet::parse(format!("\u{feff}{RETAIL_HEADER}\r\n").into_bytes());
        assert_eq!(retail.expect("the header is known").form, Form::Retail);
    }
}
