//! The module's own parameters, as the server lists them.

use anyhow::Result;
use redis::Connection;

use crate::module_support::numbers::Numbers;

/// Each parameter with the value that it has at first.
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub fn read(connection: &mut Connection) -> Result<Parameters> {
        let all: std::collections::BTreeMap<String, String> = redis::cmd("CONFIG")
            .arg("GET")
            .arg("holdfast.*")
            .query(connection)?;
        Ok(Parameters(all.into_iter().collect()))
    }

    /// A command that changes one, for better or worse, or back.
    pub fn change(&self, numbers: &mut Numbers) -> String {
        let Some((name, first)) = self
            .0
            .get(numbers.below(self.0.len().max(1) as u64) as usize)
        else {
            return "CONFIG GET holdfast.*".to_owned();
        };
        let value = match numbers.below(3) {
            0 => numbers.one_of(&[
                "-1", "0", "1", "10", "1000", "60000", "3600000", "1e3", "yes",
            ]),
            _ => first,
        };
        format!("CONFIG SET {name} {value}")
    }
}
