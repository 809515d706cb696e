//! The table of routes, as requests and readers find it.

use std::collections::BTreeSet;

use super::*;

/// What the page names of the other port.
const ADMIN_PATHS: [&str; 3] = ["/livez", "/readyz", "/metrics"];

/// The routes that are spelt out in the code spans of a text, without the names of parameters.
fn spelt_out(text: &str) -> BTreeSet<String> {
    let spans = text.split('`').skip(1).step_by(2);
    let routes = spans.filter(|span| {
        span.split_once(' ').is_some_and(|(method, path)| {
            is_method(method) && path.starts_with('/') && !ADMIN_PATHS.contains(&path)
        })
    });
    let paths = routes.map(|route| route.split('?').next().unwrap_or_default());
    paths.map(without_names).collect()
}

fn is_method(word: &str) -> bool {
    routes().iter().any(|route| route.method.as_str() == word)
}

/// As in `GET /v1/orders/{}`.
fn without_names(route: &str) -> String {
    let segments = route
        .split('/')
        .map(|segment| match segment.strip_prefix('{') {
            Some(_) => "{}",
            None => segment,
        });
    segments.collect::<Vec<_>>().join("/")
}

#[test]
fn every_route_is_in_the_page_and_no_other() {
    let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let page = std::fs::read_to_string(docs.join("http.md")).expect("the page");
    let (_, contents) = page
        .split_once("\n| call |")
        .expect("the table of all routes");
    let (contents, _) = contents.split_once("\n## ").expect("the rest of the page");
    let routes = routes()
        .into_iter()
        .map(|route| without_names(&format!("{} {}", route.method, route.path)));
    let routes: BTreeSet<_> = routes.collect();
    assert_eq!(spelt_out(contents), routes);
    let unknown: Vec<_> = spelt_out(&page).difference(&routes).cloned().collect();
    assert_eq!(unknown, Vec::<String>::new(), "what the page speaks of");
    let doctored = contents.replace("POST /v1/holds`", "POST /v1/hold`");
    assert_ne!(spelt_out(&doctored), routes);
}

#[test]
fn every_row_of_the_table_finds_its_own_route() {
    let router = Router::new().expect("the table has no conflicts");
    for Route { method, path, .. } in routes() {
        let (found, _) = router.find(&method, path).expect("a path of the table");
        assert_eq!((&found.method, found.path), (&method, path));
    }
}

#[test]
fn another_method_is_refused_with_those_that_are_taken() {
    let router = Router::new().expect("the table has no conflicts");
    let problem = router
        .find(&Method::PATCH, "/v1/cart")
        .err()
        .expect("no PATCH on carts");
    let response = problem.into_response();
    assert_eq!(response.status(), 405);
    assert_eq!(response.headers()[ALLOW], "GET, DELETE");
}

#[test]
fn head_finds_what_get_finds() {
    let router = Router::new().expect("the table has no conflicts");
    let found = router.find(&Method::HEAD, "/v1/products");
    let (route, _) = found.expect("GET takes this path");
    assert_eq!((&route.method, route.path), (&Method::GET, "/v1/products"));
}

#[test]
fn an_unknown_path_is_not_found() {
    let router = Router::new().expect("the table has no conflicts");
    let problem = router
        .find(&Method::GET, "/v2/orders")
        .err()
        .expect("no such path");
    assert_eq!(problem.kind(), Kind::NotFound);
}
