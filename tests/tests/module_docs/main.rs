//! Whether `docs/commands.md` says what the server says and does: every entry is compared with COMMAND DOCS and COMMAND
//! INFO, and every example is run again by redis-cli, in the order of the page, on a fresh server.
//!
//! `HOLDFAST_BLESS=1 cargo test -p holdfast-tests --test module_docs` writes both anew into the page.

#[path = "../module_support/mod.rs"]
mod module_support;
mod page;
mod ways;

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use holdfast_tests::redis::{Redis, RedisOptions};
use module_support::ask;
use page::{Example, Page};
use redis::{Connection, Value};
use ways::Way;

fn server() -> Result<Redis> {
    Redis::start_private(RedisOptions {
        // As the page says. Nothing is swept while its examples run.
        module_args: ["sweep-tick-ms", "10000"].map(str::to_owned).to_vec(),
        args: ["--appendonly", "no"].map(str::to_owned).to_vec(),
        ..RedisOptions::default()
    })
}

fn page() -> Result<(std::path::PathBuf, Page)> {
    let path = holdfast_tests::data::checkout().join("docs/commands.md");
    let page = Page::new(&std::fs::read_to_string(&path)?);
    Ok((path, page))
}

#[test]
fn the_page_says_what_the_server_says_and_does() -> Result<()> {
    let server = server()?;
    let entries = entries(&mut server.connection()?)?;
    let (path, mut page) = page()?;
    if std::env::var_os("HOLDFAST_BLESS").is_some() {
        page.rewrite(&entries, |example| run(&server, example))?;
        std::fs::write(path, page.to_string())?;
        return Ok(());
    }
    let mut complaints = page.check_entries(&entries);
    complaints.extend(page.check_outcomes());
    complaints.extend(page.check_examples(|example| run(&server, example))?);
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n\n"));
    Ok(())
}

#[test]
fn a_page_that_is_wrong_is_found_out() -> Result<()> {
    let server = server()?;
    let entries = entries(&mut server.connection()?)?;
    let text = page()?.1.to_string();
    let doctored = |old: &str, new: &str| -> Result<Page> {
        ensure!(text.contains(old), "the page has no {old:?}");
        Ok(Page::new(&text.replacen(old, new, 1)))
    };
    for (old, new, section) in [
        (
            "`INV.SET key on_hand [IF seq] [FORCE]`",
            "`INV.SET key on_hand [FORCE]`",
            "INV.SET",
        ),
        (
            "Gives back what is held.",
            "Gives back what was held.",
            "INV.RELEASE",
        ),
        (
            "Complexity: O(f) in its fields",
            "Complexity: O(1)",
            "SESSION.START",
        ),
        ("`write denyoom fast`", "`write fast`", "INV.SET"),
        (
            "`@write @fast @inventory`",
            "`@write @inventory`",
            "INV.SET",
        ),
        ("since 0.1.0", "since 0.2.0", "INV.SET"),
        ("## INV.HOLDS", "## INV.HOLES", "INV.HOLDS"),
        ("## INV.HOLDS", "## INV.HOLES", "INV.HOLES"),
        ("(#invpending)", "(#invprepare)", "INV.PENDING"),
    ] {
        let complaints = doctored(old, new)?.check_entries(&entries);
        assert!(
            complaints
                .iter()
                .any(|complaint| complaint.starts_with(section)),
            "{old} -> {new}: {complaints:?}"
        );
    }
    let missing = doctored("| `BELOW_HELD` |", "| `BELOW_HELD`, `TOO_LOW` |")?.check_outcomes();
    assert!(
        missing.len() == 1 && missing[0].contains("TOO_LOW"),
        "{missing:?}"
    );

    // One run for all of these: each example is compared by itself.
    let mut wrong = text.clone();
    for (old, new) in [
        ("1) \"OK\"\n2) (integer) 20", "1) \"OK\"\n2) (integer) 21"),
        ("1) \"STALE\"", "1) \"STALLED\""),
        ("(error) EXCEEDS_HOLD", "(error) ERR"),
        ("1# \"on_hand\"", "1# \"in_hand\""),
        ("2) 1) 1) \"held\"", "2) 1) 1) \"hold\""),
    ] {
        ensure!(wrong.contains(old), "the page has no {old:?}");
        wrong = wrong.replacen(old, new, 1);
    }
    let complaints = Page::new(&wrong).check_examples(|example| run(&server, example))?;
    assert_eq!(complaints.len(), 5, "\n{}", complaints.join("\n\n"));
    Ok(())
}

#[test]
fn every_outcome_is_the_same_in_resp3_in_a_transaction_and_from_a_script() -> Result<()> {
    let examples = page()?.1.examples();
    // A server each, so that all begin with nothing.
    let plain = ways::answers(&server()?, &examples, Way::Plain)?;
    for way in [Way::Resp3, Way::Transaction, Way::Script] {
        let answers = ways::answers(&server()?, &examples, way)?;
        for ((example, plain), answer) in examples.iter().zip(&plain).zip(answers) {
            assert_eq!(&answer, plain, "{way:?}: {}", example.command);
        }
    }
    Ok(())
}

