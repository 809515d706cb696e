//! Random commands of the module, good ones and bad ones.

use crate::module_support::numbers::Numbers;

/// A command and its arguments.
pub type Line = Vec<Vec<u8>>;

/// Few enough keys and ids that commands meet.
const KEYS: u64 = 8;
const IDS: u64 = 40;

/// The command as its words, which have no spaces. `~n` stands for an id of bytes that no text has.
pub fn line(words: &str) -> Line {
    words
        .split_ascii_whitespace()
        .map(|word| match word.strip_prefix('~') {
            Some(number) => [b"\0\r\n\xff ", number.as_bytes()].concat(),
            None => word.as_bytes().to_vec(),
        })
        .collect()
}

/// A command of the module, now and then a spoiled one.
pub fn command(numbers: &mut Numbers) -> Line {
    let words = if numbers.below(4) > 0 {
        stock(numbers)
    } else {
        session(numbers)
    };
    let mut line = line(&words);
    if numbers.once_in(8) {
        spoil(&mut line, numbers);
    }
    line
}

/// Any key: stock, a session or something of the server's own may be there, or nothing.
pub fn key(numbers: &mut Numbers) -> String {
    format!("k{}", numbers.below(KEYS))
}

/// Every key that [`key`] gives.
pub fn all_keys() -> impl Iterator<Item = String> {
    (0..KEYS).map(|number| format!("k{number}"))
}

/// A time that is over soon, so that the sweep has work, or one that outlasts the test, so that holds are left.
pub fn ms(numbers: &mut Numbers) -> u64 {
    if numbers.below(5) > 0 {
        1 + numbers.below(400)
    } else {
        600_000 + numbers.below(600_000)
    }
}

/// An effect as a primary sends it for a command, with times around `now_ms`.
pub fn effect(numbers: &mut Numbers, now_ms: u64) -> String {
    let (id, n) = (id(numbers), units(numbers));
    let at_ms = now_ms + numbers.below(2_000) - 1_000;
    match numbers.below(10) {
        0 => format!("COUNTED {}", numbers.below(100)),
        1 => format!("ADJUSTED {n} {at_ms} {id}"),
        2 => format!("RESERVED {id} {n} {at_ms}"),
        3 => format!("RETAKEN {id} {n} {at_ms}"),
        4 => format!("PREPARED {id} {at_ms}"),
        5 => format!("EXTENDED {id} {at_ms}"),
        6 => format!("CONFIRMED {id} {n} {at_ms}"),
        7 => format!("RELEASED {id} {at_ms}"),
        8 => format!("RETURNED {id} {} {n} {at_ms}", adjustment(numbers)),
        _ => format!("COUNTED {}", u64::MAX),
    }
}

fn stock(numbers: &mut Numbers) -> String {
    let (key, id, n) = (key(numbers), id(numbers), units(numbers));
    match numbers.below(28) {
        0 => format!("INV.SET {key} {}{}", numbers.below(60), condition(numbers)),
        1 => format!("INV.ADJUST {key} {}{}", n * 5, condition(numbers)),
        2 => format!("INV.ADJUST {key} -{n}{}", condition(numbers)),
        3 => format!(
            "INV.ADJUST {key} {n} ID {}{}",
            adjustment(numbers),
            condition(numbers)
        ),
        4..=8 => format!("INV.RESERVE {key} {id} {n}{}", deadline(numbers)),
        9 => mreserve(numbers),
        10 | 11 => format!("INV.PREPARE {key} {id}{}", late(numbers, n)),
        12 => format!("INV.EXTEND {key} {id} PX {}", ms(numbers)),
        13 | 14 => format!("INV.CONFIRM {key} {id}{}", late(numbers, n)),
        15 => format!("INV.CONFIRM {key} {id} QUANTITY {n}{}", late(numbers, n)),
        16 | 17 => format!("INV.RELEASE {key} {id}"),
        18 | 19 => format!("INV.RETURN {key} {id} {} {n}", adjustment(numbers)),
        20 => format!("INV.GET {key}"),
        21 => format!("INV.HOLD {key} {id}"),
        22 | 23 => format!("INV.HOLDS {key}{}", page(numbers)),
        24 => format!("INV.PENDING {key} {} COUNT {n}", numbers.below(300)),
        25 => "INV.HELP".to_owned(),
        26 => records(numbers, &key),
        _ => format!(
            "INV.APPLY {key} {} {}",
            1 + numbers.below(50),
            effect(numbers, 1_700_000_000_000)
        ),
    }
}

