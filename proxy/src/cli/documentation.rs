//! docs/cli.md has every command with all its options, and no other option.

use std::collections::BTreeSet;
use std::path::Path;

use clap::{Command, CommandFactory};

use super::Arguments;

fn page(name: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    std::fs::read_to_string(page.join(name)).expect(name)
}

/// The commands that do something, as they are typed, with their long options.
fn commands(of: &Command, typed: &str) -> Vec<(String, BTreeSet<String>)> {
    let inner = of
        .get_subcommands()
        .filter(|inner| inner.get_name() != "help");
    let inner = inner.map(|inner| (inner, format!("{typed} {}", inner.get_name())));
    let mut found: Vec<_> = inner
        .flat_map(|(inner, typed)| commands(inner, &typed))
        .collect();
    if found.is_empty() {
        let options = of.get_arguments().filter_map(|option| option.get_long());
        let options = options.map(|name| format!("--{name}"));
        found.push((typed.to_owned(), options.collect()));
    }
    found
}

/// The words of a text that look like options.
fn options(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !(letter == '-' || letter.is_ascii_lowercase()));
    let options =
        words.filter(|word| word.starts_with("--") && word.len() > 3 && !word.ends_with('-'));
    options.map(str::to_owned).collect()
}

/// The part of the page about a command; the audit has a page of its own.
fn about(command: &str, page_of_all: &str) -> String {
    let mut words = command.split(' ').skip(1);
    let first = words.next().expect("a command");
    if first == "audit" {
        return page("audit.md");
    }
    let sections = page_of_all.split("\n## ");
    let of_its_own = sections.filter(|section| section.split_whitespace().next() == Some(first));
    of_its_own.collect()
}

/// What the pages lack, or have too much.
fn faults(page_of_all: &str) -> Vec<String> {
    let mut root = Arguments::command();
    root.build();
    let commands = commands(&root, "holdfast");
    assert!(commands.len() > 10, "{commands:?}");
    let mut faults = Vec::new();
    let mut known: BTreeSet<String> = ["--config".to_owned()].into();
    for (command, its_options) in commands {
        if !page_of_all.contains(&format!("`{command}")) {
            faults.push(format!("nothing is said of {command}"));
        }
        let described = options(&about(&command, page_of_all));
        let general = ["--config", "--help", "--version"];
        let lacking = its_options
            .iter()
            .filter(|option| !described.contains(*option));
        let lacking = lacking.filter(|option| !general.contains(&option.as_str()));
        faults.extend(lacking.map(|option| format!("{command} has {option}")));
        known.extend(its_options);
    }
    let unknown = options(page_of_all);
    let unknown = unknown.difference(&known);
    faults.extend(unknown.map(|option| format!("no command has {option}")));
    faults
}

#[test]
fn every_command_and_option_is_in_the_page_and_no_other() {
    let page = page("cli.md");
    assert_eq!(faults(&page), Vec::<String>::new());
    let doctored = page.replace("--patience", "--endurance");
    let noticed = [
        "holdfast replay has --patience",
        "no command has --endurance",
    ];
    assert_eq!(faults(&doctored), noticed);
}
