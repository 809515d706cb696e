//! The HTTP API: parse, ask the room that decides, answer. Nothing is decided here.

#[cfg(test)]
mod access_page;
pub mod admin;
mod as_schema;
pub mod auth;
pub mod call;
pub mod carts;
pub mod client_address;
mod conditional;
pub mod connection;
pub mod contract;
pub mod cookie;
pub mod cross_site;
pub mod documentation;
mod head_limits;
pub mod holds;
pub mod idempotency;
pub mod identity;
pub mod kind;
pub mod me;
mod moment;
pub mod openapi;
mod order_answers;
pub mod orders;
mod page;
pub mod problem;
mod product_changes;
pub mod products;
mod quotas;
pub mod route;
pub mod router;
pub mod routes;
#[cfg(test)]
mod security_page;
pub mod server;
pub mod sessions;
pub mod stock;
pub mod stock_stream;
pub mod support;
mod throttle;
pub mod tokens;
pub mod users;
pub mod webhooks;

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

pub use call::Call;
pub use kind::Kind;
pub use problem::Problem;

/// What is answered: most often bytes in memory, sometimes a stream.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// What a handler returns.
pub type Answer = Result<Response<Body>, Problem>;

/// A body that is there at once.
pub fn in_memory(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed_unsync()
}

/// A JSON answer.
pub fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    let body = serde_json::to_vec(value).map_err(Problem::internal)?;
    let mut response = Response::new(in_memory(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// An answer without a body.
pub fn no_content() -> Answer {
    let mut response = Response::new(in_memory(Bytes::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}