fn session(numbers: &mut Numbers) -> String {
    let (key, secret) = (key(numbers), secret(numbers));
    let field = numbers.below(5);
    match numbers.below(12) {
        0 | 1 => format!(
            "SESSION.START {key} {secret} ada IDLE {} ABSOLUTE {} ROLES buyer FIELD f{field} v",
            ms(numbers),
            ms(numbers)
        ),
        2 => format!("SESSION.START {key} {secret} ada"),
        3 | 4 => format!("SESSION.TOUCH {key} {secret} PAGE /{field} ITEM I{field}"),
        5 => format!("SESSION.TOUCH {key} {secret} RATE {field} 1 1"),
        6 => format!("SESSION.GET {key}"),
        7 => format!("SESSION.SET {key} f{field} {}", numbers.below(1_000)),
        8 => format!("SESSION.VIEWED {key} 3"),
        9 => {
            let new = self::secret(numbers);
            format!("SESSION.ROTATE {key} {secret} {new} GRACE {}", ms(numbers))
        }
        10 => format!("SESSION.END {key}"),
        _ => numbers
            .one_of(&["SESSION.HELP", "SESSION.APPLY k1 SET f v"])
            .to_owned(),
    }
}

fn mreserve(numbers: &mut Numbers) -> String {
    let count = 1 + numbers.below(3);
    let first = numbers.below(KEYS);
    let keys: String = (0..count)
        .map(|at| format!(" k{}", (first + at) % KEYS))
        .collect();
    let quantities: String = (0..count).map(|_| format!(" {}", units(numbers))).collect();
    let id = id(numbers);
    format!(
        "INV.MRESERVE {count}{keys} {id}{quantities}{}",
        deadline(numbers)
    )
}

/// Records of a rewritten AOF, most of which fit only a key that is not there.
fn records(numbers: &mut Numbers, key: &str) -> String {
    let (on_hand, seq) = (numbers.below(50), 10 + numbers.below(10));
    let (id, n, time) = (id(numbers), units(numbers), 1_700_000_000_000_u64);
    let record = match numbers.below(5) {
        0 => format!("HELD 3 {id} {n} {time}"),
        1 => format!("PREPARED 4 {id} {n} {time}"),
        2 => format!("CONFIRMED 5 {id} {n} {time}"),
        3 => format!("RELEASED 6 {id} 0 {time}"),
        _ => format!("ADJUSTED 7 {} {n} {time}", adjustment(numbers)),
    };
    format!("INV.RESTORE {key} BASE {on_hand} 3 {seq} {record}")
}

/// An id as users send them: short, a UUID, the longest, or of any bytes.
fn id(numbers: &mut Numbers) -> String {
    let id = numbers.below(IDS);
    match id % 4 {
        0 => format!("0190f3a2-7c1e-7abc-8def-0123456789{id:02x}"),
        1 => format!("~{id}"),
        2 => format!("{id:x>64}"),
        _ => format!("o{id}"),
    }
}

fn adjustment(numbers: &mut Numbers) -> String {
    format!("a{}", numbers.below(IDS))
}

fn units(numbers: &mut Numbers) -> u64 {
    1 + numbers.below(4)
}

fn secret(numbers: &mut Numbers) -> String {
    numbers.below(2).to_string().repeat(64)
}

fn deadline(numbers: &mut Numbers) -> String {
    match numbers.below(8) {
        0 => String::new(),
        1 => " PXAT 99999999999999".to_owned(),
        _ => format!(" PX {}", ms(numbers)),
    }
}

fn late(numbers: &mut Numbers, quantity: u64) -> String {
    if numbers.once_in(2) {
        format!(" LATE {quantity}")
    } else {
        String::new()
    }
}

fn condition(numbers: &mut Numbers) -> String {
    match numbers.below(4) {
        0 => format!(" IF {}", numbers.below(30)),
        1 => " FORCE".to_owned(),
        _ => String::new(),
    }
}

fn page(numbers: &mut Numbers) -> String {
    let state = numbers.one_of(&["", " STATE HELD", " STATE PREPARED"]);
    format!(
        "{state} CURSOR {} COUNT {}",
        numbers.below(40),
        1 + numbers.below(20)
    )
}

/// Makes a command wrong in one place: an argument too few or too many, or one that is nonsense.
fn spoil(line: &mut Line, numbers: &mut Numbers) {
    let at = numbers.below(line.len() as u64) as usize;
    let nonsense = numbers.one_of(&[
        "",
        "-1",
        "0",
        "01",
        "1.5",
        "9007199254740992",
        "18446744073709551616",
        "PX",
        "LATE",
        "\0\r\n",
        "é",
    ]);
    match numbers.below(4) {
        0 if at > 0 => drop(line.remove(at)),
        1 => line.push(nonsense.into()),
        2 if at > 0 => line[at] = nonsense.into(),
        3 if at > 0 => line[at] = vec![b'x'; 65],
        _ => line.extend(line[at..].to_vec()),
    }
}
