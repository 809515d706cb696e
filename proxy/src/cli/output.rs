//! Standard output.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

/// Prints a line. That nobody reads any more, as in `… | head -1`, is no failure: what a command
/// does is done all the same.
///
/// # Errors
/// When the line cannot be written, such as to a file on a full disk.
pub(super) fn say(line: impl Display) -> io::Result<()> {
    let mut output = io::stdout().lock();
    match writeln!(output, "{line}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
