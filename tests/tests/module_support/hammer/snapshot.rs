//! What a server has, as digests and totals that two servers can be compared by.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use holdfast_tests::redis::Redis;

use super::commands::all_keys;
use super::server_commands::DATABASES;
use crate::module_support::{ask, eventually, info};

/// What INFO adds up over all keys, by every way on which they come, change and go.
const TOTALS: [&str; 7] = [
    "stock_keys",
    "holds",
    "holds_prepared",
    "units_held",
    "outcomes",
    "adjustments",
    "sessions",
];

/// The digest of the whole dataset and that of each key, over everything that its value is made of, and the totals.
pub struct Snapshot {
    whole: String,
    totals: Vec<(&'static str, String)>,
    keys: BTreeMap<(u64, String), [String; 3]>,
}

impl Snapshot {
    pub fn of(redis: &Redis) -> Result<Snapshot> {
        let c = &mut redis.connection()?;
        // What is freed in the background counts until it is gone.
        eventually("what was deleted to be free", || {
            Ok(info(c, "memory", "lazyfree_pending_objects")?.as_deref() == Some("0"))
        })?;
        let mut totals = Vec::new();
        for name in TOTALS {
            let total = info(c, "holdfast", &format!("holdfast_{name}"))?;
            totals.push((name, total.context(name)?));
        }
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
        Ok(Snapshot {
            whole,
            totals,
            keys,
        })
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
        ensure!(
            self.totals == other.totals,
            "{what} has the same keys and other totals: {:?} are not {:?}",
            other.totals,
            self.totals
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
