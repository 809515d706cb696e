//! `/openapi.json` and `/docs`: what the API is, for programs and for people.

use std::borrow::Cow;

use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{Answer, Call, Kind, Problem, in_memory, json};

/// The page may load what this server sends, and nothing of anybody else. The browser of the API
/// styles its parts inline and has its pictures in its style sheet.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

macro_rules! unpacked {
    ($name:literal) => {
        include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui/", $name))
    };
}

/// What the page is made of: name, media type, content. All but the second are Swagger UI's own.
const FILES: [(&str, &str, &[u8]); 4] = [
    (
        "swagger-ui-bundle.js",
        "text/javascript; charset=utf-8",
        unpacked!("swagger-ui-bundle.js"),
    ),
    (
        "open.js",
        "text/javascript; charset=utf-8",
        include_bytes!("open.js"),
    ),
    (
        "swagger-ui.css",
        "text/css; charset=utf-8",
        unpacked!("swagger-ui.css"),
    ),
    ("LICENSE", "text/plain; charset=utf-8", unpacked!("LICENSE")),
];

/// The name of one of the files of the page, as a parameter of a path.
pub struct FileName;

/// `GET /openapi.json`
pub async fn openapi(call: Call) -> Answer {
    json(StatusCode::OK, &call.app.openapi)
}

/// `GET /docs`
pub async fn page(_: Call) -> Answer {
    let mut page = kept("text/html; charset=utf-8", include_bytes!("page.html"));
    let rules: [(HeaderName, &str); 2] = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in rules {
        page.headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    Ok(page)
}

/// `GET /docs/{file}`
pub async fn file(call: Call) -> Answer {
    let asked = call.param("file");
    let file = FILES.iter().find(|(name, ..)| *name == asked);
    let Some((_, media_type, content)) = file else {
        let detail = format!("there is no file '{}'", asked.escape_debug());
        return Err(Problem::new(Kind::NotFound, detail));
    };
    Ok(kept(media_type, content))
}

fn kept(media_type: &'static str, content: &'static [u8]) -> Response<super::Body> {
    let mut answer = Response::new(in_memory(content));
    let headers = [
        (CONTENT_TYPE, media_type),
        (CACHE_CONTROL, "public, max-age=3600"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in headers {
        answer
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    answer
}

impl JsonSchema for FileName {
    fn schema_name() -> Cow<'static, str> {
        "FileName".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": FILES.map(|(name, ..)| name) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a browser loads by itself for this page.
    fn loaded(page: &str) -> Vec<&str> {
        let parts = page.split(['<', '>']).filter(|tag| !tag.starts_with("a "));
        let attributes = parts.flat_map(|tag| {
            [" src=\"", " href=\""]
                .into_iter()
                .flat_map(move |attribute| tag.split(attribute).skip(1))
        });
        attributes
            .filter_map(|value| value.split('"').next())
            .collect()
    }

    #[test]
    fn the_page_loads_nothing_of_another_host() {
        let page = include_str!("page.html");
        let loaded = loaded(page);
        let files: Vec<_> = loaded.iter().filter(|url| **url != "data:,").collect();
        assert_eq!(files.len(), 3, "{loaded:?}");
        for url in files {
            let name = url.strip_prefix("docs/").expect("a file of ours");
            assert!(FILES.iter().any(|(known, ..)| *known == name), "{name}");
        }
        let style = FILES.iter().find(|(name, ..)| *name == "swagger-ui.css");
        let style = String::from_utf8_lossy(style.expect("the style sheet").2);
        assert!(!style.contains("@import"));
        let foreign = style
            .split("url(")
            .skip(1)
            .filter(|url| !url.trim_start_matches('"').starts_with("data:"));
        assert_eq!(foreign.count(), 0);
        let opened = include_str!("open.js");
        assert!(opened.contains("validatorUrl: null") && !opened.contains("://"));
    }

    #[test]
    fn a_script_of_another_host_would_be_seen_and_the_policy_forbids_it() {
        let page = include_str!("page.html").replace("docs/open.js", "https://cdn.example/open.js");
        assert!(loaded(&page).contains(&"https://cdn.example/open.js"));
        let rules: Vec<_> = POLICY.split(';').map(str::trim).collect();
        assert!(rules.contains(&"default-src 'none'") && rules.contains(&"script-src 'self'"));
        assert!(!POLICY.contains("http") && !POLICY.contains('*'));
    }
}
