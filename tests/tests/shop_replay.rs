//! `holdfast import` and `holdfast replay` on a running shop: every line of the file is accounted for, and afterwards
//! the shop's books say the same in MySQL and in Redis.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use holdfast_tests::proxy::binary;
use holdfast_tests::stack::{Stack, StackOptions};
use holdfast_tests::{data, wait};
use serde_json::{Value, json};
use sqlx::{Connection, MySqlConnection};
use tempfile::TempDir;

const HEADER: &str =
    "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country";

fn start_stack() -> Result<Stack> {
    // What a killed proxy held and had not written down is given back by its deadline.
    let hold_ttl = ("HOLDFAST_HOLDS__TTL_MS".to_owned(), "5000".to_owned());
    Stack::start(StackOptions {
        kafka: false,
        catalogue: None,
        environment: vec![hold_ttl],
        ..StackOptions::default()
    })
}

#[tokio::test]
async fn every_line_of_an_untidy_file_is_accounted_for() -> Result<()> {
    let stack = start_stack()?;
    let file = data::checkout().join("tests/data/untidy.csv");
    let file = file.to_str().context("a path in UTF-8")?;

    let imported = stack.proxy.run(&["import", file])?;
    assert!(imported.contains("17 of 17 rows: every row"), "{imported}");
    assert!(imported.contains("products: 5 new"), "{imported}");
    assert!(
        imported.contains("stock: 25 units of 4 products added"),
        "{imported}"
    );
    let before = books(&stack).await?;
    let again = stack.proxy.run(&["import", file])?;
    assert!(
        again.contains("0 new, 0 changed, 5 as they were"),
        "{again}"
    );
    assert!(again.contains("stock: nothing added"), "{again}");
    assert_eq!(books(&stack).await?, before);

    let report = replay(&stack, &[file])?;
    assert_eq!(report["rows"], 17);
    assert_eq!(report["not_accounted_for"], json!([]));
    let outcome = |outcome: &str, reason: &str, rows: u64, units: i64, amount_minor: i64| json!({"outcome": outcome, "reason": reason, "rows": rows, "units": units, "amount_minor": amount_minor});
    let mut outcomes = report["outcomes"].as_array().context("outcomes")?.clone();
    outcomes.sort_by_key(|outcome| outcome["reason"].to_string());
    assert_eq!(
        Value::from(outcomes),
        json!([
            outcome("sold", "", 7, 25, 5939),
            outcome("returned", "", 2, 5, 1700),
            outcome("skipped", "malformed", 3, 0, 0),
            outcome("skipped", "no goods", 3, 0, 0),
            outcome("skipped", "no price", 1, 0, 0),
            outcome("skipped", "written off", 1, 0, 0),
        ])
    );
    let malformed: Vec<u64> = report["malformed"]
        .as_array()
        .context("malformed rows")?
        .iter()
        .filter_map(|row| row["line"].as_u64())
        .collect();
    assert_eq!(malformed, [10, 11, 17]);

    let books = balanced_books(&stack).await?;
    let mug = books.iter().find(|book| book.sku == "99001A");
    let mug = mug.context("the blue mug")?;
    assert_eq!(
        (mug.stocked, mug.returned, mug.stock, mug.sold),
        (8, 2, 2, 8)
    );
    Ok(())
}

