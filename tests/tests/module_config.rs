//! Parameters keep the habits of the server's own: checked, hot, and safe to write back into the file.

mod module_support;

use std::path::Path;

use anyhow::{Context, Result};
use holdfast_tests::data::Home;
use holdfast_tests::process::Launch;
use holdfast_tests::redis::{Redis, RedisOptions, module_path};
use holdfast_tests::server::Server;
use module_support::{ask, eventually, redis, stock};
use redis::Connection;

/// Name, default, least and most.
const NUMBERS: [(&str, i64, i64, i64); 10] = [
    ("hold-default-ms", 120_000, 1, 86_400_000),
    ("hold-longest-ms", 3_600_000, 1, 86_400_000),
    ("outcome-retention-ms", 3_600_000, 1, 31_536_000_000),
    ("outcome-retention-count", 1_000_000, 0, 1_000_000_000),
    ("adjustment-retention-ms", 604_800_000, 1, 31_536_000_000),
    ("adjustment-retention-count", 10_000, 0, 1_000_000_000),
    ("sweep-tick-ms", 100, 1, 10_000),
    ("sweep-slice-us", 500, 100, 100_000),
    ("session-idle-ms", 1_800_000, 1, 31_536_000_000),
    ("session-absolute-ms", 86_400_000, 1, 31_536_000_000),
];

fn get(c: &mut Connection, name: &str) -> String {
    let reply = ask(c, &format!("CONFIG GET holdfast.{name}"));
    reply.rsplit(' ').next().unwrap_or_default().to_owned()
}

/// All parameters, in the table's order: the server's own changes with every start.
fn values(c: &mut Connection) -> Vec<String> {
    let names = NUMBERS.map(|(name, ..)| name);
    let names = names.iter().chain(&["publish-updates"]);
    names.map(|name| get(c, name)).collect()
}

fn set(c: &mut Connection, pairs: &str) -> String {
    let pairs: Vec<_> = pairs
        .split(' ')
        .enumerate()
        .map(|(place, word)| match place % 2 {
            0 => format!("holdfast.{word}"),
            _ => word.to_owned(),
        })
        .collect();
    ask(c, &format!("CONFIG SET {}", pairs.join(" ")))
}

#[test]
fn every_parameter_has_its_default_and_its_range() -> Result<()> {
    let redis = redis(&[])?;
    let c = &mut redis.connection()?;
    for (name, default, least, most) in NUMBERS {
        assert_eq!(get(c, name), default.to_string(), "{name}");
        for bad in [least - 1, most + 1] {
            let refused = set(c, &format!("{name} {bad}"));
            assert!(
                refused.contains(&format!("{least} and {most}")),
                "{refused}"
            );
        }
        let refused = set(c, &format!("{name} 1s"));
        assert!(refused.starts_with('!'), "{refused}");
        assert_eq!(get(c, name), default.to_string(), "{name}");
    }
    Ok(())
}

#[test]
fn a_switch_is_yes_or_no() -> Result<()> {
    let redis = redis(&[])?;
    let c = &mut redis.connection()?;
    assert_eq!(get(c, "publish-updates"), "yes");
    assert!(set(c, "publish-updates 1").starts_with('!'));
    assert_eq!(set(c, "publish-updates NO"), "OK");
    assert_eq!(get(c, "publish-updates"), "no");
    Ok(())
}

