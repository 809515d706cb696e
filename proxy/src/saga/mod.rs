//! How an order is bought: section "Buying" of ARCHITECTURE.md.
//!
//! `machine` decides and touches nothing; `runner` does what it says; `recovery` finds the
//! orders that nobody runs any more.

pub mod machine;
pub mod recovery;
pub mod runner;
