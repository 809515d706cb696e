//! How much of a list one answer shows.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

const DEFAULT_LIMIT: u32 = 20;
const MAX_LIMIT: u32 = 100;

/// The most entries of a list that one answer shows: 1 to 100, 20 if left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(u32);

impl Limit {
    /// So many.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(DEFAULT_LIMIT)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let limit = text
            .parse()
            .ok()
            .filter(|limit| (1..=MAX_LIMIT).contains(limit));
        limit
            .map(Self)
            .ok_or_else(|| de::Error::custom(format!("must be a number from 1 to {MAX_LIMIT}")))
    }
}

impl JsonSchema for Limit {
    fn schema_name() -> Cow<'static, str> {
        "Limit".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "integer",
            "minimum": 1,
            "maximum": MAX_LIMIT,
            "default": DEFAULT_LIMIT,
            "description": "How many entries one answer shows."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Query {
        #[serde(default)]
        limit: Limit,
    }

    fn limit(query: &str) -> Result<u32, serde_html_form::de::Error> {
        serde_html_form::from_str::<Query>(query).map(|query| query.limit.get())
    }

    #[test]
    fn a_page_has_from_1_to_100_entries() {
        assert_eq!(limit(""), Ok(20));
        assert_eq!(limit("limit=1"), Ok(1));
        assert_eq!(limit("limit=100"), Ok(100));
        for text in ["0", "101", "-1", "", "ten", "1e1", "99999999999999999999"] {
            assert!(limit(&format!("limit={text}")).is_err(), "{text}");
        }
        assert!(limit("limit=1&limit=2").is_err(), "which of the two?");
    }
}
