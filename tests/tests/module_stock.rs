//! Every outcome of every stock command, on a real server.

mod module_support;

use std::sync::LazyLock;

use anyhow::Result;
use holdfast_tests::redis::Redis;
use module_support::{ask, ask_bytes, eventually, redis, replays_touch_no_watch, stock};
use redis::Connection;

static REDIS: LazyLock<Redis> = LazyLock::new(|| redis(&[]).expect("a Redis with the module"));

fn connection() -> Connection {
    REDIS.connection().expect("it answers")
}

#[test]
fn set_creates_counts_and_compares() {
    let c = &mut connection();
    assert_eq!(ask(c, "INV.GET set"), "-");
    assert_eq!(ask(c, "INV.SET set 5 IF 3"), "STALE 0 0 0 0");
    assert_eq!(ask(c, "INV.SET set 10 IF 0"), "OK 10 1 0 0");
    assert_eq!(ask(c, "INV.SET set 10 IF 0"), "STALE 10 1 0 0");
    assert_eq!(ask(c, "INV.SET set 10"), "OK 10 1 0 1");
    assert_eq!(ask(c, "inv.set set 12 if 1"), "OK 12 2 0 0");
    assert_eq!(
        ask(c, "INV.GET set"),
        "on_hand 12 held 0 prepared 0 available 12 sold 0 seq 2 holds 0 shortfall 0"
    );
}

#[test]
fn adjust_moves_the_count_once_for_each_id() {
    let c = &mut connection();
    assert!(ask(c, "INV.ADJUST adjust 5").starts_with("!NOSUCHSTOCK no stock at key 'adjust'"));
    ask(c, "INV.SET adjust 10");
    assert_eq!(ask(c, "INV.ADJUST adjust 5 ID r1"), "OK 15 2 0 0");
    assert_eq!(ask(c, "INV.ADJUST adjust 5 ID r1 IF 1"), "OK 15 2 0 1");
    assert!(ask(c, "INV.ADJUST adjust 6 ID r1").starts_with("!MISMATCH adjustment 'r1'"));
    assert_eq!(ask(c, "INV.ADJUST adjust -1 IF 1"), "STALE 15 2 0 0");
    assert_eq!(ask(c, "INV.ADJUST adjust -16"), "BELOW_HELD 15 2 0 0");
    assert!(ask(c, "INV.ADJUST adjust -16 FORCE").starts_with("!ERR delta -16 would take on_hand"));
    assert_eq!(ask(c, "INV.ADJUST adjust -15"), "OK 0 3 0 0");
}

#[test]
fn a_hold_goes_from_reserved_over_prepared_to_confirmed() {
    let c = &mut connection();
    ask(c, "INV.SET hold 10");
    assert_eq!(ask(c, "INV.RESERVE hold o1 3 PX 60000"), "RESERVED 7 2 T 0");
    assert_eq!(ask(c, "INV.RESERVE hold o1 3 PX 99"), "RESERVED 7 2 T 1");
    assert!(ask(c, "INV.RESERVE hold o1 4").starts_with("!MISMATCH hold 'o1' is for quantity 3"));
    assert_eq!(ask(c, "INV.RESERVE hold o2 8"), "OUT_OF_STOCK 7 2 0 0");
    assert_eq!(ask(c, "INV.HOLD hold o2"), "-");
    assert_eq!(
        ask(c, "INV.HOLD hold o1"),
        "id o1 state HELD quantity 3 deadline T"
    );
    assert_eq!(ask(c, "INV.EXTEND hold o1 PX 120000"), "EXTENDED 7 3 T 0");
    assert_eq!(ask(c, "INV.EXTEND hold o1 PX 1000"), "EXTENDED 7 3 T 1");
    assert_eq!(ask(c, "INV.PREPARE hold o1"), "PREPARED 7 4 0 0");
    assert_eq!(ask(c, "INV.PREPARE hold o1"), "PREPARED 7 4 0 1");
    assert_eq!(ask(c, "INV.EXTEND hold o1 PX 1000"), "PREPARED 7 4 0 1");
    assert_eq!(ask(c, "INV.RESERVE hold o1 3"), "RESERVED 7 4 0 1");
    assert_eq!(
        ask(c, "INV.HOLD hold o1"),
        "id o1 state PREPARED quantity 3 deadline 0"
    );
    assert!(ask(c, "INV.PENDING hold 0").starts_with("[o1 3 "));
    assert_eq!(ask(c, "INV.PENDING hold 60000"), "");
    assert!(ask(c, "INV.CONFIRM hold o1 QUANTITY 4").starts_with("!EXCEEDS_HOLD"));
    assert_eq!(
        ask(c, "INV.CONFIRM hold o1 QUANTITY 2"),
        "CONFIRMED 8 5 0 0"
    );
    assert_eq!(
        ask(c, "INV.CONFIRM hold o1 QUANTITY 2"),
        "CONFIRMED 8 5 0 1"
    );
    assert_eq!(ask(c, "INV.CONFIRM hold o1"), "CONFIRMED 8 5 0 1");
    assert!(ask(c, "INV.CONFIRM hold o1 QUANTITY 3").starts_with("!MISMATCH"));
    for command in ["PREPARE hold o1", "RELEASE hold o1", "EXTEND hold o1 PX 1"] {
        assert_eq!(
            ask(c, &format!("INV.{command}")),
            "ALREADY_CONFIRMED 8 5 0 0"
        );
    }
    assert_eq!(ask(c, "INV.RESERVE hold o1 3"), "CONFIRMED 8 5 0 1");
    assert_eq!(
        ask(c, "INV.GET hold"),
        "on_hand 8 held 0 prepared 0 available 8 sold 2 seq 5 holds 0 shortfall 0"
    );
}

