//! `holdfast audit` on real servers: it finds nothing in a shop that sold, declined and was killed, and finds what
//! somebody did behind the shop's back.
//!
//! The tests take turns on one stack, because an audit looks at all of it.

use std::process::Output;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use holdfast_tests::data::Home;
use holdfast_tests::proxy;
use holdfast_tests::shop::{DECLINED_CARD, GOOD_CARD, LOST_REPLY_CARD, SLOW_CARD, Shop, Shopper};
use holdfast_tests::stack::{Stack, StackOptions, catalogue_of};
use reqwest::Method;
use serde_json::Value;
use sqlx::{Connection, MySqlConnection};
use tokio::process::Command;
use tokio::sync::Mutex;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(30);

static STACK: LazyLock<Mutex<Stack>> = LazyLock::new(|| Mutex::new(start().expect("a shop")));

fn start() -> Result<Stack> {
    let settings = [
        ("HOLDFAST_RECOVERY__INTERVAL_MS", "200"),
        ("HOLDFAST_RECOVERY__LEASE_MS", "4000"),
        ("HOLDFAST_HOLDS__TTL_MS", "3000"),
    ];
    Stack::start(StackOptions {
        catalogue: Some(catalogue_of(&["LAMP", "MUG", "VASE"])?),
        environment: settings
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        ..StackOptions::default()
    })
}

/// What an audit said: its exit code, and its report.
struct Audit {
    code: i32,
    report: Value,
}

impl Audit {
    async fn of(stack: &Stack, arguments: &[&str]) -> Result<Audit> {
        let output = audit(stack, &[&["--json"], arguments].concat()).await?;
        let code = output.status.code().context("the audit was killed")?;
        let report = serde_json::from_slice(&output.stdout).with_context(|| {
            format!(
                "exit code {code}, {}",
                String::from_utf8_lossy(&output.stderr)
            )
        })?;
        Ok(Audit { code, report })
    }

    /// The invariant, kind and subject (an order or a SKU) of each breach.
    fn breaches(&self) -> Vec<(String, String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let verdicts = self.report["verdicts"].as_array().into_iter().flatten();
        let breaches = verdicts.flat_map(|verdict| {
            let all = verdict["breaches"].as_array().into_iter().flatten();
            all.map(|breach| {
                let subject = if breach["order"].is_null() {
                    &breach["sku"]
                } else {
                    &breach["order"]
                };
                (
                    text(&verdict["invariant"]),
                    text(&breach["kind"]),
                    text(subject),
                )
            })
        });
        breaches.collect()
    }
}

async fn audit(stack: &Stack, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(proxy::binary()?);
    command
        .arg("--config")
        .arg(stack.proxy.config_path())
        .arg("audit")
        .args(arguments);
    command
        .output()
        .await
        .context("the audit cannot be started")
}

async fn assert_sound(stack: &Stack, arguments: &[&str]) -> Result<()> {
    let audit = Audit::of(stack, &[&["--wait", "30", "--at-rest"], arguments].concat()).await?;
    ensure!(
        audit.code == 0 && audit.report["sound"] == true,
        "{:#}",
        audit.report
    );
    Ok(())
}

/// Does something behind the shop's back, sees that exactly these are found, and mends it.
async fn sabotage(
    stack: &Stack,
    (harm, mend): (&[&str], &[&str]),
    wanted: &[(&str, &str, &str)],
) -> Result<()> {
    let mut mysql = MySqlConnection::connect(&stack.database_url()).await?;
    for statement in harm {
        let done = sqlx::raw_sql(sqlx::AssertSqlSafe(*statement))
            .execute(&mut mysql)
            .await?;
        ensure!(done.rows_affected() > 0, "{statement} changed nothing");
    }
    let audit = Audit::of(stack, &[]).await?;
    for statement in mend {
        sqlx::raw_sql(sqlx::AssertSqlSafe(*statement))
            .execute(&mut mysql)
            .await?;
    }
    let found = audit.breaches();
    let found: Vec<_> = found
        .iter()
        .map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str()))
        .collect();
    ensure!(
        found == wanted && audit.code == 1,
        "{harm:?}: exit code {}, {found:?}",
        audit.code
    );
    assert_sound(stack, &[]).await
}

