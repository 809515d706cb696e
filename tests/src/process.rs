//! Child processes: started with a log file, known by a note on disk, stopped by pid.
//!
//! Every process leaves `process.json` in its folder. Whoever comes later (`make down`, or the next run after a crash)
//! finds the process by that note, and trusts it only when the kernel's start time of the pid is the noted one: a pid
//! that was given to somebody else is never signalled.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock, mpsc};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::data::{Home, Lifetime};
use crate::wait;

const NOTE: &str = "process.json";
/// How long a server may take to end after SIGTERM before it is killed.
const GRACE: Duration = Duration::from_secs(20);

/// What is to be started.
#[derive(Debug)]
pub struct Launch {
    program: OsString,
    args: Vec<OsString>,
    envs: Vec<(String, String)>,
}

impl Launch {
    /// A program, by its path or by a name that is looked up in PATH.
    pub fn new(program: impl Into<OsString>) -> Launch {
        Launch {
            program: program.into(),
            args: Vec::new(),
            envs: Vec::new(),
        }
    }

    /// Adds one argument.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Launch {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Launch {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Adds an environment variable.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Launch {
        self.envs.push((name.into(), value.into()));
        self
    }

    /// Starts it in `home`: standard input is empty, both outputs are appended to `<home>/log`.
    pub fn start(self, home: &Home) -> Result<Process> {
        let log = home.path("log");
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("cannot write the log {}", log.display()))?;
        let program = self.program.clone();
        let child = spawn(self.command(home.lifetime, file)?)
            .with_context(|| format!("cannot start {}", program.to_string_lossy()))?;
        let pid = child.id();
        let note = Note {
            pid,
            started_ticks: started_ticks(pid).unwrap_or(0),
        };
        let process = Process {
            note,
            child: Mutex::new(Some(child)),
            folder: home.folder.clone(),
        };
        fs::write(home.path(NOTE), serde_json::to_vec(&process.note)?)?;
        Ok(process)
    }

    /// Both wrappers are util-linux's, which Debian always has, and become the program by exec, so that the pid is the
    /// program's own. Doing the same in this process would take an unsafe `pre_exec`.
    fn command(self, lifetime: Lifetime, log: File) -> Result<Command> {
        let mut command = match lifetime {
            Lifetime::Test => {
                let mut command = Command::new("setpriv");
                command.args(["--pdeathsig", "KILL", "--"]);
                command
            }
            Lifetime::Detached => Command::new("setsid"),
        };
        command.arg(self.program).args(self.args).envs(self.envs);
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        Ok(command)
    }
}

/// A process that was started here, or was found again by its note.
#[derive(Debug)]
pub struct Process {
    note: Note,
    /// Present when this process is the parent, which must then collect the exit status.
    child: Mutex<Option<Child>>,
    folder: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    pid: u32,
    /// When the kernel started it, in clock ticks since boot (field 22 of `/proc/<pid>/stat`).
    started_ticks: u64,
}

impl Process {
    /// The process that an earlier program started in this folder, if it still runs.
    pub fn find(folder: &Path) -> Option<Process> {
        let note: Note = serde_json::from_slice(&fs::read(folder.join(NOTE)).ok()?).ok()?;
        let process = Process {
            note,
            child: Mutex::new(None),
            folder: folder.to_path_buf(),
        };
        process.is_running().then_some(process)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.note.pid
    }

    /// Where both its outputs go.
    pub fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Whether it runs; one that ended and was not collected yet does not.
    pub fn is_running(&self) -> bool {
        if let Some(child) = self.child().as_mut() {
            return matches!(child.try_wait(), Ok(None));
        }
        started_ticks(self.note.pid) == Some(self.note.started_ticks)
    }

    /// Whether a file that it was started from (its program or a library) has since been replaced on disk, as a build
    /// does: then it runs yesterday's code.
    pub fn runs_replaced_file(&self, name: &str) -> bool {
        let maps = fs::read_to_string(format!("/proc/{}/maps", self.note.pid)).unwrap_or_default();
        let replaced = format!("/{name} (deleted)");
        maps.lines().any(|line| line.ends_with(&replaced))
    }

    /// Asks it to end (SIGTERM), and kills it if it has not ended within 20 s.
    pub fn stop(&self) -> Result<()> {
        self.signal(Signal::SIGTERM)?;
        if let Err(error) = self.wait_for_end(GRACE) {
            eprintln!("{error:#}; it is killed");
            self.kill()?;
        }
        self.forget()
    }

    /// Kills it at once, as `kill -9` does, and waits until it is gone.
    pub fn kill(&self) -> Result<()> {
        self.signal(Signal::SIGKILL)?;
        self.wait_for_end(GRACE)?;
        self.forget()
    }

    /// Sends a signal, if it runs.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        if !self.is_running() {
            return Ok(());
        }
        kill(Pid::from_raw(self.note.pid as i32), signal)
            .with_context(|| format!("cannot send {signal} to process {}", self.note.pid))
    }

    /// An error with the end of its log when it has ended, for those who wait for it to answer.
    pub fn check_running(&self) -> Result<()> {
        if self.is_running() {
            return Ok(());
        }
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(15)..].join("\n");
        bail!(
            "process {} ended; the end of {}:\n{tail}",
            self.note.pid,
            self.log().display()
        )
    }

    /// Waits until it has ended by itself. The error says what its threads do: one that waits for the disk (`D`)
    /// outlives even SIGKILL, a deadlock of its own (`S`) does not.
    pub fn wait_for_end(&self, deadline: Duration) -> Result<()> {
        wait::until(
            format_args!("the end of process {}", self.note.pid),
            deadline,
            || Ok((!self.is_running()).then_some(())),
        )
        .with_context(|| format!("its threads: {}", threads(self.note.pid)))
    }

    fn forget(&self) -> Result<()> {
        match fs::remove_file(self.folder.join(NOTE)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.child
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Whether there is a process of this id.
pub fn exists(pid: u32) -> bool {
    started_ticks(pid).is_some()
}

/// Kills the processes whose notes are found in the folders under `folder`: what a crashed run left behind.
pub fn kill_leftovers(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if let Some(process) = Process::find(&entry.path()) {
                // A process that cannot be killed is another user's; the note was not ours to act on.
                let _ = process.kill();
            }
            kill_leftovers(&entry.path());
        }
    }
}

