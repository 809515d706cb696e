//! `holdfast replay` of a sheet, again and again, beside the faults.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::data::{self, Home};
use crate::proxy::binary;
use crate::wait;

/// A whole sheet in the middle of faults; a replay that hangs is given up after it.
const LONGEST_REPLAY: Duration = Duration::from_secs(3600);

/// The sheet that is replayed: `HOLDFAST_RETAIL`, the Online Retail file, where there is one.
pub fn given_sheet() -> Option<PathBuf> {
    // Cargo runs tests in the folder of their crate; the path is meant from the checkout.
    let given = std::env::var_os("HOLDFAST_RETAIL").filter(|path| !path.is_empty())?;
    Some(data::checkout().join(given))
}

/// A small sheet of the same form, for where the file is absent.
pub fn made_up_sheet() -> Result<PathBuf> {
    let header =
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country";
    let line = |invoice: u64, line: u64| {
        let (sku, quantity) = (73000 + (invoice * 7 + line * 3) % 60, line + 1);
        let customer = 8000 + invoice % 50;
        format!("93{invoice:04},{sku},THING,{quantity},d,1.50,{customer},UK")
    };
    let lines = (0..400).flat_map(|invoice| (0..1 + invoice % 8).map(move |n| line(invoice, n)));
    let path = Home::for_test("sheet")?.path("sheet.csv");
    let text: Vec<String> = [header.to_owned()].into_iter().chain(lines).collect();
    fs::write(&path, text.join("\n"))?;
    Ok(path)
}

/// How a replay is started.
#[derive(Debug, Clone)]
pub struct Replay {
    /// The configuration, for the operator's token.
    pub config: PathBuf,
    /// The sheet.
    pub sheet: PathBuf,
    /// The proxies.
    pub urls: Vec<String>,
    /// Where acknowledged orders are written.
    pub orders: PathBuf,
    /// Where it tells how it goes.
    pub log: PathBuf,
}

impl Replay {
    /// Replays the sheet until it is over, and once at least to its end. Each whole replay must account for every row.
    /// The last one is killed in the middle, as a client may be. Gives how many were whole.
    pub fn repeat(&self, is_over: &AtomicBool) -> Result<usize> {
        let mut whole = 0;
        loop {
            let mut replay = self.start()?;
            let ended = wait::until("the replay to end", LONGEST_REPLAY, || {
                let ended = replay.try_wait()?.map(Some);
                let may_be_killed = whole > 0 && is_over.load(Ordering::Relaxed);
                Ok(ended.or(may_be_killed.then_some(None)))
            })?;
            match ended {
                Some(status) => {
                    let told = fs::read_to_string(&self.log).unwrap_or_default();
                    ensure!(status.success(), "the replay failed: {}", tail(&told));
                    whole += 1;
                }
                None => {
                    replay.kill()?;
                    replay.wait()?;
                }
            }
            if is_over.load(Ordering::Relaxed) {
                return Ok(whole);
            }
        }
    }

    fn start(&self) -> Result<Child> {
        let log = File::create(&self.log)?;
        let mut command = Command::new(binary()?);
        command.arg("--config").arg(&self.config).arg("replay");
        for url in &self.urls {
            command.args(["--url", url]);
        }
        command
            .args(["--concurrency", "8", "--patience", "120", "--orders"])
            .args([&self.orders, &self.sheet])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        command.spawn().context("cannot start the replay")
    }
}

/// The ids in a file of `--orders`.
pub fn acknowledged(orders: &Path) -> Result<Vec<String>> {
    let text =
        fs::read_to_string(orders).with_context(|| format!("cannot read {}", orders.display()))?;
    let id = |line: &str| {
        let id = line.split(',').nth(1);
        id.map(str::to_owned)
            .with_context(|| format!("'{line}' names no order"))
    };
    text.lines().map(id).collect()
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
