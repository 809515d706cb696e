//! How the table of parameters becomes parameters of the server.

use std::ffi::{CString, c_char, c_int, c_longlong, c_void};
use std::ptr::{from_ref, null_mut};

use redis_module::raw;

use super::strings::Name;
use super::{api, guard};
use crate::config::{self, Kind, Parameter};

/// Registers every parameter, with the values behind `loadmodule` for defaults, and takes the values of the server's
/// configuration file.
///
/// # Errors
/// A line that says what was refused.
pub(super) fn load(context: *mut raw::RedisModuleCtx, args: &[&[u8]]) -> Result<(), String> {
    // The server passes the arguments on as they are: nobody but us checks them.
    for (parameter, value) in config::arguments(args)? {
        parameter.set(value);
    }
    for parameter in config::TABLE {
        register(context, parameter)
            .ok_or_else(|| format!("the server refused parameter {}", parameter.name))?;
    }
    // SAFETY: the context is that of loading.
    let loaded = unsafe { api!(RedisModule_LoadConfigs)(context) };
    if loaded != raw::REDISMODULE_OK as c_int {
        return Err("a parameter of the configuration file was refused, see above".to_owned());
    }
    config::check()
}

fn register(context: *mut raw::RedisModuleCtx, parameter: &'static Parameter) -> Option<()> {
    let name = CString::new(parameter.name).ok()?;
    let data = from_ref(parameter).cast_mut().cast();
    let flags = raw::REDISMODULE_CONFIG_DEFAULT;
    // SAFETY: the context is that of loading; the name is copied; the data is static, and the callbacks only read it.
    let status = unsafe {
        match parameter.kind {
            Kind::Number { least, most } => api!(RedisModule_RegisterNumericConfig)(
                context,
                name.as_ptr(),
                parameter.get(),
                flags,
                least,
                most,
                Some(get_number),
                Some(set_number),
                Some(apply),
                data,
            ),
            Kind::Switch => api!(RedisModule_RegisterBoolConfig)(
                context,
                name.as_ptr(),
                (parameter.get() != 0).into(),
                flags,
                Some(get_switch),
                Some(set_switch),
                Some(apply),
                data,
            ),
        }
    };
    (status == raw::REDISMODULE_OK as c_int).then_some(())
}

/// # Safety
/// For this and the callbacks below: `data` is what `register` gave.
unsafe fn parameter(data: *mut c_void) -> Option<&'static Parameter> {
    // SAFETY: the caller's; the table is static.
    unsafe { data.cast::<Parameter>().as_ref() }
}

unsafe extern "C" fn get_number(_: *const c_char, data: *mut c_void) -> c_longlong {
    // SAFETY: see `parameter`.
    unsafe { parameter(data) }.map_or(0, Parameter::get)
}

unsafe extern "C" fn set_number(
    _: *const c_char,
    value: c_longlong,
    data: *mut c_void,
    _: *mut *mut raw::RedisModuleString,
) -> c_int {
    // The server has checked the range; `apply` comes when all that are set together have come.
    // SAFETY: see `parameter`.
    if let Some(parameter) = unsafe { parameter(data) } {
        parameter.set(value);
    }
    raw::REDISMODULE_OK as c_int
}

unsafe extern "C" fn get_switch(_: *const c_char, data: *mut c_void) -> c_int {
    // SAFETY: see `parameter`.
    unsafe { parameter(data) }
        .is_some_and(|parameter| parameter.get() != 0)
        .into()
}

unsafe extern "C" fn set_switch(
    _: *const c_char,
    value: c_int,
    data: *mut c_void,
    _: *mut *mut raw::RedisModuleString,
) -> c_int {
    // SAFETY: see `parameter`.
    if let Some(parameter) = unsafe { parameter(data) } {
        parameter.set(value.into());
    }
    raw::REDISMODULE_OK as c_int
}

/// Comes after all values of one CONFIG SET. If it refuses, the server sets the old ones again.
unsafe extern "C" fn apply(
    _: *mut raw::RedisModuleCtx,
    _: *mut c_void,
    error: *mut *mut raw::RedisModuleString,
) -> c_int {
    match guard(config::check) {
        Some(Ok(())) => {
            guard(crate::expiry::look_again);
            raw::REDISMODULE_OK as c_int
        }
        refused => {
            let message = match refused {
                Some(Err(message)) => message,
                _ => "an internal error".to_owned(),
            };
            // The server frees the string.
            let raw = Name::new(message.as_bytes()).map_or(null_mut(), Name::into_raw);
            // SAFETY: the server gives a place for the error.
            if let Some(error) = unsafe { error.as_mut() } {
                *error = raw;
            }
            raw::REDISMODULE_ERR as c_int
        }
    }
}
