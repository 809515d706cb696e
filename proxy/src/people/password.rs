//! Passwords: Argon2id, hashed off the runtime's threads and only a few at a time.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier, password_hash};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Characters that a new password must have at least.
pub const MIN_CHARACTERS: usize = 8;
/// Characters that a new password may have at most.
pub const MAX_CHARACTERS: usize = 128;

/// Each hash takes 19 MiB and tens of milliseconds of a core by design: a crowd that logs in
/// must wait its turn rather than take the machine from those who buy.
static TURNS: Semaphore = Semaphore::const_new(4);

/// Verified against where there is no user, so that an unknown address answers no faster than a
/// wrong password. Its parameters are those of [`hash`]; nobody knows a password for it.
const DECOY: &str = "$argon2id$v=19$m=19456,t=2,p=1$aG9sZGZhc3QtZGVjb3ktMQ$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

/// A password could not be hashed or checked; the same may be tried again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Argon2 failed, or a stored hash is none.
    #[error("the password could not be hashed: {0}")]
    Hash(#[from] password_hash::Error),
    /// The stored hash is no PHC string.
    #[error("the stored password hash cannot be read: {0}")]
    Stored(#[from] password_hash::phc::Error),
    /// The process is ending.
    #[error("the password was not hashed: {0}")]
    Interrupted(#[from] tokio::task::JoinError),
}

/// True when a new password is neither too short nor too long.
pub fn is_acceptable(password: &str) -> bool {
    (MIN_CHARACTERS..=MAX_CHARACTERS).contains(&password.chars().count())
}

/// The PHC string to keep of a new password.
pub async fn hash(password: String) -> Result<String, Error> {
    in_turn(move || {
        Ok(Argon2::default()
            .hash_password(password.as_bytes())?
            .to_string())
    })
    .await
}

/// True when `password` is the one that `stored` was made of. Without `stored` it is false, and
/// takes as long.
pub async fn verify(password: String, stored: Option<String>) -> Result<bool, Error> {
    in_turn(move || {
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| DECOY.to_owned());
        let hash = PasswordHash::new(&stored)?;
        match Argon2::default().verify_password(password.as_bytes(), &hash) {
            Ok(()) => Ok(known),
            Err(password_hash::Error::PasswordInvalid) => Ok(false),
            Err(error) => Err(error.into()),
        }
    })
    .await
}

async fn in_turn<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    // The semaphore is never closed. The permit goes along, because a client that hangs up
    // does not stop the work.
    let permit = TURNS.acquire().await.ok();
    spawn_blocking(move || {
        let _permit = permit;
        work()
    })
    .await?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_counts_characters() {
        assert!(!is_acceptable("1234567"));
        assert!(is_acceptable("12345678"));
        assert!(is_acceptable(&"é".repeat(128)));
        assert!(!is_acceptable(&"x".repeat(129)));
    }

    #[tokio::test]
    async fn only_the_right_password_is_right() {
        let stored = hash("correct horse".into()).await.expect("a hash");
        assert!(stored.starts_with("$argon2id$"));
        assert!(
            verify("correct horse".into(), Some(stored.clone()))
                .await
                .expect("checked")
        );
        assert!(
            !verify("battery staple".into(), Some(stored))
                .await
                .expect("checked")
        );
    }

    #[tokio::test]
    async fn nobody_is_checked_at_the_same_cost() {
        let stored = hash("correct horse".into()).await.expect("a hash");
        let costs = |text: &str| text.rsplitn(3, '$').last().map(str::to_owned);
        assert_eq!(
            costs(DECOY),
            costs(&stored),
            "the decoy has the parameters of real hashes"
        );
        assert!(!verify("correct horse".into(), None).await.expect("checked"));
    }
}
