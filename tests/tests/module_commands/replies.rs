//! What the commands answer in RESP3, and the outcomes of returns and of walks over the holds.

use anyhow::Result;
use redis::{Connection, Value};

use crate::module_support::{answer, ask, eventually, stock};
use crate::{REDIS, SECRET, connection, value};

fn resp3() -> Connection {
    let client = redis::Client::open(format!("{}/?protocol=resp3", REDIS.url()));
    client
        .and_then(|client| client.get_connection())
        .expect("it answers")
}

#[test]
fn resp3_gets_maps_and_its_own_null() {
    let c = &mut resp3();
    ask(c, "INV.SET resp3 9");
    ask(c, "INV.RESERVE resp3 o1 2 PX 60000");
    ask(
        c,
        &format!("SESSION.START resp3s {SECRET} ada FIELD cart c1"),
    );
    let names = |value: Value| match value {
        Value::Map(pairs) => {
            let names = pairs.into_iter().map(|(name, _)| answer(Ok(name)));
            names.collect::<Vec<_>>().join(" ")
        }
        other => panic!("{other:?} is no map"),
    };
    assert_eq!(
        names(value(c, "INV.GET resp3")),
        "on_hand held prepared available sold seq holds shortfall"
    );
    assert_eq!(
        names(value(c, "INV.HOLD resp3 o1")),
        "id state quantity deadline"
    );
    assert_eq!(
        names(value(c, "SESSION.GET resp3s")),
        "user roles login_ms activity_ms page page_views idle_ms_left absolute_ms_left field:cart"
    );
    for command in [
        "INV.GET none",
        "INV.HOLD resp3 o2",
        "INV.HOLD none o1",
        "SESSION.GET none",
    ] {
        assert_eq!(value(c, command), Value::Nil, "{command}");
    }
    let bulk = |text: &str| Value::BulkString(text.as_bytes().to_vec());
    assert_eq!(
        value(c, "SESSION.GET resp3s user none cart"),
        Value::Array(vec![bulk("ada"), Value::Nil, bulk("c1")])
    );
    assert_eq!(
        value(c, "INV.RELEASE resp3 o1"),
        Value::Array(vec![
            bulk("RELEASED"),
            Value::Int(9),
            Value::Int(3),
            Value::Int(0),
            Value::Int(0)
        ])
    );
    let nothing = Value::Array(vec![bulk("0"), Value::Array(vec![])]);
    assert_eq!(value(c, "INV.HOLDS resp3"), nothing);
    assert_eq!(value(c, "INV.PENDING resp3 0"), Value::Array(vec![]));
    assert_eq!(value(c, "SESSION.VIEWED resp3s"), Value::Array(vec![]));
    assert_eq!(value(c, "SESSION.END resp3s"), Value::Int(1));
}

#[test]
fn units_that_were_sold_come_back_once() {
    let c = &mut connection();
    ask(c, "INV.SET back 10");
    ask(c, "INV.RESERVE back o1 4");
    assert_eq!(ask(c, "INV.RETURN back o1 r1 1"), "RESERVED 6 2 T 1");
    ask(c, "INV.CONFIRM back o1");
    assert_eq!(ask(c, "INV.RETURN back o1 r1 3"), "RETURNED 9 4 0 0");
    assert_eq!(ask(c, "INV.RETURN back o1 r1 3"), "RETURNED 9 4 0 1");
    assert!(ask(c, "INV.RETURN back o1 r1 2").starts_with("!MISMATCH adjustment 'r1'"));
    assert!(ask(c, "INV.RETURN back o1 r2 2").starts_with("!EXCEEDS_HOLD hold 'o1' sold 1 units"));
    assert_eq!(
        (stock(c, "back", "sold"), stock(c, "back", "on_hand")),
        (1, 9)
    );
    // The id is known to ADJUST, which books a return whose hold has been forgotten.
    assert_eq!(ask(c, "INV.ADJUST back 3 ID r1"), "OK 9 4 0 1");
    assert_eq!(ask(c, "INV.ADJUST back 1 ID r3"), "OK 10 5 0 0");
    assert_eq!(ask(c, "INV.RETURN back o1 r3 1"), "RETURNED 10 5 0 1");
    ask(c, "INV.RESERVE back o2 1");
    ask(c, "INV.CONFIRM back o2");
    assert!(
        ask(c, "INV.RETURN back o2 r1 3").starts_with("!MISMATCH return 'r1' was of hold 'o1'")
    );
    assert_eq!(ask(c, "INV.RETURN back none r4 1"), "UNKNOWN_HOLD 9 7 0 0");
    assert!(ask(c, "INV.RETURN none o1 r1 1").starts_with("!NOSUCHSTOCK"));
    for (command, expected) in [
        ("back o1 r1", "wrong number of arguments"),
        ("back o1 r1 1 1", "wrong number of arguments"),
        ("back o1 r1 0", "quantity must be a whole number from 1"),
        (
            &format!("back o1 {} 1", "r".repeat(65)),
            "return id must be 1 to 64 bytes long, got 65",
        ),
    ] {
        let answer = ask(c, &format!("INV.RETURN {command}"));
        assert!(answer.starts_with(&format!("!ERR {expected}")), "{answer}");
    }
}

