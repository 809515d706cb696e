//! From the outbox to Kafka: nothing is lost and nothing overtakes, whatever becomes of the proxy that relays, and a row
//! that Kafka refuses keeps back nobody but the later rows of its own key.
//!
//! The tests take turns on one stack with two proxies. Most rows are written by SQL, so that there are enough of them.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use holdfast_tests::books::{self, Expected};
use holdfast_tests::event_order;
use holdfast_tests::proxy::Proxy;
use holdfast_tests::saga_events::{EventReader, SagaEvent};
use holdfast_tests::shop::{GOOD_CARD, Shop};
use holdfast_tests::stack::{Stack, StackOptions, catalogue_of};
use holdfast_tests::wait;
use nix::sys::signal::Signal;
use serde_json::Value;
use sqlx::{Connection, MySqlConnection, QueryBuilder};
use tokio::sync::Mutex;
use uuid::Uuid;

static STACK: LazyLock<Mutex<(Stack, Proxy)>> =
    LazyLock::new(|| Mutex::new(start().expect("a shop")));

const PATIENCE: Duration = Duration::from_secs(60);
const KEYS: usize = 2000;
const EVENTS_OF_A_KEY: usize = 10;
const RELAYED: &str = "holdfast_events_relayed_total";

fn start() -> Result<(Stack, Proxy)> {
    let stack = Stack::start(StackOptions {
        catalogue: Some(catalogue_of(&["FLOWING"])?),
        ..StackOptions::default()
    })?;
    let another = stack.another_proxy()?;
    Ok((stack, another))
}

/// Ids of each key's events, in their order.
type Sent = BTreeMap<String, Vec<String>>;

/// Writes one event into the outbox.
async fn put(mysql: &mut MySqlConnection, sent: &mut Sent, key: &str, body: &Value) -> Result<()> {
    let id = Uuid::now_v7();
    sqlx::query("INSERT INTO outbox (event_id, event_type, message_key, body) VALUES (?, ?, ?, ?)")
        .bind(id)
        .bind("StockAdjusted")
        .bind(key)
        .bind(body.to_string())
        .execute(mysql)
        .await?;
    sent.entry(key.to_owned()).or_default().push(id.to_string());
    Ok(())
}

/// Writes ten events for each of 2,000 keys, all keys taking turns.
async fn put_many(stack: &Stack, name: &str) -> Result<Sent> {
    let mut mysql = MySqlConnection::connect(&stack.database_url()).await?;
    let mut sent = Sent::new();
    for number in 0..EVENTS_OF_A_KEY {
        for chunk in (0..KEYS).collect::<Vec<_>>().chunks(500) {
            let mut insert =
                QueryBuilder::new("INSERT INTO outbox (event_id, event_type, message_key, body) ");
            insert.push_values(chunk, |mut row, key| {
                let (key, id) = (format!("{name}-{key}"), Uuid::now_v7());
                row.push_bind(id)
                    .push_bind("StockAdjusted")
                    .push_bind(key.clone());
                row.push_bind(format!("{{\"number\":{number}}}"));
                sent.entry(key).or_default().push(id.to_string());
            });
            insert.build().execute(&mut mysql).await?;
        }
    }
    Ok(sent)
}

/// How many events wait that are not parked.
async fn waiting(stack: &Stack) -> Result<i64> {
    let mut mysql = MySqlConnection::connect(&stack.database_url()).await?;
    let rows = sqlx::query_scalar("SELECT COUNT(*) FROM outbox WHERE parked_at IS NULL");
    Ok(rows.fetch_one(&mut mysql).await?)
}

async fn until_relayed(stack: &Stack) -> Result<()> {
    wait::until_async("the outbox to be empty", PATIENCE, || async {
        Ok((waiting(stack).await? == 0).then_some(()))
    })
    .await
}

