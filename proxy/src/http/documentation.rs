//! `/openapi.json`: what the API is, for programs.

use hyper::StatusCode;

use super::{Answer, Call, json, openapi, routes};

/// `GET /openapi.json`
pub async fn openapi(call: Call) -> Answer {
    let cookie = call.app.config.http.session_cookie();
    json(
        StatusCode::OK,
        &openapi::document(&routes::routes(), cookie),
    )
}
