//! What the server tells of its own accord: keys that arrive, databases that are emptied or swapped, its cron.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::NonNull;

use redis_module::raw;

use super::{Arg, Context, api, guard};

/// Starts the timer and subscribes to the events; false if the server refused.
pub(super) fn start(context: *mut raw::RedisModuleCtx) -> bool {
    // SAFETY: the context is that of loading; the callbacks live as long as the module.
    unsafe {
        let told = [
            api!(RedisModule_SubscribeToKeyspaceEvents)(
                context,
                raw::REDISMODULE_NOTIFY_GENERIC,
                Some(key_event),
            ),
            api!(RedisModule_SubscribeToServerEvent)(
                context,
                event(raw::REDISMODULE_EVENT_FLUSHDB),
                Some(flushed),
            ),
            api!(RedisModule_SubscribeToServerEvent)(
                context,
                event(raw::REDISMODULE_EVENT_SWAPDB),
                Some(swapped),
            ),
            api!(RedisModule_SubscribeToServerEvent)(
                context,
                event(raw::REDISMODULE_EVENT_REPL_ASYNC_LOAD),
                Some(loads_beside),
            ),
            api!(RedisModule_SubscribeToServerEvent)(
                context,
                event(raw::REDISMODULE_EVENT_CRON_LOOP),
                Some(cron),
            ),
        ];
        let Some(context) = Context::from_raw(context) else {
            return false;
        };
        crate::expiry::TIMER.start(&context, crate::config::sweep_tick_ms());
        told.iter()
            .all(|status| *status == raw::REDISMODULE_OK as c_int)
    }
}

fn event(id: u64) -> raw::RedisModuleEvent {
    raw::RedisModuleEvent { id, dataver: 1 }
}

/// The server's cron goes by the monotonic clock, ten times a second or more often.
unsafe extern "C" fn cron(
    context: *mut raw::RedisModuleCtx,
    _: raw::RedisModuleEvent,
    _: u64,
    _: *mut c_void,
) {
    for timer in [&crate::expiry::TIMER, &crate::notifications::TIMER] {
        // SAFETY: the server lends the context for this call.
        guard(|| unsafe { timer.revive(context) });
    }
}

unsafe extern "C" fn key_event(
    raw: *mut raw::RedisModuleCtx,
    _: c_int,
    event: *const c_char,
    key: *mut raw::RedisModuleString,
) -> c_int {
    guard(|| {
        // SAFETY: the server lends context, event and key for this call.
        let context = unsafe { Context::from_raw(raw) };
        if let (Some(context), Some(key), false) = (context, NonNull::new(key), event.is_null()) {
            // SAFETY: as above.
            let (event, key) = unsafe { (CStr::from_ptr(event), Arg::from_raw(key)) };
            crate::events::key_event(&context, event.to_bytes(), key.bytes());
        }
    });
    raw::REDISMODULE_OK as c_int
}

unsafe extern "C" fn flushed(
    _: *mut raw::RedisModuleCtx,
    _: raw::RedisModuleEvent,
    subevent: u64,
    data: *mut c_void,
) {
    if subevent == raw::REDISMODULE_SUBEVENT_FLUSHDB_START {
        // SAFETY: this event's data is a FlushInfo, or absent.
        let info = unsafe { data.cast::<raw::RedisModuleFlushInfoV1>().as_ref() };
        guard(|| crate::events::flushed(info.map(|info| info.dbnum).filter(|db| *db >= 0)));
    }
}

unsafe extern "C" fn loads_beside(
    _: *mut raw::RedisModuleCtx,
    _: raw::RedisModuleEvent,
    subevent: u64,
    _: *mut c_void,
) {
    guard(|| match subevent {
        raw::REDISMODULE_SUBEVENT_REPL_ASYNC_LOAD_STARTED => crate::events::loads_beside(),
        raw::REDISMODULE_SUBEVENT_REPL_ASYNC_LOAD_ABORTED => crate::events::loaded_beside(false),
        raw::REDISMODULE_SUBEVENT_REPL_ASYNC_LOAD_COMPLETED => crate::events::loaded_beside(true),
        _ => {}
    });
}

unsafe extern "C" fn swapped(
    _: *mut raw::RedisModuleCtx,
    _: raw::RedisModuleEvent,
    _: u64,
    data: *mut c_void,
) {
    // SAFETY: this event's data is a SwapDbInfo.
    if let Some(info) = unsafe { data.cast::<raw::RedisModuleSwapDbInfoV1>().as_ref() } {
        guard(|| crate::events::swapped(info.dbnum_first, info.dbnum_second));
    }
}
