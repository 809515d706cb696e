//! What the server is told of a command for COMMAND DOCS and INFO, for the cluster and for ACLs.

use std::ffi::{CString, NulError, c_int};
use std::ptr::{NonNull, null_mut};

use redis_module::raw;

use super::api;
use crate::commands::syntax::{self, Argument, Kind};
use crate::commands::{Access, Entry, Keys};

/// Describes a command that was just created; `None` if the server refused.
pub(super) fn describe(command: NonNull<raw::RedisModuleCommand>, entry: &Entry) -> Option<()> {
    let mut strings = Strings::default();
    let mut key_specs: Vec<_> = key_spec(entry.keys)
        .into_iter()
        .chain([empty_key_spec()])
        .collect();
    let mut arguments = Arguments::new(entry.arguments, &mut strings).ok()?;
    let version = raw::RedisModuleCommandInfoVersion {
        version: 1,
        sizeof_historyentry: size_of::<raw::RedisModuleCommandHistoryEntry>(),
        sizeof_keyspec: size_of::<raw::RedisModuleCommandKeySpec>(),
        sizeof_arg: size_of::<raw::RedisModuleCommandArg>(),
    };
    let info = raw::RedisModuleCommandInfo {
        version: &version,
        summary: strings.add(entry.summary).ok()?,
        complexity: strings.add(entry.complexity).ok()?,
        since: strings.add(entry.since).ok()?,
        history: null_mut(),
        tips: strings.add(entry.tips).ok()?,
        arity: syntax::arity(entry.arguments),
        key_specs: key_specs.as_mut_ptr(),
        args: arguments.as_mut_ptr(),
    };
    // SAFETY: the command is one of ours, and this is the call that loads the module. All strings end with NUL and all
    // arrays with a zeroed entry, they live until the call returns, and the server copies them.
    let status = unsafe { api!(RedisModule_SetCommandInfo)(command.as_ptr(), &info) };
    (status == raw::REDISMODULE_OK as c_int).then_some(())
}

/// C strings that live until all have been passed on.
#[derive(Default)]
struct Strings(Vec<CString>);

impl Strings {
    fn add(&mut self, text: &str) -> Result<*const std::ffi::c_char, NulError> {
        let text = CString::new(text)?;
        // The string stays where it is when its owner moves.
        let raw = text.as_ptr();
        self.0.push(text);
        Ok(raw)
    }
}

/// The arguments of a command in C, with those inside them.
struct Arguments {
    list: Vec<raw::RedisModuleCommandArg>,
    _inner: Vec<Arguments>,
}

impl Arguments {
    fn new(arguments: &[Argument], strings: &mut Strings) -> Result<Self, NulError> {
        let (mut list, mut inner) = (Vec::with_capacity(arguments.len() + 1), Vec::new());
        for argument in arguments {
            let mut one = empty_argument();
            one.name = strings.add(argument.name)?;
            if let Some(token) = argument.token {
                one.token = strings.add(token)?;
            }
            one.type_ = kind(argument.kind);
            one.key_spec_index = if matches!(argument.kind, Kind::Key) {
                0
            } else {
                -1
            };
            let flags = [
                (argument.optional, raw::REDISMODULE_CMD_ARG_OPTIONAL),
                (argument.multiple, raw::REDISMODULE_CMD_ARG_MULTIPLE),
            ];
            for (_, flag) in flags.iter().filter(|(set, _)| *set) {
                one.flags |= *flag as c_int;
            }
            if let Kind::OneOf(parts) | Kind::Block(parts) = argument.kind {
                let mut parts = Self::new(parts, strings)?;
                one.subargs = parts.as_mut_ptr();
                inner.push(parts);
            }
            list.push(one);
        }
        list.push(empty_argument());
        Ok(Self {
            list,
            _inner: inner,
        })
    }

    fn as_mut_ptr(&mut self) -> *mut raw::RedisModuleCommandArg {
        self.list.as_mut_ptr()
    }
}

fn kind(kind: Kind) -> raw::RedisModuleCommandArgType {
    match kind {
        Kind::Key => raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_KEY,
        Kind::Text => raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_STRING,
        Kind::Integer => raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_INTEGER,
        Kind::UnixTime => raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_UNIX_TIME,
        Kind::Token => raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_PURE_TOKEN,
        Kind::OneOf(_) => raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_ONEOF,
        Kind::Block(_) => raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_BLOCK,
    }
}

/// What tells the cluster, ACLs and clients where the keys are and what becomes of them.
fn key_spec(keys: Keys) -> Option<raw::RedisModuleCommandKeySpec> {
    let mut spec = empty_key_spec();
    spec.flags = key_flags(keys.access()?).into();
    spec.begin_search_type = raw::RedisModuleKeySpecBeginSearchType_REDISMODULE_KSPEC_BS_INDEX;
    spec.bs.index.pos = 1;
    match keys {
        Keys::None => return None,
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
    Some(spec)
}

/// What a command does to a key, in the server's flags.
pub(super) fn key_flags(access: Access) -> u32 {
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

fn empty_argument() -> raw::RedisModuleCommandArg {
    // SAFETY: as above.
    unsafe { std::mem::zeroed() }
}