/// Starts the command from a thread that lives as long as this program.
///
/// The kernel sends the parent-death signal when the *thread* that started the child ends, and a test's thread ends
/// long before the servers that it shares with other tests may.
fn spawn(command: Command) -> Result<Child> {
    type Order = (Command, mpsc::SyncSender<std::io::Result<Child>>);
    static ORDERS: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let orders = ORDERS.get_or_init(|| {
        let (sender, receiver) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, reply) in receiver {
                // Who asked waits for the answer, and is there to take it.
                let _ = reply.send(command.spawn());
            }
        });
        sender
    });
    let (reply, answer) = mpsc::sync_channel(1);
    orders
        .send((command, reply))
        .context("the thread that starts processes has ended")?;
    Ok(answer
        .recv()
        .context("the thread that starts processes has ended")??)
}

/// The threads of a process, each with its name, its state and where in the kernel it waits.
fn threads(pid: u32) -> String {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"));
    let threads = tasks.into_iter().flatten().flatten().map(|task| {
        let read = |file| fs::read_to_string(task.path().join(file)).unwrap_or_default();
        let (stat, place) = (read("stat"), read("wchan"));
        let state = stat
            .rsplit_once(") ")
            .and_then(|(_, rest)| rest.get(..1))
            .unwrap_or("gone");
        format!("{} {state} {place}", read("comm").trim())
    });
    threads.collect::<Vec<_>>().join(", ")
}

/// The start time of a process in clock ticks since boot; `None` when there is none, or only its zombie.
fn started_ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses and may hold spaces and parentheses itself.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(home: &Home) -> Process {
        Launch::new("sleep").arg("600").start(home).unwrap()
    }

    #[test]
    fn a_process_is_found_by_its_note_and_stopped_by_pid() {
        let home = Home::for_test("sleeper").unwrap();
        let started = sleeper(&home);
        let found = Process::find(&home.folder).unwrap();
        assert_eq!(found.pid(), started.pid());

        found.stop().unwrap();
        assert!(!started.is_running());
        assert!(Process::find(&home.folder).is_none());
    }

    #[test]
    fn a_pid_that_belongs_to_somebody_else_is_left_alone() {
        let run = Home::for_test("run").unwrap();
        let home = Home {
            folder: run.path("stranger"),
            lifetime: Lifetime::Test,
        };
        fs::create_dir(&home.folder).unwrap();
        let stranger = sleeper(&home);
        let stale = Note {
            pid: stranger.pid(),
            started_ticks: stranger.note.started_ticks - 1,
        };
        fs::write(home.path(NOTE), serde_json::to_vec(&stale).unwrap()).unwrap();

        assert!(Process::find(&home.folder).is_none());
        kill_leftovers(&run.folder);
        assert!(stranger.is_running());

        fs::write(home.path(NOTE), serde_json::to_vec(&stranger.note).unwrap()).unwrap();
        kill_leftovers(&run.folder);
        assert!(!stranger.is_running());
    }

    #[test]
    fn one_that_ends_by_itself_tells_its_last_words() {
        let home = Home::for_test("talker").unwrap();
        let talker = Launch::new("sh")
            .args(["-c", "echo port is taken; exit 3"])
            .start(&home)
            .unwrap();
        talker.wait_for_end(Duration::from_secs(10)).unwrap();
        let error = talker.check_running().unwrap_err().to_string();
        assert!(error.contains("port is taken"), "{error}");
    }

    #[test]
    fn one_that_does_not_end_tells_what_its_threads_do() {
        let home = Home::for_test("lingerer").unwrap();
        let lingerer = sleeper(&home);
        // Until it has become the program, it has the name of the one that starts it.
        wait::until("its name", Duration::from_secs(10), || {
            Ok(threads(lingerer.pid()).starts_with("sleep S").then_some(()))
        })
        .unwrap();
        let error = lingerer.wait_for_end(Duration::ZERO).unwrap_err();
        assert!(
            format!("{error:#}").starts_with("its threads: sleep S"),
            "{error:#}"
        );
        lingerer.kill().unwrap();
    }

    #[test]
    fn one_that_ignores_the_request_is_killed() {
        let home = Home::for_test("stubborn").unwrap();
        let stubborn = Launch::new("sh")
            .args(["-c", "trap '' TERM; echo ready; while :; do sleep 1; done"])
            .start(&home)
            .unwrap();
        wait::until("the trap", Duration::from_secs(10), || {
            Ok(fs::read_to_string(stubborn.log())?
                .contains("ready")
                .then_some(()))
        })
        .unwrap();
        stubborn.signal(Signal::SIGTERM).unwrap();
        assert!(stubborn.wait_for_end(Duration::from_millis(200)).is_err());
        stubborn.kill().unwrap();
        assert!(!stubborn.is_running());
    }
}