#[test]
fn parameters_that_contradict_one_another_are_refused_together() -> Result<()> {
    let redis = redis(&[])?;
    let c = &mut redis.connection()?;
    for (pairs, why) in [
        (
            "hold-default-ms 3600001",
            "holdfast.hold-default-ms (3600001) must not be greater than holdfast.hold-longest-ms (3600000)",
        ),
        (
            "hold-longest-ms 3600001",
            "holdfast.hold-longest-ms (3600001) must not be greater than holdfast.outcome-retention-ms (3600000)",
        ),
        (
            "adjustment-retention-ms 3599999",
            "holdfast.hold-longest-ms (3600000) must not be greater than holdfast.adjustment-retention-ms (3599999)",
        ),
        (
            "session-idle-ms 86400001",
            "holdfast.session-idle-ms (86400001) must not be greater than holdfast.session-absolute-ms (86400000)",
        ),
        (
            "sweep-tick-ms 50 hold-longest-ms 1000",
            "holdfast.hold-default-ms (120000) must not be greater than holdfast.hold-longest-ms (1000)",
        ),
    ] {
        let refused = set(c, pairs);
        assert!(refused.contains(why), "{pairs}: {refused}");
    }
    for (name, default, ..) in NUMBERS {
        assert_eq!(get(c, name), default.to_string(), "{name}");
    }
    // What agrees when all is in place is taken, whichever comes first.
    for pairs in [
        "hold-default-ms 5000000 hold-longest-ms 6000000 outcome-retention-ms 7000000",
        "outcome-retention-ms 1000 hold-longest-ms 1000 hold-default-ms 1000",
        "hold-longest-ms 3600000 hold-default-ms 120000 outcome-retention-ms 3600000",
        "hold-default-ms 1 hold-longest-ms 2 outcome-retention-ms 3",
    ] {
        assert_eq!(set(c, pairs), "OK", "{pairs}");
    }
    Ok(())
}

#[test]
fn the_next_command_goes_by_the_new_value() -> Result<()> {
    let redis = redis(&[])?;
    let c = &mut redis.connection()?;
    let left = |c: &mut Connection, id: &str, options: &str| -> Result<i64> {
        let script = format!(
            "local t = redis.call('TIME') \
             local r = redis.call('INV.RESERVE', KEYS[1], '{id}', 1 {options}) \
             return r[4] - (t[1] * 1000 + math.floor(t[2] / 1000))"
        );
        Ok(redis::cmd("EVAL").arg(script).arg(1).arg("a").query(c)?)
    };
    ask(c, "INV.SET a 10");
    assert!((119_000..=121_000).contains(&left(c, "o1", "")?));
    assert_eq!(set(c, "hold-default-ms 60000 hold-longest-ms 90000"), "OK");
    assert!((59_000..=61_000).contains(&left(c, "o2", "")?));
    assert!((89_000..=91_000).contains(&left(c, "o3", ", 'PX', 90000")?));
    let refused = ask(c, "INV.RESERVE a o4 1 PX 90001");
    assert!(refused.contains("may last 90000 ms at most"), "{refused}");

    let digest = "0".repeat(64);
    assert_eq!(
        set(c, "session-idle-ms 4000 session-absolute-ms 9000"),
        "OK"
    );
    assert_eq!(
        ask(c, &format!("SESSION.START s {digest} anna")),
        "OK 4000 9000"
    );
    Ok(())
}

#[test]
fn a_shorter_retention_frees_memory_at_once() -> Result<()> {
    let redis = redis(&[])?;
    let c = &mut redis.connection()?;
    ask(c, "INV.SET a 10");
    ask(c, "INV.RESERVE a o1 1");
    ask(c, "INV.RELEASE a o1");
    assert_eq!(ask(c, "INV.RELEASE a o1").split(' ').next_back(), Some("1"));
    let seq = stock(c, "a", "seq");
    assert_eq!(
        set(
            c,
            "hold-default-ms 1 hold-longest-ms 1 outcome-retention-ms 1"
        ),
        "OK"
    );
    eventually("the outcome to be forgotten", || {
        Ok(stock(c, "a", "seq") > seq)
    })?;
    assert!(ask(c, "INV.HOLD a o1").contains('-'));
    Ok(())
}

