//! What a route says of itself: the facts of which the OpenAPI document is made.

use schemars::{Schema, SchemaGenerator};
use serde_json::Value;

use super::Kind;
use super::route::{Access, Route};

/// The schema of a type, its parts being kept by the generator.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// What a route takes and answers.
#[derive(Debug, Clone, Default)]
pub struct Contract {
    /// What generated clients call the operation.
    pub operation_id: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// Its query parameters, as the members of one type.
    pub query: Option<SchemaOf>,
    /// Its body.
    pub body: Option<SchemaOf>,
    /// Its answers by status.
    pub answers: Vec<(u16, Content)>,
    /// Whether it tells an entity tag and takes conditions on it.
    pub is_conditional: bool,
    /// What it refuses with, beside what its row implies.
    pub problems: Vec<Kind>,
    /// True where an access token does not do.
    pub is_by_session_alone: bool,
    /// What it answers besides the body: the header, and what it says.
    pub headers: Vec<(&'static str, &'static str)>,
    /// What can be asked next with what it answers.
    pub links: Vec<Link>,
    /// What can be sent next: an operation and its body, in which members of the answer are named
    /// as in `$response.body#/sku`.
    pub next_bodies: Vec<(&'static str, Value)>,
}

/// A member of an answer by which another operation finds its resource.
#[derive(Debug, Clone)]
pub struct Link {
    /// The other operation.
    pub operation_id: &'static str,
    /// Its parameter.
    pub parameter: &'static str,
    /// The member, as a JSON pointer.
    pub member: &'static str,
}

/// The body of an answer.
#[derive(Debug, Clone)]
pub enum Content {
    /// JSON of this schema.
    Json(SchemaOf),
    /// Text of this media type.
    Text(&'static str),
    /// None.
    Nothing,
}

impl Route {
    /// Everything it may refuse with: its own, and what its row implies.
    pub fn problems(&self) -> Vec<Kind> {
        let mut kinds = self.contract.problems.clone();
        kinds.extend([
            Kind::Overloaded,
            Kind::Unavailable,
            Kind::DeadlineExceeded,
            Kind::Internal,
            Kind::TooManyRequests,
            Kind::UriTooLong,
            Kind::HeadersTooLarge,
        ]);
        if self.path.contains('{') {
            kinds.push(Kind::NotFound);
        }
        if self.contract.query.is_some() {
            kinds.push(Kind::InvalidValue);
        }
        if self.reads_a_body() {
            kinds.extend([
                Kind::InvalidBody,
                Kind::InvalidValue,
                Kind::BodyTooLarge,
                Kind::UnsupportedMediaType,
                Kind::Timeout,
            ]);
        }
        // A page of another origin may have sent it.
        if !self.method.is_safe() {
            kinds.push(Kind::Forbidden);
        }
        if self.is_done_once {
            kinds.extend([Kind::InvalidValue, Kind::RequestInFlight, Kind::Mismatch]);
        }
        match self.access {
            Access::Anyone => {}
            Access::Session => kinds.push(Kind::NoSession),
            Access::Customer | Access::Support | Access::Admin => {
                kinds.extend([Kind::NoSession, Kind::Forbidden]);
            }
        }
        kinds.sort_by_key(|kind| kind.slug());
        kinds.dedup();
        kinds
    }

    /// Whether it is refused to who shows no session: by its row, or by what it does.
    pub fn needs_a_session(&self) -> bool {
        self.access != Access::Anyone || self.contract.problems.contains(&Kind::NoSession)
    }

    /// An Idempotency-Key stands for a body too, so that one is read even where none is taken.
    fn reads_a_body(&self) -> bool {
        self.contract.body.is_some() || self.is_done_once
    }
}
