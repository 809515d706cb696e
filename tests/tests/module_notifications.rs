//! Whoever listens is told: of every change in the keyspace, and of a key's new state at most twenty times a second.

mod module_support;
#[path = "module_support/subscriber.rs"]
mod subscriber;

use std::time::Instant;

use anyhow::Result;
use module_support::{ask, eventually, in_step, info, redis, replica, stock};
use redis::Connection;
use serde_json::{Value, json};
use subscriber::Subscriber;

/// What `INV.GET` says in the form of a message.
fn state(c: &mut Connection, key: &str, db: i64) -> Value {
    let mut field = |name| stock(c, key, name);
    json!({
        "key": key,
        "db": db,
        "seq": field("seq"),
        "on_hand": field("on_hand"),
        "held": field("held"),
        "available": field("available"),
    })
}

fn published(c: &mut Connection) -> Result<u64> {
    let published = info(c, "holdfast", "holdfast_updates_published")?;
    Ok(published.unwrap_or_default().parse()?)
}

#[test]
fn every_change_is_an_event_in_the_keyspace_of_primary_and_replica() -> Result<()> {
    let primary = redis(&["--notify-keyspace-events", "KA"])?;
    let replica = replica(&primary, &["--notify-keyspace-events", "KA"])?;
    let c = &mut primary.connection()?;
    let listeners = [&primary, &replica]
        .map(|server| Subscriber::start(server.port()?, &["PSUBSCRIBE", "__keyspace@0__:*"]));
    let digest = "0".repeat(64);
    let other = "1".repeat(64);
    let mut expected = Vec::new();
    for (command, events) in [
        ("INV.SET a 10", "inv.set"),
        ("INV.SET a 10", ""),
        ("INV.ADJUST a 5 ID x", "inv.adjust"),
        ("INV.ADJUST a 5 ID x", ""),
        ("INV.RESERVE a o1 2", "inv.reserve"),
        ("INV.RESERVE a o1 2", ""),
        ("INV.RESERVE a o2 99", ""),
        ("INV.RESERVE a o1 3", ""),
        ("INV.EXTEND a o1 PX 3000000", "inv.extend"),
        ("INV.PREPARE a o1", "inv.prepare"),
        ("INV.CONFIRM a o1", "inv.confirm"),
        ("INV.CONFIRM a o1", ""),
        ("INV.RETURN a o1 r1 1", "inv.return"),
        ("INV.RELEASE a o3", "inv.release"),
        ("INV.PREPARE a o4 LATE 1", "inv.retake"),
        ("INV.CONFIRM a o5 LATE 1", "inv.retake inv.confirm"),
        ("INV.GET a", ""),
        (&format!("SESSION.START s {digest} anna"), "session.start"),
        (&format!("SESSION.START s {digest} anna"), ""),
        (&format!("SESSION.TOUCH s {digest} PAGE /"), "session.touch"),
        (&format!("SESSION.TOUCH s {other} PAGE /"), ""),
        ("SESSION.SET s colour red", "session.set"),
        ("SESSION.SET s colour red", ""),
        (
            &format!("SESSION.ROTATE s {digest} {other}"),
            "session.rotate",
        ),
        ("SESSION.GET s", ""),
        ("SESSION.END s", "session.end del"),
        ("SESSION.END s", ""),
        ("INV.RESERVE a o6 1 PX 100", "inv.reserve inv.expire"),
    ] {
        let reply = ask(c, command);
        let mismatch = reply.starts_with("!MISMATCH");
        assert!(!reply.starts_with('!') || mismatch, "{command}: {reply}");
        expected.extend(events.split_terminator(' ').map(str::to_owned));
    }
    for listener in listeners {
        let listener = listener?;
        let mut heard = Vec::new();
        let met = eventually("the events", || {
            let news = listener.messages().into_iter();
            heard = news
                .map(|message| message.payload)
                // An event of the server's own, which newer ones have for every key that is new or expires.
                .filter(|event| event.contains('.') || event == "del")
                .collect();
            Ok(heard.len() >= expected.len())
        });
        assert_eq!(heard, expected, "{met:?}");
    }
    Ok(())
}

