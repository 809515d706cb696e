//! Why an order came to nothing.

/// Why an order was not bought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Fewer units were available than asked for.
    OutOfStock,
    /// The holds were lost, and the units were gone when they were taken again.
    SoldOut,
    /// The provider said no.
    PaymentDeclined,
    /// The provider could not be made to take the money.
    PaymentFailed,
    /// MySQL had less stock than Redis thought.
    StockRefused,
    /// Redis or MySQL did not answer before anything was decided.
    Unavailable,
    /// The same Idempotency-Key, or the same hold, was used by a request that came first.
    KeyTaken,
    /// Recovery found the order unpaid, or its money given back.
    Abandoned,
}

impl Reason {
    /// The word in SQL, events and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::OutOfStock => "out_of_stock",
            Reason::SoldOut => "sold_out",
            Reason::PaymentDeclined => "payment_declined",
            Reason::PaymentFailed => "payment_failed",
            Reason::StockRefused => "stock_refused",
            Reason::Unavailable => "unavailable",
            Reason::KeyTaken => "key_taken",
            Reason::Abandoned => "abandoned",
        }
    }
}
