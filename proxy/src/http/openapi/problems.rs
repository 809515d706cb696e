//! How the document describes a refusal.

use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use crate::catalogue::Sku;
use crate::http::Kind;

/// Every refusal (RFC 9457); some have members of their own.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "it stands for the map that problem.rs fills")]
pub struct Problem {
    /// Names a page in docs/problems.
    r#type: String,
    /// What kind of problem it is.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What, where and what to do.
    detail: String,
    /// Whether the same request may be sent again as it is.
    retry_safe: bool,
    /// Of `out-of-stock`: each line that is short.
    #[schemars(skip_serializing_if = "Option::is_none")]
    lines: Option<Vec<ShortLine>>,
    /// Of `not-found`: the products of an order that do not exist.
    #[schemars(skip_serializing_if = "Option::is_none")]
    skus: Option<Vec<Sku>>,
}

/// A line of which fewer units are available than were asked for.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "likewise")]
struct ShortLine {
    /// Of what.
    sku: Sku,
    /// Units that were asked for.
    requested: i64,
    /// Units that could be held.
    available: i64,
}

/// The response of one status, which stands for all these kinds.
pub fn refusal(problem: &Schema, kinds: &[Kind]) -> Value {
    let titles: Vec<&str> = kinds.iter().map(|kind| kind.title()).collect();
    let types: Vec<String> = kinds.iter().map(|kind| kind.type_uri()).collect();
    let mut response = json!({
        "description": titles.join("; "),
        "content": { "application/problem+json": { "schema": {
            "allOf": [problem, { "properties": { "type": { "enum": types } } }],
        } } },
    });
    let headers = headers(kinds);
    if !headers.is_empty() {
        response["headers"] = Value::Object(headers);
    }
    response
}

fn headers(kinds: &[Kind]) -> Map<String, Value> {
    let mut headers = Map::new();
    if kinds.iter().any(|kind| kind.may_pass()) {
        headers.insert(
            "Retry-After".to_owned(),
            json!({
                "description": "Seconds until it is worth another try.",
                "schema": { "type": "integer", "minimum": 0 },
            }),
        );
    }
    if kinds.iter().any(|kind| kind.status() == 401) {
        headers.insert(
            "WWW-Authenticate".to_owned(),
            json!({
                "description": "How to say who asks (RFC 6750, 3).",
                "schema": { "type": "string" },
            }),
        );
    }
    headers
}