/// Reads until every event of `sent` has come, and then what there is, and judges.
fn audit(reader: &EventReader, sent: &Sent) -> Result<()> {
    let mut arrived: Vec<SagaEvent> = Vec::new();
    wait::until("every event to come", PATIENCE, || {
        let mut quiet = false;
        while !quiet {
            let next = reader.next(Duration::from_millis(200))?;
            quiet = next.is_none();
            arrived.extend(next);
        }
        let faults = event_order::faults(sent, &arrived);
        Ok(faults
            .iter()
            .all(|fault| !fault.contains("lost"))
            .then_some(()))
    })?;
    let faults = event_order::faults(sent, &arrived);
    ensure!(faults.is_empty(), "{faults:#?}");
    Ok(())
}

/// The proxy that relays, and the other.
async fn roles<'a>(stack: &'a Stack, another: &'a Proxy) -> Result<(&'a Proxy, &'a Proxy)> {
    let count = || async {
        anyhow::Ok((
            stack.proxy.metric(RELAYED).await?,
            another.metric(RELAYED).await?,
        ))
    };
    let before = count().await?;
    let mut mysql = MySqlConnection::connect(&stack.database_url()).await?;
    put(&mut mysql, &mut Sent::new(), "WHO", &Value::Null).await?;
    wait::until_async("one of the two to relay", PATIENCE, || async {
        let now = count().await?;
        Ok(match (now.0 > before.0, now.1 > before.1) {
            (true, _) => Some((&stack.proxy, another)),
            (_, true) => Some((another, &stack.proxy)),
            _ => None,
        })
    })
    .await
}

/// Puts many events, lets `disturb` happen to the proxy that relays them in the middle, and sees that all come.
async fn disturbed(
    stack: &Stack,
    holder: &Proxy,
    name: &str,
    disturb: impl AsyncFnOnce() -> Result<()>,
) -> Result<Sent> {
    let before = holder.metric(RELAYED).await?;
    let disturbance = async {
        wait::until_async("some to be relayed", PATIENCE, || async {
            Ok((holder.metric(RELAYED).await? > before + 1000.0).then_some(()))
        })
        .await?;
        disturb().await
    };
    let (sent, disturbance) = tokio::join!(put_many(stack, name), disturbance);
    disturbance?;
    until_relayed(stack).await?;
    sent
}

#[tokio::test]
async fn a_killed_relay_loses_nothing_and_lets_nothing_overtake() -> Result<()> {
    let guard = STACK.lock().await;
    let (stack, another) = &*guard;
    let reader = EventReader::from_now(stack.kafka.brokers(), stack.topic())?;
    let (holder, _) = roles(stack, another).await?;
    let sent = disturbed(stack, holder, "KILLED", async || {
        // With a broker that hangs, the relay has sent what nobody has acknowledged.
        let broker = stack.kafka.server().ok();
        if let Some(broker) = broker {
            broker.signal(Signal::SIGSTOP)?;
            wait::until_async("events to wait for the broker", PATIENCE, || async {
                let age = holder.metric("holdfast_outbox_oldest_age_seconds").await?;
                Ok((age > 1.0 || waiting(stack).await? == 0).then_some(()))
            })
            .await?;
        }
        let killed = holder.server().kill();
        if let Some(broker) = broker {
            broker.signal(Signal::SIGCONT)?;
        }
        killed
    })
    .await;
    holder.start()?;
    audit(&reader, &sent?)
}

#[tokio::test]
async fn a_stopped_relay_is_replaced_and_does_no_harm_when_it_goes_on() -> Result<()> {
    let guard = STACK.lock().await;
    let (stack, another) = &*guard;
    let reader = EventReader::from_now(stack.kafka.brokers(), stack.topic())?;
    let (holder, other) = roles(stack, another).await?;
    let sent = disturbed(stack, holder, "STOPPED", async || {
        holder.server().signal(Signal::SIGSTOP)
    })
    .await;
    holder.server().signal(Signal::SIGCONT)?;
    let mut sent = sent?;
    sent.extend(put_many(stack, "CONTINUED").await?);
    until_relayed(stack).await?;
    audit(&reader, &sent)?;
    ensure!(other.metric(RELAYED).await? > 0.0, "the other took over");
    Ok(())
}

