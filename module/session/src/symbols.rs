//! The symbols that texts in a packed session are made of, and the bits that each takes.
//!
//! A session is made of a few words that all sessions have and of short names and numbers. Frequent words are a symbol
//! of their own, so is every printable ASCII character. The lengths are those of a Huffman code, limited to
//! [`LONGEST_CODE`] bits, over field names, values, roles, pages and SKUs as shops have them. A session is packed in
//! memory only, never in a file or on the wire, so that both can be changed at any time.

/// The bits of the longest code.
pub(crate) const LONGEST_CODE: u32 = 12;

/// The symbol that ends a text.
pub(crate) const END: u16 = 0;
/// The symbol before the 16 bytes of a UUID, which are a whole text.
pub(crate) const UUID: u16 = 1;
/// The symbol before the length and the bytes of a text that is better left as it is.
pub(crate) const RAW: u16 = 2;

/// A symbol's text, and the bits of its code. After the three above in the order of their first character, the longer
/// ones first, so that the first that fits is the longest.
#[rustfmt::skip]
pub(crate) const SYMBOLS: [(&str, u8); 206] = [
    ("", 4), ("", 7), ("", 8), (" ", 9), ("!", 12), ("\"", 12), ("#", 12), ("$", 12), ("%", 12),
    ("&", 12), ("'", 12), ("(", 12), (")", 12), ("*", 12), ("+", 12), (",", 8), ("-", 5),
    (".html", 11), (".com", 8), (".", 9), ("/category/", 8), ("/products/", 8), ("/checkout", 11),
    ("/product/", 12), ("/account", 11), ("/search", 11), ("/cart", 11), ("/", 8), ("0", 5),
    ("1", 5), ("202", 10), ("2", 4), ("3", 5), ("4", 5), ("5", 5), ("6", 5), ("7", 5), ("8", 5),
    ("9", 5), (":", 9), (";", 12), ("<", 12), ("=", 12), (">", 12), ("?", 12), ("@", 8), ("A", 7),
    ("Berlin", 11), ("B", 8), ("Chrome", 11), ("C", 9), ("D", 8), ("Europe/", 10), ("EUR", 11),
    ("E", 7), ("Firefox", 11), ("F", 9), ("GBP", 11), ("G", 9), ("H", 8), ("I", 8), ("J", 10),
    ("K", 9), ("London", 11), ("L", 8), ("M", 9), ("N", 9), ("O", 8), ("P", 9), ("Q", 10), ("R", 8),
    ("Safari", 11), ("SKU-", 8), ("S", 8), ("T", 8), ("USD", 11), ("U", 8), ("V", 10), ("W", 9),
    ("X", 9), ("Y", 9), ("Z", 10), ("[", 12), ("\\", 12), ("]", 12), ("^", 12), ("_id", 9),
    ("_", 7), ("`", 12), ("admin", 9), ("agent", 10), ("a", 5), ("black-friday", 11),
    ("browser", 10), ("basket", 10), ("buyer", 9), ("b", 7), ("campaign", 10), ("checkout", 11),
    ("currency", 10), ("customer", 8), ("channel", 10), ("consent", 10), ("country", 10),
    ("coupon", 10), ("color", 10), ("count", 12), ("cart", 10), ("city", 10), ("c", 6),
    ("discount", 10), ("desktop", 11), ("device", 10), ("de-DE", 11), ("dark", 11), ("d", 6),
    ("experiment", 10), ("email", 10), ("en-GB", 11), ("en-US", 11), ("es-ES", 11), ("en-", 12),
    ("ent", 10), ("e", 5), ("filter", 10), ("false", 11), ("field", 12), ("fr-FR", 11), ("f", 7),
    ("google", 11), ("group", 10), ("guest", 10), ("g", 7), ("https://", 12), ("h", 6),
    ("item", 10), ("ing", 9), ("ion", 12), ("i", 5), ("j", 9), ("k", 8), ("language", 10),
    ("locale", 10), ("last_", 10), ("level", 10), ("light", 11), ("lang", 10), ("l", 6),
    ("medium", 9), ("member", 10), ("mobile", 11), ("m", 6), ("newsletter", 11), ("name", 10),
    ("n", 6), ("order", 9), ("o", 6), ("product", 12), ("promo", 10), ("plan", 10), ("p", 7),
    ("q", 9), ("referrer", 10), ("referer", 12), ("region", 10), ("r", 6), ("segment", 10),
    ("social", 11), ("source", 10), ("spring", 11), ("status", 10), ("summer", 11), ("score", 10),
    ("staff", 10), ("store", 10), ("size", 10), ("sort", 10), ("step", 10), ("s", 5),
    ("timezone", 10), ("tablet", 11), ("theme", 10), ("token", 10), ("total", 12), ("tier", 10),
    ("true", 11), ("t", 6), ("user", 7), ("utm_", 9), ("u", 7), ("variant", 10), ("value", 12),
    ("view", 10), ("v", 8), ("wishlist", 10), ("winter", 12), ("web", 11), ("w", 8), ("x", 9),
    ("yes", 11), ("y", 7), ("z", 9), ("{", 12), ("|", 12), ("}", 12), ("~", 12),
];

