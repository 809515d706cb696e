//! How the table of commands becomes commands of the server.

use std::ffi::{CString, c_int};
use std::ptr::NonNull;

use redis_module::raw;

use super::command_info::{describe, key_flags};
use super::{Arg, Context, acl, api, guard};
use crate::commands::{Entry, Keys, TABLE};

/// Registers every command of the table; false if the server refused one.
pub(super) fn register_all(context: *mut raw::RedisModuleCtx) -> bool {
    acl::add_categories(context);
    TABLE
        .iter()
        .zip(TRAMPOLINES)
        .all(|(entry, call)| register(context, entry, call).is_some())
}

type Call = unsafe extern "C" fn(
    *mut raw::RedisModuleCtx,
    *mut *mut raw::RedisModuleString,
    c_int,
) -> c_int;

/// One function a command, because the server passes nothing along that would tell them apart.
const TRAMPOLINES: [Call; 28] = [
    call::<0>, call::<1>, call::<2>, call::<3>, call::<4>, call::<5>, call::<6>, call::<7>,
    call::<8>, call::<9>, call::<10>, call::<11>, call::<12>, call::<13>, call::<14>, call::<15>,
    call::<16>, call::<17>, call::<18>, call::<19>, call::<20>, call::<21>, call::<22>, call::<23>,
    call::<24>, call::<25>, call::<26>, call::<27>,
];
const _: () = assert!(
    TABLE.len() <= TRAMPOLINES.len(),
    "a command of the table would not be registered"
);

unsafe extern "C" fn call<const INDEX: usize>(
    raw: *mut raw::RedisModuleCtx,
    argv: *mut *mut raw::RedisModuleString,
    argc: c_int,
) -> c_int {
    // SAFETY: the server lends context and arguments for this call.
    let Some(mut context) = (unsafe { Context::from_raw(raw) }) else {
        return raw::REDISMODULE_ERR as c_int;
    };
    let result = guard(|| {
        // SAFETY: as above; there are `argc` arguments, the command's name first.
        let args = unsafe { Arg::all(argv, argc) };
        let entry = TABLE.get(INDEX)?;
        // SAFETY: as above.
        if unsafe { api!(RedisModule_IsKeysPositionRequest)(raw) } != 0 {
            report_keys(raw, entry.keys, &args);
            return Some(None);
        }
        Some(Some((entry.run)(&mut context, &args)))
    });
    match result.flatten() {
        Some(Some(result)) => context.send(result),
        Some(None) => {}
        None => context.send_error(
            "ERR an internal error, which the server's log describes; please report it",
        ),
    }
    raw::REDISMODULE_OK as c_int
}

/// Answers the server's question where the keys of these arguments are. There is no client to reply to.
fn report_keys(context: *mut raw::RedisModuleCtx, keys: Keys, args: &[Arg<'_>]) {
    let Some(access) = keys.access() else { return };
    for position in keys.positions(args) {
        // SAFETY: the context is that of the question, and the position is one of the arguments.
        unsafe {
            api!(RedisModule_KeyAtPosWithFlags)(
                context,
                position as c_int,
                key_flags(access) as c_int,
            );
        }
    }
}

fn register(context: *mut raw::RedisModuleCtx, entry: &Entry, call: Call) -> Option<()> {
    let (name, flags) = (
        CString::new(entry.name).ok()?,
        CString::new(entry.flags).ok()?,
    );
    let (first, last, step) = match entry.keys {
        Keys::First(_) => (1, 1, 1),
        // Where the keys are counted, only the key specification can say where they end.
        Keys::Counted(_) | Keys::None => (0, 0, 0),
    };
    // SAFETY: the context is that of loading, and the server copies the strings.
    let command = unsafe {
        let created = api!(RedisModule_CreateCommand)(
            context,
            name.as_ptr(),
            Some(call),
            flags.as_ptr(),
            first,
            last,
            step,
        );
        if created != raw::REDISMODULE_OK as c_int {
            return None;
        }
        NonNull::new(api!(RedisModule_GetCommand)(context, name.as_ptr()))?
    };
    acl::join_categories(context, command, entry);
    describe(command, entry)
}
