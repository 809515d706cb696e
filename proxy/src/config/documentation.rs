//! docs/operations.md has every setting with its default, and no other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::Config;

fn page() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations.md");
    std::fs::read_to_string(page).expect("the page")
}

/// The settings of the page and their defaults, as its table says.
fn documented(page: &str) -> BTreeMap<String, String> {
    let (_, below) = page
        .split_once("\n## Configuration\n")
        .expect("the heading");
    let section = below.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let (name, rest) = row.split_once("` | ").expect("a name and a default");
        let default = rest.split(" |").next().unwrap_or_default();
        (name.to_owned(), default.trim_matches('`').to_owned())
    })
    .collect()
}

fn read(variables: Vec<(String, String)>) -> Result<Config, super::Error> {
    Config::read(None, variables.into_iter())
}

fn variable(section: &str, key: &str) -> String {
    format!(
        "HOLDFAST_{}__{}",
        section.to_uppercase(),
        key.to_uppercase()
    )
}

/// What is known where an unknown name is refused: the refusal lists it.
fn known_beside(section: &str) -> Vec<String> {
    let unknown = (variable(section, "nonsense"), "1".to_owned());
    let refused = read(vec![unknown]).expect_err("it is unknown").to_string();
    let (_, known) = refused.split_once("expected").expect("what is known");
    let names = known.split('`').skip(1).step_by(2);
    // The section itself is named at the end.
    let names = names.filter(|name| *name != section);
    names.map(str::to_owned).collect()
}

fn existing() -> BTreeSet<String> {
    let sections = known_beside("nonsense").into_iter();
    let settings = sections.flat_map(|section| {
        let keys = known_beside(&section).into_iter();
        keys.map(move |key| format!("{section}.{key}"))
    });
    settings.collect()
}

/// Everything that a configuration says, the URLs too, which do not show themselves.
fn shown(config: &Config) -> String {
    let (redis, mysql) = (config.redis.url.expose(), config.mysql.url.expose());
    format!("{config:?} {redis} {mysql}")
}

/// What the page's defaults come to when they are set one by one.
fn with_defaults_of(page: &str) -> String {
    let stated = documented(page)
        .into_iter()
        .filter(|(_, default)| default != "none");
    let variables = stated.map(|(setting, default)| {
        let (section, key) = setting.split_once('.').expect("a section and a key");
        (variable(section, key), default)
    });
    shown(&read(variables.collect()).expect("sound defaults"))
}

#[test]
fn every_setting_is_in_the_page_and_no_other() {
    let settings = existing();
    assert!(settings.len() > 40, "{settings:?}");
    let page = page();
    let names: BTreeSet<_> = documented(&page).into_keys().collect();
    assert_eq!(names, settings);
    let doctored = page.replace("`holds.ttl_ms`", "`holds.ttl`");
    assert_ne!(
        documented(&doctored).into_keys().collect::<BTreeSet<_>>(),
        settings
    );
}

#[test]
fn every_default_is_what_the_page_says() {
    let page = page();
    let defaults = shown(&Config::default());
    assert_eq!(with_defaults_of(&page), defaults);
    let doctored = page.replace(
        "| `commit.max_batch` | 512 |",
        "| `commit.max_batch` | 511 |",
    );
    assert_ne!(with_defaults_of(&doctored), defaults);
}