#[test]
fn a_released_hold_stays_released() {
    let c = &mut connection();
    ask(c, "INV.SET release 5");
    ask(c, "INV.RESERVE release o1 5");
    assert_eq!(ask(c, "INV.RELEASE release o1"), "RELEASED 5 3 0 0");
    assert_eq!(ask(c, "INV.RELEASE release o1"), "RELEASED 5 3 0 1");
    for command in [
        "RESERVE release o1 5",
        "CONFIRM release o1 LATE 5",
        "PREPARE release o1 LATE 5",
    ] {
        assert_eq!(ask(c, &format!("INV.{command}")), "RELEASED 5 3 0 1");
    }
    // A RELEASE that overtakes its RESERVE wins.
    assert_eq!(ask(c, "INV.RELEASE release o2"), "RELEASED 5 4 0 0");
    assert_eq!(ask(c, "INV.RESERVE release o2 1"), "RELEASED 5 4 0 1");
}

#[test]
fn what_expired_or_was_lost_can_be_taken_again_late_if_stock_allows() -> Result<()> {
    let c = &mut connection();
    ask(c, "INV.SET late 5");
    ask(c, "INV.RESERVE late o1 2 PX 1");
    eventually("the deadline", || {
        Ok(stock(&mut connection(), "late", "available") == 5)
    })?;
    for command in [
        "RESERVE late o1 2",
        "CONFIRM late o1",
        "PREPARE late o1",
        "RELEASE late o1",
        "EXTEND late o1 PX 9",
    ] {
        let answer = ask(c, &format!("INV.{command}"));
        assert!(
            answer.starts_with("EXPIRED 5 ") && answer.ends_with(" 0 1"),
            "{command}: {answer}"
        );
    }
    assert!(ask(c, "INV.CONFIRM late o1 LATE 2").starts_with("CONFIRMED 3 "));
    assert!(ask(c, "INV.CONFIRM late o1 LATE 2").starts_with("CONFIRMED 3 "));
    assert!(ask(c, "INV.PREPARE late lost LATE 4").starts_with("SOLD_OUT 3 "));
    assert!(ask(c, "INV.PREPARE late lost").starts_with("UNKNOWN_HOLD 3 "));
    assert!(ask(c, "INV.CONFIRM late lost").starts_with("UNKNOWN_HOLD 3 "));
    assert!(ask(c, "INV.PREPARE late lost LATE 3").starts_with("PREPARED 0 "));
    assert!(ask(c, "INV.CONFIRM late lost").starts_with("CONFIRMED 0 "));
    assert_eq!(stock(c, "late", "sold"), 5);
    Ok(())
}