/// Runs the example as a user would type it, and returns what redis-cli prints.
fn run(server: &Redis, example: &Example) -> Result<String> {
    let mut cli = Command::new("redis-cli")
        .args(["--no-raw", "-p", &server.port()?.to_string()])
        .args(example.resp3.then_some("-3"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("redis-cli, which comes with redis-server, is needed")?;
    let mut input = cli.stdin.take().context("its input is a pipe")?;
    writeln!(input, "{}", example.command)?;
    drop(input);
    let output = cli.wait_with_output()?;
    let printed = String::from_utf8(output.stdout)?;
    // It adds how long it took, such as `(1.10s)`, when that was over half a second.
    let lines = printed
        .lines()
        .filter(|line| !(line.starts_with('(') && line.ends_with("s)")));
    Ok(lines.collect::<Vec<_>>().join("\n").trim_end().to_owned())
}

/// What stands first under the heading of every command: its name, and the text that the server's answers make.
fn entries(c: &mut Connection) -> Result<Vec<(String, String)>> {
    let names = ask(c, "COMMAND LIST FILTERBY MODULE holdfast");
    names
        .split(' ')
        .map(|name| Ok((name.to_ascii_uppercase(), entry(c, name)?)))
        .collect()
}

fn entry(c: &mut Connection, name: &str) -> Result<String> {
    let docs: Value = redis::cmd("COMMAND").arg("DOCS").arg(name).query(c)?;
    let docs = field(&docs, name).context("the server has no documentation of it")?;
    let told = |what: &str| {
        field(docs, what)
            .map(text)
            .with_context(|| format!("{name} has no {what}"))
    };
    let arguments = field(docs, "arguments")
        .map(|list| syntax(list, " "))
        .unwrap_or_default();
    let syntax = format!("{} {arguments}", name.to_ascii_uppercase());

    let info: Value = redis::cmd("COMMAND").arg("INFO").arg(name).query(c)?;
    let info = elements(
        elements(&info)
            .first()
            .context("the server does not know it")?,
    );
    let words = |at: usize| elements(&info[at]).iter().map(text).collect::<Vec<_>>();
    let mut flags = words(2);
    // `module` stands on every command of every module.
    flags.retain(|flag| flag != "module");
    flags.sort_by_key(|flag| ORDER.iter().position(|known| known == flag));
    let categories = categories(name, &flags);
    // Redis 7.0 has no categories for modules, and 7.2 none of a module's own.
    let mut reported = words(6);
    reported.retain(|category| categories.contains(category));
    let known = ask(c, "ACL CAT");
    let had = categories.iter().filter(|category| {
        !words(6).is_empty()
            && known
                .split(' ')
                .any(|one| category.strip_prefix('@') == Some(one))
    });
    ensure!(
        had.count() == words(6).len() && reported.len() == words(6).len(),
        "{name} is in the ACL categories {:?}, not {categories:?}",
        words(6)
    );
    Ok(format!(
        "`{}`\n\n{}\nComplexity: {} · flags: `{}` · ACL: `{}` · since {}",
        syntax.trim_end(),
        told("summary")?,
        told("complexity")?,
        flags.join(" "),
        categories.join(" "),
        told("since")?
    ))
}

/// The order in which the page names flags; the server's own differs from version to version.
const ORDER: [&str; 7] = [
    "readonly",
    "write",
    "denyoom",
    "movablekeys",
    "loading",
    "stale",
    "fast",
];

/// The ACL categories that a command of these flags belongs to.
fn categories(name: &str, flags: &[String]) -> Vec<String> {
    let has = |flag: &str| flags.iter().any(|one| one == flag);
    let access = [("readonly", "@read"), ("write", "@write")];
    let access = access
        .into_iter()
        .filter(|(flag, _)| has(flag))
        .map(|(_, category)| category);
    let speed = if has("fast") { "@fast" } else { "@slow" };
    let family = match name {
        "inv.apply" | "inv.restore" | "session.apply" => "@dangerous",
        name if name.starts_with("inv.") => "@inventory",
        _ => "@session",
    };
    access.chain([speed, family]).map(str::to_owned).collect()
}

/// The arguments of COMMAND DOCS in the notation of Redis's own pages.
fn syntax(arguments: &Value, between: &str) -> String {
    let parts: Vec<_> = elements(arguments).iter().map(argument).collect();
    parts.join(between)
}

fn argument(argument: &Value) -> String {
    let told = |what: &str| field(argument, what).map(text).unwrap_or_default();
    let flags: Vec<_> = field(argument, "flags")
        .map(|flags| elements(flags).iter().map(text).collect())
        .unwrap_or_default();
    let has = |flag: &str| flags.iter().any(|one| one == flag);
    let inner = |between: &str| {
        field(argument, "arguments")
            .map(|list| syntax(list, between))
            .unwrap_or_default()
    };
    let mut value = match told("type").as_str() {
        "pure-token" => String::new(),
        "block" => inner(" "),
        "oneof" if has("optional") && told("token").is_empty() => inner(" | "),
        "oneof" => format!("<{}>", inner(" | ")),
        _ => told("name"),
    };
    if has("multiple") {
        value = format!("{value} [{value} ...]");
    }
    let whole = format!("{} {value}", told("token"));
    if has("optional") {
        format!("[{}]", whole.trim())
    } else {
        whole.trim().to_owned()
    }
}

/// A field of a map, which RESP2 makes an array of pairs.
fn field<'a>(map: &'a Value, name: &str) -> Option<&'a Value> {
    let pairs = elements(map).chunks_exact(2);
    pairs
        .filter(|pair| text(&pair[0]) == name)
        .map(|pair| &pair[1])
        .next()
}

fn elements(value: &Value) -> &[Value] {
    match value {
        Value::Array(elements) | Value::Set(elements) => elements,
        _ => &[],
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::SimpleString(line) => line.clone(),
        other => format!("{other:?}"),
    }
}
