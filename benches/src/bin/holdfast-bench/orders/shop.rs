//! The servers, and what the contenders share.

use std::io::Write;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use anyhow::Result;
use holdfast_proxy::config;
use holdfast_proxy::events::{Event, EventType};
use holdfast_proxy::gateway::Gateway;
use holdfast_proxy::orders::{Order, OrderLine, Priced};
use holdfast_proxy::store::Store;
use holdfast_tests::mysql::Mysql;
use holdfast_tests::redis::{Redis, RedisOptions};
use redis::aio::MultiplexedConnection;
use serde_json::{Map, json};
use sqlx::mysql::MySqlPoolOptions;
use sqlx::{MySql, MySqlPool, QueryBuilder, Transaction};
use uuid::Uuid;

use crate::rounds::percentile;

/// The product that everybody wants.
pub const SKU: &str = "LAMP";
const STOCK: i64 = 1_000_000_000;
/// As many as the proxy has by default.
const CONNECTIONS: u32 = 32;

/// Real servers and the ways to them.
pub struct Shop {
    pub store: Store,
    pub gateway: Gateway,
    /// For those who do without the store.
    pub pool: MySqlPool,
    /// For those who do without the gateway.
    pub redis: MultiplexedConnection,
    mysql_server: Mysql,
    _redis_server: Redis,
}

impl Shop {
    /// Starts the servers, with durable settings.
    pub async fn open() -> Result<Self> {
        let mysql_server = Mysql::start_private(None)?;
        let redis_server = Redis::start_private(RedisOptions::default())?;
        let url = mysql_server.url("holdfast");
        let mysql: config::Mysql =
            serde_json::from_value(json!({ "url": url, "max_connections": CONNECTIONS }))?;
        let gate: config::Redis =
            serde_json::from_value(json!({ "url": redis_server.url(), "timeout_ms": 5_000 }))?;
        let store = Store::open(&mysql, &config::Commit::default())?;
        store.migrate().await?;
        let pool = MySqlPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(Duration::from_secs(60))
            .connect(&url)
            .await?;
        sqlx::query(
            "INSERT INTO products (sku, name, description, price, currency, stock) VALUES (?, 'Lamp', '', 10, 'GBP', ?)",
        )
        .bind(SKU)
        .bind(STOCK)
        .execute(&pool)
        .await?;
        let gateway = Gateway::open(&gate)?;
        gateway.set_stock(&SKU.parse()?, STOCK, 0).await?;
        Ok(Self {
            store,
            gateway,
            pool,
            redis: redis_server
                .client()?
                .get_multiplexed_async_connection()
                .await?,
            mysql_server,
            _redis_server: redis_server,
        })
    }

    /// What makes an order durable here, and what that costs.
    pub async fn settings(&self) -> Result<String> {
        let mysql: String = sqlx::query_scalar(
            "SELECT CONCAT(VERSION(), ', innodb_flush_log_at_trx_commit ', @@innodb_flush_log_at_trx_commit, \
             ', innodb_flush_method ', @@innodb_flush_method, ', log_bin ', @@log_bin)",
        )
        .fetch_one(&self.pool)
        .await?;
        let mut redis = self.redis.clone();
        let aof: Vec<String> = redis::cmd("CONFIG")
            .arg(&["GET", "append*sync", "appendonly"])
            .query_async(&mut redis)
            .await?;
        let [p50, p99] = self.time_of_fsync()?;
        Ok(format!(
            "{mysql}; redis {}; fsync of 4 KiB p50 {p50:.0} us, p99 {p99:.0} us",
            aof.join(" ")
        ))
    }

    /// On the database's own disk.
    fn time_of_fsync(&self) -> Result<[f64; 2]> {
        let path = self.mysql_server.server()?.home().path("fsync");
        let mut file = std::fs::File::create(path)?;
        file.write_all(&[0; 4096])?;
        let mut took = Vec::new();
        for n in 0..500_u32 {
            file.write_all_at(&[n.to_le_bytes()[0]; 4096], 0)?;
            let began = Instant::now();
            file.sync_data()?;
            took.push(began.elapsed());
        }
        took.sort_unstable();
        Ok([0.5, 0.99].map(|part| percentile(&took, part)))
    }

    /// Orders that are confirmed, and units that are gone.
    pub async fn sold(&self) -> Result<(u64, u64)> {
        let confirmed: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM orders WHERE status = 'CONFIRMED'")
                .fetch_one(&self.pool)
                .await?;
        let left: i64 = sqlx::query_scalar("SELECT stock FROM products WHERE sku = ?")
            .bind(SKU)
            .fetch_one(&self.pool)
            .await?;
        Ok((confirmed.unsigned_abs(), (STOCK - left).unsigned_abs()))
    }
}

/// An order of one unit.
pub fn order() -> Result<Order> {
    let line = OrderLine {
        sku: SKU.parse()?,
        quantity: 1,
        price_minor: 1_000,
        amount_minor: 1_000,
    };
    let priced = Priced {
        lines: vec![line],
        total_minor: 1_000,
        currency: "GBP".into(),
    };
    Ok(Order::new(Uuid::now_v7(), Uuid::now_v7(), priced))
}

/// The rows of a confirmed order, as one who does without Holdfast would write them.
pub async fn insert_order(
    transaction: &mut Transaction<'_, MySql>,
    order: &Order,
    events: &[EventType],
) -> Result<()> {
    sqlx::query(
        "INSERT INTO orders (id, user_id, status, total, currency, created_at, lease_until, payment_id, settled) \
         VALUES (?, ?, 'CONFIRMED', ? / 100, ?, ?, NOW(3), 'paid', 1)",
    )
    .bind(order.id)
    .bind(order.user_id)
    .bind(order.total_minor)
    .bind(&order.currency)
    .bind(order.created_at)
    .execute(&mut **transaction)
    .await?;
    for line in &order.lines {
        sqlx::query(
            "INSERT INTO order_lines (order_id, sku, quantity, price) VALUES (?, ?, ?, ? / 100)",
        )
        .bind(order.id)
        .bind(line.sku.as_str())
        .bind(line.quantity)
        .bind(line.price_minor)
        .execute(&mut **transaction)
        .await?;
    }
    let mut insert =
        QueryBuilder::new("INSERT INTO outbox (event_id, event_type, message_key, body) ");
    insert.push_values(events, |mut row, event_type| {
        let event = Event::of_order(*event_type, order, Map::new());
        row.push_bind(event.id)
            .push_bind(event.event_type.as_str())
            .push_bind(event.key)
            .push_bind(event.body.to_string());
    });
    insert.build().execute(&mut **transaction).await?;
    Ok(())
}
