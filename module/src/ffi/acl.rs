//! ACL categories, on servers that let modules have them: Redis 7.4 and Valkey 8 and later, and the built-in ones on
//! Redis 7.2. Where there are none, `redis-conf/users.acl` grants commands by name.

use std::ffi::{CString, c_int};
use std::ptr::NonNull;

use redis_module::raw;

use super::context::warn;
use crate::commands::{Entry, INVENTORY, SESSION};

/// Adds the module's own categories. One that is there already, as another module's, is shared with it.
pub(super) fn add_categories(context: *mut raw::RedisModuleCtx) {
    // SAFETY: set by the initialization on this thread; it does not change afterwards.
    let Some(add) = (unsafe { raw::RedisModule_AddACLCategory }) else {
        return;
    };
    for name in [INVENTORY, SESSION].map(CString::new).into_iter().flatten() {
        // SAFETY: the context is that of loading, and the server copies the name.
        unsafe { add(context, name.as_ptr()) };
    }
}

/// Makes a command that was just created a member of its categories.
pub(super) fn join_categories(
    context: *mut raw::RedisModuleCtx,
    command: NonNull<raw::RedisModuleCommand>,
    entry: &Entry,
) {
    // SAFETY: as above.
    let (set, add) = unsafe {
        (
            raw::RedisModule_SetCommandACLCategories,
            raw::RedisModule_AddACLCategory,
        )
    };
    let Some(set) = set else { return };
    let mut categories = entry.categories();
    categories.retain(|category| add.is_some() || !matches!(*category, INVENTORY | SESSION));
    let Ok(names) = CString::new(categories.join(" ")) else {
        return;
    };
    // SAFETY: the command is one of ours, this is the call that loads the module, and the names are only read.
    let status = unsafe { set(command.as_ptr(), names.as_ptr()) };
    if status != raw::REDISMODULE_OK as c_int {
        let name = entry.name;
        warn(
            context,
            &format!("holdfast: {name} did not join its ACL categories; grant it by name"),
        );
    }
}
