//! How the server loads the module.

use std::ffi::c_int;
use std::ptr::null_mut;

use redis_module::raw;

use super::context::warn;
use super::{Arg, api, config, datatype, events, guard, info, register};
use crate::datatype::{Session, Stock};

/// The entry point: registers parameters, types, commands and events, or refuses to load.
///
/// # Safety
/// The server calls it once, with the context of loading.
#[unsafe(no_mangle)]
#[allow(non_snake_case)]
pub unsafe extern "C" fn RedisModule_OnLoad(
    context: *mut raw::RedisModuleCtx,
    argv: *mut *mut raw::RedisModuleString,
    argc: c_int,
) -> c_int {
    // Nothing may be allocated before this: the allocator is the server's, which this call makes known.
    // SAFETY: the context is that of loading.
    let known = unsafe {
        raw::Export_RedisModule_Init(
            context,
            c"holdfast".as_ptr(),
            1,
            raw::REDISMODULE_APIVER_1 as c_int,
        )
    };
    if known != raw::REDISMODULE_OK as c_int {
        return raw::REDISMODULE_ERR as c_int;
    }
    if !check_api() {
        return raw::REDISMODULE_ERR as c_int;
    }
    let loaded = guard(|| {
        quiet_panics();
        // SAFETY: the server lends `argc` arguments for this call.
        let args = unsafe { Arg::all(argv, argc) };
        let args: Vec<_> = args.iter().map(Arg::bytes).collect();
        if let Err(refused) = config::load(context, &args) {
            warn(context, &format!("holdfast is not loaded: {refused}"));
            return false;
        }
        // SAFETY: the context is that of loading.
        unsafe { api!(RedisModule_SetModuleOptions)(context, options()) };
        datatype::register::<Stock>(context)
            && datatype::register::<Session>(context)
            && register::register_all(context)
            && info::register(context)
            && events::start(context)
    });
    (if loaded == Some(true) {
        raw::REDISMODULE_OK
    } else {
        raw::REDISMODULE_ERR
    }) as c_int
}

/// What the module can bear: payloads that end too early, a primary's data that is loaded beside its own, and on
/// Valkey slots that move while it is in use, which goes by the rewriting of the AOF.
fn options() -> c_int {
    /// `VALKEYMODULE_OPTIONS_HANDLE_ATOMIC_SLOT_MIGRATION`; another server may give the bit another meaning.
    const MOVES_SLOTS: c_int = 1 << 5;
    let everywhere =
        raw::REDISMODULE_OPTIONS_HANDLE_IO_ERRORS | raw::REDISMODULE_OPTIONS_HANDLE_REPL_ASYNC_LOAD;
    let mut known: Option<unsafe extern "C" fn() -> c_int> = None;
    // SAFETY: the server fills the place in if it knows a function of this name, which has this type; a function and
    // an empty place are both as large as a pointer.
    let known = unsafe {
        if let Some(get) = raw::RedisModule_GetApi {
            get(
                c"ValkeyModule_GetModuleOptionsAll".as_ptr(),
                (&raw mut known).cast(),
            );
        }
        known.map_or(0, |known| known())
    };
    everywhere as c_int | known & MOVES_SLOTS
}

/// Whether the server has every function that `api!` is used for; all are there since Redis 7.0.
fn check_api() -> bool {
    macro_rules! all_present {
        ($($name:ident),* $(,)?) => {
            // SAFETY: they were set by the initialization, on this thread, and do not change afterwards.
            $({ let function = unsafe { raw::$name }; function.is_some() })&&*
        };
    }
    all_present!(
        RedisModule_Alloc,
        RedisModule_AvoidReplicaTraffic,
        RedisModule_Call,
        RedisModule_CloseKey,
        RedisModule_CreateCommand,
        RedisModule_CreateDataType,
        RedisModule_CreateString,
        RedisModule_CreateTimer,
        RedisModule_DefragAlloc,
        RedisModule_DefragCursorGet,
        RedisModule_DefragCursorSet,
        RedisModule_DefragShouldStop,
        RedisModule_DeleteKey,
        RedisModule_DigestAddStringBuffer,
        RedisModule_DigestEndSequence,
        RedisModule_EmitAOF,
        RedisModule_Free,
        RedisModule_FreeCallReply,
        RedisModule_FreeString,
        RedisModule_GetCommand,
        RedisModule_GetContextFlags,
        RedisModule_GetDbIdFromIO,
        RedisModule_GetDbIdFromOptCtx,
        RedisModule_GetKeyNameFromIO,
        RedisModule_GetKeyNameFromOptCtx,
        RedisModule_GetSelectedDb,
        RedisModule_InfoAddFieldULongLong,
        RedisModule_InfoAddSection,
        RedisModule_IsKeysPositionRequest,
        RedisModule_KeyAtPosWithFlags,
        RedisModule_KeyType,
        RedisModule_LoadConfigs,
        RedisModule_LoadStringBuffer,
        RedisModule_Log,
        RedisModule_Milliseconds,
        RedisModule_ModuleTypeGetType,
        RedisModule_ModuleTypeGetValue,
        RedisModule_ModuleTypeSetValue,
        RedisModule_NotifyKeyspaceEvent,
        RedisModule_OpenKey,
        RedisModule_PublishMessage,
        RedisModule_PublishMessageShard,
        RedisModule_RegisterBoolConfig,
        RedisModule_RegisterInfoFunc,
        RedisModule_RegisterNumericConfig,
        RedisModule_Replicate,
        RedisModule_ReplicateVerbatim,
        RedisModule_ReplyWithArray,
        RedisModule_ReplyWithError,
        RedisModule_ReplyWithLongLong,
        RedisModule_ReplyWithMap,
        RedisModule_ReplyWithNull,
        RedisModule_ReplyWithSimpleString,
        RedisModule_ReplyWithStringBuffer,
        RedisModule_SaveStringBuffer,
        RedisModule_SelectDb,
        RedisModule_SetAbsExpire,
        RedisModule_SetCommandInfo,
        RedisModule_SetModuleOptions,
        RedisModule_StopTimer,
        RedisModule_StringPtrLen,
        RedisModule_SubscribeToKeyspaceEvents,
        RedisModule_SubscribeToServerEvent,
        RedisModule_WrongArity,
    )
}

/// A panic is caught by `guard` and answered as an error. It is logged in one line: a backtrace with symbols, which the
/// default hook prints when RUST_BACKTRACE is set, aborts under Valkey 8.1.
fn quiet_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map_or_else(String::new, ToString::to_string);
        let payload = panic.payload();
        let message = payload.downcast_ref::<String>().map(String::as_str);
        let message = message
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        warn(
            null_mut(),
            &format!("holdfast: a bug was caught at {place}: {message}"),
        );
    }));
}
