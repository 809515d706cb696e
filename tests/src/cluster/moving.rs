//! Slots are moved from one node to another while both serve.

use std::ops::Range;

use anyhow::{Result, ensure};
use redis::Connection;

use super::{RedisCluster, id, run, serves};
use crate::redis::Redis;

/// How many keys one MIGRATE takes along: all of them wait until it is done.
const KEYS_AT_ONCE: usize = 10;

impl RedisCluster {
    /// Moves slots key by key, as `redis-cli --cluster reshard` does, and waits until all nodes know.
    pub fn move_slots(
        &self,
        slots: impl IntoIterator<Item = usize>,
        from: &Redis,
        to: &Redis,
    ) -> Result<()> {
        let (source, target) = (id(from)?, id(to)?);
        let connection = &mut from.connection()?;
        let mut moved = Vec::new();
        for slot in slots {
            run(to, &format!("CLUSTER SETSLOT {slot} IMPORTING {source}"))?;
            run(from, &format!("CLUSTER SETSLOT {slot} MIGRATING {target}"))?;
            while self.migrate_some(connection, slot, to)? {}
            // The target first: if the source went first and died, nobody would say that the slot is its own.
            for node in [to, from] {
                run(node, &format!("CLUSTER SETSLOT {slot} NODE {target}"))?;
            }
            moved.push(slot);
        }
        self.wait_until_owned(&moved, to)
    }

    /// Moves neighbouring slots as one, as Valkey 9 can (`CLUSTER MIGRATESLOTS`), and waits until all nodes know.
    pub fn move_slots_whole(&self, slots: Range<usize>, from: &Redis, to: &Redis) -> Result<()> {
        let (first, last) = (slots.start, slots.end - 1);
        let command = format!(
            "CLUSTER MIGRATESLOTS SLOTSRANGE {first} {last} NODE {}",
            id(to)?
        );
        run(from, &command)?;
        self.wait_until_owned(&slots.collect::<Vec<_>>(), to)
    }

    /// Whether the servers know `CLUSTER MIGRATESLOTS`.
    pub fn moves_slots_whole(&self) -> Result<bool> {
        crate::redis::moves_slots_whole()
    }

    /// Moves some of the slot's keys; whether there were any.
    fn migrate_some(&self, from: &mut Connection, slot: usize, to: &Redis) -> Result<bool> {
        let keys: Vec<Vec<u8>> = redis::cmd("CLUSTER")
            .arg("GETKEYSINSLOT")
            .arg(slot)
            .arg(KEYS_AT_ONCE)
            .query(from)?;
        if keys.is_empty() {
            return Ok(false);
        }
        let mut migrate = redis::cmd("MIGRATE");
        migrate
            .arg("127.0.0.1")
            .arg(to.port()?)
            .arg("")
            .arg(0)
            .arg(5_000);
        if let Some(users) = &self.options.users {
            migrate
                .arg("AUTH2")
                .arg("operator")
                .arg(users.password("operator")?);
        }
        let answer: String = migrate.arg("KEYS").arg(keys).query(from)?;
        ensure!(answer == "OK" || answer == "NOKEY", "MIGRATE: {answer}");
        Ok(true)
    }

    /// Waits until every node that runs says that the slots are served by `to`.
    fn wait_until_owned(&self, slots: &[usize], to: &Redis) -> Result<()> {
        let owner = id(to)?;
        self.wait_until("the slots to be known as moved", |nodes| {
            let line = nodes.lines().find(|line| line.starts_with(&owner));
            line.is_some_and(|line| slots.iter().all(|slot| serves(line, *slot)))
        })
    }
}
