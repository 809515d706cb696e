//! What the server tells of its own accord: the timer, keys that arrive, databases that are emptied or swapped.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use redis_module::raw;

use super::{Arg, Context, api, guard};

/// The timer that runs, and when it was started, in Unix milliseconds. Only the server's main thread uses them.
static TIMER: AtomicU64 = AtomicU64::new(0);
static STARTED_MS: AtomicU64 = AtomicU64::new(0);

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
        start_timer(context, crate::config::sweep_tick_ms());
        told.iter()
            .all(|status| *status == raw::REDISMODULE_OK as c_int)
    }
}

fn event(id: u64) -> raw::RedisModuleEvent {
    raw::RedisModuleEvent { id, dataver: 1 }
}

/// # Safety
/// The context must be that of the running call.
unsafe fn start_timer(context: *mut raw::RedisModuleCtx, in_ms: u64) {
    let in_ms = i64::try_from(in_ms).unwrap_or(i64::MAX);
    // SAFETY: the caller's; the callback takes no data.
    let timer = unsafe { api!(RedisModule_CreateTimer)(context, in_ms, Some(tick), null_mut()) };
    TIMER.store(timer, Relaxed);
    // SAFETY: the caller's.
    STARTED_MS.store(
        unsafe { Context::from_raw(context) }.map_or(0, |context| context.now_ms()),
        Relaxed,
    );
}

/// Starts the timer anew when the clock has gone back. Redis 7.0 goes by that clock and would wait until it is again
/// where it was; the server's own cron does not.
unsafe extern "C" fn cron(
    raw: *mut raw::RedisModuleCtx,
    _: raw::RedisModuleEvent,
    _: u64,
    _: *mut c_void,
) {
    guard(|| {
        // SAFETY: the server lends the context for this call.
        let context = unsafe { Context::from_raw(raw) };
        if context.is_some_and(|context| context.now_ms() < STARTED_MS.load(Relaxed)) {
            // SAFETY: as above; a timer that is gone is refused.
            unsafe {
                api!(RedisModule_StopTimer)(raw, TIMER.load(Relaxed), null_mut());
                start_timer(raw, crate::config::sweep_tick_ms());
            }
        }
    });
}

unsafe extern "C" fn tick(raw: *mut raw::RedisModuleCtx, _: *mut c_void) {
    let next_ms = guard(|| {
        // SAFETY: the server lends the context for this call.
        let context = unsafe { Context::from_raw(raw) };
        context.map(|mut context| crate::expiry::tick(&mut context))
    });
    // SAFETY: as above. Whatever happened, the timer goes on.
    unsafe {
        start_timer(
            raw,
            next_ms
                .flatten()
                .unwrap_or_else(crate::config::sweep_tick_ms),
        )
    };
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