/// A body of so many bytes that no compression makes shorter than half.
fn incompressible(bytes: usize) -> Value {
    let mut text = String::new();
    while text.len() < bytes {
        text += &Uuid::new_v4().simple().to_string();
    }
    Value::from(text)
}

/// What `holdfast outbox list` says.
fn listed(proxy: &Proxy) -> Result<Value> {
    Ok(serde_json::from_str(
        &proxy.run(&["outbox", "list", "--json"])?,
    )?)
}

#[tokio::test]
async fn a_refused_event_is_parked_with_its_key_and_nobody_else_waits() -> Result<()> {
    let guard = STACK.lock().await;
    let (stack, _) = &*guard;
    let shop = Shop::of(&stack.proxy);
    let mut mysql = MySqlConnection::connect(&stack.database_url()).await?;
    let reader = EventReader::from_now(stack.kafka.brokers(), stack.topic())?;
    stack
        .kafka
        .set_topic(stack.topic(), "max.message.bytes", "4000")
        .await?;

    // The first of POISON goes, the second is refused, the third waits behind it. THIN goes.
    let mut sent = Sent::new();
    for (key, body) in [
        ("POISON", Value::from(1)),
        ("POISON", incompressible(20_000)),
        ("THIN", Value::from(1)),
        ("POISON", Value::from(3)),
        ("THIN", Value::from(2)),
    ] {
        put(&mut mysql, &mut sent, key, &body).await?;
    }
    until_relayed(stack).await?;
    // What comes later waits behind it, too.
    put(&mut mysql, &mut sent, "POISON", &Value::from(4)).await?;
    // Everybody else's events flow, though together they are longer than the topic takes at once.
    let buyers = (0..8).map(|_| async { shop.guest().await?.buy("FLOWING", 1, GOOD_CARD).await });
    let mut expected = Expected {
        stocked: 10,
        ..Expected::default()
    };
    for reply in futures::future::try_join_all(buyers).await? {
        expected.sold.insert(reply.id()?.to_owned());
    }
    books::audit(stack, "FLOWING", &expected).await?;
    until_relayed(stack).await?;

    let list = listed(&stack.proxy)?;
    assert_eq!(list["parked_rows"], 3, "{list}");
    assert_eq!(list["parked"][0]["key"], "POISON");
    assert_eq!(list["parked"][0]["event_id"], sent["POISON"][1].as_str());
    let error = list["parked"][0]["error"].as_str().context("no error")?;
    assert!(error.contains("too large"), "{error}");
    let behind: Vec<String> = sqlx::query_scalar(
        "SELECT error FROM outbox WHERE parked_at IS NOT NULL ORDER BY id LIMIT 1, 2",
    )
    .fetch_all(&mut mysql)
    .await?;
    let words = format!("waits behind event {}", sent["POISON"][1]);
    assert_eq!(behind, [words.clone(), words]);
    wait::until_async("the metric to show it", PATIENCE, || async {
        let parked = stack.proxy.metric("holdfast_outbox_parked_rows").await?;
        Ok((parked == 3.0).then_some(()))
    })
    .await?;

    // Tried again with the cause still there, it is parked again.
    stack.proxy.run(&["outbox", "retry", "POISON"])?;
    wait::until_async("it to be parked again", PATIENCE, || async {
        Ok((listed(&stack.proxy)?["parked_rows"] == 3).then_some(()))
    })
    .await?;

    // With the cause gone, all come in their order.
    stack
        .kafka
        .set_topic(stack.topic(), "max.message.bytes", "1000000")
        .await?;
    let unknown = stack.proxy.run(&["outbox", "retry", "NOBODY"]);
    assert!(format!("{:?}", unknown.err()).contains("NOBODY is not parked"));
    wait::until_async("the retried to be taken", PATIENCE, || async {
        stack.proxy.run(&["outbox", "retry", "--all"])?;
        until_relayed(stack).await?;
        Ok((listed(&stack.proxy)?["rows"] == 0).then_some(()))
    })
    .await?;
    audit(&reader, &sent)
}
