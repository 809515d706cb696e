//! The stock ledger under fire.

mod book;
pub mod codec;
pub mod commands;
pub mod sound;
pub mod text;
mod watched;
