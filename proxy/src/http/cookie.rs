//! The session's cookie, by OWASP's session management rules.

use hyper::Response;
use hyper::header::{CACHE_CONTROL, COOKIE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE};

use super::{Answer, Body, Problem};
use crate::config;

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// The value of a cookie. Over HTTP/2 each cookie may come in a field of its own (RFC 9113, 8.2.3),
/// and what others have set beside it need not be ASCII.
pub fn find<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(COOKIE).iter();
    let pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    pairs
        .filter_map(|pair| std::str::from_utf8(pair).ok()?.trim().split_once('='))
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value)
}

/// Gives the session to the browser, for as long as the store keeps it in any case.
pub fn give(
    http: &config::Http,
    mut answer: Response<Body>,
    token: &str,
    absolute_ms: u64,
) -> Answer {
    // Rounded down: the browser never shows what the store has forgotten.
    set(http, &mut answer, token, absolute_ms / 1000)?;
    Ok(answer)
}

/// Takes the session from the browser, and with it what the shop's pages have stored there.
pub fn take(http: &config::Http, mut answer: Response<Body>) -> Answer {
    set(http, &mut answer, "", 0)?;
    let everything = HeaderValue::from_static("\"cookies\", \"storage\"");
    answer.headers_mut().insert(CLEAR_SITE_DATA, everything);
    Ok(answer)
}

fn set(
    http: &config::Http,
    answer: &mut Response<Body>,
    value: &str,
    max_age_s: u64,
) -> Result<(), Problem> {
    let cookie = cookie(http, value, max_age_s);
    let cookie = HeaderValue::from_str(&cookie).map_err(Problem::internal)?;
    answer.headers_mut().insert(SET_COOKIE, cookie);
    uncached(answer);
    Ok(())
}

/// What a session is answered is one shopper's own.
pub fn uncached(answer: &mut Response<Body>) {
    let nowhere = HeaderValue::from_static("no-store");
    answer.headers_mut().insert(CACHE_CONTROL, nowhere);
}

/// A `Set-Cookie` value. Scripts cannot read the cookie (HttpOnly), and other sites' forms do
/// not bring it along (SameSite).
fn cookie(http: &config::Http, value: &str, max_age_s: u64) -> String {
    let name = http.session_cookie();
    let secure = if http.plain_http_cookies {
        ""
    } else {
        "; Secure"
    };
    format!("{name}={value}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Lax{secure}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_tls_the_cookie_keeps_the_rules_of_its_prefix() {
        let cookie = cookie(&config::Http::default(), "id.secret", 60);
        assert_eq!(
            cookie,
            "__Host-holdfast_session=id.secret; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure"
        );
    }

    #[test]
    fn without_tls_a_browser_still_takes_it() {
        let http = config::Http {
            plain_http_cookies: true,
            ..config::Http::default()
        };
        assert_eq!(
            cookie(&http, "", 0),
            "holdfast_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"
        );
    }

    #[test]
    fn the_session_is_found_whatever_else_the_browser_keeps() {
        let found = |lines: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(COOKIE, HeaderValue::from_bytes(line).expect("a header"));
            }
            find(&headers, "session").map(str::to_owned)
        };
        let session = Some("id.secret".to_owned());
        assert_eq!(found(&[b"session=id.secret"]), session);
        assert_eq!(found(&[b"a=1; session=id.secret;b=2"]), session);
        assert_eq!(found(&[b"a=1", b"session=id.secret"]), session);
        assert_eq!(
            found(&["name=Zo\u{eb}; session=id.secret".as_bytes()]),
            session
        );
        assert_eq!(found(&[b"name=\xff; session=id.secret"]), session);
        assert_eq!(found(&[b"my_session=id.secret; sessions=1"]), None);
        assert_eq!(found(&[]), None);
    }
}
