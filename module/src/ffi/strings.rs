//! Strings of the server: arguments that it lends, and names that we make.

use std::ffi::c_int;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::NonNull;

use redis_module::raw;

use super::api;

/// A string that the server owns for as long as `'a`: an argument, or the name of a key.
#[derive(Clone, Copy)]
pub(crate) struct Arg<'a> {
    pub(super) raw: NonNull<raw::RedisModuleString>,
    bytes: &'a [u8],
}

impl<'a> Arg<'a> {
    /// # Safety
    /// `raw` must be a valid string that lives and does not change for `'a`.
    pub(super) unsafe fn from_raw(raw: NonNull<raw::RedisModuleString>) -> Self {
        let mut length = 0;
        // SAFETY: the string is valid, and StringPtrLen returns its bytes, which live as long as it.
        let bytes = unsafe {
            let first = api!(RedisModule_StringPtrLen)(raw.as_ptr(), &mut length);
            std::slice::from_raw_parts(first.cast::<u8>(), length)
        };
        Self { raw, bytes }
    }

    /// # Safety
    /// As of a call: `argv` holds `argc` strings that live for `'a`.
    pub(super) unsafe fn all(argv: *mut *mut raw::RedisModuleString, argc: c_int) -> Vec<Self> {
        let argc = usize::try_from(argc).unwrap_or(0);
        if argc == 0 {
            return Vec::new();
        }
        // SAFETY: the caller's.
        unsafe {
            let raws = std::slice::from_raw_parts(argv, argc);
            raws.iter()
                .filter_map(|raw| NonNull::new(*raw))
                .map(|raw| Self::from_raw(raw))
                .collect()
        }
    }

    /// Its bytes.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

impl Deref for Arg<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes
    }
}

/// A string of our own, freed when it goes.
pub(crate) struct Name(NonNull<raw::RedisModuleString>);

impl Name {
    /// `None` only if the server gave no string, which it does not.
    pub(crate) fn new(bytes: &[u8]) -> Option<Self> {
        // SAFETY: the bytes are copied; without a context the string belongs to us alone.
        let raw = unsafe {
            api!(RedisModule_CreateString)(std::ptr::null_mut(), bytes.as_ptr().cast(), bytes.len())
        };
        NonNull::new(raw).map(Self)
    }

    /// The string as the server would lend it.
    pub(crate) fn arg(&self) -> Arg<'_> {
        // SAFETY: the string is ours and lives until `self` is dropped.
        unsafe { Arg::from_raw(self.0) }
    }

    pub(super) fn raw(&self) -> *mut raw::RedisModuleString {
        self.0.as_ptr()
    }

    /// The string for the server to own.
    pub(super) fn into_raw(self) -> *mut raw::RedisModuleString {
        ManuallyDrop::new(self).0.as_ptr()
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        // SAFETY: it was created without a context, and is freed once.
        unsafe { api!(RedisModule_FreeString)(std::ptr::null_mut(), self.0.as_ptr()) }
    }
}

/// The arguments of a variadic call whose format has a `v`: an array of strings.
pub(super) struct Vector {
    names: Vec<Name>,
    raws: Vec<*mut raw::RedisModuleString>,
}

impl Vector {
    pub(super) fn new<'a>(args: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let names: Vec<_> = args.into_iter().filter_map(Name::new).collect();
        let raws = names.iter().map(Name::raw).collect();
        Self { names, raws }
    }

    pub(super) fn as_mut_ptr(&mut self) -> *mut *mut raw::RedisModuleString {
        self.raws.as_mut_ptr()
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }
}
