//! Holding several lines: all or none.
//!
//! One server does that in one step. In a cluster the lines of an order lie on different nodes: each
//! is held by itself, all at once, and when one is refused the others are given back. Whoever dies
//! between leaves holds that end by their deadlines.

use futures::future::join_all;
use redis::{FromRedisValue, ParsingError, Value, cmd};
use uuid::Uuid;

use super::inventory::{Line, Outcome, Word, key};
use super::{Error, Gateway};

/// The answer of [`Gateway::reserve_all`]: all lines or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// `Reserved`, or the word of the first line that refused.
    pub word: Word,
    /// One outcome a line, in the order asked.
    pub lines: Vec<Outcome>,
}

/// Whether a hold is taken for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taking {
    /// Under an id that nobody else knows.
    New,
    /// It was held at checkout, and another confirmation may be at it: whatever is held by then is
    /// left to its deadline.
    Again,
}

impl Gateway {
    /// Holds every line under `hold` for `ttl_ms`, or none. The error has the prefix `NOSUCHSTOCK`
    /// when a SKU has no key. What is held has been acknowledged by `redis.replica_acks` replicas;
    /// after [`Error::NotReplicated`] it is held all the same. After any error some lines may be
    /// held: release them, or ask for the same again.
    pub async fn reserve_all(
        &self,
        hold: Uuid,
        lines: &[Line<'_>],
        ttl_ms: u64,
        taking: Taking,
    ) -> Result<Reservation, Error> {
        if !self.is_spread() {
            return self.reserve_together(hold, lines, ttl_ms).await;
        }
        let each = lines
            .chunks(1)
            .map(|line| self.reserve_together(hold, line, ttl_ms));
        let reservation = joined(join_all(each).await)?;
        if reservation.word != Word::Reserved && taking == Taking::New {
            let held = lines.iter().zip(&reservation.lines);
            let held = held.filter(|(_, outcome)| outcome.word == Word::Ok);
            let held: Vec<Line<'_>> = held.map(|(line, _)| *line).collect();
            self.give_back(hold, &held).await;
        }
        Ok(reservation)
    }

    /// Gives back what is held for a hold that is refused. What cannot be given back now ends by
    /// its deadline.
    pub async fn give_back(&self, hold: Uuid, lines: &[Line<'_>]) {
        if let Err(error) = self.release_all(hold, lines).await {
            tracing::debug!(%hold, %error, "a refused hold was not given back, and ends by itself");
        }
    }

    /// `INV.MRESERVE`: what lies on one server.
    async fn reserve_together(
        &self,
        hold: Uuid,
        lines: &[Line<'_>],
        ttl_ms: u64,
    ) -> Result<Reservation, Error> {
        let mut command = cmd("INV.MRESERVE");
        command.arg(lines.len());
        for (sku, _) in lines {
            command.arg(key(sku));
        }
        command.arg(hold.to_string());
        for (_, quantity) in lines {
            command.arg(*quantity);
        }
        command.arg("PX").arg(ttl_ms);
        self.reserve(&command).await
    }
}

impl FromRedisValue for Reservation {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let mut parts = Vec::<Value>::from_redis_value(value)?.into_iter();
        let word = parts.next().ok_or("an empty answer to INV.MRESERVE")?;
        let lines = parts
            .map(Outcome::from_redis_value)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            word: Word::from_redis_value(word)?,
            lines,
        })
    }
}

/// What the answers of the lines come to, as if they had been given together. An error that leaves
/// more open comes before one that a later try may mend.
fn joined(answers: Vec<Result<Reservation, Error>>) -> Result<Reservation, Error> {
    let is_lost = |error: &Error| error.has_prefix("NOSUCHSTOCK");
    let (mut lines, mut lost) = (Vec::with_capacity(answers.len()), None);
    for answer in answers {
        match answer {
            Ok(reservation) => lines.extend(reservation.lines),
            Err(error) if is_lost(&error) => lost = Some(error),
            Err(error) => return Err(error),
        }
    }
    if let Some(error) = lost {
        return Err(error);
    }
    let refused = lines.iter().find(|line| line.word != Word::Reserved);
    let word = refused.map_or(Word::Reserved, |line| line.word);
    if word != Word::Reserved {
        for line in lines.iter_mut().filter(|line| line.word == Word::Reserved) {
            line.word = Word::Ok;
            line.deadline_ms = 0;
        }
    }
    Ok(Reservation { word, lines })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(word: Word) -> Result<Reservation, Error> {
        let line = Outcome {
            word,
            available: 3,
            seq: 9,
            deadline_ms: 1_000,
            replayed: false,
        };
        Ok(Reservation {
            word,
            lines: vec![line],
        })
    }

    fn lost() -> Result<Reservation, Error> {
        Err(Error::Refused {
            command: "INV.MRESERVE".into(),
            message: "NOSUCHSTOCK no stock".into(),
        })
    }

    fn unknown() -> Result<Reservation, Error> {
        Err(Error::unknown("INV.MRESERVE", "no answer in time"))
    }

    fn words(answers: Vec<Result<Reservation, Error>>) -> (Word, Vec<Word>) {
        let joined = joined(answers).expect("answers of every line");
        let words = joined.lines.iter().map(|line| line.word);
        (joined.word, words.collect())
    }

    #[test]
    fn all_lines_are_held_or_those_that_were_not_at_fault_are_told_apart() {
        let held = || line(Word::Reserved);
        let all = words(vec![held(), held()]);
        assert_eq!(all, (Word::Reserved, vec![Word::Reserved; 2]));
        let short = words(vec![held(), line(Word::OutOfStock), held()]);
        let expected = vec![Word::Ok, Word::OutOfStock, Word::Ok];
        assert_eq!(short, (Word::OutOfStock, expected));
        let first = words(vec![line(Word::Expired), line(Word::OutOfStock)]);
        assert_eq!(first.0, Word::Expired);
    }

    #[test]
    fn what_is_open_comes_before_what_can_be_made_anew_and_that_before_a_refusal() {
        let refused = || line(Word::OutOfStock);
        let error = joined(vec![lost(), refused(), unknown()]).expect_err("an error");
        assert!(matches!(error, Error::Unknown { .. }), "{error:?}");
        let error = joined(vec![refused(), lost()]).expect_err("an error");
        assert!(error.has_prefix("NOSUCHSTOCK"), "{error:?}");
    }
}
