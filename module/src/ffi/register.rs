//! How the table of commands becomes commands of the server.

use std::ffi::{CString, c_int};
use std::ptr::{NonNull, null, null_mut};

use redis_module::raw;

use super::{Arg, Context, api, guard};
use crate::commands::{Access, Command, Keys, TABLE};

/// Registers every command of the table; false if the server refused one.
pub(super) fn register_all(context: *mut raw::RedisModuleCtx) -> bool {
    TABLE
        .iter()
        .zip(TRAMPOLINES)
        .all(|(command, call)| register(context, command, call).is_some())
}

type Call = unsafe extern "C" fn(
    *mut raw::RedisModuleCtx,
    *mut *mut raw::RedisModuleString,
    c_int,
) -> c_int;

/// One function a command, because the server passes nothing along that would tell them apart.
const TRAMPOLINES: [Call; 24] = [
    call::<0>, call::<1>, call::<2>, call::<3>, call::<4>, call::<5>, call::<6>, call::<7>,
    call::<8>, call::<9>, call::<10>, call::<11>, call::<12>, call::<13>, call::<14>, call::<15>,
    call::<16>, call::<17>, call::<18>, call::<19>, call::<20>, call::<21>, call::<22>, call::<23>,
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
        let args: Vec<_> = unsafe {
            let raws = std::slice::from_raw_parts(argv, usize::try_from(argc).unwrap_or(0));
            raws.iter()
                .filter_map(|raw| NonNull::new(*raw))
                .map(|raw| Arg::from_raw(raw))
                .collect()
        };
        let command = TABLE.get(INDEX)?;
        // SAFETY: as above.
        if unsafe { api!(RedisModule_IsKeysPositionRequest)(raw) } != 0 {
            report_keys(raw, command.keys, &args);
            return Some(None);
        }
        Some(Some((command.run)(&mut context, &args)))
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
    for position in keys.positions(args) {
        // SAFETY: the context is that of the question, and the position is one of the arguments.
        unsafe {
            api!(RedisModule_KeyAtPosWithFlags)(
                context,
                position as c_int,
                flags(keys.access()) as c_int,
            );
        }
    }
}

fn register(context: *mut raw::RedisModuleCtx, command: &Command, call: Call) -> Option<()> {
    let [name, flags, summary, complexity] = [
        command.name,
        command.flags,
        command.summary,
        command.complexity,
    ]
    .map(CString::new);
    let (name, flags, summary, complexity) =
        (name.ok()?, flags.ok()?, summary.ok()?, complexity.ok()?);
    let (first, last, step) = match command.keys {
        Keys::First(_) => (1, 1, 1),
        // Where the keys are counted, only the key specification below can say where they end.
        Keys::Counted(_) => (0, 0, 0),
    };
    let mut key_specs = [key_spec(command.keys), empty_key_spec()];
    let version = raw::RedisModuleCommandInfoVersion {
        version: 1,
        sizeof_historyentry: size_of::<raw::RedisModuleCommandHistoryEntry>(),
        sizeof_keyspec: size_of::<raw::RedisModuleCommandKeySpec>(),
        sizeof_arg: size_of::<raw::RedisModuleCommandArg>(),
    };
    let info = raw::RedisModuleCommandInfo {
        version: &version,
        summary: summary.as_ptr(),
        complexity: complexity.as_ptr(),
        since: c"0.1.0".as_ptr(),
        history: null_mut(),
        tips: null(),
        arity: command.arity,
        key_specs: key_specs.as_mut_ptr(),
        args: null_mut(),
    };
    // SAFETY: the context is that of loading; all strings end with NUL and all arrays with a zeroed entry, and the
    // server copies them.
    unsafe {
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
        let command = NonNull::new(api!(RedisModule_GetCommand)(context, name.as_ptr()))?;
        (api!(RedisModule_SetCommandInfo)(command.as_ptr(), &info) == raw::REDISMODULE_OK as c_int)
            .then_some(())
    }
}

/// What tells the cluster, ACLs and clients where the keys are and what becomes of them.
fn key_spec(keys: Keys) -> raw::RedisModuleCommandKeySpec {
    let mut spec = empty_key_spec();
    spec.flags = flags(keys.access()).into();
    spec.begin_search_type = raw::RedisModuleKeySpecBeginSearchType_REDISMODULE_KSPEC_BS_INDEX;
    spec.bs.index.pos = 1;
    match keys {
        Keys::First(_) => {
            spec.find_keys_type = raw::RedisModuleKeySpecFindKeysType_REDISMODULE_KSPEC_FK_RANGE;
            spec.fk.range = raw::RedisModuleCommandKeySpec__bindgen_ty_2__bindgen_ty_1 {
                lastkey: 0,
                keystep: 1,
                limit: 0,
            };
        }
        Keys::Counted(_) => {
            spec.find_keys_type = raw::RedisModuleKeySpecFindKeysType_REDISMODULE_KSPEC_FK_KEYNUM;
            spec.fk.keynum = raw::RedisModuleCommandKeySpec__bindgen_ty_2__bindgen_ty_2 {
                keynumidx: 0,
                firstkey: 1,
                keystep: 1,
            };
        }
    }
    spec
}

fn flags(access: Access) -> u32 {
    match access {
        Access::Read => raw::REDISMODULE_CMD_KEY_RO | raw::REDISMODULE_CMD_KEY_ACCESS,
        Access::Update => {
            raw::REDISMODULE_CMD_KEY_RW
                | raw::REDISMODULE_CMD_KEY_ACCESS
                | raw::REDISMODULE_CMD_KEY_UPDATE
        }
        Access::Insert => {
            raw::REDISMODULE_CMD_KEY_RW
                | raw::REDISMODULE_CMD_KEY_ACCESS
                | raw::REDISMODULE_CMD_KEY_INSERT
        }
        Access::Delete => raw::REDISMODULE_CMD_KEY_RM | raw::REDISMODULE_CMD_KEY_DELETE,
    }
}

fn empty_key_spec() -> raw::RedisModuleCommandKeySpec {
    // SAFETY: a C struct of numbers and pointers, for which zero is a value, and the one that ends an array.
    unsafe { std::mem::zeroed() }
}
