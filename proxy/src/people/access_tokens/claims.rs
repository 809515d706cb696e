//! What an access token says, and whether it is to be believed at a given time.

use std::time::Duration;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Holder;
use crate::people::{ADMIN, CUSTOMER, GUEST, SUPPORT};

pub(super) const MALFORMED: &str = "the access token is no JWT of this API";
pub(super) const WRONG_ALGORITHM: &str = "the access token is signed by another algorithm";

/// What a token must keep to.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) issuer: String,
    pub(super) audience: String,
    /// How far the clocks of issuer and proxy may be apart.
    pub(super) leeway: Duration,
}

/// The claims of a token that is issued here (RFC 9068, 2.2); times in seconds.
#[derive(Debug, Serialize)]
pub(super) struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: Uuid,
    iat: u64,
    nbf: u64,
    exp: u64,
    jti: Uuid,
    roles: Vec<&'a str>,
    sid: Option<&'a str>,
}

/// The claims that are read; issuer and audience are compared by the library.
#[derive(Debug, Deserialize)]
struct Told {
    sub: Uuid,
    // A NumericDate may have a fraction.
    exp: f64,
    nbf: Option<f64>,
    #[serde(default)]
    roles: Vec<String>,
    sid: Option<String>,
}

impl<'a> Claims<'a> {
    /// `now` being the time since 1970.
    pub(super) fn new(holder: &'a Holder, rules: &'a Rules, now: Duration, ttl: Duration) -> Self {
        Self {
            iss: &rules.issuer,
            aud: &rules.audience,
            sub: holder.owner,
            iat: now.as_secs(),
            nbf: now.as_secs(),
            exp: (now + ttl).as_secs(),
            jti: Uuid::new_v4(),
            roles: crate::people::split_roles(&holder.roles).collect(),
            sid: holder.session_id.as_deref(),
        }
    }
}

/// Whom `token` stands for at `now`, the time since 1970. The algorithm is what was configured,
/// whatever the token says (RFC 8725, 3.1).
pub(super) fn verify(
    token: &str,
    key: &DecodingKey,
    algorithm: Algorithm,
    rules: &Rules,
    now: Duration,
) -> Result<Holder, &'static str> {
    let mut expected = Validation::new(algorithm);
    expected.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    expected.set_issuer(&[&rules.issuer]);
    expected.set_audience(&[&rules.audience]);
    // The library would read a clock of its own.
    expected.validate_exp = false;
    let read = jsonwebtoken::decode::<Told>(token, key, &expected);
    let read = read.map_err(|error| refusal(error.kind()))?;
    // Nothing is known here that a token may insist on (RFC 7515, 4.1.11).
    if read.header.crit.is_some() {
        return Err(MALFORMED);
    }
    let told = read.claims;
    let (now, leeway) = (now.as_secs_f64(), rules.leeway.as_secs_f64());
    if told.exp + leeway <= now {
        return Err("the access token has expired; ask for another");
    }
    if told.nbf.is_some_and(|begin| begin - leeway > now) {
        return Err("the access token is not good yet");
    }
    let known = |role: &&String| [GUEST, CUSTOMER, SUPPORT, ADMIN].contains(&role.as_str());
    let roles: Vec<_> = told.roles.iter().filter(known).cloned().collect();
    Ok(Holder {
        owner: told.sub,
        roles: roles.join(","),
        session_id: told.sid,
    })
}

fn refusal(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidAlgorithm => WRONG_ALGORITHM,
        ErrorKind::InvalidSignature => "the access token is not signed as it should be",
        ErrorKind::InvalidIssuer => "the access token is of another issuer",
        ErrorKind::InvalidAudience => "the access token is for another audience",
        _ => MALFORMED,
    }
}
