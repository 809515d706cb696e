//! Requests that other sites have a browser send with the shopper's cookie (CSRF). SameSite keeps
//! most of them away; this is the second lock, as in OWASP's cheat sheet and Go's
//! `http.CrossOriginProtection`.

use hyper::header::{HOST, ORIGIN};
use hyper::http::request::Parts;

use super::auth::bearer_of;
use super::{Kind, Problem};

/// Refuses what changes something and was sent by a page of another origin. Who shows a bearer
/// token has a script of its own, which no other site can make. Browsers send a password of HTTP's
/// own (`Basic`) unasked, as they do cookies.
pub fn refuse(head: &Parts) -> Result<(), Problem> {
    if head.method.is_safe() || bearer_of(&head.headers).is_some() || !is_cross_origin(head) {
        return Ok(());
    }
    Err(Problem::new(
        Kind::Forbidden,
        "a page of another origin may not do this with a shopper's cookie; send a bearer token",
    ))
}

fn is_cross_origin(head: &Parts) -> bool {
    let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    // Browsers set it, and no script can. `none` is what the shopper typed.
    if let Some(site) = text("sec-fetch-site") {
        return !matches!(site, "same-origin" | "none");
    }
    // What has neither header is no browser, or one that is older than both.
    let Some(origin) = text(ORIGIN.as_str()) else {
        return false;
    };
    let authority = head.uri.authority().map(|authority| authority.as_str());
    let host = text(HOST.as_str()).or(authority);
    let from = origin.split_once("://").map(|(_, host)| host);
    from.is_none() || from != host
}

#[cfg(test)]
mod tests {
    use hyper::{Method, Request};

    use super::*;

    fn is_refused(method: Method, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().method(method).uri("/v1/orders");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).expect("a request").into_parts();
        refuse(&head).is_err()
    }

    #[test]
    fn a_page_of_another_origin_changes_nothing() {
        for headers in [
            [("sec-fetch-site", "cross-site"), ("host", "shop.example")],
            [("sec-fetch-site", "same-site"), ("host", "shop.example")],
            [("origin", "https://evil.example"), ("host", "shop.example")],
            [("origin", "null"), ("host", "shop.example")],
        ] {
            for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
                assert!(is_refused(method, &headers), "{headers:?}");
            }
            assert!(!is_refused(Method::GET, &headers), "{headers:?}");
            let mut with_token = headers.to_vec();
            with_token.push(("authorization", "Bearer x"));
            assert!(!is_refused(Method::POST, &with_token), "{headers:?}");
            // The last is none that is read, so that the cookie would count.
            for other in ["Basic eDp5", "Bearer", "Bearer \u{e9}"] {
                let mut with_other = headers.to_vec();
                with_other.push(("authorization", other));
                assert!(is_refused(Method::POST, &with_other), "{headers:?} {other}");
            }
        }
    }

    #[test]
    fn the_shops_own_pages_and_what_is_no_browser_go_on() {
        for headers in [
            vec![],
            vec![("sec-fetch-site", "same-origin")],
            vec![("sec-fetch-site", "none")],
            vec![("origin", "https://shop.example"), ("host", "shop.example")],
            // Behind a balancer that changes Host the browser's own word counts.
            vec![
                ("sec-fetch-site", "same-origin"),
                ("origin", "https://shop.example"),
                ("host", "10.0.0.1:8080"),
            ],
        ] {
            assert!(!is_refused(Method::POST, &headers), "{headers:?}");
        }
    }
}
