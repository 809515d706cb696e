//! Redis, by raw commands: the ledger of each SKU and the live holds.

use std::collections::HashMap;

use redis::{Cmd, FromRedisValue, cmd};
use uuid::Uuid;

use super::Error;
use super::evidence::orders::Hold;
use super::evidence::stock::Ledger;
use super::evidence::{Evidence, HoldId, LiveHold};
use super::reach::{Place, Reach};
use crate::config;

/// Commands sent at once.
const BATCH: usize = 1000;
/// Live holds to a page.
const PAGE: u32 = 10_000;

/// A connection to Redis.
pub struct Redis {
    reach: Reach,
}

/// One element of `INV.HOLDS`: id, state, units, time.
type HoldRow = (Vec<u8>, String, i64, i64);

impl Redis {
    /// Connects.
    pub async fn open(config: &config::Redis) -> Result<Self, Error> {
        let reach = Reach::open(config).await?;
        Ok(Self { reach })
    }

    /// Adds the ledger and the live holds of every SKU that has a key, and of those in `skus`.
    pub async fn read(&mut self, skus: Vec<String>, evidence: &mut Evidence) -> Result<(), Error> {
        for name in skus {
            evidence.stocks.place(&name);
        }
        for name in self.keys().await? {
            evidence.stocks.place(&name);
        }
        let names: Vec<_> = evidence
            .stocks
            .iter()
            .map(|stock| stock.name.clone())
            .collect();
        let ledgers = self.ledgers(&names).await?;
        for (place, ledger) in ledgers.into_iter().enumerate() {
            evidence.stocks.at_mut(place).ledger = ledger;
            if ledger.is_some_and(|ledger| ledger.holds > 0) {
                self.live_holds(place, &names[place], &mut evidence.holds)
                    .await?;
            }
        }
        Ok(())
    }

    /// The SKUs that have a key; keys of further locations, `inv:{SKU}:leeds`, are not the shop's.
    async fn keys(&mut self) -> Result<Vec<String>, Error> {
        let mut names = Vec::new();
        for place in self.reach.places().await? {
            names.extend(self.keys_at(&place).await?);
        }
        Ok(names)
    }

    async fn keys_at(&mut self, place: &Place) -> Result<Vec<String>, Error> {
        let mut names = Vec::new();
        let mut cursor = 0_u64;
        loop {
            let mut scan = cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg("inv:{*}");
            scan.arg("COUNT").arg(BATCH);
            let (next, keys): (u64, Vec<Vec<u8>>) = self.reach.ask_at(place, scan).await?;
            names.extend(keys.iter().filter_map(|key| {
                let name = std::str::from_utf8(key)
                    .ok()?
                    .strip_prefix("inv:{")?
                    .strip_suffix('}')?;
                Some(name.to_owned())
            }));
            if next == 0 {
                return Ok(names);
            }
            cursor = next;
        }
    }

    /// `INV.GET` of each, in the order asked.
    pub async fn ledgers<N: AsRef<str>>(
        &mut self,
        names: &[N],
    ) -> Result<Vec<Option<Ledger>>, Error> {
        let mut ledgers = Vec::with_capacity(names.len());
        for batch in names.chunks(BATCH) {
            let asked = batch.iter().map(|name| about("INV.GET", name.as_ref()));
            let told: Vec<Option<HashMap<String, i64>>> =
                self.reach.ask_all(asked.collect()).await?;
            ledgers.extend(told.iter().map(|fields| fields.as_ref().map(ledger)));
        }
        Ok(ledgers)
    }

    async fn live_holds(
        &mut self,
        sku: usize,
        name: &str,
        holds: &mut Vec<LiveHold>,
    ) -> Result<(), Error> {
        let mut cursor = "0".to_owned();
        loop {
            let mut command = about("INV.HOLDS", name);
            command.arg("CURSOR").arg(&cursor);
            command.arg("COUNT").arg(PAGE);
            let (next, page): (String, Vec<HoldRow>) = self.reach.ask(&command).await?;
            holds.extend(page.into_iter().map(|(id, state, units, _)| LiveHold {
                sku,
                id: HoldId::of(&id),
                prepared: state == "PREPARED",
                units,
                stays: true,
            }));
            if next == "0" {
                return Ok(());
            }
            cursor = next;
        }
    }

    /// `INV.HOLD` of each SKU and id, in the order asked.
    pub async fn holds(&mut self, asked: &[(&str, String)]) -> Result<Vec<Hold>, Error> {
        let mut holds = Vec::with_capacity(asked.len());
        for batch in asked.chunks(BATCH) {
            let commands = batch.iter().map(|(name, id)| {
                let mut command = about("INV.HOLD", name);
                command.arg(id);
                command
            });
            let told: Vec<Option<HashMap<String, redis::Value>>> =
                self.reach.ask_all(commands.collect()).await?;
            for fields in told {
                holds.push(hold(fields)?);
            }
        }
        Ok(holds)
    }
}

impl HoldId {
    fn of(bytes: &[u8]) -> Self {
        match Uuid::try_parse_ascii(bytes) {
            Ok(id) => Self::Order(id),
            Err(_) => Self::Other(String::from_utf8_lossy(bytes).into()),
        }
    }

    /// As Redis knows it.
    pub fn text(&self) -> String {
        match self {
            Self::Order(id) => id.to_string(),
            Self::Other(name) => name.to_string(),
        }
    }
}

fn about(command: &str, name: &str) -> Cmd {
    cmd(command).arg(format!("inv:{{{name}}}")).to_owned()
}

fn ledger(fields: &HashMap<String, i64>) -> Ledger {
    let field = |name: &str| fields.get(name).copied().unwrap_or_default();
    Ledger {
        on_hand: field("on_hand"),
        held: field("held"),
        prepared: field("prepared"),
        available: field("available"),
        sold: field("sold"),
        seq: field("seq"),
        holds: field("holds"),
        shortfall: field("shortfall"),
    }
}

fn hold(fields: Option<HashMap<String, redis::Value>>) -> Result<Hold, Error> {
    let Some(mut fields) = fields else {
        return Ok(Hold::Unknown);
    };
    let state = fields.remove("state").unwrap_or(redis::Value::Nil);
    let state = String::from_redis_value(state).map_err(redis::RedisError::from)?;
    Ok(match state.as_str() {
        "CONFIRMED" => Hold::Confirmed,
        "RELEASED" => Hold::Released,
        "EXPIRED" => Hold::Expired,
        _ => Hold::Live,
    })
}
