//! The key that access tokens are signed with, from its file.

use std::path::Path;

use anyhow::{Context, ensure};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};

/// RFC 7518, 3.2: a key of HS256 has at least as many bytes as its hash.
const SHORTEST_SECRET: usize = 32;

/// What signs and what verifies: a line of text for HS256, otherwise a private key as PEM, to which
/// the public one belongs.
pub(super) fn read(
    path: &Path,
    algorithm: Algorithm,
) -> anyhow::Result<(EncodingKey, DecodingKey)> {
    let text = std::fs::read(path).context("jwt.key_file cannot be read")?;
    let key = match algorithm {
        Algorithm::RS256 => EncodingKey::from_rsa_pem(&text),
        Algorithm::EdDSA => EncodingKey::from_ed_pem(&text),
        _ => {
            let secret = text.trim_ascii();
            ensure!(
                secret.len() >= SHORTEST_SECRET,
                "jwt.key_file: a secret for HS256 has at least {SHORTEST_SECRET} bytes"
            );
            Ok(EncodingKey::from_secret(secret))
        }
    };
    let context = "jwt.key_file is no private key of jwt.algorithm";
    let key = key.context(context)?;
    let public = Jwk::from_encoding_key(&key, algorithm).context(context)?;
    let public = DecodingKey::from_jwk(&public).context(context)?;
    Ok((key, public))
}
