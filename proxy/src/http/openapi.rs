//! The OpenAPI 3.1 document (spec.openapis.org/oas/v3.1.1), made of the table of routes. Pure.

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::Kind;
use super::contract::Content;
use super::documentation::FileName;
use super::route::{Access, Route};
use crate::catalogue::Sku;

const SCHEMAS: &str = "/components/schemas";

/// Every refusal (RFC 9457); some have members of their own.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "it stands for the map that problem.rs fills")]
struct Problem {
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
}

/// The document of `routes`, in a shop whose session cookie has this name.
pub fn document(routes: &[Route], session_cookie: &str) -> Value {
    let mut schemas = Schemas::new();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for route in routes {
        let operation = schemas.operation(route);
        let method = route.method.as_str().to_ascii_lowercase();
        paths
            .entry(route.path)
            .or_default()
            .insert(method, operation);
    }
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": "Holdfast",
            "summary": "A shop that never sells a unit that it does not have.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas.definitions(),
            "securitySchemes": {
                "cookie": { "type": "apiKey", "in": "cookie", "name": session_cookie },
                "bearer": { "type": "http", "scheme": "bearer" },
            },
        },
    })
}

/// What callers send is described apart from what they get: a member with a default may be left
/// out of the one and is always in the other.
struct Schemas {
    sent: SchemaGenerator,
    answered: SchemaGenerator,
    problem: Schema,
}

impl Schemas {
    fn new() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = SCHEMAS.into();
                settings.meta_schema = None;
            })
        };
        let mut answered = settings().for_serialize().into_generator();
        Self {
            sent: settings().for_deserialize().into_generator(),
            problem: answered.subschema_for::<Problem>(),
            answered,
        }
    }

    fn operation(&mut self, route: &Route) -> Value {
        let contract = &route.contract;
        let mut operation = json!({
            "operationId": contract.operation_id,
            "summary": contract.summary,
            "tags": [tag(route.path)],
            "security": security(route.access),
            "parameters": self.parameters(route),
            "responses": self.responses(route),
        });
        if let Some(body) = contract.body {
            operation["requestBody"] = json!({
                "content": { "application/json": { "schema": body(&mut self.sent) } },
            });
        }
        operation
    }

    fn parameters(&mut self, route: &Route) -> Vec<Value> {
        let names = route.path.split('/').filter_map(|part| {
            let name = part.strip_prefix('{')?;
            name.strip_suffix('}')
        });
        let mut parameters: Vec<Value> = Vec::new();
        for name in names {
            let schema = match name {
                "sku" => self.sent.subschema_for::<Sku>(),
                "file" => self.sent.subschema_for::<FileName>(),
                _ => self.sent.subschema_for::<uuid::Uuid>(),
            };
            parameters
                .push(json!({ "name": name, "in": "path", "required": true, "schema": schema }));
        }
        if let Some(query) = route.contract.query {
            parameters.extend(self.query_parameters(query));
        }
        if route.contract.is_conditional {
            parameters.extend(conditions(route));
        }
        if route.is_done_once {
            parameters.push(json!({
                "name": "Idempotency-Key",
                "in": "header",
                "description": "The same key is done once; see docs/http.md.",
                "schema": { "type": "string", "pattern": "^\"[ !#-\\[\\]-~]{1,255}\"$" },
            }));
        }
        parameters
    }

    /// One parameter for each member of the query's type.
    fn query_parameters(&mut self, query: super::contract::SchemaOf) -> Vec<Value> {
        let mut apart = self.sent.settings().clone();
        apart.inline_subschemas = true;
        let mut generator = apart.into_generator();
        let schema = query(&mut generator);
        let members = schema.get("properties").and_then(Value::as_object);
        let required = schema.get("required").and_then(Value::as_array);
        let is_required = |name: &str| {
            required.is_some_and(|names| names.iter().any(|known| known.as_str() == Some(name)))
        };
        let members = members.into_iter().flatten();
        members
            .map(|(name, schema)| {
                json!({
                    "name": name,
                    "in": "query",
                    "required": is_required(name),
                    "schema": without_null(schema),
                })
            })
            .collect()
    }

    fn responses(&mut self, route: &Route) -> BTreeMap<String, Value> {
        let mut responses = BTreeMap::new();
        for (status, content) in &route.contract.answers {
            let mut response = json!({ "description": reason(*status) });
            match content {
                Content::Json(schema) => {
                    let schema = schema(&mut self.answered);
                    response["content"] = json!({ "application/json": { "schema": schema } });
                }
                Content::Text(media_type) => {
                    response["content"] =
                        json!({ *media_type: { "schema": { "type": "string" } } });
                }
                Content::Nothing => {}
            }
            if route.contract.is_conditional && *status != 204 {
                let tag = "What is shown, for If-None-Match and If-Match.";
                let schema = json!({ "type": "string" });
                response["headers"] = json!({ "ETag": { "description": tag, "schema": schema } });
            }
            responses.insert(status.to_string(), response);
        }
        let mut by_status: BTreeMap<u16, Vec<Kind>> = BTreeMap::new();
        for kind in route.problems() {
            by_status
                .entry(kind.status().as_u16())
                .or_default()
                .push(kind);
        }
        for (status, kinds) in by_status {
            responses.insert(status.to_string(), self.refusal(&kinds));
        }
        responses
    }

    fn refusal(&self, kinds: &[Kind]) -> Value {
        let titles: Vec<&str> = kinds.iter().map(|kind| kind.title()).collect();
        let types: Vec<String> = kinds.iter().map(|kind| kind.type_uri()).collect();
        json!({
            "description": titles.join("; "),
            "content": { "application/problem+json": { "schema": {
                "allOf": [self.problem, { "properties": { "type": { "enum": types } } }],
            } } },
        })
    }

    /// All types that the operations name.
    fn definitions(&mut self) -> Map<String, Value> {
        let mut definitions = self.sent.take_definitions(true);
        definitions.extend(self.answered.take_definitions(true));
        definitions
    }
}

