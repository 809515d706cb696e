//! The kinds of request that the load is made of.

/// What somebody asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A view is counted in a session.
    Touch,
    /// A product is looked at.
    Product,
    /// An order of the past is looked at.
    OldOrder,
    /// A quantity is set in a cart.
    Cart,
    /// Units are held at checkout, and left to run out.
    Hold,
    /// One product or several are bought, of which there is plenty.
    Order,
    /// Of something scarce more is bought than is delivered: whatever is oversold, it is this.
    LastUnits,
    /// The operator brings units of what is scarce.
    Delivery,
}

impl Kind {
    /// Every kind, in the order in which they are shown.
    pub const ALL: [Kind; 8] = [
        Kind::Touch,
        Kind::Product,
        Kind::OldOrder,
        Kind::Cart,
        Kind::Hold,
        Kind::Order,
        Kind::LastUnits,
        Kind::Delivery,
    ];

    /// What it is called in tables and drawings.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Touch => "touch",
            Kind::Product => "product",
            Kind::OldOrder => "old order",
            Kind::Cart => "cart",
            Kind::Hold => "hold",
            Kind::Order => "order",
            Kind::LastUnits => "last units",
            Kind::Delivery => "delivery",
        }
    }

    /// Requests a second: a multiple of ten, so that each tenth of a second has as many as the next.
    pub fn rate(self) -> u32 {
        match self {
            Kind::Touch => 40,
            Kind::Product | Kind::Order => 20,
            _ => 10,
        }
    }

    /// Whether the same request may be sent again when nobody knows what became of it: because it only reads, sets what it
    /// set before, or is known again by its key. A view would be counted twice.
    pub fn may_repeat(self) -> bool {
        self != Kind::Touch
    }
}
