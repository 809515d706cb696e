//! How long a request's first line and headers may be. Pure.
//!
//! What is far beyond, or has more than a hundred headers, never comes here: over HTTP/1 hyper
//! answers 431 without a body and closes the connection.

use hyper::http::request::Parts;

use super::{Kind, Problem};
use crate::config;

/// What stands between a header's name and its value, and behind it.
const AROUND: usize = ": \r\n".len();

/// Refuses a request target or headers that are too long.
pub fn check(head: &Parts, http: &config::Http) -> Result<(), Problem> {
    let target = head
        .uri
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    if target > http.max_uri_bytes {
        let detail = format!(
            "the path and query may have {} bytes, not {target}",
            http.max_uri_bytes
        );
        return Err(Problem::new(Kind::UriTooLong, detail));
    }
    let lengths = head
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + AROUND + value.len());
    let length: usize = lengths.sum();
    if length > http.max_header_bytes {
        let detail = format!(
            "all headers together may have {} bytes, not {length}",
            http.max_header_bytes
        );
        return Err(Problem::new(Kind::HeadersTooLarge, detail));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    fn checked(uri: &str, header: &str) -> Option<Kind> {
        let http = config::Http {
            max_uri_bytes: 20,
            max_header_bytes: 30,
            ..config::Http::default()
        };
        let request = Request::get(uri).header("x-a", header).body(());
        let (head, ()) = request.expect("a request").into_parts();
        check(&head, &http).err().map(|problem| problem.kind())
    }

    #[test]
    fn limits_are_inclusive() {
        // "x-a: " and what ends a line are 7.
        assert_eq!(checked("/v1/products?after=A", &"b".repeat(23)), None);
        assert_eq!(checked("/v1/products?after=AB", ""), Some(Kind::UriTooLong));
        assert_eq!(checked("/", &"b".repeat(24)), Some(Kind::HeadersTooLarge));
        assert_eq!(
            checked("http://a.shop.example/v1/products", ""),
            None,
            "the host counts not"
        );
    }
}
