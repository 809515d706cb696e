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
use holdfast_tests::process::Launch;
use holdfast_tests::redis::{self as servers, Redis, RedisOptions};
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
    gateway.is_writable_at(&gateway.shards()[0]).await
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

/// Not done, for a reason that has this in it, and after it was tried for as long as there was time for an answer.
#[track_caller]
fn was_not_done(answered: Result<(), Error>, reason: &str, began: Instant) {
    match answered {
        Err(Error::NotDone { cause, .. }) if cause.contains(reason) => {}
        other => panic!("{reason}: {other:?}"),
    }
    let took = began.elapsed();
    assert!(took > DEADLINE / 2, "{reason}: it was not tried again");
    assert!(took < 2 * DEADLINE, "{reason}: the deadline was missed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_may_not_do_now_is_not_done_and_tried_again_until_the_deadline() -> Result<()>
{
    let redis = Redis::start_private(RedisOptions::default())?;
    let gateway = gateway(redis.url())?;
    write(&gateway).await?;
    let nobody = ports::free()?.to_string();

    configure(&redis, "min-replicas-to-write", "1")?;
    let began = Instant::now();
    was_not_done(write(&gateway).await, "NOREPLICAS", began);
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

/// A server that speaks TLS alone to whoever has a certificate, and lets the user `proxy` in.
struct Encrypted {
    redis: Redis,
    certificates: Certificates,
    port: u16,
}

impl Encrypted {
    fn start() -> Result<Self> {
        let certificates = Certificates::make(&Home::for_test("tls")?)?;
        let port = ports::free()?;
        let mut args = tls_settings(&certificates, port)?;
        // What a Sentinel is told of.
        args.extend(["--replica-announce-port", &port.to_string()].map(str::to_owned));
        let redis = Redis::start_private(RedisOptions {
            args,
            ..RedisOptions::default()
        })?;
        redis.admit_proxy()?;
        Ok(Self {
            redis,
            certificates,
            port,
        })
    }

    /// Who comes to `place` with this authority, and shows a certificate or none.
    fn gateway(&self, url: &str, authority: &Path, shows: bool, secret: &str) -> Result<Gateway> {
        let own = |file: &Path| shows.then(|| file.to_owned());
        let settings = json!({
            "url": url,
            "sentinel_password": secret,
            "tls_ca_file": authority,
            "tls_cert_file": own(&self.certificates.certificate),
            "tls_key_file": own(&self.certificates.key),
        });
        let settings: config::Redis = serde_json::from_value(settings)?;
        Ok(Gateway::open(&settings)?)
    }
}

fn tls_settings(certificates: &Certificates, port: u16) -> Result<Vec<String>> {
    let path = |file: &Path| {
        let path = file.to_str().map(str::to_owned);
        path.context("a path that is no UTF-8")
    };
    let settings = [
        ["--tls-port", &port.to_string()],
        ["--tls-ca-cert-file", &path(&certificates.authority)?],
        ["--tls-cert-file", &path(&certificates.certificate)?],
        ["--tls-key-file", &path(&certificates.key)?],
        ["--tls-auth-clients", "yes"],
    ];
    Ok(settings.concat().into_iter().map(str::to_owned).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_tls_only_who_can_be_trusted_is_talked_to() -> Result<()> {
    let server = Encrypted::start()?;
    let open = |host: &str, authority: &Path, shows: bool| {
        let url = format!("rediss://proxy:secret@{host}:{}", server.port);
        server.gateway(&url, authority, shows, "")
    };
    let trusted = server.certificates.authority.as_path();
    let gateway = open("127.0.0.1", trusted, true)?;
    write(&gateway).await?;
    ensure!(
        gateway.product_changes().await.is_ok(),
        "subscriptions are encrypted too"
    );

    let other = Certificates::make(&Home::for_test("tls-other")?)?.authority;
    for (what, gateway) in [
        (
            "a certificate of another authority",
            open("127.0.0.1", &other, true)?,
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

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_that_speak_tls_and_ask_for_a_password_say_who_is_the_primary() -> Result<()> {
    let server = Encrypted::start()?;
    let home = Home::for_test("sentinel")?;
    let port = ports::free()?;
    let configuration = format!(
        "port 0\ntls-replication yes\nrequirepass knock\nsentinel monitor shop 127.0.0.1 {} 1\n",
        server.port
    );
    let configuration = home.write_private("sentinel.conf", &configuration)?;
    let sentinel = Launch::new(servers::program())
        .arg(configuration)
        .arg("--sentinel")
        .args(tls_settings(&server.certificates, port)?)
        .start(&home)?;

    let open = |service: &str, secret: &str| {
        let url = format!("rediss+sentinel://proxy:secret@127.0.0.1:{port}/{service}");
        server.gateway(&url, &server.certificates.authority, true, secret)
    };
    let gateway = open("shop", "knock")?;
    wait::until_async("the primary to be found", PATIENCE, || async {
        Ok(write(&gateway).await.is_ok().then_some(()))
    })
    .await?;
    for (service, secret) in [("bakery", "knock"), ("shop", "guess")] {
        let began = Instant::now();
        was_not_done(
            write(&open(service, secret)?).await,
            "no primary is known",
            began,
        );
    }

    // What is known is enough without any Sentinel.
    sentinel.kill()?;
    write(&gateway).await?;
    ensure!(
        server.redis.server()?.is_running(),
        "the server was written to"
    );
    Ok(())
}
