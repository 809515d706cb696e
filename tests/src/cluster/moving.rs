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
        let target = id(to)?;
        let connection = &mut from.connection()?;
        let mut moved = Vec::new();
        for slot in slots {
            self.begin_moving(slot, from, to)?;
            while self.migrate_some(connection, slot, to)? {}
            // The target first: if the source went first and died, nobody would say that the slot is its own.
            for node in [to, from] {
                run(node, &format!("CLUSTER SETSLOT {slot} NODE {target}"))?;
            }
            moved.push(slot);
        }
        self.wait_until_owned(&moved, to)
    }

    /// Has a slot be on its way until [`RedisCluster::move_slots`] moves it to the end: what is not at `from`, new keys
    /// above all, is asked for at `to`.
    pub fn begin_moving(&self, slot: usize, from: &Redis, to: &Redis) -> Result<()> {
        run(
            to,
            &format!("CLUSTER SETSLOT {slot} IMPORTING {}", id(from)?),
        )?;
        run(
            from,
            &format!("CLUSTER SETSLOT {slot} MIGRATING {}", id(to)?),
        )?;
        Ok(())
    }

    /// Moves these keys of a slot that is on its way, and no others.
    pub fn move_keys(&self, keys: &[String], from: &Redis, to: &Redis) -> Result<()> {
        self.migrate(&mut from.connection()?, to, keys)
    }

    /// The keys of a slot that a node has.
    pub fn keys_in(&self, slot: usize, node: &Redis) -> Result<Vec<String>> {
        let mut keys = redis::cmd("CLUSTER");
        keys.arg("GETKEYSINSLOT").arg(slot).arg(i32::MAX);
        Ok(keys.query(&mut node.connection()?)?)
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
        self.migrate(from, to, &keys)?;
        Ok(true)
    }

    fn migrate<K: redis::ToRedisArgs>(
        &self,
        from: &mut Connection,
        to: &Redis,
        keys: &[K],
    ) -> Result<()> {
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
        Ok(())
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
