//! Whether the shop keeps the contract of /openapi.json: Schemathesis makes requests of the document, right and wrong ones,
//! one by one and in sequences by its links, and compares every answer with it.
//!
//! `make test-contract` fetches Schemathesis and runs this; `HOLDFAST_CONTRACT_SECONDS` is how long each of the four who
//! ask may take, and `HOLDFAST_CONTRACT_SEED` makes the same requests again.

use std::process::Command;
use std::sync::LazyLock;

use anyhow::{Context, Result, ensure};
use holdfast_tests::data::{self, Home};
use holdfast_tests::stack::{Stack, StackOptions, environment_of};
use serde_json::Value;

/// Those who ask: each may do something that the others may not.
const WHO: [&str; 4] = ["nobody", "guest", "customer", "operator"];

static STACK: LazyLock<Stack> = LazyLock::new(|| start().expect("a shop"));

fn setting(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}

/// A shop of which Schemathesis may break what it can.
fn start() -> Result<Stack> {
    let key_file = Home::for_test("jwt")?.path("key");
    std::fs::write(&key_file, "0123456789abcdef0123456789abcdef")?;
    let settings = [
        (
            "HOLDFAST_JWT__KEY_FILE",
            key_file.to_str().context("the path is not UTF-8")?,
        ),
        // Else whoever watches the stock is told for an hour.
        ("HOLDFAST_STREAM__LIFETIME_MS", "200"),
        // Everybody comes from one address, and logs in with passwords that are made up.
        ("HOLDFAST_AUTH__ADDRESS_ATTEMPTS", "1000000"),
        ("HOLDFAST_AUTH__ACCOUNT_ATTEMPTS", "1000000"),
    ];
    Stack::start(StackOptions {
        kafka: false,
        environment: environment_of(&settings),
        ..StackOptions::default()
    })
}

/// What Schemathesis found as one of [`WHO`] by the document at `location`; nothing when all is as that says.
fn look(location: &str, who: &str, options: &[&str]) -> Result<Option<String>> {
    let (schemathesis, stack) = (setting("HOLDFAST_SCHEMATHESIS", "schemathesis"), &*STACK);
    let folder = data::checkout().join("tests/contract");
    let work = tempfile::tempdir()?;
    let run = Command::new(schemathesis)
        .args(["--no-color", "--config-file"])
        .arg(folder.join("schemathesis.toml"))
        .args(["run", location, "--url", &stack.proxy.url()])
        .args(["--checks", "all", "--continue-on-failure"])
        .args(["--generation-database", "none"])
        .args(["--seed", &setting("HOLDFAST_CONTRACT_SEED", "1")])
        .args(options)
        .current_dir(work.path())
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("PYTHONPATH", &folder)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("API", stack.proxy.url())
        .env("WHO", who)
        .env("OPERATOR_TOKEN", stack.proxy.operator_token())
        .output()
        .context("Schemathesis, which tests/contract/install fetches")?;
    let told = String::from_utf8_lossy(&run.stdout).into_owned();
    println!("-- as {who}\n{told}");
    ensure!(
        told.contains("Test cases:"),
        "it did not come to test anything: {told}"
    );
    Ok((!run.status.success()).then_some(told))
}

#[test]
#[ignore = "needs Schemathesis: make test-contract"]
fn every_answer_is_as_the_document_says() -> Result<()> {
    let document = format!("{}/openapi.json", STACK.proxy.url());
    let seconds = setting("HOLDFAST_CONTRACT_SECONDS", "60");
    let mut found = Vec::new();
    for who in WHO {
        found.extend(look(&document, who, &["--max-time", &seconds])?);
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    Ok(())
}

#[tokio::test]
#[ignore = "needs Schemathesis: make test-contract"]
async fn a_document_that_says_something_else_is_found_out() -> Result<()> {
    let url = format!("{}/openapi.json", STACK.proxy.url());
    let mut document: Value = reqwest::get(url).await?.json().await?;
    let price = document.pointer_mut("/components/schemas/Product/properties/price_minor");
    price.context("the price of a product")?["type"] = "string".into();
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("doctored.json");
    std::fs::write(&path, document.to_string())?;
    let path = path.to_str().context("the path is not UTF-8")?;
    let options = ["--include-path", "/v1/products", "--max-examples", "5"];
    let found = look(path, "nobody", &options)?.context("nothing was found")?;
    assert!(found.contains("Response violates schema"), "{found}");
    Ok(())
}
