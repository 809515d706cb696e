//! Which key a command is about, and in which slot of a Redis Cluster a key lies.

use redis::{Arg, Cmd};

/// The hash slots of a cluster.
pub(super) const SLOTS: u16 = 16_384;

/// The key that a command is about. All keys of one command lie in one slot, so the first stands
/// for them; a command that has none may go to any server.
pub(super) fn key_of(command: &Cmd) -> Option<&[u8]> {
    let mut words = command.args_iter().map(|word| match word {
        Arg::Simple(word) => Some(word),
        _ => None,
    });
    let name = words.next().flatten()?;
    let place = match name.to_ascii_uppercase().as_slice() {
        b"INFO" | b"PING" | b"ROLE" | b"WAIT" | b"CLUSTER" | b"SUBSCRIBE" => return None,
        b"INV.MRESERVE" => 1,
        b"EVAL" | b"EVALSHA" => 2,
        _ => 0,
    };
    words.nth(place).flatten()
}

/// The slot of a key, as the Redis Cluster specification has it: CRC16 (XMODEM) of the key, or of
/// what stands between its first braces, so that keys of one tag lie together.
pub(super) fn slot_of(key: &[u8]) -> u16 {
    let mut crc = 0_u16;
    for byte in tag(key) {
        crc ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            let carry = if crc & 0x8000 == 0 { 0 } else { 0x1021 };
            crc = crc << 1 ^ carry;
        }
    }
    crc % SLOTS
}

/// What decides the slot of a key.
fn tag(key: &[u8]) -> &[u8] {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let behind = key.get(open + 1..)?;
        let close = behind.iter().position(|byte| *byte == b'}')?;
        behind.get(..close)
    });
    tag.filter(|tag| !tag.is_empty()).unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use redis::cmd;

    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        // The check value of CRC16/XMODEM, and what CLUSTER KEYSLOT says.
        assert_eq!(slot_of(b"123456789"), 0x31C3 % SLOTS);
        let known: [(&[u8], u16); 6] = [
            (b"", 0),
            (b"foo", 12_182),
            (b"bar", 5_061),
            (b"{user1000}.following", slot_of(b"user1000")),
            (b"foo{{bar}}zap", slot_of(b"{bar")),
            (b"foo{bar}{zap}", 5_061),
        ];
        for (key, slot) in known {
            assert_eq!(slot_of(key), slot, "{key:?}");
        }
        // An empty tag is none.
        assert_ne!(slot_of(b"foo{}{bar}"), slot_of(b"bar"));
        assert_ne!(slot_of(b"foo{}{bar}"), slot_of(b""));
    }

    #[test]
    fn the_key_of_each_command_is_found() {
        let key = |text: &str| {
            let mut words = text.split(' ');
            let mut command = cmd(words.next().unwrap_or_default());
            words.for_each(|word| {
                command.arg(word);
            });
            key_of(&command).map(|key| String::from_utf8_lossy(key).into_owned())
        };
        for text in [
            "GET k",
            "INV.RESERVE k o1 2",
            "SET k v NX",
            "eval text 2 k other",
            "EVAL text 1 k",
            "INV.MRESERVE 2 k other o1 1 1",
        ] {
            assert_eq!(key(text).as_deref(), Some("k"), "{text}");
        }
        for text in ["INFO memory", "PING", "WAIT 1 250", "EVAL text"] {
            assert_eq!(key(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn keys_of_one_tag_lie_in_one_slot(
            tag in "[^{}]{1,40}", before in "[^{}]{0,9}", behind in ".{0,9}"
        ) {
            let slot = slot_of(tag.as_bytes());
            prop_assert!(slot < SLOTS);
            prop_assert_eq!(slot_of(format!("{before}{{{tag}}}{behind}").as_bytes()), slot);
        }
    }
}