#[test]
fn the_first_change_is_told_at_once_and_the_newest_state_in_the_end() -> Result<()> {
    let redis = redis(&[])?;
    let c = &mut redis.connection()?;
    let listener = Subscriber::start(redis.port()?, &["PSUBSCRIBE", "inventory.updated:*"])?;
    let key = "inv:{A1}";
    ask(c, &format!("INV.SET {key} 1000000"));
    let first = listener.wait_for(1)?;
    assert_eq!(first[0].channel, "inventory.updated:inv:{A1}");
    assert_eq!(first[0].json()?, state(c, key, 0));

    let (began, mut last) = (Instant::now(), Value::Null);
    while began.elapsed().as_millis() < 1_500 {
        for n in 0..50 {
            ask(
                c,
                &format!("INV.RESERVE {key} {}-{n} 1", began.elapsed().as_nanos()),
            );
        }
        last = state(c, key, 0);
    }
    eventually("the newest state", || {
        Ok(listener
            .messages()
            .last()
            .map(|message| message.json())
            .transpose()?
            == Some(last.clone()))
    })?;
    let told = listener.messages().len() as u128;
    let most = began.elapsed().as_millis() / 50 + 2;
    assert!(
        (10..=most).contains(&told),
        "{told} messages, at most {most}"
    );
    let seqs: Vec<_> = listener
        .messages()
        .iter()
        .map(|message| Ok(message.json()?["seq"].as_u64()))
        .collect::<Result<_>>()?;
    assert!(seqs.is_sorted(), "{seqs:?}");
    assert_eq!(published(c)?, told as u64);

    // A key that is not touched again is told about once, and an expiry is a change like any other.
    ask(c, "INV.SET b 5");
    ask(c, "SELECT 2");
    ask(c, "INV.SET b 7");
    ask(c, "INV.RESERVE b o1 2 PX 300");
    eventually("the expiry", || {
        let messages = listener.messages();
        let b = |message: &&subscriber::Message| message.channel == "inventory.updated:{b}";
        let states: Vec<_> = messages
            .iter()
            .filter(b)
            .map(|message| message.payload.clone())
            .collect();
        Ok(states.len() == 4
            && states[0].contains("\"db\":0,\"seq\":1,\"on_hand\":5,\"held\":0")
            && states[2].contains("\"db\":2,\"seq\":2,\"on_hand\":7,\"held\":2,\"available\":5")
            && states[3].contains("\"db\":2,\"seq\":3,\"on_hand\":7,\"held\":0,\"available\":7"))
    })?;
    Ok(())
}

#[test]
fn only_the_primary_publishes_and_only_while_it_is_wanted() -> Result<()> {
    let primary = redis(&[])?;
    let replica = replica(&primary, &[])?;
    let (c, r) = (&mut primary.connection()?, &mut replica.connection()?);
    let listener = Subscriber::start(primary.port()?, &["PSUBSCRIBE", "inventory.updated:*"])?;
    ask(c, "INV.SET a 10");
    listener.wait_for(1)?;
    // What waits when clients are paused goes out all the same: it changes nothing.
    for n in 0..20 {
        ask(c, &format!("INV.RESERVE a o{n} 1 PX 3000000"));
    }
    ask(c, "CLIENT PAUSE 60000 WRITE");
    let last = state(c, "a", 0);
    eventually("the newest state", || {
        Ok(listener
            .messages()
            .last()
            .map(|message| message.json())
            .transpose()?
            == Some(last.clone()))
    })?;
    ask(c, "CLIENT UNPAUSE");
    in_step(&primary, &replica)?;
    assert_eq!(published(r)?, 0);

    let before = published(c)?;
    assert_eq!(ask(c, "CONFIG SET holdfast.publish-updates no"), "OK");
    ask(c, "INV.SET a 20");
    ask(c, "INV.SET quiet 20");
    eventually("nothing to wait", || {
        Ok(info(c, "holdfast", "holdfast_updates_waiting")?.as_deref() == Some("0"))
    })?;
    assert_eq!(published(c)?, before);
    assert_eq!(ask(c, "CONFIG SET holdfast.publish-updates yes"), "OK");
    ask(c, "RENAME a renamed");
    eventually("the control", || {
        Ok(listener
            .messages()
            .last()
            .is_some_and(|message| message.channel == "inventory.updated:{renamed}"))
    })?;
    assert!(
        !listener
            .messages()
            .iter()
            .any(|message| message.channel.contains("quiet"))
    );
    Ok(())
}

#[test]
fn a_cluster_tells_it_in_the_keys_own_shard() -> Result<()> {
    let bus = holdfast_tests::ports::free()?.to_string();
    let node = redis(&["--cluster-enabled", "yes", "--cluster-port", &bus])?;
    let c = &mut node.connection()?;
    ask(c, "CLUSTER ADDSLOTSRANGE 0 16383");
    eventually("the cluster", || {
        Ok(ask(c, "CLUSTER INFO").contains("cluster_state:ok"))
    })?;
    for (key, channel) in [
        ("inv:{A1}", "inventory.updated:inv:{A1}"),
        ("plain", "inventory.updated:{plain}"),
    ] {
        let slots = [key, channel].map(|name| ask(c, &format!("CLUSTER KEYSLOT {name}")));
        assert_eq!(slots[0], slots[1]);
        let sharded = Subscriber::start(node.port()?, &["SSUBSCRIBE", channel])?;
        let plain = Subscriber::start(node.port()?, &["SUBSCRIBE", channel])?;
        ask(c, &format!("INV.SET {key} 5"));
        ask(c, &format!("INV.RESERVE {key} o1 2"));
        let told = sharded.wait_for(2)?;
        assert_eq!(told[1].json()?, state(c, key, 0));
        assert!(plain.messages().is_empty());
    }
    Ok(())
}
