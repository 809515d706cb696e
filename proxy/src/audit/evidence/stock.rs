//! Each SKU: the count that is the truth, the changes that led to it, and the gate's count.

use std::collections::HashMap;

use uuid::Uuid;

/// All SKUs that any server knows.
#[derive(Debug, Clone, Default)]
pub struct Stocks {
    rows: Vec<Stock>,
    by_name: HashMap<Box<str>, u32>,
    /// The changes with an id, by SKU and id.
    pub adjustments: HashMap<(usize, Box<str>), Adjustment>,
}

/// One SKU.
#[derive(Debug, Clone, Default)]
pub struct Stock {
    /// Its name.
    pub name: Box<str>,
    /// `products.stock`, where the product exists.
    pub stock: Option<i64>,
    /// The rows of `inventory_logs`, folded.
    pub log: Log,
    /// What Redis said before MySQL was read.
    pub ledger: Option<Ledger>,
    /// Both counts as of one moment.
    pub comparison: Comparison,
}

/// The changes of one SKU's stock, in the order of their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Log {
    /// How many.
    pub rows: u64,
    /// Units that the shop put in.
    pub put_in: i64,
    /// Units that the shop took out.
    pub taken_out: i64,
    /// Units sold.
    pub sold: i64,
    /// Sold units that came back.
    pub returned: i64,
    /// `stock_after` of the last row.
    pub last_after: i64,
    /// The first row after which the count was below 0.
    pub below_zero: Option<i64>,
    /// The first row whose `stock_after` is not the one before plus its delta.
    pub misstep: Option<Misstep>,
    /// A row with a reason that neither sells, returns nor has an id.
    pub unexplained: Option<i64>,
    /// Rows that Redis has not acknowledged.
    pub unacknowledged: u64,
}

/// Where the balance does not follow from the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misstep {
    /// The row.
    pub log_id: i64,
    /// What the row before and this one's delta give.
    pub wanted: i64,
    /// What it says.
    pub found: i64,
}

/// One row of `inventory_logs`.
#[derive(Debug, Clone)]
pub struct LogRow<'a> {
    /// Its id.
    pub id: i64,
    /// The order that it is of.
    pub order: Option<Uuid>,
    /// Units added.
    pub delta: i64,
    /// The count after it.
    pub stock_after: i64,
    /// Why.
    pub reason: &'a str,
    /// The id under which Redis applies it once.
    pub adjustment_id: Option<&'a str>,
    /// Whether Redis has it.
    pub acknowledged: bool,
    /// When, Unix ms.
    pub created_ms: i64,
}

/// `INV.GET`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Units not yet sold.
    pub on_hand: i64,
    /// Units in live holds.
    pub held: i64,
    /// Of these, units of prepared holds.
    pub prepared: i64,
    /// Units that can be held.
    pub available: i64,
    /// Units sold since the key was made, less what was returned.
    pub sold: i64,
    /// The key's version.
    pub seq: i64,
    /// Live holds.
    pub holds: i64,
    /// Units held beyond `on_hand`.
    pub shortfall: i64,
}

/// Both counts of a SKU as of one moment: Redis was asked before and after MySQL, and had not moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Comparison {
    /// False when Redis moved each time, so that nothing can be said.
    pub is_still: bool,
    /// `on_hand`, where there is a key.
    pub on_hand: Option<i64>,
    /// Units in live holds.
    pub held: i64,
    /// `products.stock`, where there is a product.
    pub stock: Option<i64>,
    /// Units that MySQL has sold and Redis has not confirmed.
    pub unconfirmed: i64,
    /// Units of sales so old that Redis has forgotten whether it confirmed them.
    pub perhaps_unconfirmed: i64,
    /// Unacknowledged additions, which Redis may have made or not.
    pub perhaps_added: i64,
    /// Unacknowledged removals, at most 0, likewise.
    pub perhaps_taken: i64,
}

impl Comparison {
    /// The counts that Redis may have, from the lowest to the highest.
    pub fn permitted(&self) -> (i64, i64) {
        let sold_in_redis = self.stock.unwrap_or_default() + self.unconfirmed;
        (
            sold_in_redis - self.perhaps_added,
            sold_in_redis + self.perhaps_unconfirmed - self.perhaps_taken,
        )
    }

