//! Everything that touches the server's C interface, and all unsafe code of this crate.
//!
//! The rest of the crate sees a safe interface: a [`Context`] that lends keys ([`Key`] to read, [`KeyMut`] to write,
//! never both at once), types that implement [`DataType`], and plain functions that are called by commands, timers
//! and events. Whatever comes in from the server goes through [`guard`], because a panic that crossed into C would
//! end it.
#![allow(unsafe_code)]

mod acl;
mod command_info;
mod config;
mod context;
mod datatype;
mod events;
mod info;
mod key;
mod load;
mod register;
mod send;
mod strings;
mod timer;

pub(crate) use context::Context;
pub(crate) use datatype::{DataType, Digester, Loader, Rewriter, Saver, TypeCell};
pub(crate) use key::{Key, KeyMut};
pub(crate) use strings::{Arg, Name};
pub(crate) use timer::{Timer, monotonic_ms};

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Memory comes from the server's allocator, so that `used_memory` and `maxmemory` count it. Tests and fuzzers have no
/// server.
#[cfg(not(any(test, fuzzing)))]
#[global_allocator]
static ALLOCATOR: redis_module::alloc::RedisAlloc = redis_module::alloc::RedisAlloc;

/// A function of the server's module interface, by its name; to be used and called inside an unsafe block.
///
/// That it is there was checked once by `load::check_api`, before anything else could run, and it never changes.
macro_rules! api {
    ($name:ident) => {
        redis_module::raw::$name.unwrap_unchecked()
    };
}
use api;

/// Runs what the server called, and returns `None` if it panicked. The hook of `load::quiet_panics` has logged it.
fn guard<T>(run: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(run)).ok()
}
