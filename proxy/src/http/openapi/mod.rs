//! The OpenAPI 3.1 document (spec.openapis.org/oas/v3.1.1), made of the table of routes. Pure.

mod operations;
mod problems;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::route::{Access, Route};
use operations::Schemas;

const TITLE: &str = "Holdfast";
const SUMMARY: &str = "A shop that never sells a unit that it does not have.";
const DESCRIPTION: &str = "What all calls have in common, and whole journeys in curl, Python and \
    JavaScript, are in docs/http.md; what each problem means and what to do is in docs/problems.";

/// What the document says of a shop's own configuration.
pub struct Shop<'a> {
    /// The name of the session cookie.
    pub session_cookie: &'a str,
    /// The longest hold at checkout, ms.
    pub longest_hold_ms: u64,
}

/// The document of `routes` in this shop.
pub fn document(routes: &[Route], shop: &Shop<'_>) -> Value {
    let mut schemas = Schemas::new();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for route in routes {
        let method = route.method.as_str().to_ascii_lowercase();
        let mut operation = schemas.operation(route);
        operation["tags"] = json!([tag(route.path)]);
        operation["security"] = security(route);
        paths
            .entry(route.path)
            .or_default()
            .insert(method, operation);
    }
    let mut definitions = schemas.definitions();
    for form in ["HoldForm", "ExtendForm"] {
        definitions[form]["properties"]["ttl_ms"]["maximum"] = json!(shop.longest_hold_ms);
    }
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": TITLE,
            "summary": SUMMARY,
            "description": DESCRIPTION,
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": tags(routes),
        "paths": paths,
        "components": {
            "schemas": definitions,
            "headers": operations::common_headers(),
            "responses": schemas.refusals,
            "securitySchemes": security_schemes(shop.session_cookie),
        },
    })
}

/// The resource: what comes behind the version.
fn tag(path: &str) -> &str {
    let path = path.strip_prefix("/v1").unwrap_or(path);
    path.split('/').nth(1).unwrap_or_default()
}

/// In the order of the table.
fn tags(routes: &[Route]) -> Vec<Value> {
    let mut names: Vec<&str> = Vec::new();
    for name in routes.iter().map(|route| tag(route.path)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
        .into_iter()
        .map(|name| json!({ "name": name }))
        .collect()
}

/// The ways to say who asks, any one of which will do.
fn security(route: &Route) -> Value {
    match route.access {
        Access::Anyone if !route.needs_a_session() => json!([]),
        Access::Admin | Access::Support => {
            json!([{ "cookie": [] }, { "session": [] }, { "accessToken": [] }, { "operator": [] }])
        }
        _ if route.contract.is_by_session_alone => json!([{ "cookie": [] }, { "session": [] }]),
        _ => json!([{ "cookie": [] }, { "session": [] }, { "accessToken": [] }]),
    }
}

fn security_schemes(session_cookie: &str) -> Value {
    json!({
        "cookie": {
            "type": "apiKey",
            "in": "cookie",
            "name": session_cookie,
            "description": "The session of a browser, as startSession sets it.",
        },
        "session": {
            "type": "http",
            "scheme": "bearer",
            "description": "The session's `token`, as startSession answers it.",
        },
        "accessToken": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The `access_token` of issueAccessToken, or of an issuer that the shop trusts.",
        },
        "operator": {
            "type": "http",
            "scheme": "bearer",
            "description": "The operator's token, which the shop's configuration has.",
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::routes::routes;

    const SHOP: Shop<'_> = Shop {
        session_cookie: "__Host-holdfast_session",
        longest_hold_ms: 600_000,
    };

    /// So that a change of the contract shows in review.
    #[test]
    fn the_tree_has_the_document_as_it_is() {
        let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
        let path = docs.join("openapi.json");
        let document = document(&routes(), &SHOP);
        let text = serde_json::to_string_pretty(&document).expect("a JSON value");
        let text = format!("{text}\n");
        if std::env::var_os("HOLDFAST_BLESS").is_some() {
            std::fs::write(path, text).expect("written");
            return;
        }
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        let mut lines = kept.lines().zip(text.lines());
        let first = lines.position(|(kept, now)| kept != now);
        assert!(
            kept == text,
            "the contract has changed, first in line {}; if that is meant, write docs/openapi.json anew: \
             HOLDFAST_BLESS=1 cargo test --release -p holdfast-proxy --lib openapi",
            first.unwrap_or(kept.lines().count().min(text.lines().count())) + 1
        );
    }

    #[test]
    fn every_operation_has_a_name_of_its_own_and_says_what_it_does() {
        let routes = routes();
        let mut names: Vec<_> = routes.iter().map(|r| r.contract.operation_id).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), routes.len(), "two operations have one name");
        for route in routes {
            let Route { method, path, .. } = &route;
            assert!(!route.contract.operation_id.is_empty(), "{method} {path}");
            assert!(route.contract.summary.ends_with('.'), "{method} {path}");
            assert!(!route.contract.answers.is_empty(), "{method} {path}");
        }
    }

    #[test]
    fn a_name_stands_for_one_type() {
        let mut schemas = Schemas::new();
        for route in routes() {
            schemas.operation(&route);
        }
        let sent = schemas.sent.take_definitions(true);
        let answered = schemas.answered.take_definitions(true);
        for (name, schema) in sent {
            if let Some(other) = answered.get(&name) {
                assert_eq!(
                    &schema, other,
                    "{name} is sent otherwise than it is answered"
                );
            }
        }
    }

    #[test]
    fn every_link_leads_to_a_parameter_of_an_operation() {
        let routes = routes();
        let mut count = 0;
        for link in routes.iter().flat_map(|route| &route.contract.links) {
            let found = routes
                .iter()
                .find(|other| other.contract.operation_id == link.operation_id);
            let to = found.expect(link.operation_id);
            let in_path = format!("{{{}}}", link.parameter);
            let is_known = to.path.contains(&in_path) || to.contract.query.is_some();
            assert!(is_known, "{} has no {}", link.operation_id, link.parameter);
            count += 1;
        }
        assert!(count > 5, "{count}");
        for (operation_id, _) in routes.iter().flat_map(|route| &route.contract.next_bodies) {
            let to = routes
                .iter()
                .find(|other| other.contract.operation_id == *operation_id);
            assert!(to.expect(operation_id).contract.body.is_some());
        }
    }

    /// Every `description` and `summary` in the document.
    fn sentences(value: &Value) -> Vec<&str> {
        match value {
            Value::Array(values) => values.iter().flat_map(sentences).collect(),
            Value::Object(members) => {
                let said = ["description", "summary"].into_iter();
                let said = said.filter_map(|name| members.get(name)?.as_str());
                said.chain(members.values().flat_map(sentences)).collect()
            }
            _ => Vec::new(),
        }
    }

    #[test]
    fn nothing_is_said_in_the_words_of_rust() {
        let document = document(&routes(), &SHOP);
        let sentences = sentences(&document);
        assert!(sentences.len() > 100, "{}", sentences.len());
        let of_rust = ["[`", "`None`", "`Some", "::", "].", "\n"];
        let told: Vec<_> = sentences
            .into_iter()
            .filter(|sentence| of_rust.iter().any(|word| sentence.contains(word)))
            .collect();
        assert!(told.is_empty(), "{told:#?}");
    }

    #[test]
    fn whatever_is_referred_to_is_there() {
        let document = document(&routes(), &SHOP);
        let text = document.to_string();
        let references = text.split("\"$ref\":\"#").skip(1);
        for reference in references {
            let pointer = reference.split('"').next().expect("the end of it");
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
    }
}
