//! The commands in transactions and in scripts, and what a command that changes nothing leaves alone.

use anyhow::Result;
use redis::{Connection, Value};

use crate::module_support::{ask, ask_bytes, digest, in_step, info, redis, replica, stock};
use crate::{SECRET, connection};

fn script(c: &mut Connection, eval: &str, script: &str, key: &str) -> String {
    let args = [eval.as_bytes(), script.as_bytes(), b"1", key.as_bytes()];
    ask_bytes(c, &args)
}

#[test]
fn a_transaction_goes_on_after_an_error_and_is_refused_for_a_bad_call() {
    let c = &mut connection();
    ask(c, "INV.SET tx 5");
    for command in [
        "MULTI",
        "INV.RESERVE tx o1 1",
        "INV.RESERVE tx o1 2",
        "SESSION.START tx x y",
        "INV.PREPARE tx o1",
    ] {
        ask(c, command);
    }
    let mut exec = redis::pipe();
    let replies = exec.cmd("EXEC").ignore_errors().query::<Value>(c);
    let replies = format!("{replies:?}");
    for part in [
        "RESERVED",
        "MISMATCH",
        "digest must be a SHA-256",
        "PREPARED",
    ] {
        let quoted = part
            .as_bytes()
            .iter()
            .map(u8::to_string)
            .collect::<Vec<_>>()
            .join(", ");
        assert!(
            replies.contains(part) || replies.contains(&quoted),
            "{part}: {replies}"
        );
    }
    assert_eq!(
        ask(c, "INV.HOLD tx o1"),
        "id o1 state PREPARED quantity 1 deadline 0"
    );

    ask(c, "MULTI");
    ask(c, "INV.RELEASE tx o1");
    assert!(ask(c, "INV.RELEASE tx").starts_with("!ERR wrong number of arguments"));
    assert!(ask(c, "EXEC").starts_with("!EXECABORT"));
    ask(c, "MULTI");
    ask(c, "INV.RELEASE tx o1");
    ask(c, "DISCARD");
    assert_eq!(stock(c, "tx", "held"), 1);
}

#[test]
fn scripts_see_replies_and_errors_and_what_they_did_is_kept() -> Result<()> {
    let primary = redis(&[])?;
    let follower = replica(&primary, &[])?;
    let c = &mut primary.connection()?;
    let take = "local r = redis.call('INV.SET', KEYS[1], 5)
        r = redis.call('INV.RESERVE', KEYS[1], 'o1', 2, 'PX', 60000)
        return {r[1], r[2], redis.call('INV.HOLD', KEYS[1], 'o2') == false}";
    assert_eq!(script(c, "EVAL", take, "k"), "RESERVED 3 1");

    // An error ends the script, or is a value, as the script wants; what was done before stays.
    let fail = "redis.call('INV.PREPARE', KEYS[1], 'o1')
        redis.call('INV.RESERVE', KEYS[1], 'o1', 9)
        return 'not reached'";
    assert!(
        script(c, "EVAL", fail, "k").starts_with("!MISMATCH hold 'o1' is for quantity 2, not 9")
    );
    let survive = "local r = redis.pcall('INV.RESERVE', KEYS[1], 'o1', 9)
        return {r.err, redis.call('INV.RESERVE', KEYS[1], 'o3', 1)[1]}";
    let answer = script(c, "EVAL", survive, "k");
    assert!(
        answer.starts_with("MISMATCH ") && answer.ends_with(" RESERVED"),
        "{answer}"
    );
    assert_eq!(
        ask(c, "INV.HOLD k o1"),
        "id o1 state PREPARED quantity 2 deadline 0"
    );

    let session = format!(
        "redis.call('SESSION.START', KEYS[1], '{SECRET}', 'ada')
        return redis.call('SESSION.TOUCH', KEYS[1], '{SECRET}', 'PAGE', '/')[1]"
    );
    assert_eq!(script(c, "EVAL", &session, "s"), "OK");
    let map = "redis.setresp(3) return redis.call('INV.GET', KEYS[1]).map.held";
    assert_eq!(script(c, "EVAL", map, "k"), "3");

    let read = "return redis.call('INV.GET', KEYS[1])[2] + #redis.call('INV.HOLDS', KEYS[1])[2]";
    assert_eq!(script(c, "EVAL_RO", read, "k"), "7");
    let write = "return redis.call('INV.RELEASE', KEYS[1], 'o3')";
    let answer = script(c, "EVAL_RO", write, "k");
    assert!(
        answer.contains("Write commands are not allowed from read-only scripts"),
        "{answer}"
    );

    in_step(&primary, &follower)?;
    let r = &mut follower.connection()?;
    assert_eq!(script(r, "EVAL_RO", read, "k"), "7");
    for key in ["k", "s"] {
        assert_eq!(digest(c, key), digest(r, key), "{key}");
    }
    let refused = ask(r, "INV.RELEASE k o3");
    assert!(refused.starts_with("!READONLY"), "{refused}");
    Ok(())
}

