//! Every outcome of every session command, on a real server.

mod module_support;

use std::sync::LazyLock;

use anyhow::Result;
use holdfast_tests::redis::Redis;
use module_support::{ask, ask_bytes, eventually, redis};
use redis::Connection;

static REDIS: LazyLock<Redis> = LazyLock::new(|| redis(&[]).expect("a Redis with the module"));

fn connection() -> Connection {
    REDIS.connection().expect("it answers")
}

/// A digest in hex, of one repeated digit.
fn digest(digit: char) -> String {
    digit.to_string().repeat(64)
}

/// The words before the milliseconds that are left.
fn head(answer: &str, words: usize) -> String {
    answer.split(' ').take(words).collect::<Vec<_>>().join(" ")
}

fn number(answer: &str, at: usize) -> i64 {
    answer
        .split(' ')
        .nth(at)
        .and_then(|word| word.parse().ok())
        .unwrap_or_else(|| panic!("no number {at} in {answer}"))
}

#[test]
fn a_session_starts_once_and_ends_once() {
    let c = &mut connection();
    let (mine, other) = (digest('a'), digest('b'));
    assert_eq!(
        ask(
            c,
            &format!("SESSION.START s1 {mine} ada IDLE 60000 ABSOLUTE 90000")
        ),
        "OK 60000 90000"
    );
    assert_eq!(
        head(&ask(c, &format!("SESSION.START s1 {mine} ada")), 1),
        "OK",
        "a retry is no second session"
    );
    assert!(
        ask(c, &format!("SESSION.START s1 {other} eve"))
            .starts_with("!EXISTS another session is live at 's1'")
    );
    assert!(ask(c, &format!("SESSION.START s1 {mine} eve")).starts_with("!EXISTS"));
    assert!((1..=60_000).contains(&number(&ask(c, "PTTL s1"), 0)));
    assert_eq!(ask(c, "SESSION.END s1"), "1");
    assert_eq!(ask(c, "SESSION.END s1"), "0");
    assert_eq!(
        head(&ask(c, &format!("SESSION.START s1 {other} eve")), 1),
        "OK"
    );
}

#[test]
fn touch_checks_records_and_counts() {
    let c = &mut connection();
    let (mine, other) = (digest('a'), digest('b'));
    ask(
        c,
        &format!("SESSION.START s2 {mine} ada ROLES buyer,vip IDLE 60000 ABSOLUTE 90000"),
    );
    let answer = ask(c, &format!("SESSION.TOUCH s2 {mine} PAGE /lamps ITEM LAMP"));
    assert_eq!(head(&answer, 5), "OK ada buyer,vip 1 60000");
    assert!((1..=90_000).contains(&number(&answer, 5)), "{answer}");
    assert_eq!(
        head(&ask(c, &format!("SESSION.TOUCH s2 {mine}")), 4),
        "OK ada buyer,vip 1",
        "no view, so none counted"
    );
    assert_eq!(
        head(&ask_bytes(c, &[b"SESSION.TOUCH", b"s2", &[0xaa; 32]]), 1),
        "OK",
        "a digest may be raw bytes"
    );
    assert_eq!(
        ask(c, &format!("SESSION.TOUCH s2 {other}")),
        "BAD_SECRET   0 0 0"
    );
    assert_eq!(
        ask(c, &format!("SESSION.TOUCH none {mine}")),
        "ABSENT   0 0 0"
    );
    assert_eq!(
        ask(c, &format!("SESSION.TOUCH none {mine} RATE 1 1 1")),
        "ABSENT   0 0 0 0 0 0 0 0"
    );
    assert_eq!(ask(c, "EXISTS none"), "0", "TOUCH never creates");
    assert_eq!(
        ask(c, "SESSION.GET s2 page page_views user nothing"),
        "/lamps 1 ada -"
    );
}

