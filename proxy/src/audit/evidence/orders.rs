//! Orders, their lines, and what `inventory_logs` has of each line.

use uuid::Uuid;

/// All orders of MySQL, sorted by id.
#[derive(Debug, Clone, Default)]
pub struct Orders {
    rows: Vec<Order>,
    lines: Vec<Line>,
    reasons: Vec<Box<str>>,
    /// Decisions without an order.
    pub outcomes_alone: Vec<(Uuid, Outcome)>,
    /// Lines without an order.
    pub lines_alone: Vec<Uuid>,
    /// Logged sales and returns without a line.
    pub logs_alone: Vec<LogAlone>,
}

/// One row of `orders`, with its row of `hold_outcomes`.
#[derive(Debug, Clone)]
pub struct Order {
    /// Its id.
    pub id: Uuid,
    /// How far it is.
    pub status: Status,
    /// What was decided of it.
    pub outcome: Option<Outcome>,
    /// True when MySQL has nothing left to do for it.
    pub settled: bool,
    /// When it was recorded, Unix ms.
    pub created_ms: i64,
    /// When it was decided, Unix ms; 0 when it is not.
    pub decided_ms: i64,
    /// `total`, less the amounts of the lines: 0 when they add up. Minor units.
    pub unexplained_minor: i64,
    reason: u16,
    first_line: u32,
    line_count: u32,
}

/// One row of `order_lines`, with the sums of its rows in `inventory_logs`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    /// Which SKU, as an index into [`super::stock::Stocks`].
    pub sku: usize,
    /// Units ordered.
    pub quantity: i64,
    /// Rows with the reason `sold`.
    pub sold_rows: u32,
    /// Rows with the reason `returned`.
    pub returned_rows: u32,
    /// Units that the sold rows took.
    pub sold_units: i64,
    /// Units that the returned rows brought back.
    pub returned_units: i64,
    /// What Redis remembers of the hold; read for what was decided lately.
    pub hold: Hold,
}

/// What `INV.HOLD` says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Hold {
    /// Not asked.
    #[default]
    NotAsked,
    /// Nothing: it was never taken, or is forgotten.
    Unknown,
    /// Live.
    Live,
    /// Sold.
    Confirmed,
    /// Given back.
    Released,
    /// Run out.
    Expired,
}

/// A logged sale or return that fits no line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogAlone {
    /// The row's order, if it has one.
    pub order: Option<Uuid>,
    /// Which SKU.
    pub sku: usize,
    /// The row's id.
    pub log_id: i64,
}

/// The words of `orders.status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Recorded.
    Pending,
    /// Paid, to be confirmed.
    Paid,
    /// Sold.
    Confirmed,
    /// Called off.
    Cancelled,
    /// Given up for lack of time.
    Expired,
    /// Called off, and the money given back.
    Refunded,
    /// A person must look.
    Parked,
    /// A word that this audit does not know.
    Unknown,
}

impl Status {
    /// What the word in SQL stands for.
    pub fn of(word: &str) -> Self {
        match word {
            "PENDING" => Self::Pending,
            "PAID" => Self::Paid,
            "CONFIRMED" => Self::Confirmed,
            "CANCELLED" => Self::Cancelled,
            "EXPIRED" => Self::Expired,
            "REFUNDED" => Self::Refunded,
            "PARKED" => Self::Parked,
            _ => Self::Unknown,
        }
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&format!("{self:?}").to_uppercase())
    }
}

/// The words of `hold_outcomes.outcome`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Sold.
    Committed,
    /// Never to be sold.
    Aborted,
    /// A word that this audit does not know.
    Unknown,
}

impl Outcome {
    /// What the word in SQL stands for.
    pub fn of(word: &str) -> Self {
        match word {
            "COMMITTED" => Self::Committed,
            "ABORTED" => Self::Aborted,
            _ => Self::Unknown,
        }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&format!("{self:?}").to_uppercase())
    }
}

impl Order {
    /// A recorded order without lines, of which nothing is decided.
    pub fn new(id: Uuid, status: Status) -> Self {
        Self {
            id,
            status,
            outcome: None,
            settled: false,
            created_ms: 0,
            decided_ms: 0,
            unexplained_minor: 0,
            reason: 0,
            first_line: 0,
            line_count: 0,
        }
    }

    /// True when its stock was deducted for good, whether or not it came back later.
    pub fn was_sold(&self) -> bool {
        self.outcome == Some(Outcome::Committed)
    }

    fn lines(&self) -> std::ops::Range<usize> {
        let first = self.first_line as usize;
        first..first + self.line_count as usize
    }
}

impl Orders {
    /// Adds an order; its id is above those of all before it.
    pub fn add(&mut self, mut order: Order, reason: &str) {
        order.reason = self.number(reason);
        order.first_line = self.lines.len() as u32;
        order.line_count = 0;
        self.rows.push(order);
    }

    /// Adds a line, whose amount is `amount_minor`. Lines come in the order of their orders' ids,
    /// those of one order one after the other.
    pub fn add_line(&mut self, order: Uuid, line: Line, amount_minor: i64) {
        let place = self.lines.len() as u32;
        let Some(found) = self.find(order) else {
            self.lines_alone.push(order);
            return;
        };
        let row = &mut self.rows[found];
        if row.line_count == 0 {
            row.first_line = place;
        }
        row.line_count += 1;
        row.unexplained_minor -= amount_minor;
        self.lines.push(line);
    }

    /// Where an order is.
    pub fn find(&self, id: Uuid) -> Option<usize> {
        self.rows.binary_search_by_key(&id, |order| order.id).ok()
    }

    /// The order at this place.
    pub fn at(&self, place: usize) -> Option<&Order> {
        self.rows.get(place)
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Order> {
        self.rows.iter()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// How many lines.
    pub fn line_count(&self) -> usize {
        self.lines.len()
    }

    /// The lines of an order, by SKU.
    pub fn lines(&self, order: &Order) -> &[Line] {
        &self.lines[order.lines()]
    }

    /// The line of an order with this SKU.
    pub fn line_mut(&mut self, id: Uuid, sku: usize) -> Option<&mut Line> {
        let range = self.rows.get(self.find(id)?)?.lines();
        self.lines[range].iter_mut().find(|line| line.sku == sku)
    }

    /// Why it was called off; empty when it was not.
    pub fn reason(&self, order: &Order) -> &str {
        self.word(order.reason)
    }

    /// The number of a reason's word; a shop has a dozen of them.
    pub fn number(&mut self, reason: &str) -> u16 {
        let known = self.reasons.iter().position(|known| **known == *reason);
        let number = known.unwrap_or_else(|| {
            self.reasons.push(reason.into());
            self.reasons.len() - 1
        });
        u16::try_from(number).unwrap_or(u16::MAX)
    }

    /// The word behind a number that [`Orders::number`] gave.
    pub fn word(&self, number: u16) -> &str {
        self.reasons
            .get(usize::from(number))
            .map_or("", |word| word)
    }

    /// The order at this place, to be doctored.
    #[cfg(test)]
    pub fn at_mut(&mut self, id: Uuid) -> &mut Order {
        let place = self.find(id).expect("an order of the sample");
        &mut self.rows[place]
    }
}
