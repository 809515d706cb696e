//! UUIDs in 16 bytes in place of 36 characters (RFC 9562, section 4).

/// The bytes of a UUID that is written in small letters; any other text must come back as it was written.
pub(crate) fn parse(text: &[u8]) -> Option<[u8; 16]> {
    if text.len() != 36 {
        return None;
    }
    let mut id = [0; 16];
    let mut rest = text;
    for (at, byte) in id.iter_mut().enumerate() {
        if is_after_hyphen(at) {
            rest = rest.strip_prefix(b"-")?;
        }
        let ([high, low], after) = rest.split_first_chunk()?;
        *byte = (digit(*high)? << 4) | digit(*low)?;
        rest = after;
    }
    Some(id)
}

/// The UUID as text.
pub(crate) fn write(id: &[u8; 16]) -> Vec<u8> {
    let digit = |value: u8| match value {
        0..=9 => b'0' + value,
        _ => b'a' + value - 10,
    };
    let mut text = Vec::with_capacity(36);
    for (at, byte) in id.iter().enumerate() {
        if is_after_hyphen(at) {
            text.push(b'-');
        }
        text.extend([digit(byte >> 4), digit(byte & 15)]);
    }
    text
}

fn is_after_hyphen(byte: usize) -> bool {
    matches!(byte, 4 | 6 | 8 | 10)
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}
