//! Native data types: what one must implement, and the callbacks that the server gets for it.

use std::ffi::{CStr, c_int, c_void};
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicPtr, Ordering};

use redis_module::raw;

use super::context::warn;
use super::strings::Vector;
use super::{Arg, api, guard};

/// A value that is stored under a key. It may be freed on another thread than the one that made it.
pub(crate) trait DataType: Clone + Send + Sized + 'static {
    /// Nine characters, fixed for ever: it is how the RDB file names the type.
    const NAME: &'static CStr;
    /// The version of what [`Self::save`] writes.
    const ENCODING_VERSION: i32;

    /// Where the registered type is kept.
    fn cell() -> &'static TypeCell;
    /// Reads what `save` wrote in this encoding version; the error is logged.
    fn load(loader: &mut Loader, version: i32) -> Result<Self, String>;
    /// Writes the whole value.
    fn save(&self, saver: &mut Saver);
    /// Writes commands that make the value again.
    fn rewrite(&self, rewriter: &mut Rewriter<'_>);
    /// Adds the whole value, equal values adding the same.
    fn digest(&self, digester: &mut Digester);
    /// Its memory in bytes.
    fn memory(&self) -> usize;
    /// How many allocations freeing it takes: a large value is freed in the background.
    fn free_effort(&self) -> usize;
    /// Moves its inner memory to better places for as long as `go_on` says, from `cursor` on, which is 0 or what an
    /// earlier call returned. It returns where to continue, 0 when it is through.
    fn defrag(&mut self, _cursor: u64, _go_on: &mut dyn FnMut() -> bool) -> u64 {
        0
    }
    /// The value has come to be: loaded, copied or put under a key.
    fn came(&self);
    /// The value is about to be freed, maybe on a background thread.
    fn goes(&self);
    /// The value was read from a file, a primary or a payload, to stand under this key.
    fn loaded(&self, _db: i32, _key: &[u8]) {}
    /// A value of this type has left this key, to go or to stand elsewhere. Emptying a database is not told.
    fn left(_db: i32, _key: &[u8]) {}
}

/// Where a registered type is kept.
pub(crate) struct TypeCell(AtomicPtr<raw::RedisModuleType>);

impl TypeCell {
    pub(crate) const fn new() -> Self {
        Self(AtomicPtr::new(null_mut()))
    }

    pub(super) fn get(&self) -> *mut raw::RedisModuleType {
        self.0.load(Ordering::Relaxed)
    }
}

/// Registers the type; false if the server refused.
pub(super) fn register<T: DataType>(context: *mut raw::RedisModuleCtx) -> bool {
    let mut methods = raw::RedisModuleTypeMethods {
        version: raw::REDISMODULE_TYPE_METHOD_VERSION.into(),
        rdb_load: Some(rdb_load::<T>),
        rdb_save: Some(rdb_save::<T>),
        aof_rewrite: Some(aof_rewrite::<T>),
        mem_usage: Some(mem_usage::<T>),
        digest: Some(digest::<T>),
        free: Some(free::<T>),
        aux_load: None,
        aux_save: None,
        aux_save_triggers: 0,
        free_effort: Some(free_effort::<T>),
        unlink: None,
        copy: Some(copy::<T>),
        defrag: Some(defrag::<T>),
        mem_usage2: None,
        free_effort2: None,
        unlink2: Some(unlink::<T>),
        copy2: None,
        aux_save2: None,
    };
    // SAFETY: the context is that of loading, and the methods are copied.
    let registered = unsafe {
        api!(RedisModule_CreateDataType)(
            context,
            T::NAME.as_ptr(),
            T::ENCODING_VERSION,
            &mut methods,
        )
    };
    T::cell().0.store(registered, Ordering::Relaxed);
    !registered.is_null()
}

/// An RDB payload that is being read.
pub(crate) struct Loader(*mut raw::RedisModuleIO);

