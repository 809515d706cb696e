//! What an order is.

mod history;
mod order;
mod reason;
mod request;

pub use history::{Actor, Author, Step};
pub use order::{End, Order, OrderLine, Status, may_be_taken_again};
pub use reason::Reason;
pub use request::{Item, MAX_LINES, MAX_QUANTITY, Priced, RequestError, gather, price};
