//! The list of orders that were answered 201, for whoever compares it with the database.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Mutex;

use anyhow::Context;

/// A file that grows by a line with each order.
pub(super) struct OrderLog {
    file: Mutex<File>,
}

impl OrderLog {
    /// Opens the file to append to it.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file =
            file.with_context(|| format!("cannot write the orders to '{}'", path.display()))?;
        Ok(Self {
            file: Mutex::new(file),
        })
    }

    /// Writes one order in one go, past all buffers of this process, so that what was written
    /// survives whatever happens to it.
    pub fn write(&self, invoice: &str, order_id: &str, total_minor: i64) -> io::Result<()> {
        let mut file = self
            .file
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        file.write_all(format!("{invoice},{order_id},{total_minor}\n").as_bytes())
    }
}