async fn sold(buyer: &Shopper, sku: &str) -> Result<String> {
    let reply = buyer.buy(sku, 2, GOOD_CARD).await?;
    ensure!(reply.status == 201, "{reply:?}");
    Ok(reply.id()?.to_owned())
}

fn hex(id: &str) -> Result<String> {
    Ok(format!("0x{}", Uuid::parse_str(id)?.simple()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_that_sold_declined_and_was_killed_is_sound() -> Result<()> {
    let stack = STACK.lock().await;
    let shop = Shop::of(&stack.proxy);
    shop.set_stock("LAMP", 40).await?;
    let buyers = try_join_all((0..12).map(|_| shop.guest())).await?;
    let cards = [GOOD_CARD, DECLINED_CARD, LOST_REPLY_CARD, GOOD_CARD];
    let orders = buyers.iter().zip(cards.into_iter().cycle());
    let replies = try_join_all(orders.map(|(buyer, card)| buyer.buy("LAMP", 2, card))).await?;
    let mut acknowledged = String::new();
    for reply in replies.iter().filter(|reply| reply.status == 201) {
        acknowledged += &format!("{}\n", reply.id()?);
    }
    ensure!(acknowledged.lines().count() >= 6, "{replies:?}");
    // One that was sold, taken back.
    let (place, reply) = replies
        .iter()
        .enumerate()
        .find(|(_, reply)| reply.status == 201)
        .context("somebody bought")?;
    let path = format!("/v1/orders/{}/cancel", reply.id()?);
    let cancelled = buyers[place]
        .call(Method::POST, &path, &Value::Null)
        .await?;
    ensure!(cancelled.is_success(), "{cancelled:?}");
    // More than there is.
    ensure!(buyers[0].buy("LAMP", 1000, GOOD_CARD).await?.status == 409);
    assert_eq!(
        Audit::of(&stack, &[]).await?.code,
        0,
        "while it may still be selling"
    );

    let paying = buyers[1].buy("LAMP", 1, SLOW_CARD);
    let killing = async {
        let mut mysql = MySqlConnection::connect(&stack.database_url()).await?;
        let pending = "SELECT COUNT(*) FROM orders WHERE status = 'PENDING'";
        let deadline = Instant::now() + PATIENCE;
        while sqlx::query_scalar::<_, i64>(pending)
            .fetch_one(&mut mysql)
            .await?
            == 0
        {
            ensure!(Instant::now() < deadline, "no order was recorded");
        }
        stack.proxy.server().kill()?;
        stack.proxy.start()
    };
    let (_answer_is_lost, killed) = futures::future::join(paying, killing).await;
    killed?;

    let file = Home::for_test("acknowledged")?.path("orders");
    std::fs::write(&file, acknowledged)?;
    let file = file.to_str().context("the path is not UTF-8")?;
    assert_sound(&stack, &["--acknowledged", file]).await?;
    let text = audit(&stack, &[]).await?;
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    ensure!(text.ends_with("SOUND: every invariant holds\n"), "{text}");
    Ok(())
}

/// Buys, and takes every third order back, until the audits are over.
async fn trade(buyer: Shopper, card: &str, is_over: &AtomicBool) -> Result<()> {
    let mut orders = 0;
    while !is_over.load(Ordering::Relaxed) {
        let reply = buyer.order(&[("LAMP", 1), ("VASE", 2)], card, None).await?;
        orders += 1;
        if reply.status == 201 && orders % 3 == 0 {
            let path = format!("/v1/orders/{}/cancel", reply.id()?);
            buyer.call(Method::POST, &path, &Value::Null).await?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_that_sells_meanwhile_raises_no_false_alarm() -> Result<()> {
    let stack = STACK.lock().await;
    let shop = Shop::of(&stack.proxy);
    shop.set_stock("LAMP", 100_000).await?;
    shop.set_stock("VASE", 100_000).await?;
    let buyers = try_join_all((0..16).map(|_| shop.guest())).await?;
    let cards = [GOOD_CARD, DECLINED_CARD, GOOD_CARD, LOST_REPLY_CARD];
    let is_over = AtomicBool::new(false);
    let trading = buyers.into_iter().zip(cards.into_iter().cycle());
    let trading = try_join_all(trading.map(|(buyer, card)| trade(buyer, card, &is_over)));
    let auditing = async {
        let (mut sound, mut in_motion) = (0, 0);
        let deadline = Instant::now() + PATIENCE;
        while (sound < 5 || in_motion < 3) && Instant::now() < deadline {
            let audit = Audit::of(&stack, &[]).await?;
            ensure!(audit.code == 0, "{:#}", audit.report);
            sound += 1;
            in_motion += u32::from(audit.report["in_flight"]["orders"].as_u64() > Some(0));
        }
        ensure!(
            in_motion >= 3,
            "only {in_motion} audits of {sound} met orders in flight"
        );
        anyhow::Ok(())
    };
    let auditing = async {
        let audited = auditing.await;
        is_over.store(true, Ordering::Relaxed);
        audited
    };
    let (traded, audited) = futures::future::join(trading, auditing).await;
    audited?;
    traded?;
    assert_sound(&stack, &[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_behind_the_shops_back_is_found() -> Result<()> {
    let stack = STACK.lock().await;
    let shop = Shop::of(&stack.proxy);
    shop.set_stock("MUG", 20).await?;
    let order = sold(&shop.guest().await?, "MUG").await?;
    assert_sound(&stack, &[]).await?;
    let id = hex(&order)?;
    let id = id.as_str();

    // MySQL, and with it the count of Redis.
    sabotage(
        &stack,
        (
            &["UPDATE products SET stock = stock + 1 WHERE sku = 'MUG'"],
            &["UPDATE products SET stock = stock - 1 WHERE sku = 'MUG'"],
        ),
        &[("A", "log_sum", "MUG"), ("D", "drift", "MUG")],
    )
    .await?;
    let lost = format!("UPDATE orders SET status = 'PENDING' WHERE id = {id}");
    let found = format!("UPDATE orders SET status = 'CONFIRMED' WHERE id = {id}");
    sabotage(&stack, (&[&lost], &[&found]), &[("B", "status", &order)]).await?;
    let halve =
        format!("UPDATE order_lines SET quantity = 1, price = price * 2 WHERE order_id = {id}");
    let double =
        format!("UPDATE order_lines SET quantity = 2, price = price / 2 WHERE order_id = {id}");
    let wrong_event = ("E", "wrong_event", order.as_str());
    sabotage(
        &stack,
        (&[&halve], &[&double]),
        &[
            &[("B", "wrong_deduction", order.as_str())],
            &[wrong_event; 5][..],
        ]
        .concat(),
    )
    .await?;
    let twice = format!(
        "INSERT INTO inventory_logs (sku, delta, stock_after, reason, order_id, acknowledged_at) \
         SELECT sku, 0, stock_after, reason, order_id, NOW(3) FROM inventory_logs WHERE order_id = {id}"
    );
    let once = format!("DELETE FROM inventory_logs WHERE delta = 0 AND order_id = {id}");
    sabotage(
        &stack,
        (&[&twice], &[&once]),
        &[("B", "deducted_twice", &order)],
    )
    .await?;

    // Redis.
    let redis = stack.redis.client()?;
    let mut redis = redis.get_connection()?;
    let mut run = |command: &str| -> Result<()> {
        let mut words = command.split(' ');
        let mut command = redis::cmd(words.next().unwrap_or_default());
        for word in words {
            command.arg(word);
        }
        let reply: redis::Value = command.query(&mut redis)?;
        ensure!(reply.extract_error().is_ok(), "a refused command");
        Ok(())
    };
    run("INV.ADJUST inv:{MUG} 1")?;
    let drift = Audit::of(&stack, &[]).await?;
    run("INV.ADJUST inv:{MUG} -1")?;
    assert_eq!(
        drift.breaches(),
        [("D".into(), "drift".into(), "MUG".into())]
    );
    let nobody = Uuid::now_v7().to_string();
    run(&format!("INV.RESERVE inv:{{MUG}} {nobody} 3"))?;
    assert_eq!(
        Audit::of(&stack, &[]).await?.code,
        0,
        "a hold with a deadline is nobody's fault"
    );
    let held = Audit::of(&stack, &["--at-rest"]).await?;
    assert_eq!(
        held.breaches(),
        [("D".into(), "not_at_rest".into(), String::new())]
    );
    run(&format!("INV.PREPARE inv:{{MUG}} {nobody}"))?;
    let stranded = Audit::of(&stack, &[]).await?;
    run(&format!("INV.RELEASE inv:{{MUG}} {nobody}"))?;
    assert_eq!(
        stranded.breaches(),
        [("C".into(), "stranded".into(), nobody)]
    );
    assert_sound(&stack, &[]).await
}

/// On a stack of its own: what is lost here cannot be mended.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_or_an_order_that_is_gone_is_found() -> Result<()> {
    let stack = start()?;
    let shop = Shop::of(&stack.proxy);
    let buyer = shop.guest().await?;
    let told = sold(&buyer, "LAMP").await?;
    assert_sound(&stack, &[]).await?;

    // With Kafka away its events wait in the outbox, where somebody deletes one.
    stack.kafka.server()?.stop()?;
    let untold = sold(&buyer, "LAMP").await?;
    let mut mysql = MySqlConnection::connect(&stack.database_url()).await?;
    let deleted =
        sqlx::query("DELETE FROM outbox WHERE message_key = ? AND event_type = 'PaymentProcessed'")
            .bind(&untold)
            .execute(&mut mysql)
            .await?;
    ensure!(deleted.rows_affected() == 1);
    let away = audit(&stack, &[]).await?;
    assert_eq!(away.status.code(), Some(2), "Kafka cannot be read");
    let says = String::from_utf8_lossy(&away.stderr).into_owned();
    ensure!(says.starts_with("holdfast: kafka cannot be read"), "{says}");
    stack.kafka.start()?;
    let missing = Audit::of(&stack, &["--wait", "30"]).await?;
    assert_eq!(
        missing.breaches(),
        [("E".into(), "missing_event".into(), untold.clone())]
    );
    assert_eq!(missing.code, 1);

    // A sale that was answered 201 and is nowhere in MySQL.
    let id = hex(&told)?;
    for table in [
        "orders WHERE id",
        "order_lines WHERE order_id",
        "hold_outcomes WHERE order_id",
    ] {
        let delete = format!("DELETE FROM {table} = {id}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(delete))
            .execute(&mut mysql)
            .await?;
    }
    let file = Home::for_test("acknowledged")?.path("orders");
    std::fs::write(&file, format!("{told}\n{untold}\n"))?;
    let lost = Audit::of(
        &stack,
        &["--acknowledged", file.to_str().context("no UTF-8")?],
    )
    .await?;
    let wanted = [
        ("A", "sale_without_order", "LAMP"),
        ("B", "lost", told.as_str()),
        ("E", "missing_event", untold.as_str()),
        ("E", "event_without_order", told.as_str()),
    ];
    let wanted = wanted.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
    assert_eq!(lost.breaches(), wanted);
    std::fs::write(&file, "201\n")?;
    let unreadable = audit(
        &stack,
        &["--acknowledged", file.to_str().context("no UTF-8")?],
    )
    .await?;
    assert_eq!(unreadable.status.code(), Some(2));
    Ok(())
}
