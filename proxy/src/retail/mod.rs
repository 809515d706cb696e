//! A retailer's CSV export, read line by line: what each line means, what becomes of it, and the
//! account that no line was lost. Nothing here speaks to a server.
//!
//! Data walks down: `sheet` and `rows` make rows of bytes, `record` says what a row means, `goods` makes
//! products of the lines, `invoice` makes orders of them, `account` keeps what became of each.

pub mod account;
pub mod goods;
pub mod invoice;
pub mod own_form;
pub mod price;
pub mod record;
pub mod report;
pub mod rows;
pub mod sheet;
