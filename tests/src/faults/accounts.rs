//! What the clients know: which purchase came to what. It is held against the books at the end.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result};

/// How a purchase ended for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// 201, or 202 and CONFIRMED later: the order's id.
    Sold(String),
    /// Sold, and then cancelled by the shopper: the order's id.
    Cancelled(String),
    /// The payment was declined or failed.
    Declined,
    /// Out of stock.
    SoldOut,
    /// Given up by the shop: the time ran out, or the hold.
    Undone,
    /// The client hung up before the answer and never asked again.
    HungUp,
    /// The client asked until its patience ran out: what it saw last.
    Unclear(String),
    /// An answer that a shop must not give.
    Odd(String),
}

/// How many purchases ended how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests that were sent, repeated ones too.
    pub attempts: u64,
    /// Orders answered 201, or 202 and CONFIRMED later.
    pub sold: BTreeSet<String>,
    /// Orders that were sold and then cancelled.
    pub cancelled: BTreeSet<String>,
    /// Declined.
    pub declined: u64,
    /// Out of stock.
    pub sold_out: u64,
    /// Given up by the shop.
    pub undone: u64,
    /// Clients that hung up.
    pub hung_up: u64,
    /// Of these nobody knows: what was seen last.
    pub unclear: Vec<String>,
    /// What must not be.
    pub odd: Vec<String>,
}

/// A purchase that was answered 201: when that attempt was sent, and when it was answered.
#[derive(Debug, Clone, Copy)]
struct Sale {
    sent: Instant,
    answered: Instant,
}

/// The account of all clients, and the file of acknowledged orders.
#[derive(Debug)]
pub struct Accounts {
    totals: Mutex<Totals>,
    sales: Mutex<Vec<Sale>>,
    acknowledged: Mutex<File>,
    path: PathBuf,
}

impl Accounts {
    /// An empty account, whose acknowledged orders are appended to `path`, an id a line.
    pub fn open(path: &Path) -> Result<Accounts> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Accounts {
            totals: Mutex::default(),
            sales: Mutex::default(),
            acknowledged: Mutex::new(file),
            path: path.to_path_buf(),
        })
    }

    /// Appends orders of which a client knows that they are sold, past all buffers of this process.
    pub fn acknowledge<'a>(&self, ids: impl IntoIterator<Item = &'a String>) -> Result<()> {
        let lines: String = ids.into_iter().map(|id| format!("{id}\n")).collect();
        Ok(lock(&self.acknowledged).write_all(lines.as_bytes())?)
    }

    /// The file of acknowledged orders.
    pub fn acknowledged(&self) -> &Path {
        &self.path
    }

    /// One more request was sent.
    pub fn attempt(&self) {
        lock(&self.totals).attempts += 1;
    }

    /// A purchase ended so; its last attempt was sent at `sent`.
    pub fn note(&self, ending: Ending, sent: Instant) -> Result<()> {
        let mut totals = lock(&self.totals);
        match ending {
            Ending::Sold(id) => {
                let answered = Instant::now();
                lock(&self.sales).push(Sale { sent, answered });
                self.acknowledge([&id])?;
                totals.sold.insert(id);
            }
            Ending::Cancelled(id) => {
                totals.cancelled.insert(id);
            }
            Ending::Declined => totals.declined += 1,
            Ending::SoldOut => totals.sold_out += 1,
            Ending::Undone => totals.undone += 1,
            Ending::HungUp => totals.hung_up += 1,
            Ending::Unclear(last) => totals.unclear.push(last),
            Ending::Odd(answer) => totals.odd.push(answer),
        }
        Ok(())
    }

    /// When the first attempt that was sent after `moment` was answered 201.
    pub fn first_sale_after(&self, moment: Instant) -> Option<Instant> {
        let sales = lock(&self.sales);
        let after = sales.iter().filter(|sale| sale.sent >= moment);
        after.map(|sale| sale.answered).min()
    }

    /// How it stands.
    pub fn totals(&self) -> Totals {
        lock(&self.totals).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
