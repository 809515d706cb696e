//! The two native data types and their callbacks.

mod session;
mod stock;

pub(crate) use session::Session;
pub(crate) use stock::Stock;
