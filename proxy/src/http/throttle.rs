//! How often somebody may try to log in or register, counted by account and by address.
//!
//! Attempts are counted before they are made, so that a crowd of parallel ones gains nothing, and
//! taken back where they succeed. An account that nobody has is counted like any other.

use sha2::{Digest, Sha256};

use super::{Call, Problem};
use crate::gateway::throttle::{Attempts, Counted};
use crate::http::client_address::client_block;

/// A login that was counted.
pub struct Login {
    account: Counted,
    address: Counted,
}

impl Login {
    /// Counts a try to log in as `email`, whether or not there is such a user.
    pub async fn count(call: &Call, email: &str) -> Result<Self, Problem> {
        // The store need not know the addresses that were tried.
        let digest = Sha256::digest(email.trim().to_ascii_lowercase());
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let login = Self {
            account: Counted::new("login-account", &digest),
            address: Counted::new("login-address", &address_of(call)),
        };
        let (gateway, auth) = (&call.app.gateway, &call.app.config.auth);
        let address = gateway.count_attempt(&login.address, auth.window_ms);
        refuse_beyond(auth.address_attempts, address.await?)?;
        // Only then, so that an address that is refused can lock nobody out of an account, nor fill
        // the store with accounts that it makes up.
        let account = gateway.count_attempt(&login.account, auth.window_ms);
        refuse_beyond(auth.account_attempts, account.await?)?;
        Ok(login)
    }

    /// It was who it said: the account is counted anew, and the address as if it had not tried.
    pub async fn succeeded(self, call: &Call) -> Result<(), Problem> {
        let gateway = &call.app.gateway;
        tokio::try_join!(
            gateway.forget_attempts(&self.account),
            gateway.take_back_attempt(&self.address),
        )?;
        Ok(())
    }
}

/// Counts a try to register.
pub async fn count_registration(call: &Call) -> Result<(), Problem> {
    let (gateway, auth) = (&call.app.gateway, &call.app.config.auth);
    let counted = Counted::new("register-address", &address_of(call));
    let attempts = gateway.count_attempt(&counted, auth.window_ms).await?;
    refuse_beyond(auth.address_registrations, attempts)
}

fn address_of(call: &Call) -> String {
    client_block(call.client_address()).to_string()
}

/// The same words for every account, so that none is told to exist.
fn refuse_beyond(most: u32, attempts: Attempts) -> Result<(), Problem> {
    if attempts.count <= most.into() {
        return Ok(());
    }
    let seconds = u64::try_from(attempts.ends_in_ms)
        .unwrap_or(0)
        .div_ceil(1000);
    Err(Problem::too_many_requests(
        "there were too many attempts",
        seconds,
    ))
}
