//! The two transactions that every sale needs: [`record`] and [`commit`].

mod commit;
mod record;

pub use commit::Committed;
pub use record::{IdempotencyKey, Recorded};
