//! Which server is the primary, by what the Sentinels say. Pure.
//!
//! Each failover has a configuration epoch of its own, and the highest wins among the Sentinels
//! too ([Redis Sentinel](https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/)),
//! so that one which was cut off meanwhile does not bring back the primary from before.

use std::collections::HashMap;

use redis::{FromRedisValue, ParsingError, Value};

use crate::config::Address;

/// What one Sentinel says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The configuration epoch that it knows of.
    pub epoch: u64,
    /// Where the primary of that epoch is.
    pub address: Address,
}

/// Whom to believe: one answer a Sentinel, none from who did not give one. What is older than
/// `believed` before is not believed, unless every Sentinel says the same: then somebody has set
/// them up anew.
pub fn believable(answers: &[Option<Claim>], believed: u64) -> Option<&Claim> {
    let given = || answers.iter().flatten();
    let highest = given().map(|claim| claim.epoch).max()?;
    let newest = || given().filter(|claim| claim.epoch == highest);
    let said_by = |claim: &Claim| newest().filter(|other| *other == claim).count();
    let claim = newest().max_by_key(|claim| said_by(claim))?;
    let is_agreed = given().count() == answers.len() && said_by(claim) == answers.len();
    (highest >= believed || is_agreed).then_some(claim)
}

impl Claim {
    /// Reads the answers to `SENTINEL MASTER`, which has the epoch, and, asked after it,
    /// `SENTINEL GET-MASTER-ADDR-BY-NAME`: who leads a failover counts the epoch when the replica is
    /// promoted, and names that one only here until all others follow it.
    pub fn read(master: Value, address: Value) -> Result<Self, ParsingError> {
        let fields: HashMap<String, String> = FromRedisValue::from_redis_value(master)?;
        let epoch = fields
            .get("config-epoch")
            .and_then(|epoch| epoch.parse().ok());
        let (host, port) = FromRedisValue::from_redis_value(address)?;
        Ok(Self {
            epoch: epoch.ok_or("SENTINEL MASTER left out 'config-epoch'")?,
            address: Address { host, port },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(epoch: u64, port: u16) -> Option<Claim> {
        let host = "127.0.0.1".into();
        let address = Address { host, port };
        Some(Claim { epoch, address })
    }

    fn believed_port(answers: &[Option<Claim>], believed: u64) -> Option<u16> {
        believable(answers, believed).map(|claim| claim.address.port)
    }

    #[test]
    fn the_highest_epoch_wins_against_any_number_that_lies_behind() {
        let answers = [claim(1, 1), claim(2, 2), claim(1, 1)];
        assert_eq!(believed_port(&answers, 0), Some(2));
        assert_eq!(believed_port(&answers, 2), Some(2));
        assert_eq!(believed_port(&[None, claim(2, 2), None], 2), Some(2));
    }

    #[test]
    fn what_is_older_than_what_was_believed_is_not_believed() {
        let behind = [claim(1, 1), None, claim(1, 1)];
        assert_eq!(believed_port(&behind, 2), None);
        assert_eq!(believed_port(&[None, None], 0), None);
        assert_eq!(believed_port(&[], 0), None);
    }

    #[test]
    fn sentinels_that_were_all_set_up_anew_are_believed() {
        let anew = [claim(0, 3), claim(0, 3), claim(0, 3)];
        assert_eq!(believed_port(&anew, 7), Some(3));
        let divided = [claim(0, 3), claim(0, 4), claim(0, 3)];
        assert_eq!(believed_port(&divided, 7), None);
        assert_eq!(believed_port(&divided, 0), Some(3));
    }

    #[test]
    fn an_answer_is_read_and_half_of_one_refused() {
        let texts = |texts: &[&str]| {
            let texts = texts.iter().map(|text| Value::BulkString((*text).into()));
            Value::Array(texts.collect())
        };
        let master = || texts(&["ip", "::2", "port", "8", "config-epoch", "3"]);
        let read = Claim::read(master(), texts(&["::1", "7"])).expect("a claim");
        assert_eq!(
            (read.epoch, read.address.to_string()),
            (3, "[::1]:7".into())
        );
        assert!(Claim::read(master(), Value::Nil).is_err());
        assert!(Claim::read(texts(&["ip", "::2"]), texts(&["::1", "7"])).is_err());
    }
}