#[test]
fn an_idle_session_ends_and_a_touched_one_lasts() -> Result<()> {
    let c = &mut connection();
    let mine = digest('a');
    ask(
        c,
        &format!("SESSION.START s3 {mine} ada IDLE 60000 ABSOLUTE 90000"),
    );
    ask(c, "PEXPIRE s3 5");
    eventually("the idle timeout", || {
        Ok(ask(&mut connection(), "EXISTS s3") == "0")
    })?;
    assert_eq!(
        ask(c, &format!("SESSION.TOUCH s3 {mine}")),
        "ABSENT   0 0 0"
    );

    ask(
        c,
        &format!("SESSION.START s4 {mine} ada IDLE 50000 ABSOLUTE 60000"),
    );
    ask(
        c,
        &format!("SESSION.START s5 {mine} ada IDLE 1 ABSOLUTE 60000"),
    );
    eventually("the idle timeout", || {
        Ok(ask(&mut connection(), "EXISTS s5") == "0")
    })?;
    // Without its TTL the record itself says that it is over.
    ask(
        c,
        &format!("SESSION.START s5 {mine} ada IDLE 20 ABSOLUTE 60000"),
    );
    ask(c, "PERSIST s5");
    eventually("the idle timeout", || {
        Ok(ask(&mut connection(), "SESSION.GET s5 user") == "-")
    })?;
    assert_eq!(
        ask(c, &format!("SESSION.TOUCH s5 {mine}")),
        "IDLE_EXPIRED   0 0 0"
    );
    assert_eq!(ask(c, "SESSION.SET s5 a b"), "0");
    assert_eq!(
        head(&ask(c, &format!("SESSION.START s5 {mine} ada")), 1),
        "OK",
        "what is over may be replaced"
    );

    ask(
        c,
        &format!("SESSION.START s6 {mine} ada IDLE 60000 ABSOLUTE 20"),
    );
    ask(c, "PERSIST s6");
    eventually("the absolute timeout", || {
        Ok(ask(&mut connection(), "SESSION.GET s6 user") == "-")
    })?;
    assert_eq!(
        ask(c, &format!("SESSION.TOUCH s6 {mine}")),
        "ABSOLUTE_EXPIRED   0 0 0"
    );
    Ok(())
}

#[test]
fn the_rate_limits_and_a_refused_touch_costs_nothing() {
    let c = &mut connection();
    let mine = digest('a');
    ask(c, &format!("SESSION.START s7 {mine} ada"));
    let mut touch = || ask(c, &format!("SESSION.TOUCH s7 {mine} PAGE / RATE 1 1 3600"));
    let (first, second, third) = (touch(), touch(), touch());
    assert_eq!(
        first.split(' ').skip(6).collect::<Vec<_>>()[..4],
        ["0", "2", "1", "-1"]
    );
    assert_eq!(
        second.split(' ').skip(6).collect::<Vec<_>>()[..4],
        ["0", "2", "0", "-1"]
    );
    assert_eq!(head(&third, 4), "RATE_LIMITED ada  2");
    assert_eq!(
        third.split(' ').skip(6).take(3).collect::<Vec<_>>(),
        ["1", "2", "0"]
    );
    assert!((3_500..=3_600).contains(&number(&third, 9)), "{third}");
    assert!((7_100..=7_200).contains(&number(&third, 10)), "{third}");
}

#[test]
fn the_last_25_items_are_remembered_newest_first() {
    let c = &mut connection();
    let mine = digest('a');
    ask(c, &format!("SESSION.START s8 {mine} ada"));
    for n in (1..=30).chain([10]) {
        ask(c, &format!("SESSION.TOUCH s8 {mine} ITEM I{n}"));
    }
    let viewed = ask(c, "SESSION.VIEWED s8");
    assert_eq!(viewed.split(' ').count(), 25);
    assert_eq!(ask(c, "SESSION.VIEWED s8 3"), "I10 I30 I29");
    assert_eq!(viewed.split(' ').filter(|item| *item == "I10").count(), 1);
    assert_eq!(ask(c, "SESSION.VIEWED none"), "");
}

#[test]
fn fields_are_set_and_read() {
    let c = &mut connection();
    let mine = digest('a');
    ask(
        c,
        &format!("SESSION.START s9 {mine} ada FIELD cart c1 lang en"),
    );
    assert_eq!(ask(c, "SESSION.SET s9 lang fr step 2"), "2");
    assert_eq!(ask(c, "SESSION.SET s9 user grace roles admin"), "2");
    assert_eq!(
        ask(c, "SESSION.GET s9 cart lang field:step user roles"),
        "c1 fr 2 grace admin"
    );
    assert_eq!(ask(c, "SESSION.SET none a b"), "0");
    assert_eq!(ask(c, "SESSION.GET none"), "-");
    let all = ask(c, "SESSION.GET s9");
    for part in [
        "user grace",
        "login_ms T",
        "activity_ms T",
        "page_views 0",
        "field:cart c1",
        "field:step 2",
    ] {
        assert!(all.contains(part), "{part} in {all}");
    }
}

