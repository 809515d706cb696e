//! The `INV` commands, typed. Their meanings are in docs/commands.md.

use futures::future::{join_all, try_join_all};
use redis::{Cmd, FromRedisValue, ParsingError, Value, cmd};
use uuid::Uuid;

use super::{Error, Gateway};
use crate::catalogue::Sku;

/// What a command that changes stock says happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Word {
    /// Done; in a refused [`Gateway::reserve_all`], a line that was not at fault.
    Ok,
    /// The hold is live.
    Reserved,
    /// The hold waits for CONFIRM or RELEASE without a deadline.
    Prepared,
    /// The deadline was moved.
    Extended,
    /// The units are sold.
    Confirmed,
    /// The units were given back.
    Released,
    /// Sold units were taken back.
    Returned,
    /// Fewer units are available than were asked for.
    OutOfStock,
    /// The hold's deadline has passed.
    Expired,
    /// A late hold could not be taken again.
    SoldOut,
    /// The hold is sold already and cannot be given back.
    AlreadyConfirmed,
    /// No such hold is or was known.
    UnknownHold,
    /// The count would fall below what is held.
    BelowHeld,
    /// The key has changed since `seq`.
    Stale,
}

/// The answer of a command that changes stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// What happened.
    pub word: Word,
    /// Units that can be held now.
    pub available: i64,
    /// The key's change counter.
    pub seq: i64,
    /// The hold's deadline, Unix ms; 0 where there is none.
    pub deadline_ms: i64,
    /// True when this answers a repetition.
    pub replayed: bool,
}

/// The stock of one SKU as `INV.GET` shows it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Stock {
    /// Units in the house, not yet sold.
    pub on_hand: i64,
    /// Units in live holds.
    pub held: i64,
    /// Of these, units whose sale is being committed.
    pub prepared: i64,
    /// Units that can be held now.
    pub available: i64,
    /// Units sold since the key was made.
    pub sold: i64,
    /// The key's change counter.
    pub seq: i64,
    /// How many holds are live.
    #[serde(skip)]
    pub holds: i64,
}

/// One line of a hold: what, and how many.
pub type Line<'a> = (&'a Sku, i64);