#[test]
fn a_walk_over_the_holds_sees_those_that_stay_once_whatever_else_happens() {
    let c = &mut connection();
    ask(c, "INV.SET walk 1000");
    for number in 0..100 {
        ask(c, &format!("INV.RESERVE walk stays-{number} 1"));
        ask(c, &format!("INV.RESERVE walk goes-{number} 1"));
        if number % 2 == 0 {
            ask(c, &format!("INV.PREPARE walk stays-{number}"));
        }
    }
    for (filter, expected) in [("", 100), (" STATE prepared", 50), (" STATE HELD", 50)] {
        let (mut cursor, mut seen, mut pages) = ("0".to_owned(), Vec::new(), 0);
        loop {
            let command = format!("INV.HOLDS walk CURSOR {cursor} COUNT 7{filter}");
            let Value::Array(reply) = value(c, &command) else {
                panic!("a page is an array")
            };
            let [Value::BulkString(next), Value::Array(holds)] = reply.as_slice() else {
                panic!("{reply:?} is no page")
            };
            assert!(holds.len() <= 7, "{holds:?}");
            for hold in holds {
                let hold = answer(Ok(hold.clone()));
                let [id, state, "1", "T"] = hold.split(' ').collect::<Vec<_>>()[..] else {
                    panic!("{hold} is no hold")
                };
                assert!(
                    filter.is_empty() || filter.to_ascii_uppercase().ends_with(state),
                    "{hold}"
                );
                seen.extend(id.strip_prefix("stays-").map(str::to_owned));
            }
            // Between two pages some end and others are taken.
            ask(c, &format!("INV.RELEASE walk goes-{}", pages * 7 % 100));
            ask(c, &format!("INV.RESERVE walk new-{expected}-{pages} 1"));
            pages += 1;
            cursor = String::from_utf8_lossy(next).into_owned();
            if cursor == "0" {
                break;
            }
        }
        let found = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!((found, seen.len()), (expected, expected), "{filter}");
        assert!(pages > expected / 7, "{pages} pages");
    }
}

#[test]
fn a_page_of_holds_leaves_out_what_is_past_due_and_names_bad_arguments() -> Result<()> {
    let c = &mut connection();
    ask(c, "INV.SET page 9");
    ask(c, "INV.RESERVE page o1 1 PX 1");
    ask(c, "INV.RESERVE page o2 2");
    eventually("the deadline", || {
        Ok(ask(&mut connection(), "INV.HOLDS page") == "0 [[o2 HELD 2 T]]")
    })?;
    assert_eq!(ask(c, "INV.HOLDS none"), "0 []");
    ask(c, "SET page-text x");
    for (command, expected) in [
        ("page-text", "WRONGTYPE"),
        (
            "page COUNT 0",
            "ERR COUNT must be a whole number from 1 to 10000",
        ),
        (
            "page COUNT 10001",
            "ERR COUNT must be a whole number from 1 to 10000",
        ),
        ("page CURSOR -1", "ERR CURSOR must be a whole number from 0"),
        ("page CURSOR x", "ERR CURSOR must be a whole number from 0"),
        (
            "page STATE EXPIRED",
            "ERR STATE must be HELD or PREPARED, got 'EXPIRED'",
        ),
        ("page STATE", "ERR option 'STATE' needs a value"),
        ("page COUNT 5 COUNT 5", "ERR option 'COUNT' is given twice"),
        (
            "page LIMIT 5",
            "ERR unknown option 'LIMIT'; this command knows STATE <HELD | PREPARED>, CURSOR cursor and COUNT count",
        ),
    ] {
        let answer = ask(c, &format!("INV.HOLDS {command}"));
        assert!(
            answer.starts_with(&format!("!{expected}")),
            "{command}: {answer}"
        );
    }
    Ok(())
}
