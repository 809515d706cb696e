//! Keys, open for reading or for writing.

use std::marker::PhantomData;
use std::ptr::NonNull;

use redis_module::raw;

use super::{Arg, Context, DataType, api};
use crate::reply::Failure;

/// The key holds a value of another type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WrongType;

impl From<WrongType> for Failure {
    fn from(_: WrongType) -> Self {
        Self::WrongType
    }
}

/// A key that is open for reading. Closing it changes nothing, in particular it touches no WATCH.
pub(crate) struct Key<'c> {
    raw: Option<NonNull<raw::RedisModuleKey>>,
    context: PhantomData<&'c Context>,
}

impl<'c> Key<'c> {
    pub(super) fn open(context: &'c Context, name: &Arg<'_>) -> Self {
        // SAFETY: context and name are valid; a key that does not exist comes back as NULL.
        let raw = unsafe { open(context, name, raw::REDISMODULE_READ) };
        Self {
            raw,
            context: PhantomData,
        }
    }

    /// The value, `None` when there is no key.
    pub(crate) fn value<T: DataType>(&self) -> Result<Option<&T>, WrongType> {
        let Some(key) = self.raw else { return Ok(None) };
        // SAFETY: while this key borrows the context, nothing can write to the value.
        Ok(unsafe { value::<T>(key)? }.map(|value| unsafe { value.as_ref() }))
    }
}

impl Drop for Key<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.raw {
            // SAFETY: it is open, and closed once.
            unsafe { api!(RedisModule_CloseKey)(key.as_ptr()) }
        }
    }
}

/// A key that is open for writing. It borrows the context whole, so that no other is open; closing it touches WATCH.
pub(crate) struct KeyMut<'c> {
    raw: NonNull<raw::RedisModuleKey>,
    context: PhantomData<&'c mut Context>,
}

impl<'c> KeyMut<'c> {
    pub(super) fn open(context: &'c mut Context, name: &Arg<'_>) -> Result<Self, Failure> {
        // SAFETY: context and name are valid.
        let raw = unsafe {
            open(
                context,
                name,
                raw::REDISMODULE_READ | raw::REDISMODULE_WRITE,
            )
        };
        // The server opens every key for writing, so this error is never seen.
        let raw = raw.ok_or_else(|| Failure::error("the server did not open the key"))?;
        Ok(Self {
            raw,
            context: PhantomData,
        })
    }

    /// The value, `None` when there is no key.
    pub(crate) fn value<T: DataType>(&mut self) -> Result<Option<&mut T>, WrongType> {
        // SAFETY: this is the only open key, and lends its value once.
        Ok(unsafe { value::<T>(self.raw)? }.map(|mut value| unsafe { value.as_mut() }))
    }

    /// Puts the value under the key, in place of any that is there.
    pub(crate) fn put<T: DataType>(&mut self, value: T) {
        value.came();
        let value = Box::into_raw(Box::new(value));
        // SAFETY: the key is open for writing and the type is registered. The server owns the value from here on
        // and gives it back to the type's `free`.
        unsafe {
            api!(RedisModule_ModuleTypeSetValue)(self.raw.as_ptr(), T::cell().get(), value.cast())
        };
    }

    /// Lets the key end at this Unix time in milliseconds.
    pub(crate) fn expire_at(&mut self, unix_ms: u64) {
        let unix_ms = i64::try_from(unix_ms).unwrap_or(i64::MAX);
        // SAFETY: the key is open for writing.
        unsafe { api!(RedisModule_SetAbsExpire)(self.raw.as_ptr(), unix_ms) };
    }

    /// Deletes the key.
    pub(crate) fn delete(self) {
        // SAFETY: the key is open for writing.
        unsafe { api!(RedisModule_DeleteKey)(self.raw.as_ptr()) };
    }
}

impl Drop for KeyMut<'_> {
    fn drop(&mut self) {
        // SAFETY: it is open, and closed once.
        unsafe { api!(RedisModule_CloseKey)(self.raw.as_ptr()) }
    }
}

unsafe fn open(
    context: &Context,
    name: &Arg<'_>,
    mode: u32,
) -> Option<NonNull<raw::RedisModuleKey>> {
    // SAFETY: the caller's.
    NonNull::new(unsafe {
        api!(RedisModule_OpenKey)(context.raw(), name.raw.as_ptr(), mode as i32)
    })
}

unsafe fn value<T: DataType>(
    key: NonNull<raw::RedisModuleKey>,
) -> Result<Option<NonNull<T>>, WrongType> {
    let key = key.as_ptr();
    // SAFETY: the key is open.
    let kind = unsafe { api!(RedisModule_KeyType)(key) };
    if kind as isize == raw::REDISMODULE_KEYTYPE_EMPTY {
        return Ok(None);
    }
    // SAFETY: the key is open; a key of another kind has no module type.
    if unsafe { api!(RedisModule_ModuleTypeGetType)(key) } != T::cell().get() {
        return Err(WrongType);
    }
    // SAFETY: a value of this type was made by `KeyMut::put` or by the type's own callbacks, as a box of `T`.
    Ok(NonNull::new(
        unsafe { api!(RedisModule_ModuleTypeGetValue)(key) }.cast::<T>(),
    ))
}
