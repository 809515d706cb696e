//! One value of every kind.

use redis::Connection;

use crate::module_support::ask;

/// A deadline and a timeout that no test lives to see, so that nothing changes by itself.
const HOUR_MS: &str = "3600000";

/// A key for each kind of value, whether it is a session, and the commands that make it.
pub fn fill(c: &mut Connection) -> Vec<&'static str> {
    let (one, two) = ("1".repeat(64), "2".repeat(64));
    let commands = [
        "INV.SET counted 20".to_owned(),
        "INV.SET full 20".to_owned(),
        format!("INV.RESERVE full held 2 PX {HOUR_MS}"),
        format!("INV.RESERVE full 0190f3a2-7c1e-7abc-8def-0123456789ab 3 PX {HOUR_MS}"),
        "INV.PREPARE full 0190f3a2-7c1e-7abc-8def-0123456789ab".to_owned(),
        "INV.RESERVE full sold 4".to_owned(),
        "INV.CONFIRM full sold QUANTITY 3".to_owned(),
        "INV.RETURN full sold back 1".to_owned(),
        "INV.RELEASE full early".to_owned(),
        "INV.ADJUST full 5 ID delivery".to_owned(),
        "INV.ADJUST full -2 ID broken".to_owned(),
        "INV.SET short 3".to_owned(),
        format!("INV.RESERVE short old 2 PX {HOUR_MS}"),
        format!("INV.RESERVE short young 1 PX {HOUR_MS}"),
        "INV.SET short 2 FORCE".to_owned(),
        format!("SESSION.START session:bare {one} ada IDLE {HOUR_MS} ABSOLUTE {HOUR_MS}"),
        format!(
            "SESSION.START session:full {one} ada IDLE {HOUR_MS} ABSOLUTE {HOUR_MS} ROLES buyer FIELD cart c1 lang en"
        ),
        format!("SESSION.TOUCH session:full {one} PAGE /lamps ITEM LAMP RATE 5 1 60"),
        format!("SESSION.TOUCH session:full {one} ITEM CHAIR"),
        format!("SESSION.ROTATE session:full {one} {two} GRACE 300000"),
    ];
    for command in &commands {
        let answer = ask(c, command);
        assert!(!answer.starts_with('!'), "{command}: {answer}");
    }
    vec!["counted", "full", "short", "session:bare", "session:full"]
}

/// Whether the key's value is a session; else it is stock.
pub fn is_session(key: &str) -> bool {
    key.starts_with("session")
}

/// The time to live with which the key must be restored to equal the original: a session ends, stock does not.
pub fn ttl(key: &str) -> &'static [u8] {
    if is_session(key) {
        HOUR_MS.as_bytes()
    } else {
        b"0"
    }
}
