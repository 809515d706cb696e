//! What the reconciler asks Redis and does there.

use std::iter;

use redis::{Cmd, FromRedisValue, ParsingError, Value, cmd};
use uuid::Uuid;

use super::inventory::{Line, Outcome, Stock, Word, key};
use super::{Error, Gateway};
use crate::catalogue::Sku;

/// Holds to a page.
const PAGE: usize = 10_000;
/// The tag of a key that says by its count whether all stock of a shard is there (1) or being made
/// anew (0), and by its absence that it is lost.
const MARKER: &str = "rebuilt";

/// The markers of the shards whose stock is being made anew, and what they were begun with.
#[derive(Debug)]
pub struct Begun(Vec<(String, i64)>);

/// One line of `INV.HOLDS`. Holds are for orders, but anybody may hold under another name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedHold {
    /// As it was given.
    pub id: String,
    /// True when it waits without a deadline.
    pub is_prepared: bool,
    /// Units.
    pub quantity: i64,
}

impl Gateway {
    /// `INV.HOLDS` to the last page: every live hold.
    pub async fn live_holds(&self, sku: &Sku) -> Result<Vec<ListedHold>, Error> {
        let (mut holds, mut cursor) = (Vec::new(), String::from("0"));
        loop {
            let mut command = cmd("INV.HOLDS");
            command.arg(key(sku)).arg("CURSOR").arg(&cursor);
            command.arg("COUNT").arg(PAGE);
            let page: Vec<ListedHold>;
            (cursor, page) = self.call(&command).await?;
            holds.extend(page);
            if cursor == "0" {
                return Ok(holds);
            }
        }
    }

    /// `INV.PENDING`: the ids of holds that have been prepared for `min_age_ms`, the longest
    /// first, as far as one answer goes.
    pub async fn prepared_long(&self, sku: &Sku, min_age_ms: u64) -> Result<Vec<String>, Error> {
        let mut command = cmd("INV.PENDING");
        command.arg(key(sku)).arg(min_age_ms);
        command.arg("COUNT").arg(PAGE);
        let pending: Vec<(String, i64, i64)> = self.call(&command).await?;
        Ok(pending.into_iter().map(|(id, ..)| id).collect())
    }

    /// Whether a change was applied: `INV.ADJUST … ID … IF 0`, which no key can satisfy, so that it
    /// changes nothing, and a change that the key has is answered as a repetition all the same.
    pub async fn has_change(
        &self,
        sku: &Sku,
        delta: i64,
        adjustment_id: &str,
    ) -> Result<bool, Error> {
        let mut command = cmd("INV.ADJUST");
        command
            .arg(key(sku))
            .arg(delta)
            .arg("ID")
            .arg(adjustment_id);
        match self.call::<Outcome>(command.arg("IF").arg(0)).await {
            Ok(outcome) => Ok(outcome.word == Word::Ok),
            Err(error) if error.has_prefix("NOSUCHSTOCK") => Ok(false),
            // The id stands for another change.
            Err(error) if error.has_prefix("MISMATCH") => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// `INV.ADJUST … IF seq FORCE`: moves the count if the key is still at `seq`. Forced, because
    /// units that are not there must not be promised, even if somebody holds them; `None` when
    /// there is no key any more.
    pub async fn correct_stock(
        &self,
        sku: &Sku,
        delta: i64,
        seq: i64,
    ) -> Result<Option<Outcome>, Error> {
        let mut command = cmd("INV.ADJUST");
        command.arg(key(sku)).arg(delta).arg("IF").arg(seq);
        match self.call(command.arg("FORCE")).await {
            Err(error) if error.has_prefix("NOSUCHSTOCK") => Ok(None),
            answered => answered.map(Some),
        }
    }

    /// Makes a lost key anew: `INV.SET … IF 0`, and `INV.PREPARE … LATE` of the orders in flight,
    /// before anybody else can take their units. False when somebody else has made the key.
    pub async fn rebuild_stock(
        &self,
        sku: &Sku,
        on_hand: i64,
        prepares: &[(Uuid, i64)],
    ) -> Result<bool, Error> {
        let mut make = cmd("INV.SET");
        make.arg(key(sku)).arg(on_hand).arg("IF").arg(0);
        let prepares = prepares.iter().map(|(order, quantity)| {
            let mut prepare = cmd("INV.PREPARE");
            prepare.arg(key(sku)).arg(order.to_string());
            prepare.arg("LATE").arg(*quantity).to_owned()
        });
        let commands: Vec<Cmd> = iter::once(make).chain(prepares).collect();
        let outcomes: Vec<Outcome> = self.call_atomically(&commands).await?;
        Ok(outcomes.first().is_some_and(|made| made.word == Word::Ok))
    }

    /// True when no shard that can be asked has lost its stock since [`Gateway::end_rebuilding`].
    pub async fn is_rebuilt(&self) -> Result<bool, Error> {
        Ok(self.lost_markers().await?.is_empty())
    }

    /// Notes that somebody begins to make all stock anew that is lost.
    pub async fn begin_rebuilding(&self) -> Result<Begun, Error> {
        let mut begun = Vec::new();
        for marker in self.lost_markers().await? {
            let outcome: Outcome = self.call(cmd("INV.SET").arg(&marker).arg(0)).await?;
            begun.push((marker, outcome.seq));
        }
        Ok(Begun(begun))
    }

    /// Notes that all stock is there, unless it was lost again since it was begun.
    pub async fn end_rebuilding(&self, begun: &Begun) -> Result<(), Error> {
        for (marker, seq) in &begun.0 {
            let mut command = cmd("INV.SET");
            command.arg(marker).arg(1).arg("IF").arg(*seq);
            self.call::<Outcome>(&command).await?;
        }
        Ok(())
    }

    /// The markers of shards that are not away and do not say that all is there.
    async fn lost_markers(&self) -> Result<Vec<String>, Error> {
        let shards = self.shards().into_iter();
        let there = shards.filter(|shard| !self.is_guarded || !shard.standing().is_away());
        let markers = there.filter_map(|shard| self.shape.tag_at(&shard, MARKER));
        // Like a further place of a SKU, and SKUs are upper case, so that it is nobody's stock.
        let markers = markers.map(|tag| format!("inv:{{{tag}}}:marker"));
        let mut lost = Vec::new();
        for marker in markers {
            let found: Option<Stock> = self.call(cmd("INV.GET").arg(&marker)).await?;
            if found.is_none_or(|found| found.on_hand != 1) {
                lost.push(marker);
            }
        }
        Ok(lost)
    }

    /// Ends one hold as sold, or as given back.
    pub async fn end_hold(&self, order: Uuid, line: Line<'_>, sold: bool) -> Result<Word, Error> {
        let outcomes = if sold {
            self.confirm_all(order, &[line], false).await?
        } else {
            self.release_all(order, &[line]).await?
        };
        Ok(outcomes
            .first()
            .map_or(Word::UnknownHold, |outcome| outcome.word))
    }
}

impl FromRedisValue for ListedHold {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let (id, state, quantity, _since_or_deadline): (String, String, i64, i64) =
            FromRedisValue::from_redis_value(value)?;
        Ok(Self {
            id,
            is_prepared: state == "PREPARED",
            quantity,
        })
    }
}
