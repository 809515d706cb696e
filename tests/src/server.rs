//! What every private server has in common: a home, a process in it, and the wait until it answers.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use crate::data::{Home, Lifetime};
use crate::process::{Launch, Process};
use crate::wait;

/// A server of one's own. One of a test is killed when this is dropped; a detached one runs on.
#[derive(Debug)]
pub struct Server {
    name: &'static str,
    home: Home,
    process: Mutex<Option<Process>>,
}

impl Server {
    /// A server that lives in `home`; one that an earlier program started there is taken over.
    pub fn new(name: &'static str, home: Home) -> Server {
        let process = Mutex::new(Process::find(&home.folder));
        Server {
            name,
            home,
            process,
        }
    }

    /// The server's folder and lifetime.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Starts it unless it runs, and waits until `answers` says so.
    pub fn ensure(
        &self,
        launch: impl FnOnce() -> Result<Launch>,
        mut answers: impl FnMut() -> bool,
    ) -> Result<()> {
        let mut current = self.process();
        if !current.as_ref().is_some_and(Process::is_running) {
            *current = Some(launch()?.start(&self.home)?);
        }
        let process = current
            .as_ref()
            .context("unreachable: it was just started")?;
        wait::until(
            format_args!("{} to answer", self.name),
            wait::START_DEADLINE,
            || {
                process.check_running()?;
                Ok(answers().then_some(()))
            },
        )
        .with_context(|| format!("{} does not start", self.name))
    }

    /// Whether it runs.
    pub fn is_running(&self) -> bool {
        self.process().as_ref().is_some_and(Process::is_running)
    }

    /// The id of its process.
    pub fn pid(&self) -> Result<u32> {
        self.with_process(|process| Ok(process.pid()))
    }

    /// Whether it runs from a file that a build has replaced since.
    pub fn runs_replaced_file(&self, name: &str) -> bool {
        self.process()
            .as_ref()
            .is_some_and(|process| process.runs_replaced_file(name))
    }

    /// Asks it to end, as an operator would (SIGTERM), and waits; its files stay.
    pub fn stop(&self) -> Result<()> {
        self.with_process(Process::stop)
    }

    /// Kills it, as `kill -9` does; its files stay.
    pub fn kill(&self) -> Result<()> {
        self.with_process(Process::kill)
    }

    /// Sends it a signal, such as SIGSTOP to make it hang.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.with_process(|process| process.signal(signal))
    }

    /// Waits until its process has ended by itself.
    pub fn wait_for_end(&self, deadline: Duration) -> Result<()> {
        if !self.is_running() {
            return Ok(());
        }
        self.with_process(|process| process.wait_for_end(deadline))
            .with_context(|| format!("{} does not end", self.name))
    }

    fn with_process<T>(&self, act: impl FnOnce(&Process) -> Result<T>) -> Result<T> {
        act(self
            .process()
            .as_ref()
            .with_context(|| format!("{} does not run", self.name))?)
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.home.lifetime == Lifetime::Test {
            // What cannot be killed now is killed by the kernel when this process ends.
            let _ = self.kill();
        }
    }
}
