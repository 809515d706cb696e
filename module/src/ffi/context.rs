//! The server as a command, a timer or an event sees it.

use std::ffi::{CStr, c_int};
use std::ptr::NonNull;

use redis_module::raw;

use super::strings::{Name, Vector};
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

    /// Whether this server is a primary with all its data.
    pub(crate) fn is_primary(&self) -> bool {
        let loading = raw::REDISMODULE_CTX_FLAGS_LOADING | raw::REDISMODULE_CTX_FLAGS_ASYNC_LOADING;
        let flags = self.flags();
        flags & raw::REDISMODULE_CTX_FLAGS_MASTER != 0 && flags & loading == 0
    }

    /// Whether this server is a node of a cluster.
    pub(crate) fn is_cluster(&self) -> bool {
        self.flags() & raw::REDISMODULE_CTX_FLAGS_CLUSTER != 0
    }

    /// Whether it is for this server to decide on the key. In a cluster a key may be here that another node answers for,
    /// while its slot is on its way.
    pub(crate) fn owns(&self, key: &Arg<'_>) -> bool {
        if !self.is_cluster() {
            return true;
        }
        // No function tells the owner of a slot; but the server calls no command on a key that is not its own.
        // SAFETY: context and key are valid, and the format takes one string. A reply is freed once.
        unsafe {
            let reply = api!(RedisModule_Call)(
                self.raw(),
                c"EXISTS".as_ptr(),
                c"s".as_ptr(),
                key.raw.as_ptr(),
            );
            if !reply.is_null() {
                api!(RedisModule_FreeCallReply)(reply);
            }
            !reply.is_null()
        }
    }

    fn flags(&self) -> u32 {
        // SAFETY: the context is valid.
        (unsafe { api!(RedisModule_GetContextFlags)(self.raw()) }) as u32
    }

    /// Tells of a change of the key in the keyspace; to be called when the key is closed.
    pub(crate) fn notify(&self, event: &CStr, key: &Arg<'_>) {
        self.notify_as(raw::REDISMODULE_NOTIFY_MODULE, event, key);
    }

    /// Tells that the key is gone, as the server's own DEL does.
    pub(crate) fn notify_deleted(&self, key: &Arg<'_>) {
        self.notify_as(raw::REDISMODULE_NOTIFY_GENERIC, c"del", key);
    }

    fn notify_as(&self, kind: c_int, event: &CStr, key: &Arg<'_>) {
        // SAFETY: context and key are valid, and the event's name is static.
        unsafe {
            api!(RedisModule_NotifyKeyspaceEvent)(
                self.raw(),
                kind,
                event.as_ptr(),
                key.raw.as_ptr(),
            )
        };
    }

    /// Publishes a message, in the channel's own shard or to the whole server.
    pub(crate) fn publish(&self, sharded: bool, channel: &[u8], message: &[u8]) {
        let (Some(channel), Some(message)) = (Name::new(channel), Name::new(message)) else {
            return;
        };
        // SAFETY: the context is valid, and both strings live until the call is over; what needs them longer takes a
        // reference of its own.
        unsafe {
            if sharded {
                api!(RedisModule_PublishMessageShard)(self.raw(), channel.raw(), message.raw());
            } else {
                api!(RedisModule_PublishMessage)(self.raw(), channel.raw(), message.raw());
            }
        }
    }

    /// Whether this server may change keys of its own accord: a primary that neither loads nor is paused. Replicating
    /// while clients are paused crashes the server.
    pub(crate) fn may_write_unasked(&self) -> bool {
        // SAFETY: no preconditions.
        let avoids = unsafe { api!(RedisModule_AvoidReplicaTraffic)() };
        self.is_primary() && avoids == 0
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
