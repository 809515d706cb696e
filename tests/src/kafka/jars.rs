//! Kafka's jars, fetched once by Maven.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::{data, wait};

/// Fetching 45 MB over a slow line.
const FETCH_DEADLINE: Duration = Duration::from_secs(300);
/// A registry that fails once often answers when it is asked again.
const FETCH_ATTEMPTS: u32 = 4;

/// The folder of Kafka's jars: `HOLDFAST_KAFKA_JARS`, or the cache, which Maven fills once.
///
/// The cache is named after the pom's content, so that another version of Kafka is fetched anew.
pub fn jars() -> Result<PathBuf> {
    if let Some(given) = std::env::var_os("HOLDFAST_KAFKA_JARS") {
        let folder = PathBuf::from(given);
        ensure!(
            has_jars(&folder),
            "HOLDFAST_KAFKA_JARS names {}, where no jar is",
            folder.display()
        );
        return Ok(folder);
    }
    // One fetch at a time in this process: the others find its jars.
    static FETCHING: Mutex<()> = Mutex::new(());
    let _fetching = FETCHING.lock().unwrap_or_else(PoisonError::into_inner);
    let cached = cached_jars()?;
    if !has_jars(&cached) {
        fetch_patiently(&cached)?;
    }
    Ok(cached)
}

/// Whether [`jars`] will have to ask the network.
pub fn must_fetch_jars() -> bool {
    std::env::var_os("HOLDFAST_KAFKA_JARS").is_none()
        && !cached_jars().is_ok_and(|folder| has_jars(&folder))
}

fn cached_jars() -> Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    fs::read(pom())?.hash(&mut hasher);
    Ok(data::cache_folder().join(format!("kafka-jars-{:016x}", hasher.finish())))
}

fn pom() -> PathBuf {
    data::checkout().join("deploy/kafka/pom.xml")
}

fn has_jars(folder: &Path) -> bool {
    let jar = |entry: fs::DirEntry| {
        entry
            .path()
            .extension()
            .is_some_and(|ending| ending == "jar")
    };
    fs::read_dir(folder).is_ok_and(|entries| entries.flatten().any(jar))
}

fn fetch_patiently(folder: &Path) -> Result<()> {
    let mut pause = Duration::from_secs(2);
    for attempt in 1..FETCH_ATTEMPTS {
        match fetch_jars(folder) {
            Ok(()) => return Ok(()),
            // Maven did not even start.
            Err(error) if error.is::<std::io::Error>() => return Err(error),
            Err(error) => eprintln!("attempt {attempt} of {FETCH_ATTEMPTS}: {error:#}"),
        }
        std::thread::sleep(pause);
        pause *= 3;
    }
    fetch_jars(folder)
}

/// Fetches into a folder of this process and renames it at the end, so that jars half fetched are never taken for whole
/// and two processes at once do not disturb each other.
fn fetch_jars(folder: &Path) -> Result<()> {
    let unfinished = folder.with_extension(format!("unfinished-{}", std::process::id()));
    fs::create_dir_all(&unfinished)?;
    let fetched = run_maven(&unfinished).and_then(|()| match fs::rename(&unfinished, folder) {
        // Another process was faster.
        Err(_) if has_jars(folder) => Ok(()),
        renamed => Ok(renamed?),
    });
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    fetched
}

fn run_maven(output: &Path) -> Result<()> {
    let log = output.with_extension("log");
    let log_file = fs::File::create(&log)?;
    let mut maven = Command::new("mvn")
        .args(["--batch-mode", "--quiet", "--update-snapshots", "--file"])
        .arg(pom())
        .args(["dependency:copy-dependencies", "-DincludeScope=runtime"])
        .arg(format!("-DoutputDirectory={}", output.display()))
        .stdin(Stdio::null())
        .stdout(log_file.try_clone()?)
        .stderr(log_file)
        .spawn()
        .context("cannot run Maven (mvn), which fetches Kafka's jars")?;
    let status = wait::until("Maven to fetch Kafka's jars", FETCH_DEADLINE, || {
        Ok(maven.try_wait()?)
    });
    if status.is_err() {
        maven.kill()?;
        maven.wait()?;
    }
    let words = fs::read_to_string(&log).unwrap_or_default();
    fs::remove_file(&log)?;
    if status?.success() {
        return Ok(());
    }
    let reason = words
        .lines()
        .find(|line| line.contains("ERROR"))
        .unwrap_or("it gave no reason");
    bail!("Maven could not fetch Kafka's jars: {reason}")
}
