//! Ways to damage a value.

use crate::module_support::numbers::Numbers;

/// Lengths as the RDB format writes them, far beyond what follows: of 32 and of 64 bits, and of compressed strings whose
/// two lengths are both absurd.
const ABSURD_LENGTHS: [&[u8]; 6] = [
    &[0x80, 0xff, 0xff, 0xff, 0xff],
    &[0x81, 0, 0, 1, 0, 0, 0, 0, 0],
    &[0x81, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    &[0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    &[
        0xc3, 0x80, 0xff, 0xff, 0xff, 0xff, 0x80, 0xff, 0xff, 0xff, 0xff,
    ],
    &[0xc3, 0x01, 0x81, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff],
];

/// The greatest numbers in our own form, which has seven bits a byte, and one that has too many bytes.
const ABSURD_NUMBERS: [&[u8]; 4] = [
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
    &[0xff; 16],
];

/// The first byte says that the value is a module's; from there on everything may be damaged.
const FIRST: usize = 1;

/// Where the name of the type and the version of its encoding end (`0x81` and eight bytes).
const NAME_END: usize = 10;

/// The value cut short at every length.
pub fn truncated(value: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (FIRST..value.len()).map(|length| value[..length].to_vec())
}

/// The value under every version of its encoding but its own: ten bits, the last of the name.
pub fn other_versions(value: &[u8]) -> impl Iterator<Item = (u16, Vec<u8>)> {
    let own = version(value);
    (0..1 << 10)
        .filter(move |other| *other != own)
        .map(|other| {
            let mut value = value.to_vec();
            value[NAME_END - 2] = value[NAME_END - 2] & !3 | (other >> 8) as u8;
            value[NAME_END - 1] = other as u8;
            (other, value)
        })
}

/// The version of the value's encoding.
pub fn version(value: &[u8]) -> u16 {
    u16::from(value[NAME_END - 2] & 3) << 8 | u16::from(value[NAME_END - 1])
}

/// What a string begins with (`RDB_MODULE_OPCODE_STRING`), and what follows the last one.
const STRING: u8 = 5;
const END: u8 = 0;

/// The one string of an uncompressed value cut in two at every place, and with empty ones before and behind.
pub fn in_pieces(value: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let (name, rest) = value.split_at(NAME_END);
    let string = match rest {
        [STRING, length @ 0..0x40, string @ .., END] if string.len() == usize::from(*length) => {
            string
        }
        // Two bits say that the length has fourteen.
        [STRING, 0x40..0x80, _, string @ .., END] => string,
        _ => panic!("not one string: {}", value.escape_ascii()),
    };
    (0..=string.len()).map(move |at| {
        let (first, second) = string.split_at(at);
        let mut value = name.to_vec();
        for piece in [first, second] {
            let length = 0x4000 | u16::try_from(piece.len()).expect("a short string");
            value.push(STRING);
            value.extend_from_slice(&length.to_be_bytes());
            value.extend_from_slice(piece);
        }
        value.push(END);
        value
    })
}

/// The value damaged once or a few times, anyhow.
pub fn any(value: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut value = value.to_vec();
    for _ in 0..=numbers.below(3) {
        let at = FIRST + numbers.below((value.len() - FIRST) as u64) as usize;
        let random = numbers.below(256) as u8;
        match numbers.below(8) {
            0..=2 => value[at] ^= 1 << (random % 8),
            3 => value[at] = random,
            4 => value.insert(at, random),
            5 if value.len() > FIRST + 1 => {
                value.remove(at);
            }
            6 => {
                let absurd = ABSURD_LENGTHS[usize::from(random) % ABSURD_LENGTHS.len()];
                value.splice(at..=at, absurd.iter().copied());
            }
            _ => {
                let absurd = ABSURD_NUMBERS[usize::from(random) % ABSURD_NUMBERS.len()];
                value.splice(at..=at, absurd.iter().copied());
            }
        }
    }
    value
}
