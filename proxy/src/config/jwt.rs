//! How access tokens are signed and read.

use std::path::PathBuf;

use serde::Deserialize;

use super::Error;
use super::check::{check_with, ensure};

/// Access tokens for API clients. Without a key and without a URL there are none.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Jwt {
    /// What tokens are signed with; one that says otherwise is refused.
    pub algorithm: JwtAlgorithm,
    /// The key that signs them and, or its public half, reads them.
    pub key_file: Option<PathBuf>,
    /// In place of it: where another issuer publishes its keys.
    pub jwks_url: Option<String>,
    /// `iss`.
    pub issuer: String,
    /// `aud`.
    pub audience: String,
    /// How long a token is good, ms.
    pub ttl_ms: u64,
    /// How far the issuer's clock may be from the proxy's, ms.
    pub leeway_ms: u64,
}

/// A signature algorithm of RFC 7518 or RFC 8037.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum JwtAlgorithm {
    /// A secret that all proxies share.
    HS256,
    /// RSA, of 2048 bits or more.
    RS256,
    /// Ed25519.
    EdDSA,
}

/// A token cannot be taken back, so it may not live for long.
const LONGEST_TTL_MS: u64 = 3_600_000;

impl Default for Jwt {
    fn default() -> Self {
        Self {
            algorithm: JwtAlgorithm::HS256,
            key_file: None,
            jwks_url: None,
            issuer: "holdfast".into(),
            audience: "holdfast".into(),
            ttl_ms: 300_000,
            leeway_ms: 60_000,
        }
    }
}

impl Jwt {
    pub(super) fn check(&self) -> Result<(), Error> {
        ensure(
            (1_000..=LONGEST_TTL_MS).contains(&self.ttl_ms),
            "jwt.ttl_ms",
            "must be from 1000 to 3600000, an hour",
        )?;
        for (setting, name) in [
            ("jwt.issuer", &self.issuer),
            ("jwt.audience", &self.audience),
        ] {
            ensure(!name.is_empty(), setting, "must not be empty")?;
        }
        let Some(url) = &self.jwks_url else {
            return Ok(());
        };
        ensure(
            self.key_file.is_none(),
            "jwt.jwks_url",
            "must be left out where jwt.key_file is set",
        )?;
        ensure(
            self.algorithm != JwtAlgorithm::HS256,
            "jwt.algorithm",
            "must be RS256 or EdDSA with jwt.jwks_url: a secret is not published",
        )?;
        let url = check_with("jwt.jwks_url", url.parse::<reqwest::Url>())?;
        let is_here = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
        ensure(
            url.scheme() == "https" || (url.scheme() == "http" && is_here),
            "jwt.jwks_url",
            "must be https, unless it is on this machine",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut Jwt)) -> String {
        let mut jwt = Jwt::default();
        change(&mut jwt);
        jwt.check().expect_err("it makes no sense").to_string()
    }

    #[test]
    fn keys_are_had_from_one_place_that_can_be_trusted() {
        assert!(Jwt::default().check().is_ok());
        let published = |url: &str| {
            let (algorithm, jwks_url) = (JwtAlgorithm::EdDSA, Some(url.to_owned()));
            Jwt {
                algorithm,
                jwks_url,
                ..Jwt::default()
            }
        };
        assert!(published("https://issuer.example/jwks").check().is_ok());
        assert!(published("http://127.0.0.1:9000/jwks").check().is_ok());
        let open = published("http://issuer.example/jwks").check();
        assert!(open.is_err());
        let both = refused(|jwt| {
            *jwt = published("https://issuer.example/jwks");
            jwt.key_file = Some("/etc/holdfast/jwt-key".into());
        });
        assert!(both.starts_with("jwt.jwks_url: "), "{both}");
        let secret = refused(|jwt| jwt.jwks_url = Some("https://issuer.example/jwks".into()));
        assert!(secret.starts_with("jwt.algorithm: "), "{secret}");
        let long = refused(|jwt| jwt.ttl_ms = LONGEST_TTL_MS + 1);
        assert!(long.starts_with("jwt.ttl_ms: "), "{long}");
    }
}
