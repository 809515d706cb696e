//! The database's disk is full, outbox and all: orders wait or are shed, nothing that was answered is lost, and all goes
//! on when there is room again.
//!
//! The disk is a small tmpfs, which takes a privilege that few have: without it the test says so and is skipped.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use holdfast_tests::data::{Home, Lifetime};
use holdfast_tests::faults::rest::audit;
use holdfast_tests::shop::{GOOD_CARD, Reply, Shop, Shopper};
use holdfast_tests::stack::{Stack, StackOptions, catalogue_of};
use holdfast_tests::wait;
use uuid::Uuid;

const SKU: &str = "TIGHT";
const PATIENCE: Duration = Duration::from_secs(120);
const BUYERS: usize = 8;
/// MariaDB's own files take about 170 MB of it.
const DISK: &str = "size=256m";

/// A small disk of its own, taken away at the end.
struct Disk {
    folder: PathBuf,
}

impl Disk {
    /// The error says why there is none.
    fn mount() -> Result<Disk> {
        let folder = tempfile::Builder::new()
            .prefix("holdfast-disk-")
            .tempdir()?
            .keep();
        let disk = Disk { folder };
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", DISK, "tmpfs"])
            .arg(&disk.folder);
        let output = mount.output().context("cannot run mount")?;
        let why = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}", why.trim());
        Ok(disk)
    }

    /// Writes until nothing more fits.
    fn fill(&self) -> Result<()> {
        let mut file = File::create(self.ballast())?;
        let block = vec![b'x'; 64 * 1024];
        loop {
            match file.write_all(&block) {
                Err(full) if full.kind() == ErrorKind::StorageFull => return Ok(()),
                written => written?,
            }
        }
    }

    fn make_room(&self) -> Result<()> {
        Ok(fs::remove_file(self.ballast())?)
    }

    fn ballast(&self) -> PathBuf {
        self.folder.join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily, in case a server that is being killed still has a file open.
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(&self.folder)
            .output();
        let _ = fs::remove_dir(&self.folder);
    }
}

/// Buys one thing after the other under new keys, until one is neither sold nor refused; gives the orders that were sold,
/// and the key of the last.
async fn buy_until_it_fails(buyer: &Shopper) -> Result<(Vec<String>, String)> {
    let mut sold = Vec::new();
    loop {
        let key = Uuid::new_v4().to_string();
        match buyer.order(&[(SKU, 1)], GOOD_CARD, Some(&key)).await {
            Ok(reply) if reply.status == 201 => sold.push(reply.id()?.to_owned()),
            Ok(reply) => {
                ensure!(is_patience_asked(&reply), "an odd answer: {reply:?}");
                return Ok((sold, key));
            }
            Err(_) => return Ok((sold, key)),
        }
    }
}

fn is_patience_asked(reply: &Reply) -> bool {
    matches!(reply.status, 202 | 408 | 503 | 504) || reply.problem() == "request-in-flight"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_wait_for_room_on_the_disk_of_the_database() -> Result<()> {
    let disk = match Disk::mount() {
        Ok(disk) => disk,
        Err(error) => {
            eprintln!(
                "SKIPPED: no small disk can be mounted here ({error:#}); run this test as root"
            );
            return Ok(());
        }
    };
    let stack = start(&disk.folder)?;
    let shop = Shop::of(&stack.proxy);
    shop.set_stock(SKU, 1_000_000).await?;
    let buyers = try_join_all((0..BUYERS).map(|_| shop.guest())).await?;
    disk.fill()?;
    let crowd = buyers.iter().map(buy_until_it_fails);
    let stopped = tokio::time::timeout(PATIENCE, try_join_all(crowd)).await;
    let stopped = stopped.context("the disk is full, and the shop sells on")??;
    let sold: usize = stopped.iter().map(|(sold, _)| sold.len()).sum();
    let survived = stack.mysql.server()?.is_running();
    eprintln!(
        "{sold} orders on the last of the disk; MariaDB {}",
        if survived { "goes on" } else { "has ended" }
    );

    disk.make_room()?;
    // A server that gave up is started again, as its supervisor would.
    wait::until("MariaDB to start", PATIENCE, || {
        let started = stack.mysql.start_again();
        started
            .as_ref()
            .err()
            .iter()
            .for_each(|error| eprintln!("not yet: {error:#}"));
        Ok(started.ok())
    })?;
    let mut acknowledged: Vec<String> = Vec::new();
    for (buyer, (sold, key)) in buyers.iter().zip(stopped) {
        acknowledged.extend(sold);
        let last = wait::until_async("the last order to be sold", PATIENCE, || async {
            let reply = buyer.order(&[(SKU, 1)], GOOD_CARD, Some(&key)).await?;
            ensure!(
                reply.status == 201 || is_patience_asked(&reply),
                "an odd answer: {reply:?}"
            );
            Ok((reply.status == 201).then_some(reply))
        });
        acknowledged.push(last.await?.id()?.to_owned());
    }
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), acknowledged.join("\n"))?;
    println!("{}", audit(&stack, Some(file.path()))?);
    Ok(())
}

/// A shop whose database lives on that disk.
fn start(disk: &Path) -> Result<Stack> {
    Stack::start(StackOptions {
        catalogue: Some(catalogue_of(&[SKU])?),
        mysql_home: Some(Home {
            folder: disk.to_path_buf(),
            lifetime: Lifetime::Test,
        }),
        ..StackOptions::default()
    })
}
