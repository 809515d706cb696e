//! What the proxy makes of each way in which Redis gives no answer: done, not done or unknown, and what it tries again
//! within the deadline.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use holdfast_proxy::config;
use holdfast_proxy::gateway::{Error, Gateway};
use holdfast_tests::certificates::Certificates;
use holdfast_tests::data::Home;
use holdfast_tests::ports;
use holdfast_tests::redis::{Redis, RedisOptions};
use holdfast_tests::wait;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(30);
const DEADLINE: Duration = Duration::from_millis(500);

fn gateway(url: &str) -> Result<Gateway> {
    let timeout_ms = u64::try_from(DEADLINE.as_millis())?;
    let settings: Value = json!({ "url": url, "timeout_ms": timeout_ms });
    let settings: config::Redis = serde_json::from_value(settings)?;
    Ok(Gateway::open(&settings)?)
}

async fn write(gateway: &Gateway) -> Result<(), Error> {
    gateway.is_writable().await
}

async fn read(gateway: &Gateway) -> Result<(), Error> {
    gateway.is_ready().await
}

fn configure(redis: &Redis, name: &str, value: &str) -> Result<()> {
    let mut command = redis::cmd("CONFIG");
    command.arg("SET").arg(name).arg(value);
    Ok(command.query(&mut redis.connection()?)?)
}

fn replica_of(redis: &Redis, host: &str, port: &str) -> Result<()> {
    let mut command = redis::cmd("REPLICAOF");
    Ok(command
        .arg(host)
        .arg(port)
        .query(&mut redis.connection()?)?)
}

