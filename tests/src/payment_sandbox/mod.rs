//! A payment provider that takes no money: it behaves, well or badly, by the card that is used.
//!
//! | card | behaviour |
//! |---|---|
//! | 4242424242424242 | captured |
//! | 4000000000000002 | declined |
//! | 4000000000000119 | answers 500, nothing is taken |
//! | 4000000000000259 | takes the money, then closes the connection without an answer |
//! | 4000000000000341 | takes the money after 2 s |
//! | 4000000000000366 | takes the money after 30 s, when the caller has long given up |
//! | 4000000000000374 | answers 500 the first time, captured the second |
//! | any other | declined, `invalid_card` |
//!
//! A payment is known by its order id: the same order pays once, however often it is sent. Everything is kept in memory
//! and forgotten when the process ends.

pub mod ledger;
pub mod service;