#[test]
fn a_session_has_64_fields_and_not_one_more() {
    let c = &mut connection();
    let pairs = |count: usize| {
        let pairs = (0..count).map(|at| format!(" f{at} v{at}"));
        pairs.collect::<String>()
    };
    let start = format!("SESSION.START s64 {} ada FIELD", digest('a'));
    let refused = "!ERR a session has at most 64 free fields";
    assert!(ask(c, &format!("{start}{}", pairs(65))).starts_with(refused));
    assert_eq!(ask(c, "EXISTS s64"), "0");
    assert_eq!(head(&ask(c, &format!("{start}{}", pairs(64))), 1), "OK");
    assert!(ask(c, "SESSION.SET s64 f64 v64").starts_with(refused));
    assert_eq!(ask(c, "SESSION.SET s64 f63 new"), "1");
    assert_eq!(ask(c, "SESSION.GET s64 f0 f63 f64"), "v0 new -");
}

#[test]
fn a_rotated_secret_works_for_its_grace_only() {
    let c = &mut connection();
    let (one, two, three) = (digest('1'), digest('2'), digest('3'));
    ask(c, &format!("SESSION.START s10 {one} ada"));
    assert_eq!(
        ask(c, &format!("SESSION.ROTATE s10 {two} {three}")),
        "BAD_SECRET"
    );
    assert_eq!(
        ask(c, &format!("SESSION.ROTATE s10 {one} {two} GRACE 60000")),
        "OK"
    );
    assert_eq!(
        ask(c, &format!("SESSION.ROTATE s10 {one} {two} GRACE 60000")),
        "OK",
        "a retry"
    );
    for secret in [&one, &two] {
        assert_eq!(
            head(&ask(c, &format!("SESSION.TOUCH s10 {secret}")), 1),
            "OK"
        );
    }
    assert_eq!(
        ask(c, &format!("SESSION.ROTATE s10 {one} {three}")),
        "BAD_SECRET",
        "an old secret cannot be rotated"
    );
    assert_eq!(ask(c, &format!("SESSION.ROTATE s10 {two} {three}")), "OK");
    assert_eq!(
        head(&ask(c, &format!("SESSION.TOUCH s10 {two}")), 1),
        "BAD_SECRET",
        "no grace was given"
    );
    assert_eq!(
        head(&ask(c, &format!("SESSION.TOUCH s10 {three}")), 1),
        "OK"
    );
    assert_eq!(
        ask(c, &format!("SESSION.ROTATE none {one} {two}")),
        "ABSENT"
    );
}