impl Gateway {
    /// What is available of each line now: `OutOfStock` where it is less than the line asks for,
    /// else `Ok`.
    pub async fn availability(&self, lines: &[Line<'_>]) -> Result<Vec<Outcome>, Error> {
        let stocks = try_join_all(lines.iter().map(|(sku, _)| self.stock(sku))).await?;
        let outcomes = lines.iter().zip(stocks).map(|((_, quantity), stock)| {
            let (available, seq) = stock.map_or((0, 0), |stock| (stock.available, stock.seq));
            let word = if available < *quantity {
                Word::OutOfStock
            } else {
                Word::Ok
            };
            Outcome {
                word,
                available,
                seq,
                deadline_ms: 0,
                replayed: false,
            }
        });
        Ok(outcomes.collect())
    }

    /// `INV.PREPARE … LATE` on every line: stops the deadlines, and takes again what expired or
    /// was lost in a failover.
    pub async fn prepare_all(&self, hold: Uuid, lines: &[Line<'_>]) -> Result<Vec<Outcome>, Error> {
        self.each(lines, |sku, quantity| {
            on_hold("INV.PREPARE", sku, hold)
                .arg("LATE")
                .arg(quantity)
                .to_owned()
        })
        .await
    }

    /// `INV.CONFIRM` on every line: sells. With `late`, takes again first what expired or was lost.
    pub async fn confirm_all(
        &self,
        hold: Uuid,
        lines: &[Line<'_>],
        late: bool,
    ) -> Result<Vec<Outcome>, Error> {
        self.each(lines, |sku, quantity| {
            let mut command = on_hold("INV.CONFIRM", sku, hold);
            if late {
                command.arg("LATE").arg(quantity);
            }
            command
        })
        .await
    }

    /// `INV.RELEASE` on every line: gives back. Of a SKU whose stock is gone nothing is held.
    pub async fn release_all(&self, hold: Uuid, lines: &[Line<'_>]) -> Result<Vec<Outcome>, Error> {
        let released = lines.iter().map(|(sku, _)| async move {
            match self.call(&on_hold("INV.RELEASE", sku, hold)).await {
                Err(error) if error.has_prefix("NOSUCHSTOCK") => Ok(Outcome {
                    word: Word::UnknownHold,
                    available: 0,
                    seq: 0,
                    deadline_ms: 0,
                    replayed: false,
                }),
                answered => answered,
            }
        });
        all_told(join_all(released).await)
    }

    /// `INV.RETURN` on every line: takes back what `hold` sold, once under `return_id`.
    pub async fn return_all(
        &self,
        hold: Uuid,
        lines: &[Line<'_>],
        return_id: &str,
    ) -> Result<Vec<Outcome>, Error> {
        self.each(lines, |sku, quantity| {
            on_hold("INV.RETURN", sku, hold)
                .arg(return_id)
                .arg(quantity)
                .to_owned()
        })
        .await
    }

    /// `INV.EXTEND` on every line: moves the deadlines to `ttl_ms` from now, forward only.
    pub async fn extend_all(
        &self,
        hold: Uuid,
        lines: &[Line<'_>],
        ttl_ms: u64,
    ) -> Result<Vec<Outcome>, Error> {
        self.each(lines, |sku, _| {
            on_hold("INV.EXTEND", sku, hold)
                .arg("PX")
                .arg(ttl_ms)
                .to_owned()
        })
        .await
    }

    /// `INV.SET`: the count of a SKU, only if its key is still at `seq` (0: does not exist).
    pub async fn set_stock(&self, sku: &Sku, on_hand: i64, seq: i64) -> Result<Outcome, Error> {
        self.call(cmd("INV.SET").arg(key(sku)).arg(on_hand).arg("IF").arg(seq))
            .await
    }

    /// `INV.ADJUST … ID`: adds `delta` once, however often it is sent.
    pub async fn adjust_stock(
        &self,
        sku: &Sku,
        delta: i64,
        adjustment_id: &str,
    ) -> Result<Outcome, Error> {
        self.call(
            cmd("INV.ADJUST")
                .arg(key(sku))
                .arg(delta)
                .arg("ID")
                .arg(adjustment_id),
        )
        .await
    }

    /// `INV.GET`: the stock of a SKU, if its key exists.
    pub async fn stock(&self, sku: &Sku) -> Result<Option<Stock>, Error> {
        self.call(cmd("INV.GET").arg(key(sku))).await
    }

    /// `INV.GET` of many SKUs, one answer each in the order asked.
    pub async fn stocks(&self, skus: &[&Sku]) -> Result<Vec<Option<Stock>>, Error> {
        // The connection is multiplexed, so these leave as one batch.
        let asked: Vec<_> = skus.iter().map(|sku| self.stock(sku)).collect();
        try_join_all(asked).await
    }

    async fn each(
        &self,
        lines: &[Line<'_>],
        command: impl Fn(&Sku, i64) -> Cmd,
    ) -> Result<Vec<Outcome>, Error> {
        // They leave as one batch to each server, and every line is told, whatever another says.
        let told = lines.iter().map(|(sku, quantity)| {
            let command = command(sku, *quantity);
            async move { self.call(&command).await }
        });
        all_told(join_all(told).await)
    }
}

/// The answers of every line, or an error. One that leaves more open comes before a refusal, by which
/// a caller may know that there is nothing more to tell.
fn all_told(answers: Vec<Result<Outcome, Error>>) -> Result<Vec<Outcome>, Error> {
    let is_open = |answer: &Result<Outcome, Error>| matches!(answer, Err(error) if !matches!(error, Error::Refused { .. }));
    match answers.iter().position(is_open) {
        Some(open) => answers.into_iter().skip(open).take(1).collect(),
        None => answers.into_iter().collect(),
    }
}

/// The stock key of a SKU: the braces keep all places of one SKU in one slot.
pub(super) fn key(sku: &Sku) -> String {
    format!("inv:{{{sku}}}")
}

fn on_hold(name: &str, sku: &Sku, hold: Uuid) -> Cmd {
    cmd(name).arg(key(sku)).arg(hold.to_string()).to_owned()
}

impl FromRedisValue for Word {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        use serde::de::value::{Error, StrDeserializer};
        let text = String::from_redis_value(value)?;
        let known = <Word as serde::Deserialize>::deserialize(StrDeserializer::<Error>::new(&text));
        known.map_err(|error| error.to_string().into())
    }
}

impl FromRedisValue for Outcome {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let (word, available, seq, deadline_ms, replayed) =
            FromRedisValue::from_redis_value(value)?;
        Ok(Self {
            word,
            available,
            seq,
            deadline_ms,
            replayed,
        })
    }
}

impl FromRedisValue for Stock {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let counts: std::collections::HashMap<String, i64> =
            FromRedisValue::from_redis_value(value)?;
        let count = |name: &str| {
            let found = counts.get(name).copied();
            found.ok_or_else(|| ParsingError::from(format!("INV.GET left out '{name}'")))
        };
        Ok(Self {
            on_hand: count("on_hand")?,
            held: count("held")?,
            prepared: count("prepared")?,
            available: count("available")?,
            sold: count("sold")?,
            seq: count("seq")?,
            holds: count("holds")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_not_told_is_not_hidden_behind_one_that_was_refused() {
        let told = || {
            Ok(Outcome {
                word: Word::Confirmed,
                available: 3,
                seq: 9,
                deadline_ms: 0,
                replayed: false,
            })
        };
        let refused = || {
            Err(Error::Refused {
                command: "INV.CONFIRM".into(),
                message: "NOSUCHSTOCK no stock".into(),
            })
        };
        let away = all_told(vec![told(), refused(), Err(Error::Away), told()]);
        assert!(matches!(away, Err(Error::Away)), "{away:?}");
        let lost = all_told(vec![told(), refused()]).expect_err("an error");
        assert!(lost.has_prefix("NOSUCHSTOCK"), "{lost:?}");
        assert_eq!(
            all_told(vec![told(), told()]).map_or(0, |lines| lines.len()),
            2
        );
    }
}
