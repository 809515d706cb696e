//! Whether the journeys of docs/http.md are true: each is run in each language, as it stands there, against a shop.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use holdfast_tests::data::{self, Home};
use holdfast_tests::stack::{Stack, StackOptions, environment_of};
use holdfast_tests::wait;

/// The languages of a journey: how its blocks are marked, the file of the client, and who runs it.
const LANGUAGES: [(&str, &str, &str); 3] = [
    ("sh", "shop.sh", "sh"),
    ("python", "shop.py", "python3"),
    ("javascript", "shop.mjs", "node"),
];
/// How long a journey may take, so that one that waits for what never comes is told.
const PATIENCE: Duration = Duration::from_secs(30);

static STACK: LazyLock<Stack> = LazyLock::new(|| start().expect("a shop"));

fn start() -> Result<Stack> {
    let key_file = Home::for_test("jwt")?.path("key");
    std::fs::write(&key_file, "0123456789abcdef0123456789abcdef")?;
    let key_file = key_file.to_str().context("the path is not UTF-8")?;
    Stack::start(StackOptions {
        kafka: false,
        environment: environment_of(&[("HOLDFAST_JWT__KEY_FILE", key_file)]),
        ..StackOptions::default()
    })
}

/// The fenced blocks under one heading, by their language.
type Blocks = BTreeMap<String, String>;

/// The clients, and the journeys by their headings.
struct Journeys {
    clients: Blocks,
    journeys: Vec<(String, Blocks)>,
}

impl Journeys {
    fn of(page: &str) -> Result<Journeys> {
        let (_, section) = page
            .split_once("\n## Journeys\n")
            .context("the page has no journeys")?;
        let section = section.split("\n## ").next().unwrap_or_default();
        let mut parts = section.split("\n### ");
        let clients = blocks(parts.next().unwrap_or_default());
        let journeys = parts.map(|part| {
            let heading = part.lines().next().unwrap_or_default();
            (heading.to_owned(), blocks(part))
        });
        let journeys: Vec<_> = journeys.collect();
        for (language, _, _) in LANGUAGES {
            ensure!(clients.contains_key(language), "no client in {language}");
            for (heading, blocks) in &journeys {
                let told = blocks.contains_key(language);
                ensure!(told, "{heading:?} is not told in {language}");
            }
        }
        Ok(Journeys { clients, journeys })
    }

    /// What each journey that prints something else than the page says printed instead.
    fn complaints(&self) -> Result<Vec<String>> {
        let mut complaints = Vec::new();
        for (heading, blocks) in &self.journeys {
            let expected = blocks
                .get("text")
                .context("it is not told what it prints")?;
            for (language, file, program) in LANGUAGES {
                let printed = run(program, file, &self.clients[language], &blocks[language])
                    .with_context(|| format!("{heading:?} in {language}"))?;
                if printed.trim() != expected.trim() {
                    complaints.push(format!("{heading}, in {language}, prints\n{printed}"));
                }
            }
        }
        Ok(complaints)
    }
}

fn blocks(text: &str) -> Blocks {
    let mut blocks = Blocks::new();
    let mut fences = text.split("\n```");
    fences.next();
    // Every second piece stands between a fence and the next.
    for block in fences.step_by(2) {
        let (language, code) = block.split_once('\n').unwrap_or((block, ""));
        blocks.insert(language.to_owned(), code.to_owned());
    }
    blocks
}

/// Runs a journey beside its client in a folder of its own, and returns what it prints.
fn run(program: &str, client_file: &str, client: &str, journey: &str) -> Result<String> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join(client_file), client)?;
    let extension = Path::new(client_file).extension().unwrap_or_default();
    let script = Path::new("journey").with_extension(extension);
    std::fs::write(folder.path().join(&script), journey)?;
    let printed = folder.path().join("printed");
    let output = std::fs::File::create(&printed)?;
    let mut running = Command::new(program)
        .arg(&script)
        .current_dir(folder.path())
        .env("API", STACK.proxy.url())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
        .with_context(|| format!("{program} is needed; deploy/install.sh installs it"))?;
    let ended = wait::until("the end of the journey", PATIENCE, || {
        Ok(running.try_wait()?)
    });
    if ended.is_err() {
        running.kill()?;
    }
    let printed = std::fs::read_to_string(printed)?;
    let status = ended.with_context(|| printed.clone())?;
    Ok(if status.success() {
        printed
    } else {
        format!("{printed}\n{status}")
    })
}

fn page() -> Result<String> {
    Ok(std::fs::read_to_string(
        data::checkout().join("docs/http.md"),
    )?)
}

#[test]
fn every_journey_prints_what_the_page_says() -> Result<()> {
    let journeys = Journeys::of(&page()?)?;
    ensure!(journeys.journeys.len() >= 7, "there are more journeys");
    let complaints = journeys.complaints()?;
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n\n"));
    Ok(())
}

#[test]
fn a_journey_that_is_wrong_is_found_out() -> Result<()> {
    let page = page()?;
    let mut wrong = Journeys::of(&page)?;
    wrong.journeys.truncate(1);
    let (heading, blocks) = &mut wrong.journeys[0];
    for (language, path) in [
        ("python", "/v1/cart/items"),
        ("javascript", "/v1/products/"),
    ] {
        let code = blocks.get_mut(language).context("a block")?;
        ensure!(code.contains(path), "{heading:?} does not ask {path}");
        *code = code.replace(path, "/v1/nothing/");
    }
    let complaints = wrong.complaints()?;
    assert_eq!(complaints.len(), 2, "\n{}", complaints.join("\n\n"));

    let untold = page.replacen("```python\nfrom shop import ask", "```text\n", 1);
    assert!(Journeys::of(&untold).is_err());
    Ok(())
}
