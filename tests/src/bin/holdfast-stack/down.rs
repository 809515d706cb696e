//! Stops the stack, by pid, the proxy first so that it can finish what it has begun.

use anyhow::Result;
use holdfast_tests::data;
use holdfast_tests::process::Process;

/// The servers' folders, in the order in which they are stopped.
pub const SERVERS: [&str; 5] = ["proxy", "payment", "kafka", "mysql", "redis"];

/// Stops what runs.
pub fn run() -> Result<()> {
    let mut stopped = 0;
    for name in SERVERS {
        if let Some(process) = Process::find(&data::stack_folder().join(name)) {
            process.stop()?;
            println!("{name} (process {}) is stopped", process.pid());
            stopped += 1;
        }
    }
    if stopped == 0 {
        println!("nothing runs");
    }
    Ok(())
}
