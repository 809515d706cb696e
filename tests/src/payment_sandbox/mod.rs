//! A payment provider that takes no money: it behaves, well or badly, by the card that is used
//! ([`cards::CARDS`]). docs/payment.md describes its API.
//!
//! A payment is known by its order id: the same order pays once, however often it is sent. Everything is kept in memory
//! and forgotten when the process ends.

pub mod behaviour;
pub mod cards;
pub mod idempotency;
pub mod ledger;
pub mod service;
pub mod webhooks;
