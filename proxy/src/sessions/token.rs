//! What shows that a session is one's own.

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The session's id and the secret whose digest the session holds.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionToken {
    /// The last part of the session's key.
    pub id: String,
    secret: String,
}

impl SessionToken {
    /// Reads `<id>.<secret>`. The id becomes part of a key, so only a UUID is taken.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.trim().split_once('.')?;
        let id = Uuid::parse_str(id).ok()?.to_string();
        Some(Self {
            id,
            secret: secret.to_owned(),
        })
    }

    /// A new id and a secret of 256 random bits.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        let secret = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self {
            id: Uuid::new_v4().to_string(),
            secret,
        })
    }

    /// What the session store keeps instead of the secret.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.secret.as_bytes()).into()
    }

    /// `<id>.<secret>`, as the shopper keeps it.
    pub fn reveal(&self) -> String {
        format!("{}.{}", self.id, self.secret)
    }
}