    /// True when what Redis has is one of them. A key that is not there has nothing on hand.
    pub fn agrees(&self) -> bool {
        let (lowest, highest) = self.permitted();
        (lowest..=highest).contains(&self.on_hand.unwrap_or_default())
    }
}

/// A change of stock that has an id, as logged and as told.
#[derive(Debug, Clone, Default)]
pub struct Adjustment {
    /// Its row, unless it was undone.
    pub logged: Option<Logged>,
    /// Its events, in their order, each once.
    pub told: Vec<Told>,
}

/// The row of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logged {
    /// The row.
    pub log_id: i64,
    /// Units added.
    pub delta: i64,
    /// When, Unix ms.
    pub created_ms: i64,
    /// True for sold units that came back.
    pub is_return: bool,
}

/// One `StockAdjusted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// The event's id, hashed.
    pub id: u64,
    /// Its content, hashed.
    pub digest: u64,
    /// Units added.
    pub delta: i64,
    /// True for a change that was taken back.
    pub is_undoing: bool,
    /// True when it reached Kafka after MySQL was read.
    pub is_late: bool,
}

impl Stocks {
    /// The place of a SKU, which is made if nobody has told of it before.
    pub fn place(&mut self, name: &str) -> usize {
        if let Some(place) = self.by_name.get(name) {
            return *place as usize;
        }
        let place = self.rows.len();
        self.by_name.insert(name.into(), place as u32);
        self.rows.push(Stock {
            name: name.into(),
            ..Stock::default()
        });
        place
    }

    /// The place of a SKU that was told of.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).map(|place| *place as usize)
    }

    /// The SKU at this place.
    pub fn at(&self, place: usize) -> &Stock {
        &self.rows[place]
    }

    /// The SKU at this place.
    pub fn at_mut(&mut self, place: usize) -> &mut Stock {
        &mut self.rows[place]
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Stock> {
        self.rows.iter()
    }

    /// How many moved each time they were looked at, so that their counts cannot be compared.
    pub fn moving(&self) -> u64 {
        let moving = self.rows.iter().filter(|stock| !stock.comparison.is_still);
        moving.count() as u64
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Folds the next row of the log; rows come in the order of their ids.
    pub fn add_log(&mut self, sku: usize, row: &LogRow<'_>) {
        self.rows[sku].log.add(row);
        if let Some(id) = row.adjustment_id {
            let adjustment = self.adjustments.entry((sku, id.into())).or_default();
            adjustment.logged = Some(Logged {
                log_id: row.id,
                delta: row.delta,
                created_ms: row.created_ms,
                is_return: row.kind() == Kind::Return,
            });
        }
    }
}

/// What a row of the log does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An order takes its units.
    Sale,
    /// An order that was sold and called off brings them back.
    Return,
    /// The shop changes the count.
    Adjustment,
}

impl LogRow<'_> {
    /// What it does. An operator may call a change "returned", too; that one has no order.
    pub fn kind(&self) -> Kind {
        match (self.reason, self.order) {
            ("sold", _) => Kind::Sale,
            ("returned", Some(_)) => Kind::Return,
            _ => Kind::Adjustment,
        }
    }
}

impl Log {
    /// What all its rows add up to.
    pub fn sum(&self) -> i64 {
        self.put_in - self.taken_out - self.sold + self.returned
    }

    fn add(&mut self, row: &LogRow<'_>) {
        let wanted = self.last_after + row.delta;
        if row.stock_after != wanted && self.misstep.is_none() {
            self.misstep = Some(Misstep {
                log_id: row.id,
                wanted,
                found: row.stock_after,
            });
        }
        if row.stock_after < 0 && self.below_zero.is_none() {
            self.below_zero = Some(row.id);
        }
        match row.kind() {
            Kind::Sale => self.sold -= row.delta,
            Kind::Return => self.returned += row.delta,
            Kind::Adjustment => {
                self.put_in += row.delta.max(0);
                self.taken_out -= row.delta.min(0);
                if row.adjustment_id.is_none() && self.unexplained.is_none() {
                    self.unexplained = Some(row.id);
                }
            }
        }
        self.rows += 1;
        self.last_after = row.stock_after;
        self.unacknowledged += u64::from(!row.acknowledged);
    }
}
