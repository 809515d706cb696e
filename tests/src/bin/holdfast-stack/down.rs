//! Stops whatever stack runs, by pid.

use anyhow::Result;

use crate::place::Place;

/// Stops what runs.
pub fn run() -> Result<()> {
    let mut stopped = 0;
    for place in Place::all() {
        for name in place.servers() {
            if let Some(process) = place.process(&name) {
                process.stop()?;
                println!("{name} (process {}) is stopped", process.pid());
                stopped += 1;
            }
        }
    }
    if stopped == 0 {
        println!("nothing runs");
    }
    Ok(())
}
