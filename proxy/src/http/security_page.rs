//! docs/security.md names tests that are there.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The sources of a file or folder.
fn sources(path: &Path) -> String {
    if path.is_dir() {
        let entries = std::fs::read_dir(path).expect("a folder");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        return paths.map(|path| sources(&path)).collect();
    }
    let is_source = path.extension().is_some_and(|extension| extension == "rs");
    let text = is_source.then(|| std::fs::read_to_string(path).expect("a source"));
    text.unwrap_or_default()
}

/// What has the tests of a place: `proxy` is beside the code, everything else in `tests/tests`.
fn tests_of(place: &str) -> String {
    if place == "proxy" {
        return sources(&root().join("proxy/src"));
    }
    let tests = root().join("tests/tests");
    let file = tests.join(format!("{place}.rs"));
    if file.exists() {
        return sources(&file);
    }
    let folder = tests.join(place);
    assert!(folder.is_dir(), "there is no {place} in tests/tests");
    sources(&folder)
}

/// The tests that a page names as `place::name`.
fn named(page: &str) -> Vec<(&str, &str)> {
    let spans = page.split('`').skip(1).step_by(2);
    spans.filter_map(|span| span.split_once("::")).collect()
}

fn missing(page: &str) -> Vec<String> {
    let named = named(page).into_iter();
    let missing = named.filter(|(place, name)| {
        // `place::name` itself explains how they are written.
        *place != "place" && !tests_of(place).contains(&format!("fn {name}("))
    });
    missing
        .map(|(place, name)| format!("{place}::{name}"))
        .collect()
}

#[test]
fn every_test_that_the_page_names_is_there() {
    let page = std::fs::read_to_string(root().join("docs/security.md")).expect("the page");
    assert!(named(&page).len() > 30, "{:?}", named(&page));
    assert_eq!(missing(&page), Vec::<String>::new());
    let doctored = page.replace("a_stranger_cannot_cancel", "a_stranger_can_cancel");
    assert_eq!(missing(&doctored), ["shop_cancel::a_stranger_can_cancel"]);
    let rows = page.lines().filter(|line| line.starts_with("| API"));
    assert_eq!(rows.count(), 10, "one row a risk");
}
