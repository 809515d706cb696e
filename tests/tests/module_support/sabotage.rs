//! The module with one thing wrong, for the controls: a patch of `tests/controls` on a copy of its sources, built beside
//! the real one. Production code has no switches for this.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use holdfast_tests::data;
use holdfast_tests::redis::RedisOptions;

/// All are built from one place, so that only what a patch touches is compiled again.
static PLACE: Mutex<()> = Mutex::new(());

/// Builds the module with `tests/controls/<patch>.patch`, or as it is, and returns options that load it.
pub fn sabotaged(patch: Option<&str>) -> Result<RedisOptions> {
    let _alone = PLACE.lock().unwrap_or_else(PoisonError::into_inner);
    let (checkout, folder) = (data::checkout(), folder()?);
    let (fresh, sources) = (folder.join("fresh"), folder.join("sources"));
    if fresh.exists() {
        fs::remove_dir_all(&fresh)?;
    }
    mirror(&checkout.join("module"), &fresh.join("module"))?;
    fs::copy(checkout.join("Cargo.lock"), fresh.join("Cargo.lock"))?;
    let manifest = fs::read_to_string(checkout.join("Cargo.toml"))?;
    fs::write(fresh.join("Cargo.toml"), without_other_members(&manifest))?;
    if let Some(patch) = patch {
        apply(
            &checkout.join(format!("tests/controls/{patch}.patch")),
            &fresh,
        )?;
    }
    mirror(&fresh, &sources)?;
    build(&sources, &folder)?;
    let built = folder.join(format!("{}.so", patch.unwrap_or("unchanged")));
    fs::copy(folder.join("debug/libholdfast.so"), &built)?;
    Ok(RedisOptions {
        module: false,
        args: vec!["--loadmodule".to_owned(), built.display().to_string()],
        ..RedisOptions::default()
    })
}

/// A folder beside that of the real build.
fn folder() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program
        .ancestors()
        .nth(3)
        .context("the running test is in no target folder")?;
    let folder = target.join("controls");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// The workspace's manifest with the module's crates alone.
fn without_other_members(manifest: &str) -> String {
    let line = |line: &str| match line.starts_with("members = ") {
        true => r#"members = ["module", "module/stock", "module/session"]"#.to_owned(),
        false => line.to_owned(),
    };
    manifest.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn apply(patch: &Path, sources: &Path) -> Result<()> {
    // Git must not look for a repository around the folder: it would leave alone what lies outside of its own folder.
    let above = sources.canonicalize()?.join("..").canonicalize()?;
    let applied = Command::new("git")
        .args(["apply", "--whitespace=nowarn", "-C1"])
        .arg(patch)
        .current_dir(sources)
        .env("GIT_CEILING_DIRECTORIES", above)
        .output()
        .context("cannot run git")?;
    ensure!(
        applied.status.success(),
        "{} no longer applies to the module's sources; make it anew: {}",
        patch.display(),
        String::from_utf8_lossy(&applied.stderr)
    );
    Ok(())
}

fn build(sources: &Path, target: &Path) -> Result<()> {
    // Everything that it needs was fetched for the real build.
    let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args([
            "build",
            "--offline",
            "--quiet",
            "--package",
            "holdfast-module",
        ])
        .args(["--config", "profile.dev.debug='line-tables-only'"])
        .arg("--manifest-path")
        .arg(sources.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target)
        .output()
        .context("cannot run cargo")?;
    ensure!(
        built.status.success(),
        "the sabotaged module does not compile: {}",
        String::from_utf8_lossy(&built.stderr)
    );
    Ok(())
}

/// Makes one folder like another, and leaves files alone that are so already: cargo goes by their times.
fn mirror(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(to)? {
        let entry = entry?;
        let gone = !from.join(entry.file_name()).exists();
        if gone && entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else if gone {
            fs::remove_file(entry.path())?;
        }
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let copy = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            mirror(&entry.path(), &copy)?;
        } else {
            let content = fs::read(entry.path())?;
            if fs::read(&copy).ok().as_ref() != Some(&content) {
                fs::write(&copy, content)?;
            }
        }
    }
    Ok(())
}
