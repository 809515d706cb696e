//! Access tokens for API clients: JWTs (RFC 7519) that say who asks, without asking Redis.
//!
//! One is issued to whoever shows a session, and lives for minutes; a further one is had by asking
//! again. Or another issuer's are taken, whose keys are published at a URL (RFC 7517).

mod claims;
mod key_file;
mod published_keys;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, decode_header};
use uuid::Uuid;

use crate::config;
use claims::{Claims, Rules};
use published_keys::PublishedKeys;

/// Whom an access token stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The user, or a guest's own id.
    pub owner: Uuid,
    /// Roles, separated by commas.
    pub roles: String,
    /// The session that it was issued to, if it was issued here.
    pub session_id: Option<String>,
}

/// Why a token is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It proves nothing; another must be asked for.
    #[error("{0}")]
    Refused(&'static str),
    /// The issuer's keys cannot be had; the same token may be shown again.
    #[error("the keys of the issuer of access tokens cannot be had: {0}")]
    KeysAway(String),
    /// The token could not be signed.
    #[error("the access token could not be signed: {0}")]
    Unsigned(String),
}

/// Issues access tokens and reads them.
pub struct AccessTokens {
    algorithm: Algorithm,
    rules: Rules,
    ttl: Duration,
    keys: Keys,
}

enum Keys {
    /// Nothing is issued, and nothing believed.
    None,
    Own(Box<(EncodingKey, DecodingKey)>),
    Published(Box<PublishedKeys>),
}

impl AccessTokens {
    /// What the configuration says.
    ///
    /// # Errors
    /// When the key cannot be read, or is none of the configured algorithm.
    pub fn open(config: &config::Jwt) -> anyhow::Result<Self> {
        let algorithm = match config.algorithm {
            config::JwtAlgorithm::HS256 => Algorithm::HS256,
            config::JwtAlgorithm::RS256 => Algorithm::RS256,
            config::JwtAlgorithm::EdDSA => Algorithm::EdDSA,
        };
        let keys = match (&config.key_file, &config.jwks_url) {
            (Some(path), _) => Keys::Own(Box::new(key_file::read(path, algorithm)?)),
            (None, Some(url)) => Keys::Published(Box::new(PublishedKeys::new(url, algorithm)?)),
            (None, None) => Keys::None,
        };
        Ok(Self {
            algorithm,
            rules: Rules {
                issuer: config.issuer.clone(),
                audience: config.audience.clone(),
                leeway: Duration::from_millis(config.leeway_ms),
            },
            ttl: Duration::from_millis(config.ttl_ms),
            keys,
        })
    }

    /// A token for `holder`, and for how long it is good; none where no key is configured.
    ///
    /// # Errors
    /// When signing fails.
    pub fn issue(&self, holder: &Holder) -> Result<Option<(String, Duration)>, Error> {
        let Keys::Own(keys) = &self.keys else {
            return Ok(None);
        };
        let claims = Claims::new(holder, &self.rules, since_epoch(), self.ttl);
        let header = Header {
            typ: Some("at+jwt".into()),
            ..Header::new(self.algorithm)
        };
        let signed = jsonwebtoken::encode(&header, &claims, &keys.0);
        let token = signed.map_err(|error| Error::Unsigned(error.to_string()))?;
        Ok(Some((token, self.ttl)))
    }

    /// Whom `token` stands for.
    ///
    /// # Errors
    /// When it proves nothing, or the issuer's keys cannot be had.
    pub async fn read(&self, token: &str) -> Result<Holder, Error> {
        match &self.keys {
            Keys::None => Err(Error::Refused("access tokens are not taken here")),
            Keys::Own(keys) => self.verify(token, &keys.1),
            Keys::Published(keys) => {
                let header = decode_header(token).map_err(|_| Error::Refused(claims::MALFORMED))?;
                // Nobody is asked for the keys of what would be refused with any key.
                if header.alg != self.algorithm {
                    return Err(Error::Refused(claims::WRONG_ALGORITHM));
                }
                let key = keys.find(header.kid.as_deref()).await?;
                self.verify(token, &key)
            }
        }
    }

    fn verify(&self, token: &str, key: &DecodingKey) -> Result<Holder, Error> {
        claims::verify(token, key, self.algorithm, &self.rules, since_epoch())
            .map_err(Error::Refused)
    }
}

/// True for what has the form of a JWT: three parts, where a session's token has two.
pub fn has_form(token: &str) -> bool {
    token.bytes().filter(|byte| *byte == b'.').count() == 2
}

fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
