//! The launcher's Redis: starts, keeps its port and its files, is found again, and is stopped by pid.
//!
//! Without the module, because the launcher is what is tested here.

use std::time::Duration;

use anyhow::Result;
use holdfast_tests::data::Home;
use holdfast_tests::process::{self, Process};
use holdfast_tests::redis::{Redis, RedisOptions};
use holdfast_tests::{ports, wait};
use redis::Commands;

fn plain() -> RedisOptions {
    RedisOptions {
        module: false,
        ..RedisOptions::default()
    }
}

#[test]
fn it_answers_on_its_own_port_with_the_projects_configuration() -> Result<()> {
    let redis = Redis::start_private(plain())?;
    let policy: Vec<String> = redis::cmd("CONFIG")
        .arg("GET")
        .arg("maxmemory-policy")
        .query(&mut redis.connection()?)?;
    assert_eq!(policy, ["maxmemory-policy", "volatile-lru"]);
    assert!(redis.server()?.home().path("log").exists());
    Ok(())
}

#[test]
fn a_killed_server_comes_back_on_its_port_with_its_data() -> Result<()> {
    let options = RedisOptions {
        args: vec!["--appendfsync".into(), "always".into()],
        ..plain()
    };
    let redis = Redis::start_private(options)?;
    let (port, pid) = (redis.port()?, redis.server()?.pid()?);
    redis.connection()?.set::<_, _, ()>("lantern", 9)?;

    redis.server()?.kill()?;
    assert!(!redis.server()?.is_running());
    assert!(redis.connection().is_err());

    redis.start_again()?;
    assert_eq!(redis.port()?, port);
    assert_ne!(redis.server()?.pid()?, pid);
    assert_eq!(redis.connection()?.get::<_, i64>("lantern")?, 9);
    Ok(())
}

#[test]
fn dropping_it_ends_the_process_and_frees_the_port() -> Result<()> {
    let redis = Redis::start_private(plain())?;
    let (port, pid) = (redis.port()?, redis.server()?.pid()?);
    drop(redis);
    assert!(!process::exists(pid));
    assert!(ports::is_free(port));
    Ok(())
}

#[test]
fn what_a_crashed_run_left_is_found_by_its_note_and_killed() -> Result<()> {
    let run = Home::for_test("crashed-run")?;
    let home = Home {
        folder: run.path("redis"),
        lifetime: run.lifetime,
    };
    std::fs::create_dir(&home.folder)?;
    let redis = Redis::start_private(RedisOptions {
        home: Some(home.clone()),
        ..plain()
    })?;
    let pid = redis.server()?.pid()?;
    std::mem::forget(redis);

    assert_eq!(
        Process::find(&home.folder).map(|found| found.pid()),
        Some(pid)
    );
    process::kill_leftovers(&run.folder);
    assert!(Process::find(&home.folder).is_none());
    Ok(())
}

#[test]
fn a_replica_follows_its_primary() -> Result<()> {
    let primary = Redis::start_private(plain())?;
    let replica = Redis::start_private(RedisOptions {
        replica_of: Some(primary.port()?),
        ..plain()
    })?;
    primary.connection()?.set::<_, _, ()>("lantern", 9)?;
    let mut connection = replica.connection()?;
    let value: i64 = wait::until(
        "the replica to have the key",
        Duration::from_secs(20),
        || Ok(connection.get::<_, Option<i64>>("lantern")?),
    )?;
    assert_eq!(value, 9);
    Ok(())
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let options = RedisOptions {
        args: vec!["--no-such-option".into(), "1".into()],
        ..plain()
    };
    let error = format!("{:#}", Redis::start_private(options).unwrap_err());
    assert!(error.contains("no-such-option"), "{error}");
}
