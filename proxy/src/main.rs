//! The `holdfast` binary.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    holdfast_proxy::cli::run(holdfast_proxy::cli::Arguments::parse())
}
