//! The session record under fire.

mod book;
pub mod codec;
pub mod commands;
pub mod sound;
pub mod text;