#[test]
fn a_command_that_changes_nothing_touches_no_watch_and_goes_to_no_replica() -> Result<()> {
    let server = redis(&[])?;
    let _follower = replica(&server, &[])?;
    let (c, watcher) = (&mut server.connection()?, &mut server.connection()?);
    for command in [
        "INV.SET w 20",
        "INV.ADJUST w 1 ID a1",
        "INV.RESERVE w held 1 PX 600000",
        "INV.RESERVE w prepared 1",
        "INV.PREPARE w prepared",
        "INV.RESERVE w confirmed 2",
        "INV.CONFIRM w confirmed",
        "INV.RETURN w confirmed r1 1",
        "INV.RELEASE w released",
        &format!("SESSION.START w-s {SECRET} ada"),
        "SESSION.SET w-s lang en",
    ] {
        let answer = ask(c, command);
        assert!(!answer.starts_with('!'), "{command}: {answer}");
    }
    // How much has been sent to the replica, without the PING that the server sends of its own accord.
    let sent = |c: &mut Connection| info(c, "replication", "master_repl_offset");
    let mut touched = |c: &mut Connection, command: &str| {
        ask(watcher, "WATCH w w-s");
        ask(c, command);
        ask(watcher, "MULTI");
        ask(watcher, "PING");
        ask(watcher, "EXEC") != "PONG"
    };
    ask(c, "CONFIG SET repl-ping-replica-period 3600");
    let before = sent(c)?;
    for command in [
        "INV.SET w 20 IF 1",
        "INV.SET w 0",
        "INV.ADJUST w 1 ID a1",
        "INV.ADJUST w 2 ID a1",
        "INV.ADJUST w -999",
        "INV.RESERVE w held 1",
        "INV.RESERVE w held 2",
        "INV.RESERVE w more 999",
        "INV.RESERVE w confirmed 2",
        "INV.MRESERVE 1 w held 1",
        "INV.MRESERVE 1 w more 999",
        "INV.PREPARE w prepared",
        "INV.PREPARE w unknown",
        "INV.PREPARE w unknown LATE 999",
        "INV.EXTEND w held PX 1",
        "INV.EXTEND w prepared PX 1",
        "INV.CONFIRM w confirmed",
        "INV.CONFIRM w confirmed QUANTITY 1",
        "INV.CONFIRM w released LATE 1",
        "INV.RELEASE w released",
        "INV.RELEASE w confirmed",
        "INV.RETURN w confirmed r1 1",
        "INV.RETURN w confirmed r2 9",
        "INV.RETURN w held r2 1",
        "INV.GET w",
        "INV.HOLD w held",
        "INV.HOLDS w",
        "INV.PENDING w 0",
        "INV.HELP",
        "INV.APPLY w 99 COUNTED 1",
        &format!("SESSION.START w-s {SECRET} ada"),
        &format!("SESSION.START w-s {SECRET} eve"),
        &format!("SESSION.TOUCH w-s {}", "0".repeat(64)),
        &format!("SESSION.TOUCH none {SECRET}"),
        &format!("SESSION.ROTATE w-s {} {SECRET}", "0".repeat(64)),
        "SESSION.SET w-s page_views 1",
        "SESSION.GET w-s",
        "SESSION.VIEWED w-s",
        "SESSION.END none",
    ] {
        assert!(!touched(c, command), "{command} touched WATCH");
        assert_eq!(sent(c)?, before, "{command} was sent on");
    }
    // The control: what changes something does both.
    for command in [
        "INV.RELEASE w held",
        &format!("SESSION.TOUCH w-s {SECRET} PAGE /"),
    ] {
        let before = sent(c)?;
        assert!(touched(c, command), "{command} did not touch WATCH");
        assert_ne!(sent(c)?, before, "{command} was not sent on");
    }
    Ok(())
}
