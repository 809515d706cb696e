//! What shoppers ask for.

use std::hash::{Hash, Hasher};
use std::ops::Deref;

use holdfast_stock::Id;
use uuid::Uuid;

/// An order's place in the list of all that were asked for; its id everywhere.
pub type OrderNo = usize;
/// A product's place in the list of products.
pub type SkuNo = usize;

/// The most lines an order has here.
pub const MOST_LINES: usize = 2;

/// One line: what, and how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Line {
    /// What.
    pub sku: SkuNo,
    /// How many.
    pub quantity: u64,
}

/// The lines of an order, sorted by SKU, each SKU once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Lines {
    lines: [Line; MOST_LINES],
    count: usize,
}

impl Lines {
    /// Lines of these SKUs and quantities; what is more than [`MOST_LINES`] is left out.
    pub fn new(asked: &[(SkuNo, u64)]) -> Self {
        let mut lines = Self::default();
        for (place, &(sku, quantity)) in lines.lines.iter_mut().zip(asked) {
            *place = Line { sku, quantity };
            lines.count += 1;
        }
        lines
    }
}

impl Deref for Lines {
    type Target = [Line];

    fn deref(&self) -> &[Line] {
        &self.lines[..self.count]
    }
}

/// What the provider makes of a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Card {
    /// The money is set aside and taken at once.
    Good,
    /// Nothing is set aside.
    Declined,
    /// Setting it aside takes time, and may come to nothing.
    Slow,
    /// The money is set aside; taking it takes time, and may come to nothing.
    SlowCapture,
    /// The money is set aside, and taking it is declined.
    CaptureDeclined,
}

/// What somebody asked for.
#[derive(Clone, Debug)]
pub struct Order {
    /// The id of its holds in Redis.
    pub hold_id: Id,
    /// The id under which its units come back.
    pub return_id: Id,
    /// What is bought.
    pub lines: Lines,
    /// What it is paid with.
    pub card: Card,
    /// The Idempotency-Key it came with.
    pub key: Option<u32>,
    /// Whether the units were held at checkout before.
    pub held_at_checkout: bool,
}

impl Order {
    /// The order with this number.
    pub fn new(
        number: OrderNo,
        lines: Lines,
        card: Card,
        key: Option<u32>,
        held_at_checkout: bool,
    ) -> Self {
        Self {
            hold_id: id(&uuid(number).to_string()),
            return_id: id(&return_id(number)),
            lines,
            card,
            key,
            held_at_checkout,
        }
    }
}

/// The id of an order, as the product has it.
pub fn uuid(number: OrderNo) -> Uuid {
    Uuid::from_u128(number as u128)
}

/// Under which the units of a cancelled order come back.
pub fn return_id(number: OrderNo) -> String {
    format!("return-{number}")
}

/// The number of an order.
pub fn number(order: Uuid) -> OrderNo {
    order.as_u128() as OrderNo
}

/// The order that a hold is of.
pub fn order_of(hold: &Id) -> Option<OrderNo> {
    Uuid::try_parse_ascii(&hold.to_bytes()).ok().map(number)
}

/// An id of a text that is neither empty nor too long.
pub fn id(text: &str) -> Id {
    Id::new(text.as_bytes()).unwrap_or_else(|| unreachable!("'{text}' is 1 to 64 bytes long"))
}

/// The ids follow from the place in the list.
impl Hash for Order {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.lines, self.card, self.key, self.held_at_checkout).hash(state);
    }
}
