//! The table `users`.

use super::{Error, Store};
use crate::people::{Email, User};

/// What became of registering somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registered {
    /// The user is there.
    Registered,
    /// Somebody has that address already.
    EmailTaken,
}

impl Store {
    /// Records a new user.
    pub async fn register_user(&self, user: &User) -> Result<Registered, Error> {
        let inserted =
            sqlx::query("INSERT INTO users (id, email, password_hash, roles) VALUES (?, ?, ?, ?)")
                .bind(user.id)
                .bind(user.email.as_str())
                .bind(&user.password_hash)
                .bind(&user.roles)
                .execute(&self.pool)
                .await
                .map_err(Error::from);
        match inserted {
            Ok(_) => Ok(Registered::Registered),
            Err(error) if error.is_duplicate() => Ok(Registered::EmailTaken),
            Err(error) => Err(error),
        }
    }

    /// Who logs in with an address.
    pub async fn user_by_email(&self, email: &Email) -> Result<Option<User>, Error> {
        let user =
            sqlx::query_as("SELECT id, email, password_hash, roles FROM users WHERE email = ?");
        Ok(user.bind(email.as_str()).fetch_optional(&self.pool).await?)
    }
}
