//! Answers that a client may keep and ask about again (RFC 9110, 13; RFC 9111).
//!
//! An entity tag is a digest of the body, so it is strong whatever the body is made of. Before the
//! digest it has the revision of what is shown, where there is one: a condition on a change looks
//! at that alone, because what is available changes with every sale.

use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Answer, Call, Kind, Problem, in_memory};
use crate::catalogue::change::Condition;

/// It may be kept by anybody, and shown again when it was found to be unchanged.
const KEPT: HeaderValue = HeaderValue::from_static("public, max-age=0, must-revalidate");

impl Call {
    /// Shows `value`, or says that it is what the caller has already (`If-None-Match`).
    pub fn show(&self, value: &impl Serialize, revision: Option<i64>) -> Answer {
        let (tag, body) = tagged(value, revision)?;
        let known = self.header("if-none-match").is_some_and(|known| {
            // Compared weakly: a cache may have weakened what it keeps.
            tags(known).any(|known| known == "*" || known.trim_start_matches("W/") == tag)
        });
        let mut response = if known {
            let mut response = Response::new(in_memory(Vec::new()));
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        } else {
            json_of(StatusCode::OK, body)
        };
        let headers = response.headers_mut();
        headers.insert(ETAG, header(&tag)?);
        headers.insert(CACHE_CONTROL, KEPT);
        Ok(response)
    }

    /// What must hold of an entry for it to be changed (`If-Match`, and `If-None-Match: *`).
    pub fn condition(&self) -> Result<Condition, Problem> {
        match (self.header("if-match"), self.header("if-none-match")) {
            (None, None) => Ok(Condition::None),
            (None, Some("*")) => Ok(Condition::Absent),
            (Some("*"), None) => Ok(Condition::Present),
            (Some(known), None) => Ok(Condition::Revision(
                tags(known).filter_map(revision_of).collect(),
            )),
            // It cannot be there and not be there.
            (Some(_), Some("*")) => Ok(Condition::Revision(Vec::new())),
            (_, Some(_)) => Err(Problem::new(
                Kind::InvalidValue,
                "a change takes If-None-Match with nothing but *",
            )),
        }
    }
}

/// What a change has left, with its entity tag.
pub fn changed(status: StatusCode, value: &impl Serialize, revision: i64) -> Answer {
    let (tag, body) = tagged(value, Some(revision))?;
    let mut response = json_of(status, body);
    response.headers_mut().insert(ETAG, header(&tag)?);
    Ok(response)
}

fn tagged(value: &impl Serialize, revision: Option<i64>) -> Result<(String, Vec<u8>), Problem> {
    let body = serde_json::to_vec(value).map_err(Problem::internal)?;
    let digest = Sha256::digest(&body);
    let digest: String = digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let tag = match revision {
        Some(revision) => format!("\"{revision}.{digest}\""),
        None => format!("\"{digest}\""),
    };
    Ok((tag, body))
}

fn json_of(status: StatusCode, body: Vec<u8>) -> Response<super::Body> {
    let mut response = Response::new(in_memory(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn header(tag: &str) -> Result<HeaderValue, Problem> {
    HeaderValue::from_str(tag).map_err(Problem::internal)
}

/// The tags of a list; ours have no comma in them.
fn tags(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim)
}

/// The revision that a tag of ours names. A weak tag is none that a change may rest on.
fn revision_of(tag: &str) -> Option<i64> {
    let tag = tag.strip_prefix('"')?.strip_suffix('"')?;
    tag.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_names_the_revision_and_differs_with_the_body() {
        let tag = |value: &str, revision| tagged(&value, revision).expect("a string").0;
        assert_eq!(revision_of(&tag("a", Some(7))), Some(7));
        assert_ne!(tag("a", Some(7)), tag("b", Some(7)));
        assert_eq!(tag("a", None), tag("a", None));
        for foreign in ["W/\"7.x\"", "7", "\"x.7\"", "\"", ""] {
            assert_eq!(revision_of(foreign), None, "{foreign}");
        }
    }
}