impl Loader {
    /// The next chunk, or `None` when the payload ends or is broken.
    pub(crate) fn chunk<R>(&mut self, read: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let mut length = 0;
        // SAFETY: the payload is that of the running callback. A failure is NULL, because the module has declared
        // that it handles errors.
        let bytes =
            NonNull::new(unsafe { api!(RedisModule_LoadStringBuffer)(self.0, &mut length) })?;
        // SAFETY: the server returned that many bytes, which are ours.
        let result = read(unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), length) });
        // SAFETY: they came from the server's allocator and are freed once.
        unsafe { api!(RedisModule_Free)(bytes.as_ptr().cast()) };
        Some(result)
    }
}

/// An RDB payload that is being written.
pub(crate) struct Saver(*mut raw::RedisModuleIO);

impl Saver {
    pub(crate) fn chunk(&mut self, bytes: &[u8]) {
        // SAFETY: the payload is that of the running callback, and the bytes are copied.
        unsafe { api!(RedisModule_SaveStringBuffer)(self.0, bytes.as_ptr().cast(), bytes.len()) };
    }
}

/// An AOF that is being rewritten, at one key.
pub(crate) struct Rewriter<'a> {
    io: *mut raw::RedisModuleIO,
    key: Arg<'a>,
}

impl Rewriter<'_> {
    /// Writes the command with the key and these arguments.
    pub(crate) fn emit<'a>(&mut self, command: &CStr, args: impl IntoIterator<Item = &'a [u8]>) {
        let mut args = Vector::new(args);
        // SAFETY: the file is that of the running callback; the format is a string and an array, as given.
        unsafe {
            let (key, raws, length) = (self.key.raw.as_ptr(), args.as_mut_ptr(), args.len());
            api!(RedisModule_EmitAOF)(self.io, command.as_ptr(), c"sv".as_ptr(), key, raws, length);
        }
    }
}

/// The digest of one value, for DEBUG DIGEST.
pub(crate) struct Digester(*mut raw::RedisModuleDigest);

impl Digester {
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        // SAFETY: the digest is that of the running callback.
        unsafe {
            api!(RedisModule_DigestAddStringBuffer)(self.0, bytes.as_ptr().cast(), bytes.len())
        };
    }
}

/// # Safety
/// For this and the callbacks below: the server calls them with a value that `rdb_load`, `copy` or `KeyMut::put`
/// made as a box of `T`, and that nothing else uses meanwhile.
unsafe fn borrow<'a, T: DataType>(value: *const c_void) -> &'a T {
    // SAFETY: the caller's.
    unsafe { &*value.cast::<T>() }
}

unsafe extern "C" fn rdb_load<T: DataType>(
    io: *mut raw::RedisModuleIO,
    version: c_int,
) -> *mut c_void {
    match guard(|| T::load(&mut Loader(io), version)) {
        Some(Ok(value)) => {
            guard(|| tell_of_loaded(io, &value));
            Box::into_raw(Box::new(value)).cast()
        }
        Some(Err(message)) => {
            let name = T::NAME.to_string_lossy();
            warn(
                null_mut(),
                &format!("a value of type {name} was refused: {message}"),
            );
            null_mut()
        }
        None => null_mut(),
    }
}

/// The key's name is not known everywhere: some servers have none for a payload.
fn tell_of_loaded<T: DataType>(io: *mut raw::RedisModuleIO, value: &T) {
    value.came();
    // SAFETY: the payload is that of the running callback, and the name lives as long as it.
    unsafe {
        if let Some(name) = NonNull::new(api!(RedisModule_GetKeyNameFromIO)(io).cast_mut()) {
            let db = api!(RedisModule_GetDbIdFromIO)(io);
            value.loaded(db, Arg::from_raw(name).bytes());
        }
    }
}

unsafe extern "C" fn rdb_save<T: DataType>(io: *mut raw::RedisModuleIO, value: *mut c_void) {
    // SAFETY: see `borrow`.
    guard(|| unsafe { borrow::<T>(value) }.save(&mut Saver(io)));
}