/// Not done, for a reason that has this in it, and no sooner than at the deadline.
#[track_caller]
fn was_not_done(answered: Result<(), Error>, reason: &str, began: Instant) {
    match answered {
        Err(Error::NotDone { cause, .. }) if cause.contains(reason) => {}
        other => panic!("{reason}: {other:?}"),
    }
    assert!(
        began.elapsed() + Duration::from_millis(50) > DEADLINE,
        "{reason}: it was not tried again"
    );
    assert!(
        began.elapsed() < 2 * DEADLINE,
        "{reason}: the deadline was missed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_may_not_do_now_is_not_done_and_tried_again_until_the_deadline() -> Result<()>
{
    let redis = Redis::start_private(RedisOptions::default())?;
    let gateway = gateway(redis.url())?;
    write(&gateway).await?;
    let nobody = ports::free()?.to_string();

    configure(&redis, "min-replicas-to-write", "1")?;
    was_not_done(
        write(&gateway).await,
        "NOREPLICAS",
        Instant::now() - DEADLINE,
    );
    read(&gateway).await?;
    configure(&redis, "min-replicas-to-write", "0")?;

    replica_of(&redis, "127.0.0.1", &nobody)?;
    let began = Instant::now();
    was_not_done(write(&gateway).await, "READONLY", began);
    read(&gateway).await?;
    configure(&redis, "replica-serve-stale-data", "no")?;
    let began = Instant::now();
    was_not_done(read(&gateway).await, "MASTERDOWN", began);

    // Within the deadline nobody notices.
    let writing = tokio::spawn({
        let gateway = gateway.clone();
        async move { write(&gateway).await }
    });
    replica_of(&redis, "NO", "ONE")?;
    writing.await??;

    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_server_loads_its_files_nothing_is_done() -> Result<()> {
    let redis = Redis::start_private(RedisOptions {
        // A tenth of a millisecond a key; between a thousand of them it answers.
        args: [
            "--key-load-delay",
            "100",
            "--appendonly",
            "yes",
            "--aof-use-rdb-preamble",
            "no",
        ]
        .map(String::from)
        .into(),
        ..RedisOptions::default()
    })?;
    let gateway = gateway(redis.url())?;
    let mut sets = redis::pipe();
    for nth in 0..40_000 {
        sets.cmd("SET").arg(nth).arg(nth).ignore();
    }
    let () = sets.query(&mut redis.connection()?)?;
    write(&gateway).await?;
    redis.server()?.stop()?;
    let began = Instant::now();
    was_not_done(write(&gateway).await, "refused", began);

    let starting = std::thread::spawn(move || redis.start_again().map(|()| redis));
    wait::until_async("the server to load", PATIENCE, || async {
        let began = Instant::now();
        let answered = write(&gateway).await;
        let is_loading =
            matches!(&answered, Err(Error::NotDone { cause, .. }) if cause.contains("LOADING"));
        ensure!(began.elapsed() < 2 * DEADLINE, "the deadline was missed");
        ensure!(
            answered.is_err(),
            "it did not load for long enough to be seen"
        );
        Ok(is_loading.then_some(()))
    })
    .await?;
    wait::until_async("the server to have loaded", PATIENCE, || async {
        Ok(write(&gateway).await.is_ok().then_some(()))
    })
    .await?;
    drop(
        starting
            .join()
            .map_err(|_| anyhow::anyhow!("the thread panicked"))??,
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_and_not_answered_is_unknown() -> Result<()> {
    let redis = Redis::start_private(RedisOptions::default())?;
    let gateway = gateway(redis.url())?;
    write(&gateway).await?;
    redis.server()?.signal(Signal::SIGSTOP)?;
    let began = Instant::now();
    let answered = write(&gateway).await;
    assert!(
        matches!(answered, Err(Error::Unknown { .. })),
        "{answered:?}"
    );
    assert!(began.elapsed() < 2 * DEADLINE, "the deadline was missed");

    // Killed while a command is under way.
    let writing = tokio::spawn(async move { write(&gateway).await });
    tokio::task::yield_now().await;
    redis.server()?.kill()?;
    let answered = writing.await?;
    assert!(
        matches!(answered, Err(Error::Unknown { .. } | Error::NotDone { .. })),
        "{answered:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_let_in_is_told_so_at_once() -> Result<()> {
    let redis = Redis::start_private(RedisOptions::default())?;
    let right = redis.admit_proxy()?;
    write(&gateway(&right)?).await?;
    let wrong = gateway(&right.replace("secret", "guess"))?;
    let began = Instant::now();
    match write(&wrong).await {
        Err(Error::NotDone { cause, .. }) => assert!(!cause.contains("guess"), "{cause}"),
        other => panic!("{other:?}"),
    }
    assert!(
        began.elapsed() < DEADLINE,
        "a wrong password was tried again"
    );

    // May log in, and not do this.
    let denied = gateway(&right)?;
    match denied.call::<i64>(redis::cmd("DEL").arg("else")).await {
        Err(refused @ Error::Refused { .. }) => assert!(refused.has_prefix("NOPERM"), "{refused}"),
        other => panic!("{other:?}"),
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_tls_only_who_can_be_trusted_is_talked_to() -> Result<()> {
    let home = Home::for_test("tls")?;
    let certificates = Certificates::make(&home)?;
    let path = |file: &Path| {
        file.to_str()
            .map(str::to_owned)
            .context("a path that is no UTF-8")
    };
    let (authority, certificate) = (
        path(&certificates.authority)?,
        path(&certificates.certificate)?,
    );
    let (key, port) = (path(&certificates.key)?, ports::free()?);
    let arguments = [
        ["--tls-port", &port.to_string()],
        ["--tls-ca-cert-file", &authority],
        ["--tls-cert-file", &certificate],
        ["--tls-key-file", &key],
        ["--tls-auth-clients", "yes"],
    ];
    let redis = Redis::start_private(RedisOptions {
        args: arguments.concat().into_iter().map(str::to_owned).collect(),
        ..RedisOptions::default()
    })?;
    redis.admit_proxy()?;
    let open = |host: &str, ca: Option<&str>, own: bool| -> Result<Gateway> {
        let settings = json!({
            "url": format!("rediss://proxy:secret@{host}:{port}"),
            "tls_ca_file": ca,
            "tls_cert_file": own.then_some(&certificate),
            "tls_key_file": own.then_some(&key),
        });
        let settings: config::Redis = serde_json::from_value(settings)?;
        Ok(Gateway::open(&settings)?)
    };
    let trusted = Some(authority.as_str());
    write(&open("127.0.0.1", trusted, true)?).await?;
    let changes = open("127.0.0.1", trusted, true)?.product_changes().await;
    ensure!(changes.is_ok(), "subscriptions are encrypted too");

    // Nobody that the system trusts has signed it; it is another's; the server asks who comes.
    let other = Certificates::make(&Home::for_test("tls-other")?)?;
    let other = path(&other.authority)?;
    for (what, gateway) in [
        (
            "a certificate of another authority",
            open("127.0.0.1", Some(&other), true)?,
        ),
        (
            "a certificate for another host",
            open("localhost", trusted, true)?,
        ),
        (
            "no certificate of its own",
            open("127.0.0.1", trusted, false)?,
        ),
    ] {
        let answered = write(&gateway).await;
        let is_not_done = matches!(answered, Err(Error::NotDone { .. }));
        ensure!(is_not_done, "{what}: {answered:?}");
    }
    Ok(())
}