#[tokio::test]
async fn a_rush_refuses_whole_orders_and_sells_what_there_is() -> Result<()> {
    let stack = start_stack()?;
    let folder = tempfile::tempdir()?;
    let rows = (0..10).flat_map(|invoice| {
        [
            format!("91000{invoice},71001,SCARCE,10,d,1.00,,UK"),
            format!("91000{invoice},71002,SCARCER,1,d,2.00,,UK"),
        ]
    });
    let file = write(&folder, rows)?;
    let file = file.to_str().context("a path in UTF-8")?;
    stack
        .proxy
        .run(&["import", file, "--stock-percent", "50"])?;
    let report = replay(&stack, &[file])?;
    assert_eq!(
        report["outcomes"],
        json!([
            {"outcome": "sold", "reason": "", "rows": 10, "units": 55, "amount_minor": 6000},
            {"outcome": "refused", "reason": "out of stock", "rows": 10, "units": 55, "amount_minor": 6000},
        ])
    );
    for book in balanced_books(&stack).await? {
        assert_eq!((book.stock, book.sold), (0, book.stocked), "{book:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_kill_of_the_proxy_in_the_middle_loses_and_oversells_nothing() -> Result<()> {
    const INVOICES: u64 = 600;
    let stack = start_stack()?;
    let folder = tempfile::tempdir()?;
    let rows = (0..INVOICES).flat_map(|invoice| {
        (0..3).map(move |line| {
            let sku = 72000 + (invoice * 7 + line) % 20;
            let customer = 8000 + invoice % 50;
            format!(
                "92{invoice:04},{sku},THING,{},d,1.50,{customer},UK",
                line + 1
            )
        })
    });
    let file = write(&folder, rows)?;
    let import = ["import", path(&file)?, "--stock-percent", "90"];
    stack.proxy.run(&import)?;

    let orders = folder.path().join("orders.csv");
    let mut replay = spawn_replay(&stack, &folder, &file, &orders)?;
    let acknowledged = || {
        fs::read_to_string(&orders)
            .unwrap_or_default()
            .lines()
            .count() as u64
    };
    for at_least in [INVOICES / 10, INVOICES / 3] {
        wait::until("orders to be answered", Duration::from_secs(60), || {
            ensure!(
                replay.try_wait()?.is_none(),
                "the replay ended before the kill"
            );
            Ok((acknowledged() >= at_least).then_some(()))
        })?;
        stack.proxy.server().kill()?;
        stack.proxy.start()?;
    }
    let status = wait::until("the replay's end", Duration::from_secs(180), || {
        Ok(replay.try_wait()?)
    })?;
    let told = fs::read_to_string(folder.path().join("replay.log"))?;
    assert!(status.success(), "{told}");

    balanced_books(&stack).await?;
    let mut connection = MySqlConnection::connect(&stack.database_url()).await?;
    let confirmed: Vec<(String, i64)> = sqlx::query_as(
        "SELECT LOWER(HEX(id)), CAST(total * 100 AS SIGNED) FROM orders WHERE status = 'CONFIRMED'",
    )
    .fetch_all(&mut connection)
    .await?;
    let mut confirmed: Vec<String> = confirmed
        .into_iter()
        .map(|(id, total)| format!("{id},{total}"))
        .collect();
    let mut answered: Vec<String> = fs::read_to_string(&orders)?
        .lines()
        .filter_map(|line| Some(line.split_once(',')?.1.replace('-', "")))
        .collect();
    confirmed.sort();
    answered.sort();
    assert!(!answered.is_empty());
    // Nothing answered is missing, and nothing was sold that nobody asked for or was told of.
    assert_eq!(answered, confirmed);
    Ok(())
}

#[tokio::test]
async fn what_is_no_csv_stops_the_run_at_once() -> Result<()> {
    let stack = start_stack()?;
    let folder = tempfile::tempdir()?;
    let binary_file = folder.path().join("binary");
    fs::write(&binary_file, b"\x7fELF\x02\x01\x01\0\0\0")?;
    let other_columns = folder.path().join("other.csv");
    fs::write(&other_columns, "a,b,c\n1,2,3\n")?;
    let absent = folder.path().join("absent.csv");
    for command in ["import", "replay"] {
        for (file, words) in [
            (
                binary_file.as_path(),
                "does not begin with a line of UTF-8 text",
            ),
            (&other_columns, "its first line is 'a,b,c'"),
            (&absent, "No such file"),
            (folder.path(), "Is a directory"),
        ] {
            let refused = stack.proxy.run(&[command, path(file)?]);
            let error = format!("{:#}", refused.err().context("it was accepted")?);
            assert!(error.contains(words), "{error}");
        }
    }
    assert!(books(&stack).await?.is_empty());
    Ok(())
}

/// What one SKU's books say.
#[derive(Debug, PartialEq, Eq)]
struct Book {
    sku: String,
    stocked: i64,
    returned: i64,
    /// Unsold units in MySQL.
    stock: i64,
    /// Units of confirmed orders in MySQL.
    sold: i64,
    /// `on_hand`, `sold` and `held` in Redis; zeros where no key was ever needed.
    redis: [i64; 3],
}

/// Waits until the shop is at rest, and answers books that add up: stocked + returned = on hand + sold, in MySQL and
/// in Redis alike.
async fn balanced_books(stack: &Stack) -> Result<Vec<Book>> {
    let at_rest = |book: &Book| {
        book.stocked + book.returned == book.stock + book.sold
            && book.redis == [book.stock, book.sold, 0]
    };
    let mut last = Vec::new();
    let found = wait::until_async("books that add up", Duration::from_secs(60), || async {
        let books = books(stack).await?;
        Ok(books.iter().all(at_rest).then_some(books))
    })
    .await;
    if found.is_err() {
        last = books(stack).await?;
        last.retain(|book| !at_rest(book));
    }
    found.with_context(|| format!("these do not add up: {last:?}"))
}

async fn books(stack: &Stack) -> Result<Vec<Book>> {
    let mut connection = MySqlConnection::connect(&stack.database_url()).await?;
    let rows: Vec<(String, i64, i64, i64, i64)> = sqlx::query_as(
        "SELECT sku, stock,
           (SELECT CAST(COALESCE(SUM(delta), 0) AS SIGNED) FROM inventory_logs AS log
             WHERE log.sku = products.sku AND log.reason = 'stocked'),
           (SELECT CAST(COALESCE(SUM(delta), 0) AS SIGNED) FROM inventory_logs AS log
             WHERE log.sku = products.sku AND log.reason = 'returned'),
           (SELECT CAST(COALESCE(SUM(quantity), 0) AS SIGNED) FROM order_lines AS line
             JOIN orders ON orders.id = line.order_id
             WHERE line.sku = products.sku AND orders.status = 'CONFIRMED')
         FROM products ORDER BY sku",
    )
    .fetch_all(&mut connection)
    .await?;
    let mut redis = stack.redis.connection()?;
    let mut books = Vec::with_capacity(rows.len());
    for (sku, stock, stocked, returned, sold) in rows {
        let key = format!("inv:{{{sku}}}");
        let counts: Option<std::collections::HashMap<String, i64>> =
            redis::cmd("INV.GET").arg(key).query(&mut redis)?;
        let count = |name| counts.as_ref().map_or(0, |counts| counts[name]);
        let redis = ["on_hand", "sold", "held"].map(count);
        books.push(Book {
            sku,
            stocked,
            returned,
            stock,
            sold,
            redis,
        });
    }
    Ok(books)
}

fn replay(stack: &Stack, arguments: &[&str]) -> Result<Value> {
    let arguments = [&["replay", "--report", "json"], arguments].concat();
    Ok(serde_json::from_str(&stack.proxy.run(&arguments)?)?)
}

/// Starts a replay that goes on beside the test, a few invoices at a time so that a kill finds it in the middle.
fn spawn_replay(stack: &Stack, folder: &TempDir, file: &Path, orders: &Path) -> Result<Child> {
    let log = fs::File::create(folder.path().join("replay.log"))?;
    Command::new(binary()?)
        .arg("--config")
        .arg(stack.proxy.config_path())
        .args(["replay", "--concurrency", "8", "--orders"])
        .args([orders, file])
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("cannot start the replay")
}

fn write(folder: &TempDir, rows: impl Iterator<Item = String>) -> Result<PathBuf> {
    let file = folder.path().join("orders-to-replay.csv");
    let text = [HEADER.to_owned()]
        .into_iter()
        .chain(rows)
        .collect::<Vec<_>>();
    fs::write(&file, text.join("\n"))?;
    Ok(file)
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("a path in UTF-8")
}