unsafe extern "C" fn aof_rewrite<T: DataType>(
    io: *mut raw::RedisModuleIO,
    key: *mut raw::RedisModuleString,
    value: *mut c_void,
) {
    let Some(key) = NonNull::new(key) else { return };
    // SAFETY: see `borrow`; the key's name lives as long as the call.
    guard(|| unsafe {
        borrow::<T>(value).rewrite(&mut Rewriter {
            io,
            key: Arg::from_raw(key),
        })
    });
}

unsafe extern "C" fn mem_usage<T: DataType>(value: *const c_void) -> usize {
    // SAFETY: see `borrow`.
    guard(|| unsafe { borrow::<T>(value) }.memory()).unwrap_or(0)
}

unsafe extern "C" fn digest<T: DataType>(digest: *mut raw::RedisModuleDigest, value: *mut c_void) {
    // SAFETY: see `borrow`; the digest is that of this call.
    guard(|| unsafe { borrow::<T>(value) }.digest(&mut Digester(digest)));
    // SAFETY: the digest is that of this call.
    unsafe { api!(RedisModule_DigestEndSequence)(digest) };
}

unsafe extern "C" fn free<T: DataType>(value: *mut c_void) {
    // May run on a background thread, so it does nothing but count and free.
    guard(|| {
        // SAFETY: the server gives the box back, once.
        let value = unsafe { Box::from_raw(value.cast::<T>()) };
        value.goes();
        drop(value);
    });
}

unsafe extern "C" fn free_effort<T: DataType>(
    _: *mut raw::RedisModuleString,
    value: *const c_void,
) -> usize {
    // SAFETY: see `borrow`.
    guard(|| unsafe { borrow::<T>(value) }.free_effort()).unwrap_or(1)
}

/// Returns 0 when the value is through, 1 when it is to be called again.
unsafe extern "C" fn defrag<T: DataType>(
    context: *mut raw::RedisModuleDefragCtx,
    _: *mut raw::RedisModuleString,
    place: *mut *mut c_void,
) -> c_int {
    let more = guard(|| {
        let mut cursor = 0;
        // SAFETY: the context is that of this call. Without a cursor, as for small values, it stays 0; `place` holds
        // a value as for `borrow`, and no reference to it is alive while its box is moved.
        let value = unsafe {
            api!(RedisModule_DefragCursorGet)(context, &mut cursor);
            if cursor == 0
                && let Some(moved) = NonNull::new(api!(RedisModule_DefragAlloc)(context, *place))
            {
                *place = moved.as_ptr();
            }
            &mut *(*place).cast::<T>()
        };
        // SAFETY: as above.
        let mut go_on = || unsafe { api!(RedisModule_DefragShouldStop)(context) == 0 };
        let next = value.defrag(cursor, &mut go_on);
        // SAFETY: as above.
        next != 0 && unsafe { api!(RedisModule_DefragCursorSet)(context, next) } == 0
    });
    more.unwrap_or(false).into()
}

unsafe extern "C" fn unlink<T: DataType>(
    context: *mut raw::RedisModuleKeyOptCtx,
    _: *const c_void,
) {
    // SAFETY: the server lends the context, and with it the key's name, for this call.
    guard(|| unsafe {
        let name = api!(RedisModule_GetKeyNameFromOptCtx)(context).cast_mut();
        if let Some(name) = NonNull::new(name) {
            T::left(
                api!(RedisModule_GetDbIdFromOptCtx)(context),
                Arg::from_raw(name).bytes(),
            );
        }
    });
}

unsafe extern "C" fn copy<T: DataType>(
    _: *mut raw::RedisModuleString,
    _: *mut raw::RedisModuleString,
    value: *const c_void,
) -> *mut c_void {
    let copied = guard(|| {
        // SAFETY: see `borrow`.
        let copied = Box::new(unsafe { borrow::<T>(value) }.clone());
        copied.came();
        copied
    });
    copied.map_or(null_mut(), |value| Box::into_raw(value).cast())
}
