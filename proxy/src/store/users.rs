//! The table `users`.

use uuid::Uuid;

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
                .execute(&self.primary.pool().await?)
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
        Ok(user
            .bind(email.as_str())
            .fetch_optional(&self.primary.pool().await?)
            .await?)
    }

    /// A user.
    pub async fn user(&self, id: Uuid) -> Result<Option<User>, Error> {
        let user = sqlx::query_as("SELECT id, email, password_hash, roles FROM users WHERE id = ?");
        Ok(user
            .bind(id)
            .fetch_optional(&self.primary.pool().await?)
            .await?)
    }

    /// True while password and roles of a user are those that were read.
    pub async fn is_unchanged(&self, read: &User) -> Result<bool, Error> {
        let now = self.user(read.id).await?;
        Ok(now
            .is_some_and(|now| now.password_hash == read.password_hash && now.roles == read.roles))
    }

    /// Sets a user's password, and answers false when it is no longer the one that was read.
    pub async fn set_password(&self, read: &User, password_hash: &str) -> Result<bool, Error> {
        let set =
            sqlx::query("UPDATE users SET password_hash = ? WHERE id = ? AND password_hash = ?");
        let set = set
            .bind(password_hash)
            .bind(read.id)
            .bind(&read.password_hash);
        Ok(set
            .execute(&self.primary.pool().await?)
            .await?
            .rows_affected()
            == 1)
    }

    /// Sets a user's roles, and answers false when they are no longer those that were read.
    pub async fn set_roles(&self, read: &User, roles: &str) -> Result<bool, Error> {
        let set = sqlx::query("UPDATE users SET roles = ? WHERE id = ? AND roles = ?");
        let set = set.bind(roles).bind(read.id).bind(&read.roles);
        Ok(set
            .execute(&self.primary.pool().await?)
            .await?
            .rows_affected()
            == 1)
    }
}
