//! What `docs/operations.md` says of parameters, INFO fields and events is what the server has, neither less nor more.

mod module_support;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use holdfast_tests::data;
use module_support::{ask, redis};

/// The part of the page below a heading.
fn section(heading: &str) -> Result<String> {
    let page = std::fs::read_to_string(data::checkout().join("docs/operations.md"))?;
    let (_, below) = page
        .split_once(&format!("## {heading}\n"))
        .with_context(|| format!("no heading {heading:?}"))?;
    Ok(below.split("\n## ").next().unwrap_or_default().to_owned())
}

/// The rows of its tables by their first cell, which is code.
fn rows(section: &str) -> BTreeMap<String, Vec<String>> {
    let cells = section.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("| `")?.split_once("` |")?;
        let rest = rest.split('|').map(|cell| cell.trim().to_owned());
        Some((name.to_owned(), rest.collect()))
    });
    cells.collect()
}

#[test]
fn every_parameter_is_in_the_page_with_its_default_and_its_range() -> Result<()> {
    let redis = redis(&[])?;
    let c = &mut redis.connection()?;
    let rows = rows(&section("The module's parameters")?);
    let shown = ask(c, "CONFIG GET holdfast.*");
    let words: Vec<_> = shown.split(' ').collect();
    let defaults: BTreeMap<_, _> = words
        .chunks(2)
        .map(|pair| (pair[0].to_owned(), pair[1]))
        .collect();
    assert_eq!(
        rows.keys().collect::<Vec<_>>(),
        defaults.keys().collect::<Vec<_>>()
    );
    for (name, cells) in &rows {
        assert_eq!(cells[0], defaults[name], "{name}");
        let Some((least, most)) = cells[1].split_once(" to ") else {
            assert_eq!(cells[1], "yes or no", "{name}");
            continue;
        };
        let refused = ask(c, &format!("CONFIG SET {name} {}", i64::MAX));
        assert!(
            refused.contains(&format!("between {least} and {most}")),
            "{refused}"
        );
    }
    Ok(())
}

#[test]
fn every_field_of_info_is_in_the_page_in_its_order() -> Result<()> {
    let redis = redis(&[])?;
    let c = &mut redis.connection()?;
    let text: String = redis::cmd("INFO").arg("holdfast").query(c)?;
    let shown: Vec<_> = text
        .lines()
        .filter_map(|line| Some(line.split_once(':')?.0.to_owned()))
        .collect();
    let section = section("The module in INFO")?;
    let written: Vec<_> = section
        .lines()
        .filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned()))
        .collect();
    assert_eq!(written, shown);
    Ok(())
}

#[test]
fn every_event_is_in_the_page() -> Result<()> {
    let source = std::fs::read_to_string(data::checkout().join("module/src/notifications.rs"))?;
    let end = std::fs::read_to_string(data::checkout().join("module/src/commands/session/end.rs"))?;
    let sent: BTreeSet<_> = [source, end]
        .iter()
        .flat_map(|source| source.split("c\"").skip(1))
        .filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()))
        .collect();
    let section = section("Notifications")?;
    let written: BTreeSet<_> = section
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|code| code.starts_with("inv.") || code.starts_with("session."))
        .map(str::to_owned)
        .collect();
    assert!(sent.len() > 10, "{sent:?}");
    assert_eq!(written, sent);
    Ok(())
}
