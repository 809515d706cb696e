//! Histories of clients that work on one key at once, and the judgement whether they are linearizable.

// Each test binary uses a part of this.
#![allow(dead_code)]

pub mod record;
pub mod specification;

use anyhow::{Result, ensure};
use holdfast_tests::redis::Redis;
use record::{Actions, Deadlines, record, shown};
use specification::OneKey;
use todc_utils::linearizability::WGLChecker;
use todc_utils::linearizability::history::History;

const CLIENTS: usize = 4;

/// How many histories are recorded, and of what.
pub struct Trial {
    pub histories: u64,
    pub seed: u64,
    pub deadlines: Deadlines,
}

impl Trial {
    /// Records histories on keys of their own, requires that each is linearizable, and shows it to `each`.
    pub fn run(&self, redis: &Redis, mut each: impl FnMut(&Actions) -> Result<()>) -> Result<()> {
        let connections = (0..CLIENTS).map(|_| redis.connection());
        let mut connections = connections.collect::<Result<Vec<_>>>()?;
        for number in 0..self.histories {
            let seed = self.seed + number;
            let key = format!("history-{seed}");
            let actions = record(&mut connections, &key, seed, self.deadlines)?;
            ensure!(
                is_linearizable(actions.clone()),
                "the history of seed {seed} is not linearizable:\n{}",
                shown(&actions)
            );
            each(&actions)?;
        }
        Ok(())
    }
}

/// Whether the replies are those of commands that came one after another.
pub fn is_linearizable(actions: Actions) -> bool {
    WGLChecker::<OneKey>::is_linearizable(History::from_actions(actions))
}
