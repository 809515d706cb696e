//! How INFO gets its section.

use std::ffi::{CString, c_int};

use redis_module::raw;

use super::{api, guard};

/// Registers the section; false if the server refused.
pub(super) fn register(context: *mut raw::RedisModuleCtx) -> bool {
    // SAFETY: the context is that of loading.
    let status = unsafe { api!(RedisModule_RegisterInfoFunc)(context, Some(info)) };
    status == raw::REDISMODULE_OK as c_int
}

unsafe extern "C" fn info(context: *mut raw::RedisModuleInfoCtx, _for_crash_report: c_int) {
    guard(|| {
        // SAFETY: no preconditions.
        let now_ms = u64::try_from(unsafe { api!(RedisModule_Milliseconds)() }).unwrap_or(0);
        // SAFETY: the context is that of this call. Without a name of its own the section has the module's; an error
        // means that it was not asked for.
        let section = unsafe { api!(RedisModule_InfoAddSection)(context, c"".as_ptr()) };
        if section != raw::REDISMODULE_OK as c_int {
            return;
        }
        for (name, value) in crate::info::fields(now_ms) {
            if let Ok(name) = CString::new(name) {
                // SAFETY: as above; the name is copied.
                unsafe { api!(RedisModule_InfoAddFieldULongLong)(context, name.as_ptr(), value) };
            }
        }
    });
}