#[test]
fn a_forced_shortfall_falls_on_the_youngest_holds() {
    let c = &mut connection();
    ask(c, "INV.SET short 10");
    ask(c, "INV.RESERVE short old 6");
    ask(c, "INV.RESERVE short young 4");
    assert_eq!(ask(c, "INV.SET short 7"), "BELOW_HELD 0 3 0 0");
    assert_eq!(ask(c, "INV.SET short 7 FORCE"), "OK 0 4 0 0");
    assert_eq!(stock(c, "short", "shortfall"), 3);
    assert_eq!(ask(c, "INV.CONFIRM short young"), "SOLD_OUT 0 4 0 0");
    assert_eq!(ask(c, "INV.PREPARE short young"), "SOLD_OUT 0 4 0 0");
    assert_eq!(ask(c, "INV.CONFIRM short old"), "CONFIRMED 0 5 0 0");
    assert_eq!(ask(c, "INV.ADJUST short 3"), "OK 0 6 0 0");
    assert_eq!(ask(c, "INV.CONFIRM short young"), "CONFIRMED 0 7 0 0");
    assert_eq!(stock(c, "short", "sold"), 10);
}

#[test]
fn mreserve_takes_all_lines_or_none() {
    let c = &mut connection();
    ask(c, "INV.SET m1 5");
    ask(c, "INV.SET m2 1");
    assert_eq!(
        ask(c, "INV.MRESERVE 2 m1 m2 o1 2 2 PX 60000"),
        "OUT_OF_STOCK [OK 5 1 0 0] [OUT_OF_STOCK 1 1 0 0]"
    );
    assert_eq!(
        ask(c, "INV.MRESERVE 2 m1 m2 o1 2 1 PX 60000"),
        "RESERVED [RESERVED 3 2 T 0] [RESERVED 0 2 T 0]"
    );
    assert_eq!(
        ask(c, "INV.MRESERVE 2 m1 m2 o1 2 1 PX 60000"),
        "RESERVED [RESERVED 3 2 T 1] [RESERVED 0 2 T 1]"
    );
    ask(c, "INV.RELEASE m2 o1");
    assert_eq!(
        ask(c, "INV.MRESERVE 2 m1 m2 o1 2 1"),
        "RELEASED [OK 3 2 0 0] [RELEASED 1 3 0 1]"
    );
    assert!(ask(c, "INV.MRESERVE 2 m1 none o1 2 1").starts_with("!NOSUCHSTOCK"));
    assert!(ask(c, "INV.MRESERVE 2 m1 m2 o1 3 1").starts_with("!MISMATCH"));
    assert!(ask(c, "INV.MRESERVE 2 m1 m1 o2 1 1").starts_with("!ERR key 'm1' is given twice"));
    for command in ["3 m1 m2 o1 2", "2 m1 m2 o1 2", "2 m1 m2"] {
        assert!(ask(c, &format!("INV.MRESERVE {command}")).starts_with("!ERR wrong number"));
    }
    for numkeys in ["0", "-1", "x", "9999999999999999999"] {
        let answer = ask(c, &format!("INV.MRESERVE {numkeys} m1 o1 1"));
        assert!(answer.starts_with("!ERR numkeys must be"), "{answer}");
    }
    assert_eq!((stock(c, "m1", "seq"), stock(c, "m2", "seq")), (2, 3));
}