#[test]
fn bad_arguments_are_named_and_change_nothing() {
    let c = &mut connection();
    let mine = digest('a');
    ask(c, &format!("SESSION.START s11 {mine} ada FIELD a b"));
    ask(c, "SET text x");
    let before = ask(c, "DEBUG DIGEST-VALUE s11");
    let long = "x".repeat(2_000);
    let errors = [
        (
            "SESSION.START s12 abc ada".to_owned(),
            "ERR digest must be a SHA-256 as 32 raw bytes or 64 hex digits, got 3",
        ),
        (
            format!("SESSION.START s12 {} ada", "g".repeat(64)),
            "ERR digest must be a SHA-256 as 32 raw bytes or 64 hex digits, got 64 bytes that are not",
        ),
        (
            format!("SESSION.START s12 {mine}"),
            "ERR wrong number of arguments",
        ),
        (
            format!("SESSION.START s12 {mine} {long}"),
            "ERR user must be 1 to 128 bytes long",
        ),
        (
            format!("SESSION.START s12 {mine} ada IDLE 0"),
            "ERR IDLE must be a whole number from 1 to 31536000000",
        ),
        (
            format!("SESSION.START s12 {mine} ada FIELD a"),
            "ERR FIELD needs pairs",
        ),
        (
            format!("SESSION.START s12 {mine} ada FIELD user x"),
            "ERR field 'user' is kept by the module",
        ),
        (
            format!("SESSION.START s12 {mine} ada FIELD a {long}"),
            "ERR a session has at most 64 free fields",
        ),
        (
            format!("SESSION.START s12 {mine} ada NONE 1"),
            "ERR unknown option 'NONE'",
        ),
        (format!("SESSION.START text {mine} ada"), "WRONGTYPE"),
        (
            format!("SESSION.TOUCH s11 {mine} PAGE {long}"),
            "ERR page must be 0 to 1024 bytes long",
        ),
        (
            format!("SESSION.TOUCH s11 {mine} RATE 1 0 1"),
            "ERR count must be a whole number from 1",
        ),
        (
            format!("SESSION.TOUCH s11 {mine} RATE 9007199254740991 1 9007199254740991"),
            "ERR RATE is out of range",
        ),
        (
            format!("SESSION.TOUCH s11 {mine} RATE 1 1"),
            "ERR option 'RATE' needs a value",
        ),
        (format!("SESSION.TOUCH text {mine}"), "WRONGTYPE"),
        (
            "SESSION.SET s11 a".to_owned(),
            "ERR wrong number of arguments",
        ),
        (
            "SESSION.SET s11 c d page_views 9".to_owned(),
            "ERR field 'page_views' is kept by the module",
        ),
        ("SESSION.SET text a b".to_owned(), "WRONGTYPE"),
        ("SESSION.GET text".to_owned(), "WRONGTYPE"),
        (
            "SESSION.VIEWED s11 0".to_owned(),
            "ERR count must be a whole number from 1 to 25",
        ),
        ("SESSION.END text".to_owned(), "WRONGTYPE"),
        (
            format!("SESSION.ROTATE s11 {mine} {mine}"),
            "ERR new-digest must differ",
        ),
        (
            format!("SESSION.ROTATE s11 {mine} {} GRACE 300001", digest('b')),
            "ERR GRACE must be a whole number",
        ),
        (
            "SESSION.APPLY s11 PUT rubbish".to_owned(),
            "ERR this is no effect: it is cut short",
        ),
        (
            "SESSION.APPLY none TOUCHED 5".to_owned(),
            "ERR the effect was refused on 'none'",
        ),
        (
            "SESSION.APPLY s11 SET user".to_owned(),
            "ERR this is no effect",
        ),
        ("SESSION.APPLY text TOUCHED 5".to_owned(), "WRONGTYPE"),
    ];
    for (command, expected) in errors {
        let answer = ask(c, &command);
        assert!(
            answer.starts_with(&format!("!{expected}")),
            "{command}: {answer}"
        );
    }
    assert_eq!(ask(c, "DEBUG DIGEST-VALUE s11"), before);
    assert_eq!(ask(c, "EXISTS s12 none"), "0");
}

#[test]
fn a_field_is_the_same_with_and_without_its_prefix() {
    let c = &mut connection();
    let mine = digest('a');
    ask(
        c,
        &format!("SESSION.START s13 {mine} ada FIELD field:cart c1"),
    );
    assert_eq!(ask(c, "SESSION.SET s13 cart c2 field:lang en"), "2");
    assert_eq!(
        ask(c, "SESSION.GET s13 cart field:cart lang field:lang"),
        "c2 c2 en en"
    );
    assert!(ask(c, "SESSION.GET s13").ends_with("field:cart c2 field:lang en"));
    for own in ["user", "page"] {
        assert_eq!(
            ask(c, &format!("SESSION.SET s13 field:{own} eve")),
            format!("!ERR field '{own}' is kept by the module and cannot be set"),
        );
    }
    assert_eq!(ask(c, "SESSION.GET s13 user"), "ada");
}

