//! One operation of the document, and the types that it names.

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::problems::{Problem, refusal};
use crate::catalogue::Sku;
use crate::http::Kind;
use crate::http::contract::{Content, Contract, SchemaOf};
use crate::http::documentation::FileName;
use crate::http::route::Route;
use crate::http::stock_stream::EVENT_STREAM;

const SCHEMAS: &str = "/components/schemas";

/// How much more may be asked, in the headers of draft-ietf-httpapi-ratelimit-headers.
const RATES: [(&str, &str); 2] = [
    (
        "RateLimit",
        "What is left of each rate that the request was counted in.",
    ),
    ("RateLimit-Policy", "Those rates: the quota and the window."),
];

/// What an Idempotency-Key may be: a string in quotes, or a bare word.
const IDEMPOTENCY_KEY: &str = r#"^("([ !#-\[\]-~]|\\["\\]){1,255}"|[!#-+\--:<-\[\]-~]{1,255})$"#;

/// What callers send is described apart from what they get: a member with a default may be left
/// out of the one and is always in the other.
pub struct Schemas {
    pub(super) sent: SchemaGenerator,
    pub(super) answered: SchemaGenerator,
    /// The responses that refuse, by the slugs of their problems.
    pub(super) refusals: Map<String, Value>,
    problem: Schema,
}

impl Schemas {
    pub fn new() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = SCHEMAS.into();
                settings.meta_schema = None;
                settings
                    .transforms
                    .push(Box::new(RecursiveTransform(unwrap_lines)));
            })
        };
        let mut answered = settings().for_serialize().into_generator();
        Self {
            sent: settings().for_deserialize().into_generator(),
            refusals: Map::new(),
            problem: answered.subschema_for::<Problem>(),
            answered,
        }
    }

    /// What is said of one route, except who may ask.
    pub fn operation(&mut self, route: &Route) -> Value {
        let contract = &route.contract;
        let mut operation = json!({
            "operationId": contract.operation_id,
            "summary": contract.summary,
            "parameters": self.parameters(route),
            "responses": self.responses(route),
        });
        if let Some(body) = contract.body {
            let schema = body(&mut self.sent);
            operation["requestBody"] = json!({
                "required": !self.takes_nothing(&schema),
                "content": { "application/json": { "schema": schema } },
            });
        }
        operation
    }

    /// All types that the operations name.
    pub fn definitions(&mut self) -> Map<String, Value> {
        let mut definitions = self.sent.take_definitions(true);
        definitions.extend(self.answered.take_definitions(true));
        definitions
    }

    /// Whether a body of this schema may be left out, which stands for an empty object.
    fn takes_nothing(&self, schema: &Schema) -> bool {
        let reference = schema.get("$ref").and_then(Value::as_str);
        let name = reference.and_then(|reference| reference.rsplit('/').next());
        let named = name.and_then(|name| self.sent.definitions().get(name));
        let required = match named {
            Some(named) => named.get("required"),
            None => schema.get("required"),
        };
        required.and_then(Value::as_array).is_none_or(Vec::is_empty)
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
                "description": "The same request with the same key is done once; best a random UUID in quotes. See docs/http.md.",
                "schema": { "type": "string", "minLength": 1, "pattern": IDEMPOTENCY_KEY },
            }));
        }
        parameters
    }

    /// One parameter for each member of the query's type.
    fn query_parameters(&mut self, query: SchemaOf) -> Vec<Value> {
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
                    let links = links(&route.contract);
                    if !links.is_empty() {
                        response["links"] = Value::Object(links);
                    }
                }
                // What a stream tells is no one text.
                Content::Text(EVENT_STREAM) => {
                    response["content"] = json!({ EVENT_STREAM: {} });
                }
                Content::Text(media_type) => {
                    response["content"] =
                        json!({ *media_type: { "schema": { "type": "string" } } });
                }
                Content::Nothing => {}
            }
            response["headers"] = Value::Object(headers(route, *status));
            add_rates(&mut response);
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

    /// Refers to the refusal of these kinds, which many operations have in common.
    fn refusal(&mut self, kinds: &[Kind]) -> Value {
        let slugs: Vec<&str> = kinds.iter().map(|kind| kind.slug()).collect();
        let name = slugs.join(".");
        let reference = json!({ "$ref": format!("#/components/responses/{name}") });
        let mut response = refusal(&self.problem, kinds);
        add_rates(&mut response);
        self.refusals.insert(name, response);
        reference
    }
}

/// Docstrings are broken into lines where the code is.
fn unwrap_lines(schema: &mut Schema) {
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description.replace('\n', " ");
    }
}

/// The headers that any answer may have.
pub fn common_headers() -> Value {
    let headers = RATES.map(|(name, description)| {
        let header = json!({ "description": description, "schema": { "type": "string" } });
        (name.to_owned(), header)
    });
    Value::Object(headers.into_iter().collect())
}

fn add_rates(response: &mut Value) {
    for (name, _) in RATES {
        let header = json!({ "$ref": format!("#/components/headers/{name}") });
        response["headers"][name] = header;
    }
}

/// What can be asked next with what was answered.
fn links(contract: &Contract) -> Map<String, Value> {
    let links = contract.links.iter().map(|link| {
        let expression = format!("$response.body#{}", link.member);
        let value = json!({
            "operationId": link.operation_id,
            "parameters": { link.parameter: expression },
        });
        (link.operation_id.to_owned(), value)
    });
    let bodies = contract.next_bodies.iter().map(|(operation_id, body)| {
        let value = json!({ "operationId": operation_id, "requestBody": body });
        ((*operation_id).to_owned(), value)
    });
    links.chain(bodies).collect()
}

/// What is answered besides the body.
fn headers(route: &Route, status: u16) -> Map<String, Value> {
    let told =
        |description: &str| json!({ "description": description, "schema": { "type": "string" } });
    let mut headers: Map<String, Value> = Map::new();
    for (name, description) in &route.contract.headers {
        headers.insert((*name).to_owned(), told(description));
    }
    if route.contract.is_conditional && status != 204 {
        let description = "What is shown, for If-None-Match and If-Match.";
        headers.insert("ETag".to_owned(), told(description));
    }
    if route.is_done_once {
        let description = "\"true\" on an answer that was given before.";
        headers.insert("Idempotency-Replayed".to_owned(), told(description));
    }
    headers
}

/// The headers by which an answer or a change is asked for on a condition.
fn conditions(route: &Route) -> Vec<Value> {
    let condition = |name: &str, description: &str| {
        let schema = if description.starts_with('*') {
            json!({ "type": "string", "const": "*" })
        } else {
            json!({ "type": "string" })
        };
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

fn reason(status: u16) -> &'static str {
    let status = hyper::StatusCode::from_u16(status).ok();
    status
        .and_then(|status| status.canonical_reason())
        .unwrap_or_default()
}