#[test]
fn bad_arguments_are_named_and_change_nothing() {
    let c = &mut connection();
    ask(c, "INV.SET bad 10");
    ask(c, "INV.RESERVE bad o1 1");
    ask(c, "SET text x");
    let before = ask(c, "INV.GET bad");
    let long = "x".repeat(65);
    let errors = [
        ("INV.SET bad", "ERR wrong number of arguments"),
        (
            "INV.SET bad -1",
            "ERR on_hand must be a whole number from 0 to 9007199254740991, got '-1'",
        ),
        (
            "INV.SET bad 9007199254740992",
            "ERR on_hand must be a whole number",
        ),
        ("INV.SET bad 1.5", "ERR on_hand must be a whole number"),
        ("INV.SET bad 5 IF", "ERR option 'IF' needs a value"),
        ("INV.SET bad 5 IF 1 IF 1", "ERR option 'IF' is given twice"),
        (
            "INV.SET bad 5 SOON",
            "ERR unknown option 'SOON'; this command knows IF seq and FORCE",
        ),
        ("INV.ADJUST bad 0", "ERR delta must not be 0"),
        (
            "INV.ADJUST bad 99999999999999999999",
            "ERR delta must be a whole number",
        ),
        (
            "INV.ADJUST bad 9007199254740991",
            "ERR delta 9007199254740991 would take on_hand, which is 10, out of",
        ),
        ("INV.RESERVE bad", "ERR wrong number of arguments"),
        (
            "INV.RESERVE bad o2 0",
            "ERR quantity must be a whole number from 1 to 9007199254740991, got '0'",
        ),
        (
            "INV.RESERVE bad o2 -1",
            "ERR quantity must be a whole number",
        ),
        (
            "INV.RESERVE bad o2 9223372036854775808",
            "ERR quantity must be a whole number",
        ),
        (
            "INV.RESERVE bad o2 1 PX 0",
            "ERR PX must be a whole number from 1 to 86400000",
        ),
        (
            "INV.RESERVE bad o2 1 PX 3600001",
            "ERR the deadline is 3600001 ms ahead, a hold may last 3600000 ms at most",
        ),
        (
            "INV.RESERVE bad o2 1 PXAT 1",
            "ERR the deadline 1 is already past",
        ),
        (
            "INV.RESERVE bad o2 1 PXAT 9007199254740991",
            "ERR the deadline is",
        ),
        (
            "INV.RESERVE bad o2 1 PX 5 PXAT 5",
            "ERR PX and PXAT cannot stand together",
        ),
        ("INV.RESERVE text o2 1", "WRONGTYPE"),
        ("INV.SET text 1", "WRONGTYPE"),
        ("INV.GET text", "WRONGTYPE"),
        ("INV.HOLD text o1", "WRONGTYPE"),
        ("INV.PENDING text 0", "WRONGTYPE"),
        ("INV.APPLY text 1 COUNTED 1", "WRONGTYPE"),
        ("INV.RESTORE text BASE 1 0 1", "WRONGTYPE"),
        ("INV.EXTEND bad o1", "ERR wrong number of arguments"),
        ("INV.EXTEND bad o1 EX 5", "ERR unknown option 'EX'"),
        (
            "INV.RESERVE bad o2 1 PX 5 PX 5",
            "ERR option 'PX' is given twice",
        ),
        ("INV.CONFIRM bad o1 QUANTITY 0", "ERR QUANTITY must be"),
        ("INV.CONFIRM bad o1 LATE x", "ERR LATE must be"),
        ("INV.CONFIRM bad o1 LATE 2", "MISMATCH"),
        ("INV.PREPARE bad o1 LATE 2", "MISMATCH"),
        ("INV.RELEASE none o1", "NOSUCHSTOCK"),
        ("INV.PENDING bad -1", "ERR min-age-ms must be"),
        (
            "INV.APPLY bad 9 COUNTED 5",
            "ERR the ledger at 'bad' is at seq 2, so this effect cannot take it to 9",
        ),
        ("INV.APPLY bad 3 COUNTED -5", "ERR this is no effect"),
        ("INV.APPLY bad 3 NONSENSE 5", "ERR this is no effect"),
        (
            "INV.APPLY bad 3 CONFIRMED none 1 5",
            "ERR the effect was refused on 'bad'",
        ),
        (
            "INV.APPLY none 1 RELEASED o1 5",
            "ERR the effect was refused on 'none'",
        ),
        (
            "INV.APPLY bad 18446744073709551615 EXPIRED 18446744073709551613 1",
            "ERR seq must be",
        ),
        (
            "INV.RESTORE bad BASE 1 0 1",
            "ERR the records were refused at 'bad'",
        ),
        (
            "INV.RESTORE bad HELD 1 new 1 5 HELD 1 other 1 5",
            "ERR the records were refused at 'bad'",
        ),
        (
            "INV.RESTORE none2 HELD 1 new 1 5",
            "ERR the records were refused at 'none2'",
        ),
        ("INV.RESTORE bad HELD 1 new 1", "ERR this is no record"),
    ];
    for (command, expected) in errors {
        let answer = ask(c, command);
        assert!(
            answer.starts_with(&format!("!{expected}")),
            "{command}: {answer}"
        );
    }
    assert!(
        ask(c, &format!("INV.RESERVE bad {long} 1"))
            .starts_with("!ERR hold id must be 1 to 64 bytes long, got 65")
    );
    assert!(ask_bytes(c, &[b"INV.RESERVE", b"bad", b"", b"1"]).starts_with("!ERR hold id must be"));
    assert_eq!(ask(c, "INV.GET bad"), before);
    assert_eq!(ask(c, "EXISTS none none2"), "0");
}

