//! The payload of DUMP, damaged in a way that the server's own checks do not see.

use crate::module_support::numbers::Numbers;

/// The value's type, the first byte, when it is that of a module (`RDB_TYPE_MODULE_2`).
const MODULE_VALUE: u8 = 7;

/// Behind the value stand its version (2 bytes) and its CRC (8 bytes).
const TAIL: usize = 10;

/// Flips a bit of the module's value and writes the CRC that belongs to it, so that the module must see the damage
/// itself. Values of the server's own are left alone: it does not survive the same.
pub fn damage(payload: &mut [u8], numbers: &mut Numbers) {
    let value = payload.len().saturating_sub(TAIL);
    if payload.first() != Some(&MODULE_VALUE) || value < 2 {
        return;
    }
    let at = 1 + numbers.below(value as u64 - 1) as usize;
    payload[at] ^= 1 << numbers.below(8);
    let crc = crc64(&payload[..value + 2]);
    payload[value + 2..].copy_from_slice(&crc.to_le_bytes());
}

/// The CRC of Redis's `crc64.c`: the Jones polynomial, reflected, with nothing added at either end.
fn crc64(bytes: &[u8]) -> u64 {
    const REFLECTED: u64 = 0x95ac_9329_ac4b_c9b5;
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u64::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                (crc >> 1) ^ REFLECTED
            } else {
                crc >> 1
            }
        })
    })
}

#[test]
fn the_crc_is_that_of_the_server() {
    // The test vector in crc64.c.
    assert_eq!(crc64(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
}
