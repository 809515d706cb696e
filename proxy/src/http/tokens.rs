//! `/v1/sessions/current/tokens`: access tokens for API clients.

use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, HeaderValue};
use schemars::JsonSchema;
use serde::Serialize;

use super::{Answer, Call, Kind, Problem, json};
use crate::people::access_tokens::Holder;

/// An access token, as OAuth 2.0 answers it (RFC 6749, 5.1).
#[derive(Serialize, JsonSchema)]
pub struct AccessToken {
    /// A JWT, for `Authorization: Bearer`.
    access_token: String,
    token_type: TokenType,
    /// How long it is good, s.
    expires_in: u64,
}

/// How a token is shown.
#[derive(Serialize, JsonSchema)]
enum TokenType {
    Bearer,
}

/// `POST /v1/sessions/current/tokens`: to be asked again before the last one expires.
pub async fn issue(call: Call) -> Answer {
    let session = call.session().await?;
    let holder = Holder {
        owner: session.owner,
        roles: session.touched.roles,
        session_id: Some(session.id),
    };
    let issued = call.app.access_tokens.issue(&holder);
    let Some((access_token, ttl)) = issued.map_err(Problem::internal)? else {
        return Err(Problem::new(
            Kind::Forbidden,
            "this shop issues no access tokens; its operator would set jwt.key_file",
        ));
    };
    let mut answer = json(
        StatusCode::CREATED,
        &AccessToken {
            access_token,
            token_type: TokenType::Bearer,
            expires_in: ttl.as_secs(),
        },
    )?;
    let headers = answer.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}
