//! The data folder: where every private server keeps its files, its log and the note of its process.
//!
//! ```text
//! data/                     or $HOLDFAST_DATA; ignored by git
//!   cache/                  Kafka's jars, kept between runs
//!   stack/<server>/         the stack of `make up`, kept until it is removed by hand
//!   stack-<shape>/<server>/ those of `make sentinel` and `make cluster`, likewise
//!   tests/<test>-<pid>/     one folder a test process, removed when the same test starts again
//! ```

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

use crate::{ports, process};

/// Whether a server outlives the process that started it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// Killed by the kernel at the latest when the starting process ends, however it ends.
    Test,
    /// In a session of its own: survives the starting process and the terminal.
    Detached,
}

/// Where a server lives and how long.
#[derive(Debug, Clone)]
pub struct Home {
    /// The server's own folder.
    pub folder: PathBuf,
    /// Whether it outlives the process that started it.
    pub lifetime: Lifetime,
}

/// Where the server of a name lives.
pub type Homes<'a> = &'a (dyn Fn(&str) -> Result<Home> + Sync);

impl Home {
    /// A fresh folder for a server of this test process; a number is added so that two of one name can be had.
    pub fn for_test(name: &str) -> Result<Home> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Home::create(
            test_run_folder()?.join(format!("{name}-{number}")),
            Lifetime::Test,
        )
    }

    /// The home that was asked for, or a fresh one for a test.
    pub fn or_for_test(wanted: Option<&Home>, name: &str) -> Result<Home> {
        wanted.map_or_else(|| Home::for_test(name), |home| Ok(home.clone()))
    }

    /// The lasting folder of a server of the stack in that folder, as `make up` starts it.
    pub fn detached(stack: &Path, name: &str) -> Result<Home> {
        Home::create(stack.join(name), Lifetime::Detached)
    }

    fn create(folder: PathBuf, lifetime: Lifetime) -> Result<Home> {
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create the folder {}", folder.display()))?;
        Ok(Home { folder, lifetime })
    }

    /// The port that the server of this home has had before, or else a free one, which is noted in `<name>.port`.
    ///
    /// `in_use` tells that the server runs; otherwise a noted port that somebody else has taken is given up.
    pub fn port(&self, name: &str, in_use: bool) -> Result<u16> {
        let note = self.path(&format!("{name}.port"));
        let noted = fs::read_to_string(&note)
            .ok()
            .and_then(|text| text.trim().parse().ok());
        if let Some(port) = noted.filter(|port| in_use || ports::is_free(*port)) {
            return Ok(port);
        }
        let port = ports::free()?;
        self.note_port(name, port)?;
        Ok(port)
    }

    /// Notes the port for the next time.
    pub fn note_port(&self, name: &str, port: u16) -> Result<()> {
        Ok(fs::write(
            self.path(&format!("{name}.port")),
            port.to_string(),
        )?)
    }

    /// A file of this home that only its owner may read, for what holds a password.
    pub fn write_private(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.path(name);
        write_private(&path, text)?;
        Ok(path)
    }

    /// A secret of this home, made the first time and kept.
    pub fn secret(&self, name: &str) -> Result<String> {
        if let Ok(secret) = fs::read_to_string(self.path(name)) {
            return Ok(secret.trim().to_owned());
        }
        let secret = uuid::Uuid::new_v4().simple().to_string();
        self.write_private(name, &secret)?;
        Ok(secret)
    }

    /// A path in this folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Writes a file that only its owner may read.
pub fn write_private(path: &Path, text: &str) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let file = options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    file.with_context(|| format!("cannot write {}", path.display()))
}

/// The top of the checkout: that of the tests that cargo runs, or the one that the caller stands
/// in, or else where this was built. A checkout may have been moved since.
pub fn checkout() -> PathBuf {
    let run_by_cargo = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let stood_in = std::env::current_dir().ok();
    let built_in = Path::new(env!("CARGO_MANIFEST_DIR"));
    run_by_cargo
        .iter()
        .chain(&stood_in)
        .flat_map(|folder| folder.ancestors())
        .find(|folder| folder.join("tests/src/data.rs").exists())
        .or(built_in.parent())
        .unwrap_or(built_in)
        .to_path_buf()
}

/// The data folder: `HOLDFAST_DATA`, or `data` in the checkout.
pub fn root() -> PathBuf {
    match std::env::var_os("HOLDFAST_DATA") {
        Some(folder) => PathBuf::from(folder),
        None => checkout().join("data"),
    }
}

/// The folder of what is fetched once and kept.
pub fn cache_folder() -> PathBuf {
    root().join("cache")
}

/// A file that stands beside the running program in the target folder: a binary, or the module.
///
/// A test runs from `target/<profile>/deps`, a binary from `target/<profile>`: both places are looked at.
pub fn built(name: &str) -> Result<PathBuf> {
    let program = std::env::current_exe().context("cannot tell the running program's path")?;
    program
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(name))
        .find(|path| path.exists())
        .with_context(|| format!("{name} is not built; run: cargo build --release --workspace"))
}

/// This test process's folder. The first call removes what earlier runs of the same test left, servers included.
fn test_run_folder() -> Result<&'static Path> {
    static FOLDER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let tests = root().join("tests");
        let name = test_name();
        sweep(&tests, &name).map_err(|error| format!("{error:#}"))?;
        Ok(tests.join(format!("{name}-{}", std::process::id())))
    });
    folder
        .as_deref()
        .map_err(|error| anyhow::anyhow!("{error}"))
}

/// The running test's name: its file name without the hash that cargo adds.
fn test_name() -> String {
    let program = std::env::current_exe().unwrap_or_default();
    let file = program
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    match file.rsplit_once('-') {
        Some((name, hash)) if hash.len() == 16 => name.to_owned(),
        _ => file,
    }
}

/// Removes the folders `<name>-<pid>` whose process is gone, after stopping the servers that still run there.
fn sweep(tests: &Path, name: &str) -> Result<()> {
    let Ok(entries) = fs::read_dir(tests) else {
        return Ok(());
    };
    for folder in entries.flatten().map(|entry| entry.path()) {
        let file_name = folder.file_name().unwrap_or_default().to_string_lossy();
        let pid = file_name
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix('-')?.parse().ok());
        if pid.is_some_and(|pid| !process::exists(pid)) {
            process::kill_leftovers(&folder);
            fs::remove_dir_all(&folder)
                .with_context(|| format!("cannot remove {}", folder.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_named_without_cargos_hash() {
        assert_eq!(test_name(), "holdfast_tests");
    }

    #[test]
    fn homes_of_one_name_are_apart() {
        let (first, second) = (
            Home::for_test("same").unwrap(),
            Home::for_test("same").unwrap(),
        );
        assert_ne!(first.folder, second.folder);
        assert!(second.folder.is_dir());
    }

    #[test]
    fn the_sweep_takes_the_dead_of_the_same_name_only() {
        let tests = tempfile::tempdir().unwrap();
        // Pid 0 is the kernel's own and has no entry in /proc, which makes it a process that is never there.
        let dead = tests.path().join("shop-0");
        let other = tests.path().join("shop_rush-0");
        let alive = tests.path().join(format!("shop-{}", std::process::id()));
        for folder in [&dead, &other, &alive] {
            fs::create_dir(folder).unwrap();
        }
        sweep(tests.path(), "shop").unwrap();
        assert!(!dead.exists());
        assert!(other.exists() && alive.exists());
    }
}
