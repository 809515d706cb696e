//! Controls: the module with one thing wrong must fail the check that is there to see it, else the check proves nothing.

#[path = "module_support/hammer/mod.rs"]
mod hammer;
#[path = "module_support/histories/mod.rs"]
mod histories;
mod module_support;
#[path = "module_support/sabotage.rs"]
mod sabotage;

use anyhow::{Result, ensure};
use hammer::Hammer;
use histories::Trial;
use histories::record::Deadlines;
use holdfast_tests::redis::{Redis, RedisOptions};
use module_support::{ask, replays_touch_no_watch};
use sabotage::sabotaged;

type Check = fn(RedisOptions) -> Result<()>;

/// The hammer of `module_hammer`, but shorter.
fn hammer(options: RedisOptions) -> Result<()> {
    let hammer = Hammer {
        seed: 1,
        clients: 2,
        steps: 1_500,
    };
    hammer.run(options).map(drop)
}

/// The histories of `module_linearizability`, but fewer.
fn histories(options: RedisOptions) -> Result<()> {
    let trial = Trial {
        histories: 50,
        seed: 1,
        deadlines: Deadlines::Far,
    };
    trial.run(&Redis::start_private(options)?, |_| Ok(()))
}

fn watch(options: RedisOptions) -> Result<()> {
    let redis = Redis::start_private(options)?;
    replays_touch_no_watch(&mut redis.connection()?, &mut redis.connection()?)
}

fn must_fail(patch: &str, check: Check, sign: &str) -> Result<()> {
    let Err(error) = check(sabotaged(Some(patch))?) else {
        anyhow::bail!("nobody sees what {patch}.patch does");
    };
    let error = format!("{error:#}");
    ensure!(
        error.contains(sign),
        "{patch}.patch was caught, but not by {sign:?}: {error}"
    );
    Ok(())
}

#[test]
fn the_module_as_it_is_passes_each_check() -> Result<()> {
    let options = sabotaged(None)?;
    hammer(options.clone())?;
    histories(options.clone())?;
    watch(options)
}

#[test]
fn commands_replicated_as_they_were_asked_are_caught() -> Result<()> {
    must_fail("replicate-as-asked", hammer, "the replica differs")
}

#[test]
fn a_sweep_on_a_replica_is_caught() -> Result<()> {
    must_fail("sweep-on-a-replica", hammer, "differs")
}

#[test]
fn expiry_that_is_not_replicated_is_caught() -> Result<()> {
    must_fail("expiry-not-replicated", hammer, "the replica differs")
}

#[test]
fn a_rewrite_that_forgets_something_is_caught() -> Result<()> {
    must_fail(
        "rewrite-without-adjustments",
        hammer,
        "the file rewritten as commands differs",
    )
}

#[test]
fn forgotten_outcomes_are_caught() -> Result<()> {
    must_fail("forget-outcomes", histories, "is not linearizable")
}

#[test]
fn a_unit_sold_twice_is_caught() -> Result<()> {
    must_fail("sell-one-too-many", histories, "is not linearizable")
}

#[test]
fn a_replay_that_touches_watch_is_caught() -> Result<()> {
    must_fail("touch-watch-on-a-replay", watch, "must not touch WATCH")
}

#[test]
#[ignore = "needs a server under valgrind, which tests/sanitizer/run starts and whose log it reads"]
fn a_read_of_freed_memory_leaves_the_server_running() -> Result<()> {
    let redis = Redis::start_private(sabotaged(Some("read-freed-memory"))?)?;
    let answer = ask(&mut redis.connection()?, "INV.SET a 5");
    ensure!(answer == "OK 5 1 0 0", "{answer}");
    redis.server()?.stop()
}
