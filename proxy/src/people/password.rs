//! Passwords: Argon2id, hashed off the runtime's threads and only a few at a time.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier, password_hash};
use prometheus_client::metrics::counter::Counter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// Characters that a new password must have at least.
pub const MIN_CHARACTERS: usize = 8;
/// Characters that a new password may have at most.
pub const MAX_CHARACTERS: usize = 128;

/// Who waits for longer is turned away: the crowd before it would take longer still.
const PATIENCE: Duration = Duration::from_secs(3);

/// Verified against where there is no user, so that an unknown address answers no faster than a
/// wrong password. Its parameters are those of [`Passwords::hash`]; nobody knows a password for it.
const DECOY: &str = "$argon2id$v=19$m=19456,t=2,p=1$aG9sZGZhc3QtZGVjb3ktMQ$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

/// A password could not be hashed or checked; the same may be tried again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Too many passwords are being hashed.
    #[error("no turn to hash a password came in time")]
    Busy,
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

/// Hashes passwords, as many at once as there are cores.
///
/// Each hash takes 19 MiB and tens of milliseconds of a core by design: a crowd that logs in must
/// wait its turn rather than take the machine from those who buy.
pub struct Passwords {
    turns: Arc<Semaphore>,
    hashed: Counter,
}

impl Passwords {
    /// Counts each hash in `hashed`.
    pub fn new(hashed: Counter) -> Self {
        let cores = std::thread::available_parallelism();
        let turns = Arc::new(Semaphore::new(cores.map_or(1, Into::into)));
        Self { turns, hashed }
    }

    /// The PHC string to keep of a new password.
    ///
    /// # Errors
    /// When too many are waiting, or Argon2 fails.
    pub async fn hash(&self, password: String) -> Result<String, Error> {
        self.in_turn(move || {
            Ok(Argon2::default()
                .hash_password(password.as_bytes())?
                .to_string())
        })
        .await
    }

    /// True when `password` is the one that `stored` was made of. Without `stored` it is false, and
    /// takes as long.
    ///
    /// # Errors
    /// When too many are waiting, or `stored` is no hash.
    pub async fn verify(&self, password: String, stored: Option<String>) -> Result<bool, Error> {
        self.in_turn(move || {
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
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        // The permit goes along, because a client that hangs up does not stop the work.
        let permit = self.turn().await?;
        self.hashed.inc();
        spawn_blocking(move || {
            let _permit = permit;
            work()
        })
        .await?
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, Error> {
        let turn = timeout(PATIENCE, self.turns.clone().acquire_owned()).await;
        // The semaphore is never closed.
        turn.ok().and_then(Result::ok).ok_or(Error::Busy)
    }
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
        let passwords = Passwords::new(Counter::default());
        let stored = passwords.hash("correct horse".into()).await;
        let stored = stored.expect("a hash");
        assert!(stored.starts_with("$argon2id$"));
        assert!(
            passwords
                .verify("correct horse".into(), Some(stored.clone()))
                .await
                .expect("checked")
        );
        assert!(
            !passwords
                .verify("battery staple".into(), Some(stored))
                .await
                .expect("checked")
        );
    }

    #[tokio::test]
    async fn nobody_is_checked_at_the_same_cost() {
        let passwords = Passwords::new(Counter::default());
        let stored = passwords.hash("correct horse".into()).await;
        let stored = stored.expect("a hash");
        let costs = |text: &str| text.rsplitn(3, '$').last().map(str::to_owned);
        assert_eq!(
            costs(DECOY),
            costs(&stored),
            "the decoy has the parameters of real hashes"
        );
        assert!(
            !passwords
                .verify("correct horse".into(), None)
                .await
                .expect("checked")
        );
    }

    #[tokio::test]
    async fn every_check_is_one_hash_whoever_is_asked_for() {
        let hashed = Counter::default();
        let passwords = Passwords::new(hashed.clone());
        let known = passwords
            .hash("correct horse".into())
            .await
            .expect("a hash");
        assert_eq!(hashed.get(), 1);
        for (stored, hashes) in [(Some(known), 2), (None, 3)] {
            let checked = passwords.verify("battery staple".into(), stored).await;
            assert!(!checked.expect("checked"));
            assert_eq!(hashed.get(), hashes);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_gets_no_turn_in_time_is_turned_away() {
        let passwords = Passwords::new(Counter::default());
        let all = passwords.turns.available_permits() as u32;
        let turns = passwords.turns.clone().acquire_many_owned(all).await;
        let refused = passwords.hash("correct horse".into()).await;
        assert!(matches!(refused, Err(Error::Busy)));
        drop(turns);
        assert!(passwords.hash("correct horse".into()).await.is_ok());
    }
}
