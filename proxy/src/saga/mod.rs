//! How an order is bought: section "How an order is bought" of ARCHITECTURE.md.
//!
//! `machine` decides and touches nothing, in the words of `vocabulary`; `runner` has `effects` do
//! what it says, of which `payments` and `returns` are a part; `recovery` finds the orders that nobody runs any more, and `leases` keeps it from
//! those that somebody does.

#[cfg(test)]
mod drawing;
mod effects;
pub mod leases;
pub mod machine;
mod payments;
pub mod recovery;
mod returns;
mod run;
pub mod runner;
mod vocabulary;
