//! What became of an order, step by step, and who brought each about.

use schemars::JsonSchema;
use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use super::Status;

/// Who moved an order on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Actor {
    /// Whose order it is.
    Shopper,
    /// Somebody of the shop, for its shopper.
    Support,
    /// The operator, by command or by token.
    Operator,
    /// The payment provider.
    Provider,
    /// Holdfast itself.
    System,
}

impl Actor {
    /// Every actor.
    pub const ALL: [Actor; 5] = [
        Actor::Shopper,
        Actor::Support,
        Actor::Operator,
        Actor::Provider,
        Actor::System,
    ];

    /// The word in SQL and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Actor::Shopper => "shopper",
            Actor::Support => "support",
            Actor::Operator => "operator",
            Actor::Provider => "provider",
            Actor::System => "system",
        }
    }

    /// The actor that a word of SQL stands for.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|actor| actor.as_str() == word)
    }
}

/// Who moves an order on, and what they say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// In which part.
    pub actor: Actor,
    /// Which user of the shop, where it is one.
    pub user_id: Option<Uuid>,
    /// In their own words, for those who look at it later; at most 255 characters.
    pub note: Option<String>,
}

impl From<Actor> for Author {
    fn from(actor: Actor) -> Self {
        Self {
            actor,
            user_id: None,
            note: None,
        }
    }
}

/// One step of an order's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "OrderStep")]
pub struct Step {
    /// The how-manieth it is, from 1.
    pub version: i64,
    /// What the order became.
    pub status: Status,
    /// Why, where it came to nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who brought it about.
    pub by: Actor,
    /// The user of the shop who did; for support only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<Uuid>,
    /// What they said of it; for support only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub at: OffsetDateTime,
}

impl Step {
    /// As the order's shopper may see it.
    #[must_use]
    pub fn for_its_shopper(self) -> Self {
        Self {
            user_id: None,
            note: None,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_is_read_as_it_is_written() {
        for actor in Actor::ALL {
            assert_eq!(Actor::from_word(actor.as_str()), Some(actor));
            let json = serde_json::to_value(actor).expect("a word");
            assert_eq!(json, actor.as_str());
        }
        assert_eq!(Actor::from_word("nobody"), None);
    }
}
