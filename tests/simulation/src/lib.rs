//! The shop in one thread: the real saga machine, the real stock ledger and the real decisions
//! of the reconciler, among models of MySQL, Redis, Kafka and a payment provider that fail as
//! such servers do.
//!
//! [`simulation`] lets a seed decide what happens next, for as long as one likes; the same seed
//! does the same again. [`interleavings`] tries everything that can happen in the smallest case
//! that is of interest. [`checks`] looks after every step whether something happened that must
//! not. [`controls`] takes one guard away at a time, which must be noticed.

pub mod alike;
pub mod books;
pub mod checks;
pub mod controls;
pub mod dice;
pub mod history;
pub mod interleavings;
pub mod operators;
pub mod order;
pub mod proxy;
pub mod rest;
pub mod servers;
pub mod simulation;
pub mod statistics;
pub mod world;

pub use holdfast_proxy::reconcile::decision as reconcile;
pub use holdfast_proxy::saga::machine;