#[test]
fn a_rewritten_file_gives_the_same_values_again() -> Result<()> {
    for module_args in [
        "",
        " hold-default-ms 60000 sweep-tick-ms 20 session-idle-ms 70000",
    ] {
        let home = Home::for_test("redis-config")?;
        let port = home.port("redis", false)?;
        let module = module_path()?;
        let file = home.write_private(
            "redis.conf",
            &format!(
                "bind 127.0.0.1\nport {port}\ndir {}\nsave \"\"\nloadmodule {}{module_args}\n\
                 holdfast.sweep-tick-ms 30\nholdfast.sweep-slice-us 700\n",
                home.folder.display(),
                module.display()
            ),
        )?;
        let server = Server::new("Redis", home);
        serve(&server, &file, port)?;
        let c = &mut connect(port)?;
        // The file's lines win over the module's arguments.
        assert_eq!(get(c, "sweep-tick-ms"), "30");
        assert_eq!(get(c, "sweep-slice-us"), "700");
        let argued = if module_args.is_empty() {
            "120000"
        } else {
            "60000"
        };
        assert_eq!(get(c, "hold-default-ms"), argued);
        // Back to what is the default without arguments, and away from it: both must survive.
        let pairs = "hold-default-ms 120000 outcome-retention-count 77 publish-updates no";
        assert_eq!(set(c, pairs), "OK");
        let before = values(c);
        for _ in 0..2 {
            assert_eq!(ask(c, "CONFIG REWRITE"), "OK");
            server.stop()?;
            serve(&server, &file, port)?;
            *c = connect(port)?;
            assert_eq!(values(c), before, "{module_args}");
        }
    }
    Ok(())
}

#[test]
fn bad_module_arguments_are_refused_with_a_line_in_the_log() -> Result<()> {
    let redis = Redis::start_private(RedisOptions {
        module: false,
        args: ["--enable-module-command", "yes", "--appendonly", "no"]
            .map(str::to_owned)
            .to_vec(),
        ..RedisOptions::default()
    })?;
    let c = &mut redis.connection()?;
    let module = module_path()?;
    let load = |c: &mut Connection, args: &str| {
        ask(c, &format!("MODULE LOADEX {} {args}", module.display()))
    };
    for (args, why) in [
        (
            "ARGS hold-default-ms",
            "module argument 'hold-default-ms' needs a value",
        ),
        (
            "ARGS hold-default 5",
            "unknown module argument 'hold-default'",
        ),
        (
            "ARGS hold-default-ms 0",
            "hold-default-ms must be a whole number from 1 to 86400000, got '0'",
        ),
        ("ARGS hold-default-ms x", "got 'x'"),
        (
            "ARGS sweep-tick-ms 1 sweep-tick-ms 2",
            "module argument 'sweep-tick-ms' is given twice",
        ),
        (
            "ARGS hold-longest-ms 9",
            "holdfast.hold-default-ms (120000) must not be greater than holdfast.hold-longest-ms (9)",
        ),
        (
            "CONFIG holdfast.hold-longest-ms 9",
            "holdfast.hold-default-ms (120000) must not be greater than holdfast.hold-longest-ms (9)",
        ),
        (
            "CONFIG holdfast.hold-default-ms 0",
            "a parameter of the configuration file was refused",
        ),
    ] {
        let refused = load(c, args);
        assert!(
            refused.starts_with("!ERR Error loading the extension"),
            "{args}: {refused}"
        );
        let log = std::fs::read_to_string(redis.server()?.home().path("log"))?;
        let last = log
            .lines()
            .rfind(|line| line.contains("holdfast is not loaded: "))
            .context("no line in the log")?;
        assert!(last.contains(why), "{args}: {last}");
    }
    // The control, and no trace of the refused ones.
    assert_eq!(
        load(
            c,
            "CONFIG holdfast.sweep-tick-ms 7 ARGS hold-default-ms 5000"
        ),
        "OK"
    );
    assert_eq!(get(c, "hold-default-ms"), "5000");
    assert_eq!(get(c, "sweep-tick-ms"), "7");
    assert_eq!(get(c, "hold-longest-ms"), "3600000");
    // A module with types cannot be unloaded, and the server says so.
    let refused = ask(c, "MODULE UNLOAD holdfast");
    assert!(refused.contains("data types"), "{refused}");
    assert_eq!(ask(c, "INV.SET a 1"), "OK 1 1 0 0");
    Ok(())
}

fn serve(server: &Server, file: &Path, port: u16) -> Result<()> {
    let program =
        std::env::var_os("HOLDFAST_REDIS_SERVER").unwrap_or_else(|| "redis-server".into());
    server.ensure(
        || Ok(Launch::new(program).arg(file)),
        || connect(port).is_ok_and(|mut c| ask(&mut c, "PING") == "PONG"),
    )
}

fn connect(port: u16) -> Result<Connection> {
    Ok(redis::Client::open(format!("redis://127.0.0.1:{port}"))?.get_connection()?)
}
