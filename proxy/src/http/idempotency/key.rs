//! Reading the header: a String of Structured Fields (RFC 9651, 3.3.3), or a bare word, which many
//! clients send.

/// The longest key, bytes: what `idempotency_keys.idempotency_key` holds.
const LONGEST: usize = 255;

/// The key in a header's value; `None` when it is malformed.
pub fn parse(value: &[u8]) -> Option<String> {
    let value = value.trim_ascii();
    let key = match value.strip_prefix(b"\"") {
        Some(quoted) => unquoted(quoted)?,
        None => bare(value)?,
    };
    (1..=LONGEST).contains(&key.len()).then_some(key)
}

/// Reads up to the closing quote. Parameters may follow and mean nothing here.
fn unquoted(text: &[u8]) -> Option<String> {
    let mut key = String::new();
    let mut bytes = text.iter();
    loop {
        match bytes.next()? {
            b'"' => break,
            b'\\' => match bytes.next()? {
                &escaped @ (b'"' | b'\\') => key.push(char::from(escaped)),
                _ => return None,
            },
            &plain @ 0x20..=0x7e => key.push(char::from(plain)),
            _ => return None,
        }
    }
    let rest = bytes.as_slice().trim_ascii_start();
    (rest.is_empty() || rest[0] == b';').then_some(key)
}

fn bare(text: &[u8]) -> Option<String> {
    let is_plain =
        |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b',' | b';');
    let text = text.iter().all(is_plain).then_some(text)?;
    String::from_utf8(text.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Option<String> {
        parse(value.as_bytes())
    }

    #[test]
    fn a_string_and_a_bare_word_are_the_same_key() {
        let uuid = "8e03978e-40d5-43dd-bc93-6894a57f9324";
        assert_eq!(read(uuid).as_deref(), Some(uuid));
        assert_eq!(read(&format!("\"{uuid}\"")).as_deref(), Some(uuid));
        assert_eq!(read(&format!(" \"{uuid}\" ; v=1")).as_deref(), Some(uuid));
        assert_eq!(
            read("replay:01:536365").as_deref(),
            Some("replay:01:536365")
        );
        assert_eq!(read(r#""a \"b\" \\ c""#).as_deref(), Some(r#"a "b" \ c"#));
    }

    #[test]
    fn what_is_malformed_is_no_key() {
        let long = "x".repeat(256);
        for value in [
            "",
            " ",
            "\"\"",
            "\"open",
            "\"a\"b",
            "a b",
            "a,b",
            "a;b",
            "\"a\", \"b\"",
            "a\"b",
            r#""a\b""#,
            "\"k\u{e9}y\"",
            "k\u{e9}y",
            "\"a\tb\"",
            &long,
        ] {
            assert_eq!(read(value), None, "{value:?}");
        }
        assert_eq!(read(&long[..255]).map(|key| key.len()), Some(255));
    }
}
