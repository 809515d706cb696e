//! How the commands stand among the server's own: what it knows of them, and how they behave short of memory, in RESP3,
//! in transactions, in scripts and beside a WATCH. What each of them answers is in `module_stock`, `module_session` and
//! `module_docs`.

mod atomicity;
#[path = "../module_support/mod.rs"]
mod module_support;
mod replies;

use std::sync::LazyLock;

use anyhow::Result;
use holdfast_tests::redis::Redis;
use module_support::{answer, ask, redis};
use redis::{Connection, Value};

static REDIS: LazyLock<Redis> = LazyLock::new(|| redis(&[]).expect("a Redis with the module"));

const SECRET: &str = "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5";

fn connection() -> Connection {
    REDIS.connection().expect("it answers")
}

fn value(c: &mut Connection, command: &str) -> Value {
    let mut words = command.split(' ');
    let mut asked = redis::cmd(words.next().unwrap_or_default());
    words.for_each(|word| {
        asked.arg(word);
    });
    asked
        .query(c)
        .unwrap_or_else(|error| panic!("{command}: {error}"))
}

#[test]
fn the_server_knows_what_each_command_does() {
    let c = &mut connection();
    let commands = [
        (
            "inv.adjust inv.reserve inv.set session.set session.start",
            "denyoom fast write",
        ),
        ("inv.mreserve", "denyoom movablekeys write"),
        (
            "inv.apply inv.confirm inv.extend inv.prepare inv.release inv.return",
            "fast write",
        ),
        (
            "session.apply session.end session.rotate session.touch",
            "fast write",
        ),
        ("inv.restore", "write"),
        (
            "inv.get inv.hold session.get session.viewed",
            "fast readonly",
        ),
        ("inv.holds inv.pending", "readonly"),
        ("inv.help session.help", "loading stale"),
    ];
    let mut seen = 0;
    for (names, expected) in commands {
        for name in names.split(' ') {
            let Value::Array(info) = value(c, &format!("COMMAND INFO {name}")) else {
                panic!("{name} is unknown")
            };
            let Some(Value::Array(info)) = info.first() else {
                panic!("{name} is unknown")
            };
            let flags = answer(Ok(info[2].clone()));
            let mut flags: Vec<_> = flags.split(' ').filter(|flag| *flag != "module").collect();
            flags.sort_unstable();
            assert_eq!(flags.join(" "), expected, "{name}");
            seen += 1;
        }
    }
    let all = ask(c, "COMMAND LIST FILTERBY MODULE holdfast");
    assert_eq!(seen, all.split(' ').count(), "{all}");
}

#[test]
fn the_server_knows_every_key_and_what_becomes_of_it() {
    let c = &mut connection();
    for (command, expected) in [
        ("INV.SET a 1", "[a [RW access insert]]"),
        ("INV.RETURN a o1 r1 1", "[a [RW access update]]"),
        (
            "INV.MRESERVE 2 a b o1 1 1",
            "[a [RW access update]] [b [RW access update]]",
        ),
        ("INV.HOLDS a COUNT 5", "[a [RO access]]"),
        ("INV.APPLY a 1 COUNTED 5", "[a [RW access insert]]"),
        (
            &format!("SESSION.START a {SECRET} ada"),
            "[a [RW access insert]]",
        ),
        ("SESSION.VIEWED a", "[a [RO access]]"),
        ("SESSION.END a", "[a [RM delete]]"),
    ] {
        assert_eq!(
            ask(c, &format!("COMMAND GETKEYSANDFLAGS {command}")),
            expected,
            "{command}"
        );
    }
    for command in ["inv.help", "session.help"] {
        let info = ask(c, &format!("COMMAND INFO {command}"));
        assert!(info.contains(" 0 0 0 "), "{command} has no keys: {info}");
    }
    let answer = ask(c, "COMMAND GETKEYS INV.MRESERVE 9 a b o1");
    assert!(
        answer.starts_with("!ERR Invalid arguments specified"),
        "{answer}"
    );
}

#[test]
fn help_lists_every_public_command_and_takes_no_argument() {
    let c = &mut connection();
    let all = ask(c, "COMMAND LIST FILTERBY MODULE holdfast").to_ascii_uppercase();
    let internal = ["INV.APPLY", "INV.RESTORE", "SESSION.APPLY"];
    let mut expected: Vec<_> = all
        .split(' ')
        .filter(|name| !internal.contains(name))
        .collect();
    let mut listed = Vec::new();
    for family in ["INV", "SESSION"] {
        let Value::Array(lines) = value(c, &format!("{family}.HELP")) else {
            panic!("HELP is a list of lines")
        };
        let lines = lines.into_iter().map(|line| match line {
            Value::SimpleString(line) => line,
            other => panic!("{other:?} is no line"),
        });
        let lines: Vec<_> = lines.collect();
        assert_eq!(
            lines[0],
            format!("{family}.<command> [<argument> ...]. Commands are:")
        );
        for pair in lines[1..].chunks(2) {
            assert!(
                pair[1].starts_with("    ") && pair[1].ends_with('.'),
                "{pair:?}"
            );
            listed.push(pair[0].split(' ').next().unwrap_or_default().to_owned());
        }
        let error = ask(c, &format!("{family}.HELP me"));
        assert!(
            error.starts_with("!ERR wrong number of arguments"),
            "{error}"
        );
    }
    expected.sort_unstable();
    listed.sort_unstable();
    assert_eq!(listed, expected);
}

#[test]
fn short_of_memory_nothing_is_taken_and_everything_can_be_given_back() -> Result<()> {
    let server = redis(&["--maxmemory-policy", "noeviction"])?;
    let c = &mut server.connection()?;
    for command in [
        "INV.SET a 9",
        "INV.RESERVE a o1 1",
        "INV.RESERVE a o2 2",
        "INV.RESERVE a o3 1 PX 1000",
    ] {
        ask(c, command);
    }
    ask(c, &format!("SESSION.START s {SECRET} ada"));
    assert_eq!(ask(c, "CONFIG SET maxmemory 1"), "OK");
    for command in [
        "INV.SET b 1",
        "INV.ADJUST a 1",
        "INV.RESERVE a o4 1",
        "INV.MRESERVE 1 a o4 1",
        &format!("SESSION.START t {SECRET} ada"),
        "SESSION.SET s lang en",
    ] {
        let answer = ask(c, command);
        assert!(answer.starts_with("!OOM "), "{command}: {answer}");
    }
    for (command, expected) in [
        ("INV.PREPARE a o1", "PREPARED 5 "),
        ("INV.EXTEND a o3 PX 60000", "EXTENDED 5 "),
        ("INV.CONFIRM a o1", "CONFIRMED 5 "),
        ("INV.RETURN a o1 r1 1", "RETURNED 6 "),
        ("INV.RELEASE a o2", "RELEASED 8 "),
        ("INV.GET a", "on_hand 9 "),
        ("INV.HOLDS a", "0 [[o3 HELD 1 T]]"),
        (&format!("SESSION.TOUCH s {SECRET}"), "OK ada "),
        ("SESSION.END s", "1"),
    ] {
        let answer = ask(c, command);
        assert!(answer.starts_with(expected), "{command}: {answer}");
    }
    Ok(())
}
