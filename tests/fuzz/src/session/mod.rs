//! The session record under fire.

pub mod codec;
pub mod commands;
pub mod sound;
pub mod text;
