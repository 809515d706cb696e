//! The payload of DUMP: a value, then the version of the RDB format (2 bytes) and a CRC of all that (8 bytes).

/// A payload taken apart.
#[derive(Clone, Debug)]
pub struct Dump {
    /// The value. A module's begins with [`MODULE_VALUE`], nine bytes that name the type and the version of its
    /// encoding, and ends with a zero.
    pub value: Vec<u8>,
    /// The version of the RDB format.
    pub version: [u8; 2],
}

/// The first byte of a module's value (`RDB_TYPE_MODULE_2`).
pub const MODULE_VALUE: u8 = 7;

impl Dump {
    /// Takes a payload apart; it must be one.
    pub fn new(payload: &[u8]) -> Dump {
        let (value, tail) = payload.split_at(payload.len() - 10);
        Dump {
            value: value.to_vec(),
            version: [tail[0], tail[1]],
        }
    }

    /// The payload again, with the CRC that belongs to it, so that the server's own check finds nothing wrong.
    pub fn payload(&self) -> Vec<u8> {
        let mut payload = [&self.value[..], &self.version].concat();
        payload.extend_from_slice(&crc64(&payload).to_le_bytes());
        payload
    }
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
