//! Group commit on a real MariaDB: whatever happens to a batch, each order in it is written once or
//! not at all, and the rows agree.

mod rows;

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures::future::{join_all, try_join_all};
use holdfast_proxy::config;
use holdfast_proxy::gateway::inventory::{Outcome, Word};
use holdfast_proxy::orders::{Order, OrderLine, Priced};
use holdfast_proxy::store::committer::{Committed, IdempotencyKey, Recorded};
use holdfast_proxy::store::{Error, Store};
use holdfast_proxy::telemetry::metrics::Metrics;
use holdfast_tests::mysql::{self, Mysql};
use holdfast_tests::wait::until_async;
use nix::sys::signal::Signal;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, MySqlConnection};
use uuid::Uuid;

use rows::Rows;

static MYSQL: LazyLock<Mysql> = LazyLock::new(|| Mysql::start(None).expect("a database server"));

const DEADLINE: Duration = Duration::from_secs(60);

/// A database of its own, with these products.
struct Tables {
    url: String,
    stock: Vec<(&'static str, i64)>,
    metrics: Arc<Metrics>,
}

impl Tables {
    async fn with(name: &str, stock: &[(&'static str, i64)]) -> Result<Tables> {
        let name = format!("holdfast_{name}_{}", std::process::id());
        MYSQL.create_database(&name)?;
        Tables::on(&MYSQL, &name, stock).await
    }

    async fn on(server: &Mysql, name: &str, stock: &[(&'static str, i64)]) -> Result<Tables> {
        let tables = Tables {
            url: server.url(name),
            stock: stock.to_vec(),
            metrics: Arc::default(),
        };
        tables.store(json!({}))?.migrate().await?;
        let mut connection = tables.connect().await?;
        for (sku, stock) in stock {
            sqlx::query(
                "INSERT INTO products (sku, name, description, price, currency, stock) VALUES (?, 'Thing', '', 10, 'GBP', ?)",
            )
            .bind(sku)
            .bind(stock)
            .execute(&mut connection)
            .await?;
        }
        Ok(tables)
    }

    /// What a proxy has; each has committers of its own.
    fn store(&self, commit: serde_json::Value) -> Result<Store> {
        let mysql: config::Mysql = serde_json::from_value(json!({ "url": self.url }))?;
        let commit: config::Commit = serde_json::from_value(commit)?;
        Ok(Store::open_counted(&mysql, &commit, &self.metrics)?)
    }

    async fn connect(&self) -> Result<MySqlConnection> {
        Ok(MySqlConnection::connect(&self.url).await?)
    }

    /// Fails unless the rows agree with each other and exactly `sold` was sold.
    async fn audit(&self, sold: &[Uuid]) -> Result<Rows> {
        let rows = Rows::read(&mut self.connect().await?).await?;
        let faults = rows.faults(&self.stock);
        ensure!(faults.is_empty(), "{faults:#?}");
        let sold: BTreeSet<Uuid> = sold.iter().copied().collect();
        ensure!(
            rows.confirmed() == sold,
            "others were sold than those who were told so"
        );
        Ok(rows)
    }
}

fn order(wanted: &[(&str, i64)]) -> Order {
    let lines: Vec<OrderLine> = wanted
        .iter()
        .map(|&(sku, quantity)| OrderLine {
            sku: sku.parse().expect("a sku"),
            quantity,
            price_minor: 1_000,
            amount_minor: 1_000 * quantity,
        })
        .collect();
    let total_minor = lines.iter().map(|line| line.amount_minor).sum();
    let priced = Priced {
        lines,
        total_minor,
        currency: "GBP".into(),
    };
    Order::new(Uuid::now_v7(), Uuid::now_v7(), priced)
}

fn held(order: &Order) -> Vec<Outcome> {
    let outcome = Outcome {
        word: Word::Reserved,
        available: 7,
        seq: 1,
        deadline_ms: 0,
        replayed: false,
    };
    vec![outcome; order.lines.len()]
}

async fn record(store: &Store, order: &Order) -> Result<Recorded, Error> {
    store
        .record_order(order, order.id, None, &held(order), 10_000)
        .await
}

async fn commit(store: &Store, order: &Order) -> Result<Committed, Error> {
    store
        .commit_order(order, &format!("pay-{}", order.id))
        .await
}

/// Records and commits, each until the answer is definite, as a saga does.
async fn buy(store: &Store, order: &Order) -> Result<Committed> {
    let recorded = until_async("a recorded order", DEADLINE, || async {
        Ok(record(store, order).await.ok())
    })
    .await?;
    ensure!(recorded == Recorded::Recorded, "{recorded:?}");
    buy_recorded(store, order).await
}

async fn buy_recorded(store: &Store, order: &Order) -> Result<Committed> {
    until_async("a decided order", DEADLINE, || async {
        Ok(commit(store, order).await.ok())
    })
    .await
}

/// The ids of those who bought; the others must have been refused for stock.
fn buyers(orders: &[Order], answers: &[Committed]) -> Result<Vec<Uuid>> {
    let mut bought = Vec::new();
    for (order, answer) in std::iter::zip(orders, answers) {
        match answer {
            Committed::Committed => bought.push(order.id),
            Committed::StockRefused(_) => {}
            Committed::AbortedBefore => bail!("nobody aborted {}", order.id),
        }
    }
    Ok(bought)
}

#[tokio::test]
async fn many_at_once_get_what_there_is_and_no_more() -> Result<()> {
    let tables = Tables::with("rush", &[("LAMP", 200)]).await?;
    let store = tables.store(json!({}))?;
    let orders: Vec<Order> = (0..300).map(|n| order(&[("LAMP", 1 + n % 3)])).collect();
    let answers = try_join_all(orders.iter().map(|order| buy(&store, order))).await?;
    let bought = buyers(&orders, &answers)?;
    let rows = tables.audit(&bought).await?;
    // Whoever was refused wanted more than was left in the end.
    let left = rows.stock("LAMP");
    for (order, answer) in std::iter::zip(&orders, &answers) {
        let refused = *answer != Committed::Committed;
        assert!(
            !refused || order.lines[0].quantity > left,
            "{left} were left"
        );
    }
    assert!(rows.undecided().len() == orders.len() - bought.len());
    // They were gathered: far fewer transactions than orders.
    let text = tables.metrics.text()?;
    let transactions = text
        .lines()
        .find_map(|line| line.strip_prefix("holdfast_commit_batch_orders_count "))
        .context("the batches are counted")?;
    assert!(
        transactions.parse::<usize>()? < orders.len(),
        "{transactions}"
    );
    assert!(text.contains("holdfast_commit_queue_length 0"), "{text}");
    Ok(())
}

#[tokio::test]
async fn two_proxies_whose_skus_cross_do_not_get_in_each_others_way() -> Result<()> {
    let tables = Tables::with("crossing", &[("A", 120), ("B", 90), ("C", 300)]).await?;
    let stores = [
        tables.store(json!({}))?,
        tables.store(json!({ "max_batch": 7 }))?,
    ];
    let pairs = [
        [("A", 1), ("B", 1)],
        [("B", 1), ("C", 2)],
        [("A", 2), ("C", 1)],
    ];
    let orders: Vec<Order> = (0..240).map(|n| order(&pairs[n % 3])).collect();
    let answers = orders
        .iter()
        .enumerate()
        .map(|(n, order)| buy(&stores[n % 2], order));
    let answers = try_join_all(answers).await?;
    let bought = buyers(&orders, &answers)?;
    assert!(
        bought.len() < orders.len(),
        "there was less than they wanted"
    );
    tables.audit(&bought).await?;
    Ok(())
}

#[tokio::test]
async fn killed_connections_lose_and_double_nothing() -> Result<()> {
    let tables = Tables::with("killed", &[("LAMP", 1_000), ("RUG", 150)]).await?;
    let store = tables.store(json!({ "max_batch": 16 }))?;
    let orders: Vec<Order> = (0..400)
        .map(|n| {
            order(if n % 2 == 0 {
                &[("LAMP", 1)]
            } else {
                &[("LAMP", 1), ("RUG", 1)]
            })
        })
        .collect();
    let done = tokio::sync::Notify::new();
    let kill = async {
        let mut killer = tables.connect().await?;
        let mut killed = 0;
        loop {
            for id in connections_beside(&mut killer).await? {
                // It may have ended on its own.
                let kill = sqlx::query(AssertSqlSafe(format!("KILL CONNECTION {id}")));
                killed += u32::from(kill.execute(&mut killer).await.is_ok());
            }
            let pause = Duration::from_millis(7);
            if tokio::time::timeout(pause, done.notified()).await.is_ok() {
                return anyhow::Ok(killed);
            }
        }
    };
    let buy_all = async {
        let waves = orders.chunks(40);
        let mut answers = Vec::new();
        for wave in waves {
            answers.extend(try_join_all(wave.iter().map(|order| buy(&store, order))).await?);
        }
        done.notify_one();
        anyhow::Ok(answers)
    };
    let (killed, answers) = tokio::try_join!(kill, buy_all)?;
    assert!(killed > 10, "only {killed} connections were killed");
    let bought = buyers(&orders, &answers)?;
    assert_eq!(bought.len(), 350);
    tables.audit(&bought).await?;
    Ok(())
}

#[tokio::test]
async fn one_order_that_cannot_be_written_fails_alone() -> Result<()> {
    let tables = Tables::with("poison", &[("LAMP", 1_000)]).await?;
    let store = tables.store(json!({}))?;
    let mut orders: Vec<Order> = (0..60).map(|_| order(&[("LAMP", 1)])).collect();
    orders[23].currency = "POUNDS".into();
    let recorded = join_all(orders.iter().map(|order| record(&store, order))).await;
    for (n, recorded) in recorded.iter().enumerate() {
        assert_eq!(recorded.is_ok(), n != 23, "{recorded:?}");
    }
    orders.remove(23);
    // The column takes 64 characters.
    let too_long = "p".repeat(65);
    let answers = join_all(orders.iter().enumerate().map(|(n, order)| {
        let payment = if n == 31 { too_long.as_str() } else { "pay" };
        store.commit_order(order, payment)
    }))
    .await;
    for (n, answer) in answers.iter().enumerate() {
        assert_eq!(answer.is_ok(), n != 31, "{answer:?}");
    }
    let mut bought: Vec<Uuid> = orders.iter().map(|order| order.id).collect();
    let poisoned = bought.remove(31);
    let rows = tables.audit(&bought).await?;
    assert_eq!(rows.undecided(), BTreeSet::from([poisoned]));
    Ok(())
}

#[tokio::test]
async fn what_is_repeated_is_done_once() -> Result<()> {
    let tables = Tables::with("repeated", &[("LAMP", 10)]).await?;
    let (store, other) = (tables.store(json!({}))?, tables.store(json!({}))?);
    let (sold, aborted, never) = (
        order(&[("LAMP", 2)]),
        order(&[("LAMP", 3)]),
        order(&[("LAMP", 1)]),
    );
    for order in [&sold, &aborted] {
        let again = join_all([&store, &other, &store].map(|store| record(store, order))).await;
        for recorded in again {
            assert_eq!(recorded?, Recorded::Recorded);
        }
        let held = held(order);
        let another_saga = store.record_order(order, Uuid::now_v7(), None, &held, 1_000);
        assert_eq!(another_saga.await?, Recorded::OrderExists);
    }
    sqlx::query("INSERT INTO hold_outcomes (order_id, outcome) VALUES (?, 'ABORTED')")
        .bind(aborted.id)
        .execute(&mut tables.connect().await?)
        .await?;
    let stores = [&store, &other, &store, &store, &other];
    for _ in 0..2 {
        for answer in join_all(stores.map(|store| commit(store, &sold))).await {
            assert_eq!(answer?, Committed::Committed);
        }
        for answer in join_all(stores.map(|store| commit(store, &aborted))).await {
            assert_eq!(answer?, Committed::AbortedBefore);
        }
    }
    // An order that nobody recorded cannot be sold.
    assert!(commit(&store, &never).await.is_err());
    let rows = tables.audit(&[sold.id]).await?;
    assert_eq!(rows.stock("LAMP"), 8);
    Ok(())
}

#[tokio::test]
async fn of_one_idempotency_key_the_first_order_is_recorded() -> Result<()> {
    let tables = Tables::with("keys", &[("LAMP", 100)]).await?;
    let stores = [tables.store(json!({}))?, tables.store(json!({}))?];
    let buyer = Uuid::now_v7();
    let key = IdempotencyKey {
        key: "once".into(),
        request_hash: [7; 32],
        expiry_ms: 60_000,
    };
    let orders: Vec<Order> = (0..40)
        .map(|_| Order {
            user_id: buyer,
            ..order(&[("LAMP", 1)])
        })
        .collect();
    let bystander = order(&[("LAMP", 1)]);
    let (answers, beside) = tokio::join!(
        join_all(orders.iter().enumerate().map(|(n, order)| {
            let (store, key) = (&stores[n % 2], Some(&key));
            async move {
                store
                    .record_order(order, order.id, key, &held(order), 1_000)
                    .await
            }
        })),
        record(&stores[0], &bystander)
    );
    let answers = answers.into_iter().collect::<Result<Vec<_>, _>>()?;
    let recorded = answers
        .iter()
        .filter(|answer| **answer == Recorded::Recorded);
    assert_eq!(recorded.count(), 1, "{answers:?}");
    assert_eq!(beside?, Recorded::Recorded);
    assert_eq!(tables.audit(&[]).await?.undecided().len(), 2);
    Ok(())
}

/// The other connections to the same database.
async fn connections_beside(connection: &mut MySqlConnection) -> Result<Vec<u64>> {
    let (own, database): (u64, String) =
        sqlx::query_as("SELECT CAST(CONNECTION_ID() AS UNSIGNED), DATABASE()")
            .fetch_one(&mut *connection)
            .await?;
    let sessions = mysql::sessions(connection).await?.into_iter();
    let others = sessions.filter(|one| one.id != own && one.database.as_ref() == Some(&database));
    Ok(others.map(|one| one.id).collect())
}

#[tokio::test]
async fn a_full_queue_turns_new_orders_away_and_writes_nothing_of_them() -> Result<()> {
    let tables = Tables::with("full", &[("LAMP", 100)]).await?;
    let store = tables.store(json!({ "max_batch": 1, "queue_length": 2 }))?;
    let mut lock = tables.connect().await?;
    sqlx::raw_sql("LOCK TABLES orders WRITE")
        .execute(&mut lock)
        .await?;
    let orders: Vec<Order> = (0..20).map(|_| order(&[("LAMP", 1)])).collect();
    let mut answers = join_all(orders.iter().map(|order| record(&store, order)));
    // Those who are turned away are told so while the others wait.
    let mut waits = futures::poll!(&mut answers).is_pending();
    sqlx::raw_sql("UNLOCK TABLES").execute(&mut lock).await?;
    let answers = answers.await;
    let shed: Vec<_> = answers
        .iter()
        .filter(|answer| matches!(answer, Err(Error::Overloaded)))
        .collect();
    waits &= shed.len() >= 17;
    assert!(waits, "{answers:?}");
    let rows = tables.audit(&[]).await?;
    assert_eq!(rows.undecided().len(), orders.len() - shed.len());
    let text = tables.metrics.text()?;
    assert!(
        text.contains(&format!("holdfast_commit_shed_total {}", shed.len())),
        "{text}"
    );
    Ok(())
}

#[tokio::test]
async fn a_server_that_hangs_and_one_that_is_killed_lose_and_double_nothing() -> Result<()> {
    let server = Mysql::start_private(None)?;
    let stock = [("LAMP", 1_000)];
    let tables = Tables::on(&server, "holdfast", &stock).await?;
    let store = tables.store(json!({}))?;
    let orders: Vec<Order> = (0..200).map(|_| order(&[("LAMP", 1)])).collect();
    let (hanging, killed) = orders.split_at(50);

    for recorded in join_all(hanging.iter().map(|order| record(&store, order))).await {
        assert_eq!(recorded?, Recorded::Recorded);
    }
    server.server()?.signal(Signal::SIGSTOP)?;
    let unknown = join_all(hanging.iter().map(|order| commit(&store, order))).await;
    server.server()?.signal(Signal::SIGCONT)?;
    for answer in unknown {
        assert!(answer.is_err(), "{answer:?}");
    }
    try_join_all(hanging.iter().map(|order| buy_recorded(&store, order))).await?;

    let kill = async {
        until_async("the first sale", DEADLINE, || async {
            let rows = Rows::read(&mut tables.connect().await?).await?;
            Ok((rows.confirmed().len() > hanging.len()).then_some(()))
        })
        .await?;
        server.server()?.kill()?;
        server.start_again()
    };
    let waves = async {
        for wave in killed.chunks(10) {
            try_join_all(wave.iter().map(|order| buy(&store, order))).await?;
        }
        anyhow::Ok(())
    };
    tokio::try_join!(kill, waves)?;
    let sold: Vec<Uuid> = orders.iter().map(|order| order.id).collect();
    tables.audit(&sold).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_takes_the_skus_that_the_proxy_can_read_and_no_others() -> Result<()> {
    let tables = Tables::with("skus", &[("A", 1), ("9.B_C-D", 1)]).await?;
    let mut connection = tables.connect().await?;
    for sku in ["", "a", "-A", "A B", "A/B", ".A", "A\n"] {
        let inserted = sqlx::query(
            "INSERT INTO products (sku, name, description, price, currency) VALUES (?, 'Thing', '', 10, 'GBP')",
        )
        .bind(sku)
        .execute(&mut connection)
        .await;
        let refused = inserted.expect_err(sku).to_string();
        assert!(
            refused.contains("products_sku_readable"),
            "{sku:?}: {refused}"
        );
    }
    Ok(())
}

/// The control: each thing that a broken committer would leave is seen.
#[tokio::test]
async fn rows_that_do_not_agree_are_caught() -> Result<()> {
    let tables = Tables::with("control", &[("LAMP", 10)]).await?;
    let store = tables.store(json!({}))?;
    let orders: Vec<Order> = (0..4).map(|_| order(&[("LAMP", 2)])).collect();
    try_join_all(orders.iter().map(|order| buy(&store, order))).await?;
    let sold: Vec<Uuid> = orders.iter().map(|order| order.id).collect();
    tables.audit(&sold).await?;
    for damage in [
        "UPDATE products SET stock = stock - 2",
        "UPDATE products SET stock = stock + 2",
        "DELETE FROM hold_outcomes LIMIT 1",
        "UPDATE orders SET status = 'PENDING' LIMIT 1",
        "DELETE FROM inventory_logs LIMIT 1",
        "UPDATE inventory_logs SET stock_after = stock_after + 1 LIMIT 1",
        "INSERT INTO inventory_logs (sku, delta, stock_after, reason, order_id) \
         SELECT sku, delta, stock_after, reason, order_id FROM inventory_logs LIMIT 1",
        "DELETE FROM outbox WHERE event_type = 'OrderConfirmed' LIMIT 1",
        "INSERT INTO outbox (event_id, event_type, message_key, body) \
         SELECT event_id, event_type, message_key, body FROM outbox LIMIT 1",
    ] {
        let mut connection = tables.connect().await?;
        let mut transaction = connection.begin().await?;
        sqlx::query(damage).execute(&mut *transaction).await?;
        let rows = Rows::read(&mut transaction).await?;
        assert!(!rows.faults(&tables.stock).is_empty(), "unseen: {damage}");
        transaction.rollback().await?;
    }
    Ok(())
}
