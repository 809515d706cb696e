//! The stock ledger under fire.

mod book;
pub mod codec;
pub mod commands;
mod promises;
pub mod sound;
pub mod text;
mod watched;