/// Its own timeouts end a session in any case; the TTL only frees its memory, and comes back with the next change.
#[test]
fn a_session_that_lost_its_ttl_ends_in_time_all_the_same() -> Result<()> {
    let c = &mut connection();
    let mine = digest('a');
    let start = |c: &mut Connection, key: &str, idle_ms: u64| {
        ask(c, &format!("DEL {key}"));
        ask(
            c,
            &format!("SESSION.START {key} {mine} ada IDLE {idle_ms} ABSOLUTE 90000"),
        )
    };
    let lose = |c: &mut Connection, key: &str, how: &str| -> Result<()> {
        if how == "PERSIST" {
            ask(c, &format!("PERSIST {key}"));
        } else {
            let dump: Vec<u8> = redis::cmd("DUMP").arg(key).query(c)?;
            redis::cmd("RESTORE")
                .arg(key)
                .arg(0)
                .arg(dump)
                .arg("REPLACE")
                .query::<()>(c)?;
        }
        assert_eq!(ask(c, &format!("PTTL {key}")), "-1");
        Ok(())
    };
    for how in ["PERSIST", "RESTORE"] {
        for change in [
            format!("SESSION.TOUCH s14 {mine}"),
            "SESSION.SET s14 a b".to_owned(),
            format!("SESSION.ROTATE s14 {mine} {}", digest('b')),
        ] {
            start(c, "s14", 60_000);
            lose(c, "s14", how)?;
            ask(c, &change);
            let ttl = number(&ask(c, "PTTL s14"), 0);
            assert!((1..=60_000).contains(&ttl), "{ttl} after {change}");
        }
        start(c, "s14", 20);
        lose(c, "s14", how)?;
        eventually("the idle timeout", || {
            Ok(ask(&mut connection(), "SESSION.GET s14 user") == "-")
        })?;
        let touched = ask(c, &format!("SESSION.TOUCH s14 {mine}"));
        assert_eq!(touched, "IDLE_EXPIRED   0 0 0");
        assert_eq!(ask(c, "PTTL s14"), "-1", "what is over is not changed");
        assert_eq!(start(c, "s14", 60_000), "OK 60000 90000");
    }
    Ok(())
}

/// What MEMORY USAGE says of sessions is what the server's own account grew by, within a tenth.
#[test]
fn memory_usage_is_what_the_allocator_says() -> Result<()> {
    const SESSIONS: usize = 60_000;
    let redis = redis(&[])?;
    let c = &mut redis.connection()?;
    let used = |c: &mut Connection| -> Result<f64> {
        let info: String = redis::cmd("INFO").arg("memory").query(c)?;
        let line = info
            .lines()
            .find_map(|line| line.strip_prefix("used_memory:"));
        Ok(line.expect("INFO tells it").parse()?)
    };
    // Valkey 8.1 leaves the key's name and the object around the value out of MEMORY USAGE.
    let names_are_counted = {
        let long = "n".repeat(500);
        let secret = "1".repeat(64);
        let [of_long, of_short] = [long.as_str(), "n"].map(|key| {
            ask(c, &format!("SESSION.START {key} {secret} ada"));
            number(&ask(c, &format!("MEMORY USAGE {key}")), 0)
        });
        of_long > of_short + 400
    };
    for viewed in [0, 25] {
        ask(c, "FLUSHALL SYNC");
        let before = used(c)?;
        let mut pipeline = redis::pipe();
        for n in 0..SESSIONS {
            let key = format!("session:0190f3a2-7c1e-4abc-8def-{n:012x}");
            let secret: [u8; 32] = std::array::from_fn(|at| (n * 31 + at * 7) as u8);
            pipeline
                .cmd("SESSION.START")
                .arg(&key)
                .arg(&secret)
                .arg(format!("customer-{n}"))
                .arg(&["FIELD", "cart", "c-1", "locale", "en-GB"])
                .ignore();
            for item in 0..viewed {
                pipeline
                    .cmd("SESSION.TOUCH")
                    .arg(&key)
                    .arg(&secret)
                    .arg("ITEM")
                    .arg(format!("LAMP-{item}-{n}"))
                    .ignore();
            }
            // Few at once: what waits in the client's buffer is counted as well.
            if n % 100 == 99 {
                pipeline.query::<()>(c)?;
                pipeline.clear();
            }
        }
        let grown = (used(c)? - before) / SESSIONS as f64;
        let told = number(
            &ask(
                c,
                "MEMORY USAGE session:0190f3a2-7c1e-4abc-8def-000000001000",
            ),
            0,
        ) as f64;
        let off = (told / grown - 1.0).abs();
        assert!(
            off < 0.1 || !names_are_counted && (grown / 2.0..grown).contains(&told),
            "{viewed} items: told {told}, grown by {grown:.1}"
        );
        assert!(grown < 600.0, "{viewed} items: {grown:.1} bytes a session");
    }
    Ok(())
}
