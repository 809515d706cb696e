//! A primary and its replica, which change roles, stop and come back from their files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use holdfast_tests::data::Home;
use holdfast_tests::redis::{Redis, RedisOptions};
use holdfast_tests::{ports, wait};
use redis::Connection;

use super::snapshot::Snapshot;
use crate::module_support::{ask, eventually, in_step, info};

/// Two servers with a file each; one is the primary of the other.
pub struct Pair {
    servers: [Redis; 2],
    primary: AtomicUsize,
    options: RedisOptions,
    confuses_databases: bool,
}

impl Pair {
    /// Starts both. `options` are those of either.
    pub fn start(options: RedisOptions) -> Result<Pair> {
        let server = || Redis::start_private(options.clone());
        let servers = [server()?, server()?];
        let version = info(&mut servers[0].connection()?, "server", "valkey_version")?;
        let pair = Pair {
            servers,
            primary: AtomicUsize::new(0),
            options,
            confuses_databases: version.is_some_and(|version| version.starts_with("8.1.")),
        };
        pair.follow()?;
        Ok(pair)
    }

    pub fn primary_index(&self) -> usize {
        self.primary.load(Ordering::Relaxed)
    }

    /// Whether it is Valkey 8.1, which leaves a client in the other database after MOVE and COPY … DB when a module
    /// listens, and then replicates the command as if it had come there (valkey-io/valkey#4024).
    pub fn confuses_databases(&self) -> bool {
        self.confuses_databases
    }

    pub fn primary(&self) -> &Redis {
        &self.servers[self.primary_index()]
    }

    pub fn replica(&self) -> &Redis {
        &self.servers[1 - self.primary_index()]
    }

    /// A connection to each of the two, whatever its role.
    pub fn connections(&self) -> Result<[Connection; 2]> {
        Ok([self.servers[0].connection()?, self.servers[1].connection()?])
    }

    /// Makes the other server follow the primary, and waits until it is in step.
    fn follow(&self) -> Result<()> {
        let port = self.primary().port()?;
        let followed = ask(
            &mut self.replica().connection()?,
            &format!("REPLICAOF 127.0.0.1 {port}"),
        );
        ensure!(followed.starts_with("OK"), "{followed}");
        in_step(self.primary(), self.replica())
    }

    /// Lets the primary change nothing any more, neither by clients nor by sweep or expiry, and returns what it and
    /// its replica have, which must be the same.
    pub fn still(&self) -> Result<Snapshot> {
        ask(
            &mut self.primary().connection()?,
            "CLIENT PAUSE 3600000 WRITE",
        );
        in_step(self.primary(), self.replica())?;
        let snapshot = Snapshot::of(self.primary())?;
        snapshot.require_same(&Snapshot::of(self.replica())?, "the replica")?;
        Ok(snapshot)
    }

    /// Stops both, and requires that the file of each brings back the very same, as it is and rewritten in both forms.
    pub fn stop_and_compare_files(&self, expected: &Snapshot) -> Result<()> {
        self.primary().server()?.stop()?;
        self.replica().server()?.stop()?;
        let from_file = self.reader_of(self.primary())?;
        let compare = |what| expected.require_same(&Snapshot::of(&from_file)?, what);
        compare("the primary's file")?;
        for (preamble, what) in [
            ("no", "the file rewritten as commands"),
            ("yes", "the file rewritten with a preamble"),
        ] {
            rewrite(&from_file, preamble)?;
            from_file.server()?.stop()?;
            from_file.start_again()?;
            compare(what)?;
        }
        ask(&mut from_file.connection()?, "DEBUG RELOAD");
        compare("a reload")?;
        expected.require_same(
            &Snapshot::of(&self.reader_of(self.replica())?)?,
            "the replica's file",
        )
    }

    /// Starts both again from their files, the primary as before or the replica in its place.
    pub fn start_again(&self, promote: bool) -> Result<()> {
        self.servers
            .iter()
            .try_for_each(|server| server.start_again())?;
        if promote {
            self.change_roles();
        }
        self.follow()
    }

