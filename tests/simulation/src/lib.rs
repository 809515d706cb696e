//! The shop in one thread: the real saga machine, the real stock ledger and the real decisions
//! of the reconciler, among models of MySQL, Redis, Kafka and a payment provider that fail as
//! such servers do.
//!
//! [`simulation`] lets a seed decide what happens next, for as long as one likes; the same seed
//! does the same again. [`interleavings`] tries everything that can happen in the smallest case
//! that is of interest. [`checks`] looks after every step whether something happened that must
//! not. [`controls`] takes one guard away at a time, which must be noticed.

mod action;
mod alike;
mod books;
mod checks;
mod checks_at_rest;
pub mod controls;
mod dice;
mod history;
pub mod interleavings;
mod operators;
mod order;
mod proxy;
mod rest;
mod servers;
mod shoppers;
pub mod simulation;
pub mod statistics;
mod world;

use holdfast_proxy::reconcile::decision as reconcile;
use holdfast_proxy::saga::machine;
