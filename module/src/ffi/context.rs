//! The server as a command, a timer or an event sees it.

use std::ffi::CStr;
use std::ptr::NonNull;

use redis_module::raw;

use super::strings::Vector;
use super::{Arg, Key, KeyMut, api};
use crate::reply::Failure;

/// What the server lends for one call.
pub(crate) struct Context(NonNull<raw::RedisModuleCtx>);

impl Context {
    /// # Safety
    /// `raw` must be the context of the call that is running, and be used by nothing else meanwhile.
    pub(super) unsafe fn from_raw(raw: *mut raw::RedisModuleCtx) -> Option<Self> {
        NonNull::new(raw).map(Self)
    }

    pub(super) fn raw(&self) -> *mut raw::RedisModuleCtx {
        self.0.as_ptr()
    }

    /// The server's clock, in Unix milliseconds: the only clock that decides anything.
    pub(crate) fn now_ms(&self) -> u64 {
        // SAFETY: no preconditions.
        let now_ms = unsafe { api!(RedisModule_Milliseconds)() };
        u64::try_from(now_ms).unwrap_or(0)
    }

    /// Opens the key for reading.
    pub(crate) fn open(&self, name: &Arg<'_>) -> Key<'_> {
        Key::open(self, name)
    }

    /// Opens the key for writing. Closing it touches WATCH, so open it only to change it.
    pub(crate) fn open_mut(&mut self, name: &Arg<'_>) -> Result<KeyMut<'_>, Failure> {
        KeyMut::open(self, name)
    }

    /// Sends a command to the replicas and to the AOF, together with all others of this call.
    pub(crate) fn replicate<'a>(&self, command: &CStr, args: impl IntoIterator<Item = &'a [u8]>) {
        let mut args = Vector::new(args);
        // SAFETY: the format is one array of strings, as given. The server takes references of its own.
        unsafe {
            let (raws, length) = (args.as_mut_ptr(), args.len());
            api!(RedisModule_Replicate)(self.raw(), command.as_ptr(), c"v".as_ptr(), raws, length);
        }
    }

    /// Sends the running command on as it came.
    pub(crate) fn replicate_verbatim(&self) {
        // SAFETY: the context is valid.
        unsafe { api!(RedisModule_ReplicateVerbatim)(self.raw()) };
    }

    /// The number of the selected database.
    pub(crate) fn selected_db(&self) -> i32 {
        // SAFETY: the context is valid.
        unsafe { api!(RedisModule_GetSelectedDb)(self.raw()) }
    }

    /// Selects a database; false if there is none of that number.
    pub(crate) fn select_db(&mut self, db: i32) -> bool {
        // SAFETY: the context is valid.
        unsafe { api!(RedisModule_SelectDb)(self.raw(), db) == raw::REDISMODULE_OK as i32 }
    }

    /// Whether this server may change keys of its own accord: a primary that neither loads nor is paused. Replicating
    /// while clients are paused crashes the server.
    pub(crate) fn may_write_unasked(&self) -> bool {
        // SAFETY: the context is valid.
        let (flags, avoid) = unsafe {
            (
                api!(RedisModule_GetContextFlags)(self.raw()) as u32,
                api!(RedisModule_AvoidReplicaTraffic)(),
            )
        };
        let loading = raw::REDISMODULE_CTX_FLAGS_LOADING | raw::REDISMODULE_CTX_FLAGS_ASYNC_LOADING;
        flags & raw::REDISMODULE_CTX_FLAGS_MASTER != 0 && flags & loading == 0 && avoid == 0
    }

    /// Writes a warning to the server's log.
    pub(crate) fn warn(&self, message: &str) {
        warn(self.raw(), message);
    }
}

/// Writes a warning to the server's log; `context` may be NULL.
pub(super) fn warn(context: *mut raw::RedisModuleCtx, message: &str) {
    let line: Vec<u8> = message
        .bytes()
        .filter(|byte| *byte != 0)
        .chain([0])
        .collect();
    // SAFETY: the format takes one NUL-terminated string, which this is; Log allows a NULL context.
    unsafe { api!(RedisModule_Log)(context, c"warning".as_ptr(), c"%s".as_ptr(), line.as_ptr()) };
}
