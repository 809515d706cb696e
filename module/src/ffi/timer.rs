//! Timers that go on whatever the clock does.
//!
//! The server keeps the timers of modules by the time of day: when that goes back by an hour, none fires for an hour.
//! So each of ours also knows by the monotonic clock when it should have fired, and the server's own cron, which goes
//! by that clock, starts it anew.

use std::ffi::c_void;
use std::ptr::{from_ref, null_mut};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use redis_module::raw;

use super::{Context, api, guard};

/// So late a timer is not in milliseconds, however busy the server.
const LATE_MS: u64 = 1_000;

/// A timer of the module's, of which there is one at most at a time.
pub(crate) struct Timer {
    id: AtomicU64,
    /// By the monotonic clock; 0 when it is not started.
    fires_ms: AtomicU64,
    /// What it does; it returns in how many milliseconds to do it again, or `None` to stop.
    run: fn(&mut Context) -> Option<u64>,
    /// The longest that it ever waits, in milliseconds.
    longest_ms: fn() -> u64,
}

impl Timer {
    pub(crate) const fn new(run: fn(&mut Context) -> Option<u64>, longest_ms: fn() -> u64) -> Self {
        Self {
            id: AtomicU64::new(0),
            fires_ms: AtomicU64::new(0),
            run,
            longest_ms,
        }
    }

    /// Starts it unless it runs.
    pub(crate) fn start(&'static self, context: &Context, in_ms: u64) {
        if self.fires_ms.load(Relaxed) == 0 {
            // SAFETY: the context is that of the running call.
            unsafe { self.create(context.raw(), in_ms) };
        }
    }

    /// # Safety
    /// For this and the functions below: the context is that of the running call.
    unsafe fn create(&'static self, context: *mut raw::RedisModuleCtx, in_ms: u64) {
        let data = from_ref(self).cast_mut().cast();
        let period_ms = i64::try_from(in_ms).unwrap_or(i64::MAX);
        // SAFETY: the caller's; the data is static.
        let id = unsafe { api!(RedisModule_CreateTimer)(context, period_ms, Some(fire), data) };
        self.id.store(id, Relaxed);
        self.fires_ms.store(monotonic_ms() + in_ms, Relaxed);
    }

    /// Starts it anew if it is late, or was started for longer than it may wait by now.
    pub(super) unsafe fn revive(&'static self, context: *mut raw::RedisModuleCtx) {
        let (fires_ms, now_ms) = (self.fires_ms.load(Relaxed), monotonic_ms());
        let late = fires_ms + LATE_MS < now_ms;
        let far = fires_ms > now_ms + (self.longest_ms)();
        if fires_ms != 0 && (late || far) {
            // SAFETY: the caller's; a timer that is gone is no error that matters.
            unsafe {
                api!(RedisModule_StopTimer)(context, self.id.load(Relaxed), null_mut());
                self.create(context, 1);
            }
        }
    }
}

unsafe extern "C" fn fire(raw: *mut raw::RedisModuleCtx, data: *mut c_void) {
    // SAFETY: the data is what `create` gave, which is static.
    let Some(timer) = (unsafe { data.cast::<Timer>().cast_const().as_ref::<'static>() }) else {
        return;
    };
    timer.fires_ms.store(0, Relaxed);
    let next_ms = guard(|| {
        // SAFETY: the server lends the context for this call.
        let mut context = unsafe { Context::from_raw(raw) }?;
        (timer.run)(&mut context)
    });
    // Whatever happened, the timer goes on.
    if let Some(next_ms) = next_ms.unwrap_or_else(|| Some((timer.longest_ms)())) {
        // SAFETY: as above.
        unsafe { timer.create(raw, next_ms) };
    }
}

/// Milliseconds since the first call, plus one.
pub(crate) fn monotonic_ms() -> u64 {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    let elapsed = BEGAN.get_or_init(Instant::now).elapsed();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX) + 1
}
