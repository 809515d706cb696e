//! Taking money: what a provider must be able to do, and the one that speaks HTTP.

mod http;
mod provider;
pub mod webhook;

pub use http::HttpProvider;
pub use provider::{Error, Payment, Provider, Standing};
