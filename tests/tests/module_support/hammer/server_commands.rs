//! The server's own commands, as they meet the module's keys.

use super::commands::{key, ms};
use crate::module_support::numbers::Numbers;

/// How many databases are used.
pub const DATABASES: u64 = 3;

/// One of the commands that go on all the time.
pub fn common(numbers: &mut Numbers) -> String {
    let (one, other) = (key(numbers), key(numbers));
    let db = numbers.below(DATABASES);
    match numbers.below(34) {
        0 | 1 => format!("DEL {one}"),
        2 => format!("UNLINK {one} {other}"),
        3 | 4 => format!("RENAME {one} {other}"),
        5 => format!("RENAMENX {one} {other}"),
        6 | 7 => format!("COPY {one} {other} REPLACE"),
        8 => format!("COPY {one} {other} DB {db}"),
        9 | 10 => format!("MOVE {one} {db}"),
        11 => format!("PEXPIRE {one} {}", ms(numbers)),
        12 => format!("PEXPIREAT {one} 1"),
        13 | 14 => format!("PERSIST {one}"),
        15 => format!("PTTL {one}"),
        16 => format!("OBJECT ENCODING {one}"),
        17 => format!("OBJECT FREQ {one}"),
        18 => format!("OBJECT IDLETIME {one}"),
        19 => format!("MEMORY USAGE {one} SAMPLES 0"),
        20 => format!("TYPE {one}"),
        21 => format!("TOUCH {one} {other}"),
        22 => format!("SET {one} text"),
        23 => format!("SET {one} text XX KEEPTTL"),
        24 => format!("GETDEL {one}"),
        25 => format!("LPUSH {one} item"),
        26 => format!("HSET {one} on_hand 1000000"),
        27 => format!("SORT {one} STORE {other}"),
        28 => format!("RESTORE {one} 0 garbage"),
        29 => format!("DEBUG OBJECT {one}"),
        30 => "SCAN 0 TYPE holdstock".to_owned(),
        31 => "MEMORY DOCTOR".to_owned(),
        32 => "RANDOMKEY".to_owned(),
        _ => format!("DUMP {one}"),
    }
}

/// One of the commands that shake the whole server.
pub fn rare(numbers: &mut Numbers) -> String {
    let db = numbers.below(DATABASES);
    let yes_or_no = numbers.one_of(&["yes", "no"]);
    match numbers.below(16) {
        0 | 1 => format!("SWAPDB {db} {}", numbers.below(DATABASES)),
        2 => format!("FLUSHDB {}", numbers.one_of(&["SYNC", "ASYNC"])),
        3 if numbers.once_in(4) => format!("FLUSHALL {}", numbers.one_of(&["SYNC", "ASYNC"])),
        4 | 5 => "BGREWRITEAOF".to_owned(),
        6 => "BGSAVE SCHEDULE".to_owned(),
        // The replica comes back and asks for what it has missed, or for everything.
        7 => "CLIENT KILL TYPE replica".to_owned(),
        8 => "DEBUG CHANGE-REPL-ID".to_owned(),
        9 => format!("CLIENT PAUSE {} WRITE", 1 + numbers.below(50)),
        10 => format!("CLIENT PAUSE {} ALL", 1 + numbers.below(20)),
        11 => format!("CONFIG SET aof-use-rdb-preamble {yes_or_no}"),
        12 => format!(
            "CONFIG SET notify-keyspace-events {}",
            numbers.one_of(&["KEA", "Kd"])
        ),
        13 => format!("CONFIG SET lazyfree-lazy-server-del {yes_or_no}"),
        14 => "MODULE UNLOAD holdfast".to_owned(),
        _ => "MEMORY PURGE".to_owned(),
    }
}