    /// Lets the replica take over while clients write, as an operator does for maintenance.
    pub fn fail_over(&self) -> Result<()> {
        let (c, r) = (
            &mut self.primary().connection()?,
            &mut self.replica().connection()?,
        );
        // It is given up when a client changes the replication id meanwhile, and then asked for once more.
        wait::until("the failover", Duration::from_secs(60), || {
            if info(r, "replication", "role")?.as_deref() == Some("master") {
                return Ok(Some(()));
            }
            let state = info(c, "replication", "master_failover_state")?;
            if state.as_deref() == Some("no-failover") {
                ask(c, "FAILOVER TIMEOUT 5000");
            }
            Ok(None)
        })?;
        self.change_roles();
        in_step(self.primary(), self.replica())
    }

    fn change_roles(&self) {
        self.primary
            .store(1 - self.primary_index(), Ordering::Relaxed);
    }

    /// A server that has read a copy of the stopped server's file. It follows a primary that nobody is, so that it
    /// decides nothing and shows what is in the file.
    fn reader_of(&self, stopped: &Redis) -> Result<Redis> {
        let home = Home::for_test("reader")?;
        let name = "appendonlydir";
        copy(
            &stopped.server()?.home().folder.join(name),
            &home.path(name),
        )?;
        Redis::start_private(RedisOptions {
            home: Some(home),
            replica_of: Some(ports::free()?),
            ..self.options.clone()
        })
    }

    /// How often each command was called on the primary since it started, and how often it succeeded.
    pub fn calls(&self) -> Result<BTreeMap<String, [u64; 2]>> {
        let stats: String = redis::cmd("INFO")
            .arg("commandstats")
            .query(&mut self.primary().connection()?)?;
        let line = |line: &str| {
            let (name, stats) = line.strip_prefix("cmdstat_")?.split_once(':')?;
            let value = |name: &str| -> Option<u64> {
                let stat = stats.split(',').find_map(|stat| stat.strip_prefix(name))?;
                stat.parse().ok()
            };
            let calls = value("calls=")?;
            Some((name.to_owned(), [calls, calls - value("failed_calls=")?]))
        };
        Ok(stats.lines().filter_map(|text| line(text.trim())).collect())
    }

    /// Refuses what no server may have logged: a caught panic, an effect of the sweep that did not fit (no client sends
    /// those), or a command of the primary or of the file that was refused.
    pub fn check_logs(&self) -> Result<()> {
        for server in &self.servers {
            let path = server.server()?.home().path("log");
            let log = fs::read_to_string(&path).context("cannot read the log")?;
            let bad = log.lines().find(|line| {
                line.contains("holdfast: a bug")
                    || line.contains("holdfast: effect Expired")
                    || line.contains("holdfast: effect Forgotten")
                    || line.contains("== CRITICAL ==")
            });
            ensure!(bad.is_none(), "{}: {}", path.display(), bad.unwrap_or(""));
        }
        Ok(())
    }
}

fn rewrite(redis: &Redis, preamble: &str) -> Result<()> {
    let c = &mut redis.connection()?;
    ask(c, &format!("CONFIG SET aof-use-rdb-preamble {preamble}"));
    let rewrites = |info: &str| -> Option<u64> {
        let rest = info.split("aof_rewrites:").nth(1)?;
        rest.split('\\').next()?.trim().parse().ok()
    };
    let before = rewrites(&ask(c, "INFO persistence"));
    ask(c, "BGREWRITEAOF");
    eventually("the rewrite", || {
        let info = ask(c, "INFO persistence");
        let over = info.contains("aof_rewrite_in_progress:0")
            && info.contains("aof_rewrite_scheduled:0")
            && info.contains("aof_last_bgrewrite_status:ok");
        Ok(over && rewrites(&info) > before)
    })
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}
