//! What somebody did behind the shop's back, in MySQL or in Redis.

use anyhow::{Result, ensure};
use holdfast_tests::shop::Shop;
use holdfast_tests::stack::Stack;
use sqlx::{Connection, MySqlConnection};
use uuid::Uuid;

use crate::{Audit, STACK, assert_sound, hex, sold};

/// What one buyer may have of a product.
#[tokio::test(flavor = "multi_thread")]
async fn a_count_of_a_buyer_that_was_changed_is_found() -> Result<()> {
    let stack = STACK.lock().await;
    let shop = Shop::of(&stack.proxy);
    shop.set_stock("VASE", 20).await?;
    let mut mysql = MySqlConnection::connect(&stack.database_url()).await?;
    let limit = "UPDATE products SET buyer_limit = ? WHERE sku = 'VASE'";
    sqlx::query(limit).bind(3).execute(&mut mysql).await?;
    shop.register("collector@example.com").await?;
    sold(&shop.log_in("collector@example.com").await?, "VASE").await?;
    let (take, give) = (
        "UPDATE buyer_purchases SET quantity = quantity - 1 WHERE sku = 'VASE'",
        "UPDATE buyer_purchases SET quantity = quantity + 1 WHERE sku = 'VASE'",
    );
    let found = sabotage(&stack, (&[take], &[give]), &[("A", "buyer_count", "VASE")]).await;
    let no_limit: Option<i64> = None;
    sqlx::query(limit)
        .bind(no_limit)
        .execute(&mut mysql)
        .await?;
    found
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