/// The headers by which an answer or a change is asked for on a condition.
fn conditions(route: &Route) -> Vec<Value> {
    let condition = |name: &str, description: &str| {
        let schema = json!({ "type": "string" });
        json!({ "name": name, "in": "header", "description": description, "schema": schema })
    };
    if route.reads() {
        let known = "The entity tags that the caller has; 304 if it is one of them.";
        vec![condition("If-None-Match", known)]
    } else {
        let seen = "The entity tag that the caller saw, or *; 412 if it has changed since.";
        let absent = "*: 412 if it exists.";
        vec![
            condition("If-Match", seen),
            condition("If-None-Match", absent),
        ]
    }
}

/// A parameter that may be left out is not there; it is never null.
fn without_null(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some(types) = schema.get_mut("type").and_then(Value::as_array_mut) {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            schema["type"] = only.clone();
        }
    }
    if let Some(one_of) = schema.get_mut("anyOf").and_then(Value::as_array_mut) {
        one_of.retain(|part| part.get("type").is_none_or(|name| name != "null"));
        if let [only] = one_of.as_slice() {
            schema = only.clone();
        }
    }
    schema
}

/// The resource: what comes behind the version.
fn tag(path: &str) -> &str {
    let path = path.strip_prefix("/v1").unwrap_or(path);
    path.split('/').nth(1).unwrap_or_default()
}

fn security(access: Access) -> Value {
    match access {
        Access::Anyone => json!([]),
        Access::Session | Access::Customer | Access::Support | Access::Admin => {
            json!([{ "cookie": [] }, { "bearer": [] }])
        }
    }
}

fn reason(status: u16) -> &'static str {
    let status = hyper::StatusCode::from_u16(status).ok();
    status
        .and_then(|status| status.canonical_reason())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::routes::routes;

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
    fn whatever_is_referred_to_is_there() {
        let document = document(&routes(), "cookie");
        let text = document.to_string();
        let references = text.split("\"$ref\":\"#").skip(1);
        for reference in references {
            let pointer = reference.split('"').next().expect("the end of it");
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
    }
}
