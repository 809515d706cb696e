//! The HTTP API: parse, ask the room that decides, answer. Nothing is decided here.

pub mod admin;
pub mod auth;
pub mod call;
pub mod carts;
pub mod holds;
pub mod idempotency;
pub mod kind;
mod order_answers;
pub mod orders;
mod page;
pub mod problem;
pub mod products;
pub mod route;
pub mod router;
pub mod routes;
pub mod server;
pub mod sessions;
pub mod stock;
pub mod users;
pub mod webhooks;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

pub use call::Call;
pub use kind::Kind;
pub use problem::Problem;

/// Every answer fits in memory.
pub type Body = Full<Bytes>;

/// What a handler returns.
pub type Answer = Result<Response<Body>, Problem>;

/// A JSON answer.
pub fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    let body = serde_json::to_vec(value).map_err(Problem::internal)?;
    let mut response = Response::new(Body::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// An answer without a body.
pub fn no_content() -> Answer {
    let mut response = Response::new(Body::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}
