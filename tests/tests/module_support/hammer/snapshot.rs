//! What a server has, as digests that two servers can be compared by.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use holdfast_tests::redis::Redis;

use super::commands::all_keys;
use super::server_commands::DATABASES;
use crate::module_support::ask;

/// The digest of the whole dataset and that of each key, over everything that its value is made of.
pub struct Snapshot {
    whole: String,
    keys: BTreeMap<(u64, String), [String; 3]>,
}

impl Snapshot {
    pub fn of(redis: &Redis) -> Result<Snapshot> {
        let c = &mut redis.connection()?;
        let whole = ask(c, "DEBUG DIGEST");
        let mut keys = BTreeMap::new();
        for db in 0..DATABASES {
            ask(c, &format!("SELECT {db}"));
            for key in all_keys() {
                let shown = ["DEBUG DIGEST-VALUE", "INV.GET", "SESSION.GET"]
                    .map(|command| ask(c, &format!("{command} {key}")));
                keys.insert((db, key), shown);
            }
        }
        Ok(Snapshot { whole, keys })
    }

    /// Refuses another that differs in any key, and says how.
    pub fn require_same(&self, other: &Snapshot, what: &str) -> Result<()> {
        let differing: Vec<_> = (self.keys.iter())
            .filter_map(|(at, mine)| Some((at, mine, other.keys.get(at)?)))
            .filter(|(_, [mine, ..], [theirs, ..])| mine != theirs)
            .map(|(at, mine, theirs)| format!("{at:?}:\n  {mine:?}\n  {theirs:?}"))
            .collect();
        ensure!(
            self.whole == other.whole && differing.is_empty(),
            "{what} differs: {} is not {}\n{}",
            other.whole,
            self.whole,
            differing.join("\n")
        );
        Ok(())
    }

    /// How many keys have a value of the module.
    pub fn values(&self) -> usize {
        let of_module = |[_, stock, session]: &&[String; 3]| {
            stock.starts_with("on_hand") || session.starts_with("user")
        };
        self.keys.values().filter(of_module).count()
    }
}
