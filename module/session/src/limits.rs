//! What a session may hold and how long it may last. Lengths in bytes, times in milliseconds.

/// The longest user name or id.
pub const MAX_USER_BYTES: usize = 128;
/// The longest list of roles.
pub const MAX_ROLES_BYTES: usize = 256;
/// The longest page.
pub const MAX_PAGE_BYTES: usize = 1024;
/// The longest name of an item.
pub const MAX_ITEM_BYTES: usize = 128;
/// The most items that are remembered as viewed.
pub const MAX_VIEWED: usize = 25;
/// The most free fields.
pub const MAX_FIELDS: usize = 64;
/// The longest name of a free field.
pub const MAX_FIELD_NAME_BYTES: usize = 64;
/// The longest value of a free field.
pub const MAX_FIELD_VALUE_BYTES: usize = 1024;

/// The idle timeout when START names none.
pub const DEFAULT_IDLE_MS: u64 = 1_800_000;
/// The absolute timeout when START names none.
pub const DEFAULT_ABSOLUTE_MS: u64 = 86_400_000;
/// The longest timeout of either kind: a year.
pub const LONGEST_TIMEOUT_MS: u64 = 31_536_000_000;
/// The longest time for which a secret that was rotated away still works.
pub const LONGEST_GRACE_MS: u64 = 300_000;
