//! What a change of stock is and what becomes of it: pure, so that every case can be tried.

use std::str::FromStr;

/// The most units a product can have, as in the stock ledger: every count is exact in JSON.
pub const MAX_STOCK: i64 = (1 << 53) - 1;
const MAX_ID_BYTES: usize = 64;

/// Why stock changes.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "StockChangeReason")]
pub enum Reason {
    /// The first units of a product.
    Stocked,
    /// More units arrived.
    Restocked,
    /// A buyer sent units back.
    Returned,
    /// Units were lost, broken or given away.
    WrittenOff,
    /// A count found another number.
    Corrected,
}

impl Reason {
    /// The word in JSON, in SQL and in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stocked => "stocked",
            Self::Restocked => "restocked",
            Self::Returned => "returned",
            Self::WrittenOff => "written_off",
            Self::Corrected => "corrected",
        }
    }
}

/// The name that a caller gives a change, so that repeating it changes nothing: 1 to 64 visible
/// ASCII characters, as many as the stock ledger takes.
#[derive(
    Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = "^[!-~]{1,64}$"))]
pub struct AdjustmentId(String);

/// The text is no adjustment id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an adjustment_id has 1 to 64 visible ASCII characters and no spaces")]
pub struct InvalidAdjustmentId;

/// How far a change goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// So many units more, or fewer when negative; never 0.
    By(i64),
    /// To this count.
    To(i64),
}

/// A change that was recorded before under the same id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earlier {
    /// The row of the inventory log.
    pub log_id: i64,
    /// Units added.
    pub delta: i64,
    /// The stock after it.
    pub stock_after: i64,
    /// Its reason's word.
    pub reason: String,
    /// Whether Redis has it.
    pub delivered: bool,
}

/// What is to be done about a change.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision {
    /// The count is right already.
    Nothing,
    /// Add `delta`, which leaves `stock_after`.
    Apply {
        /// Units to add; never 0.
        delta: i64,
        /// The stock after it.
        stock_after: i64,
    },
    /// It was recorded before; answer as then.
    Repeat(Earlier),
}

/// A change that cannot be recorded.
#[derive(Debug, PartialEq, Eq)]
pub enum Conflict {
    /// The id stands for another change.
    Mismatch,
    /// The count would not be from 0 to [`MAX_STOCK`].
    OutOfRange,
}

/// Decides what becomes of a change to a product that has `stock` unsold units.
pub fn decide(
    stock: i64,
    amount: Amount,
    reason: Reason,
    earlier: Option<Earlier>,
) -> Result<Decision, Conflict> {
    if let Some(earlier) = earlier {
        let same = Amount::By(earlier.delta) == amount && earlier.reason == reason.as_str();
        return if same {
            Ok(Decision::Repeat(earlier))
        } else {
            Err(Conflict::Mismatch)
        };
    }
    let stock_after = match amount {
        Amount::By(delta) => stock.checked_add(delta),
        Amount::To(on_hand) => Some(on_hand),
    };
    let in_range = stock_after.filter(|after| (0..=MAX_STOCK).contains(after));
    let stock_after = in_range.ok_or(Conflict::OutOfRange)?;
    match stock_after - stock {
        0 => Ok(Decision::Nothing),
        delta => Ok(Decision::Apply { delta, stock_after }),
    }
}

impl AdjustmentId {
    /// The text of the id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// An id that nobody used before, for a change that its caller did not name.
    pub fn unique() -> Self {
        Self(format!("set:{}", uuid::Uuid::new_v4()))
    }
}

impl FromStr for AdjustmentId {
    type Err = InvalidAdjustmentId;

    fn from_str(text: &str) -> Result<Self, InvalidAdjustmentId> {
        // Without spaces, because MySQL takes 'a' and 'a ' for equal.
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if visible && (1..=MAX_ID_BYTES).contains(&text.len()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidAdjustmentId)
        }
    }
}

impl TryFrom<String> for AdjustmentId {
    type Error = InvalidAdjustmentId;

    fn try_from(text: String) -> Result<Self, InvalidAdjustmentId> {
        text.parse()
    }
}

impl From<AdjustmentId> for String {
    fn from(id: AdjustmentId) -> String {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn earlier(delta: i64) -> Option<Earlier> {
        Some(Earlier {
            log_id: 7,
            delta,
            stock_after: 40,
            reason: "restocked".into(),
            delivered: true,
        })
    }

    #[test]
    fn a_repetition_is_answered_as_the_first_time_whatever_the_stock_is_now() {
        let decided = decide(0, Amount::By(-5), Reason::Restocked, earlier(-5));
        assert_eq!(decided, Ok(Decision::Repeat(earlier(-5).expect("some"))));
    }

    #[test]
    fn the_same_id_for_another_change_is_refused() {
        assert_eq!(
            decide(9, Amount::By(6), Reason::Restocked, earlier(5)),
            Err(Conflict::Mismatch)
        );
        assert_eq!(
            decide(9, Amount::By(5), Reason::Corrected, earlier(5)),
            Err(Conflict::Mismatch)
        );
    }

    #[test]
    fn the_count_it_has_already_is_no_change() {
        assert_eq!(
            decide(9, Amount::To(9), Reason::Corrected, None),
            Ok(Decision::Nothing)
        );
    }

    #[test]
    fn ids_that_a_server_could_read_otherwise_are_refused() {
        for text in ["", "a b", "a ", "a\0", "é", &"x".repeat(65)] {
            assert_eq!(
                text.parse::<AdjustmentId>(),
                Err(InvalidAdjustmentId),
                "{text:?}"
            );
        }
        assert!(
            AdjustmentId::unique()
                .as_str()
                .parse::<AdjustmentId>()
                .is_ok()
        );
    }

    proptest! {
        #[test]
        fn no_change_leaves_less_than_nothing_or_more_than_fits(stock in 0..=MAX_STOCK, by: i64, to: i64) {
            for amount in [Amount::By(by), Amount::To(to)] {
                match decide(stock, amount, Reason::Corrected, None) {
                    Ok(Decision::Apply { delta, stock_after }) => {
                        prop_assert!((0..=MAX_STOCK).contains(&stock_after));
                        prop_assert_eq!(stock + delta, stock_after);
                        prop_assert_ne!(delta, 0);
                    }
                    Ok(Decision::Nothing) => prop_assert!(amount == Amount::By(0) || amount == Amount::To(stock)),
                    Ok(Decision::Repeat(_)) => prop_assert!(false, "nothing was recorded before"),
                    Err(refused) => prop_assert_eq!(refused, Conflict::OutOfRange),
                }
            }
        }
    }
}