#[test]
fn ids_and_keys_may_hold_any_byte() {
    let c = &mut connection();
    let (key, id): (&[u8], &[u8]) = (b"stock\0\r\n\xff", b"\0order\xfe\r\n");
    assert_eq!(ask_bytes(c, &[b"INV.SET", key, b"5"]), "OK 5 1 0 0");
    assert_eq!(
        ask_bytes(c, &[b"INV.RESERVE", key, id, b"2"]),
        "RESERVED 3 2 T 0"
    );
    assert_eq!(
        ask_bytes(c, &[b"INV.HOLD", key, id]),
        "id \\x00order\\xfe\\r\\n state HELD quantity 2 deadline T"
    );
    assert!(
        ask_bytes(c, &[b"INV.RESERVE", key, id, b"3"])
            .starts_with("!MISMATCH hold '\\x00order\\xfe\\r\\n'")
    );
    assert!(ask_bytes(c, &[b"INV.SET", key, b"\0\r\n"]).starts_with("!ERR on_hand must be"));
    assert_eq!(ask(c, "PING"), "PONG");
}

#[test]
fn transactions_and_scripts_see_the_same_commands() {
    let c = &mut connection();
    ask(c, "INV.SET multi 5");
    ask(c, "MULTI");
    ask(c, "INV.RESERVE multi o1 2");
    ask(c, "INV.RESERVE multi o2 9");
    ask(c, "INV.CONFIRM multi o1");
    assert_eq!(
        ask(c, "EXEC"),
        "[RESERVED 3 2 T 0] [OUT_OF_STOCK 3 2 0 0] [CONFIRMED 3 3 0 0]"
    );
    let script = b"return redis.call('INV.RESERVE', KEYS[1], 'o3', 1)[1]";
    assert_eq!(ask_bytes(c, &[b"EVAL", script, b"1", b"multi"]), "RESERVED");
    let script = b"return redis.pcall('INV.RESERVE', KEYS[1], 'o3', 2)";
    assert!(ask_bytes(c, &[b"EVAL", script, b"1", b"multi"]).starts_with("!MISMATCH"));
}

#[test]
fn a_replay_touches_no_watch_and_a_change_does() -> Result<()> {
    replays_touch_no_watch(&mut connection(), &mut connection())
}

#[test]
fn the_server_knows_where_the_keys_are() {
    let c = &mut connection();
    assert_eq!(ask(c, "COMMAND GETKEYS INV.MRESERVE 2 a b o1 1 1"), "a b");
    assert_eq!(ask(c, "COMMAND GETKEYS INV.RESERVE a o1 1"), "a");
    assert_eq!(
        ask(c, "COMMAND GETKEYSANDFLAGS INV.GET a"),
        "[a [RO access]]"
    );
    assert!(ask(c, "COMMAND DOCS INV.RESERVE").contains("Holds units until a deadline"));
}

#[test]
fn a_cluster_finds_all_keys_of_a_command() -> Result<()> {
    // The default, 10000 above the node's own port, is among those that the kernel gives to outgoing connections.
    let bus = holdfast_tests::ports::free()?.to_string();
    let node = redis(&["--cluster-enabled", "yes", "--cluster-port", &bus])?;
    let c = &mut node.connection()?;
    assert_eq!(ask(c, "CLUSTER ADDSLOTSRANGE 0 16383"), "OK");
    eventually("the cluster", || {
        Ok(ask(c, "CLUSTER INFO").contains("cluster_state:ok"))
    })?;
    for key in ["inv:{a}", "inv:{a}:leeds", "inv:{b}"] {
        assert_eq!(ask(c, &format!("INV.SET {key} 5")), "OK 5 1 0 0");
    }
    assert!(ask(c, "INV.MRESERVE 2 inv:{a} inv:{b} o1 1 1").starts_with("!CROSSSLOT"));
    assert!(ask(c, "INV.MRESERVE 2 inv:{a} inv:{a}:leeds o1 1 1").starts_with("RESERVED "));
    Ok(())
}
