//! What the proxy says of itself.

pub mod metrics;
pub mod reading;
pub mod writing;

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

pub use metrics::{Metrics, Primaries};

/// Sends log lines to standard error in the configured shape. The filter was checked with the
/// configuration.
pub fn start_logging(log: &Log) {
    let filter = EnvFilter::new(&log.filter);
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match log.format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
}
