//! Who shops here: addresses, passwords, users.

pub mod access_tokens;
mod email;
pub mod password;
pub mod roles;

use uuid::Uuid;

pub use email::{Email, InvalidEmail};

/// The role of somebody who has not logged in.
pub const GUEST: &str = "guest";
/// The role of somebody who has registered.
pub const CUSTOMER: &str = "customer";
/// The role of somebody who helps customers.
pub const SUPPORT: &str = "support";
/// The role of somebody who runs the shop.
pub const ADMIN: &str = "admin";

/// The roles of a list that is separated by commas.
pub fn split_roles(roles: &str) -> impl Iterator<Item = &str> {
    roles.split(',').filter(|role| !role.is_empty())
}

/// Somebody who has registered.
#[derive(Clone, sqlx::FromRow)]
pub struct User {
    /// UUIDv7.
    pub id: Uuid,
    /// What the user logs in with; unique.
    #[sqlx(try_from = "String")]
    pub email: Email,
    /// Argon2id, as a PHC string.
    pub password_hash: String,
    /// Roles, separated by commas.
    pub roles: String,
}
