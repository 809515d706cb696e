//! What is gone from the outbox, from MySQL or from Kafka.

use anyhow::{Context, Result, ensure};
use holdfast_tests::data::Home;
use holdfast_tests::shop::Shop;
use sqlx::{Connection, MySqlConnection};

use crate::{Audit, assert_sound, audit, hex, sold, start};

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