/// Each symbol's code: canonical, which is to say that codes of one length are consecutive in the order of the symbols.
pub(crate) static CODES: [u16; SYMBOLS.len()] = codes();

/// By the next [`LONGEST_CODE`] bits: the symbol whose code they begin with.
pub(crate) static DECODE: [u16; 1 << LONGEST_CODE] = decode();

/// By character: where its symbols begin in [`SYMBOLS`]. They end where those of the next character begin.
pub(crate) static STARTS: [u16; 129] = starts();

const fn codes() -> [u16; SYMBOLS.len()] {
    let mut codes = [0; SYMBOLS.len()];
    let (mut next, mut bits) = (0_u32, 1);
    while bits <= LONGEST_CODE {
        let mut symbol = 0;
        while symbol < SYMBOLS.len() {
            if SYMBOLS[symbol].1 as u32 == bits {
                codes[symbol] = next as u16;
                next += 1;
            }
            symbol += 1;
        }
        next <<= 1;
        bits += 1;
    }
    assert!(next == 2 << LONGEST_CODE, "every bit string must be a code");
    codes
}

const fn decode() -> [u16; 1 << LONGEST_CODE] {
    let (codes, mut decode) = (codes(), [0; 1 << LONGEST_CODE]);
    let mut symbol = 0;
    while symbol < SYMBOLS.len() {
        let free = LONGEST_CODE - SYMBOLS[symbol].1 as u32;
        let first = (codes[symbol] as usize) << free;
        let mut at = first;
        while at < first + (1 << free) {
            decode[at] = symbol as u16;
            at += 1;
        }
        symbol += 1;
    }
    decode
}

const fn starts() -> [u16; 129] {
    let mut starts = [SYMBOLS.len() as u16; 129];
    let mut symbol = SYMBOLS.len();
    while symbol > RAW as usize + 1 {
        symbol -= 1;
        let text = SYMBOLS[symbol].0.as_bytes();
        let mut character = 0;
        while character <= text[0] as usize {
            starts[character] = symbol as u16;
            character += 1;
        }
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_symbol_that_fits_is_the_longest() {
        let texts = &SYMBOLS[usize::from(RAW) + 1..];
        for pair in texts.windows(2) {
            let (text, next) = (pair[0].0.as_bytes(), pair[1].0.as_bytes());
            let longest_first = text[0] == next[0] && text.len() >= next.len();
            assert!(text[0] < next[0] || longest_first, "{pair:?}");
        }
        for character in ' '..='~' {
            assert!(texts.iter().any(|(text, _)| *text == character.to_string()));
        }
    }
}
