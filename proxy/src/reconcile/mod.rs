//! Keeps the gate to the truth: what Redis shows of each SKU is compared with MySQL, and put right.
//!
//! `decision` says what is wrong and what puts it right, and knows no server. `look` reads what it
//! needs, `mending` does what it says, `walk` takes every product there is, a page at a time.
//! `rebuilding` makes stock anew that Redis has lost, for buyers who wait for it; `watch` does all
//! of it in the background of `holdfast serve`, and `returning` when Redis was away.

pub mod decision;
mod look;
mod mending;
pub mod rebuilding;
pub mod report;
pub mod returning;
pub mod walk;
pub mod watch;

use crate::gateway::{self, Gateway};
use crate::store::{self, Store};

/// Both sides.
#[derive(Clone)]
pub struct Servers {
    /// The gate.
    pub gateway: Gateway,
    /// The truth.
    pub store: Store,
}

/// A server gave no answer. What was corrected by then is right; the rest may be looked at again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Redis.
    #[error(transparent)]
    Gateway(#[from] gateway::Error),
    /// MySQL.
    #[error(transparent)]
    Store(#[from] store::Error),
}
