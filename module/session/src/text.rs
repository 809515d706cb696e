//! Texts as bits: how a packed session keeps users, pages, items and fields.
//!
//! A text is written as the [symbols](crate::symbols) that it is made of and one that ends it. A UUID is its 16 bytes,
//! and what the symbols do not fit (other languages, binary values) stands as it is. The same texts are always the
//! same bits, so that packed texts can be compared as they are.

use crate::symbols::{CODES, DECODE, END, LONGEST_CODE, RAW, STARTS, SYMBOLS, UUID};
use crate::uuid;

/// The bits of the length before a raw text. No text of a session is longer than 1,024 bytes.
const LENGTH_BITS: u32 = 11;

/// Writes texts one after another.
#[derive(Debug, Default)]
pub(crate) struct TextWriter {
    bytes: Vec<u8>,
    /// The bits that do not fill a byte yet, the last written lowest.
    pending: u64,
    count: u32,
}

impl TextWriter {
    /// Writes on behind these bytes.
    pub(crate) fn after(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            ..Self::default()
        }
    }

    /// Writes a text.
    pub(crate) fn write(&mut self, text: &[u8]) {
        if let Some(id) = uuid::parse(text) {
            self.symbol(UUID);
            id.iter()
                .for_each(|byte| self.bits(u32::from(*byte), u8::BITS));
            return;
        }
        let raw_bits = bits(RAW) + LENGTH_BITS + 8 * text.len() as u32;
        let (length, pending, count) = (self.bytes.len(), self.pending, self.count);
        if self.coded(text, raw_bits).is_none() {
            self.bytes.truncate(length);
            (self.pending, self.count) = (pending, count);
            self.symbol(RAW);
            self.bits(text.len() as u32, LENGTH_BITS);
            text.iter()
                .for_each(|byte| self.bits(u32::from(*byte), u8::BITS));
        }
    }

    /// Writes a text as symbols, `None` if there are none for it or they take more than so many bits.
    fn coded(&mut self, mut text: &[u8], mut most_bits: u32) -> Option<()> {
        while let Some(symbol) = longest_prefix(text) {
            most_bits = most_bits.checked_sub(bits(symbol))?;
            self.symbol(symbol);
            text = text.get(SYMBOLS.get(usize::from(symbol))?.0.len()..)?;
        }
        self.symbol(END);
        (text.is_empty() && most_bits >= bits(END)).then_some(())
    }

    /// The bytes, the last one filled with ones, which begin no text.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let free = self.count.wrapping_neg() % u8::BITS;
        self.bits((1 << free) - 1, free);
        self.bytes
    }

    fn symbol(&mut self, symbol: u16) {
        let code = CODES.get(usize::from(symbol)).copied().unwrap_or_default();
        self.bits(u32::from(code), bits(symbol));
    }

    fn bits(&mut self, value: u32, count: u32) {
        self.pending = (self.pending << count) | u64::from(value);
        self.count += count;
        while self.count >= u8::BITS {
            self.count -= u8::BITS;
            self.bytes.push((self.pending >> self.count) as u8);
        }
    }
}

/// Reads texts in the order in which they were written.
#[derive(Clone, Debug)]
pub(crate) struct TextReader<'a> {
    rest: &'a [u8],
    pending: u64,
    count: u32,
}

impl<'a> TextReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            pending: 0,
            count: 0,
        }
    }

    /// The next text, `None` after the last.
    pub(crate) fn read(&mut self) -> Option<Vec<u8>> {
        let mut text = Vec::with_capacity(16);
        loop {
            match self.symbol()? {
                END => return Some(text),
                UUID => {
                    let mut id = [0; 16];
                    for byte in &mut id {
                        *byte = self.bits(u8::BITS)? as u8;
                    }
                    return Some(uuid::write(&id));
                }
                RAW => {
                    let length = self.bits(LENGTH_BITS)?;
                    return (0..length)
                        .map(|_| Some(self.bits(u8::BITS)? as u8))
                        .collect();
                }
                symbol => text.extend_from_slice(SYMBOLS.get(usize::from(symbol))?.0.as_bytes()),
            }
        }
    }

    fn symbol(&mut self) -> Option<u16> {
        self.fill(LONGEST_CODE);
        // Near the end, ones stand for what is not there: no code is all ones but the longest.
        let missing = LONGEST_CODE.saturating_sub(self.count);
        let next = (self.pending << missing) >> (self.count + missing - LONGEST_CODE);
        let next = (next as usize | ((1 << missing) - 1)) & (DECODE.len() - 1);
        let symbol = *DECODE.get(next)?;
        self.count = self.count.checked_sub(bits(symbol))?;
        Some(symbol)
    }

    fn bits(&mut self, count: u32) -> Option<u32> {
        self.fill(count);
        self.count = self.count.checked_sub(count)?;
        Some((self.pending >> self.count) as u32 & ((1 << count) - 1))
    }

    fn fill(&mut self, count: u32) {
        while self.count < count
            && let Some((byte, rest)) = self.rest.split_first()
        {
            self.rest = rest;
            self.pending = (self.pending << u8::BITS) | u64::from(*byte);
            self.count += u8::BITS;
        }
    }
}

/// One text by itself, in whole bytes.
pub(crate) fn pack(text: &[u8]) -> Vec<u8> {
    let mut writer = TextWriter::after(Vec::with_capacity(text.len() + 3));
    writer.write(text);
    writer.finish()
}

/// The text that [`pack`] packed.
pub(crate) fn unpack(packed: &[u8]) -> Vec<u8> {
    TextReader::new(packed).read().unwrap_or_default()
}

/// The longest symbol that the text begins with.
fn longest_prefix(text: &[u8]) -> Option<u16> {
    let character = usize::from(*text.first()?);
    let (first, end) = (STARTS.get(character)?, STARTS.get(character + 1)?);
    let fits = |symbol: &u16| {
        SYMBOLS
            .get(usize::from(*symbol))
            .is_some_and(|(prefix, _)| {
                prefix.len() <= text.len() && prefix.bytes().zip(text).all(|(a, b)| a == *b)
            })
    };
    (*first..*end).find(fits)
}

fn bits(symbol: u16) -> u32 {
    SYMBOLS
        .get(usize::from(symbol))
        .map_or(0, |(_, bits)| u32::from(*bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_comes_back() {
        let texts: [&[u8]; 12] = [
            b"",
            b"~",
            b"~~~",
            b"customer",
            b"en-GB",
            b"/products/85123A",
            b"85123A",
            b"0190f3a2-7c1e-7abc-8def-0123456789ab",
            b"0190F3A2-7c1e-7abc-8def-0123456789ab",
            "café ☕".as_bytes(),
            &[0, 0xff, b'a'],
            &[b'x'; 1024],
        ];
        let mut writer = TextWriter::default();
        texts.iter().for_each(|text| writer.write(text));
        let bytes = writer.finish();
        let mut reader = TextReader::new(&bytes);
        for text in texts {
            assert_eq!(reader.read().as_deref(), Some(text));
            assert_eq!(unpack(&pack(text)), text);
        }
        assert_eq!(reader.read(), None);
    }

    #[test]
    fn what_a_shop_writes_takes_less_and_nothing_takes_much_more() {
        for (text, bytes) in [
            ("customer", 2),
            ("85123A", 5),
            ("/products/85123A", 6),
            ("0190f3a2-7c1e-7abc-8def-0123456789ab", 17),
            ("日本語", 12),
        ] {
            assert_eq!(pack(text.as_bytes()).len(), bytes, "{text}");
        }
    }
}
