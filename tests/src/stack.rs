//! The whole stack of a test: Redis with the module, MariaDB, Kafka, the payment sandbox and the proxy.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use anyhow::{Context, Result, anyhow};

use crate::cluster::RedisCluster;
use crate::data::{self, Home};
use crate::kafka::Kafka;
use crate::mysql::Mysql;
use crate::mysql_servers::MysqlServers;
use crate::payment::{Payment, PaymentOptions};
use crate::proxy::{Proxy, ProxyOptions};
use crate::redis::{Redis, RedisOptions};
use crate::replica::Replica;
use crate::sentinel::RedisUnderSentinel;
use crate::shape::{RedisServers, Shape};

/// Partitions of the topic of events: several, so that events of one order that went astray would show.
pub const PARTITIONS: i32 = 6;
/// The topic when Kafka is a private one.
pub const TOPIC: &str = "holdfast.orders";

/// What a test wants of its stack.
#[derive(Debug, Clone)]
pub struct StackOptions {
    /// In which shape Redis comes.
    pub redis_shape: Shape,
    /// How Redis is started, each server of it.
    pub redis: RedisOptions,
    /// Where the database lives; a fresh test folder, or the server that was given, when absent.
    pub mysql_home: Option<Home>,
    /// Whether the database is a private one with a replica, which the proxy reads.
    pub replica: bool,
    /// How many replicas the database has that may become the primary, by deploy/mysql; the proxy is told of all. Two is
    /// the fewest with which orders go on while any one server is away.
    pub mysql_replicas: usize,
    /// Whether Kafka is started. If not, its address is known all the same, and the test may start it later.
    pub kafka: bool,
    /// How many brokers of its own Kafka has; one may be one that was given.
    pub kafka_brokers: usize,
    /// A CSV file that is imported before the proxy opens.
    pub catalogue: Option<PathBuf>,
    /// Whether the payment sandbox tells the proxy of changed payments.
    pub webhooks: bool,
    /// Settings of the proxy, such as `("HOLDFAST_HOLDS__TTL_MS", "1000")`.
    pub environment: Vec<(String, String)>,
    /// Whether the proxy is the user `proxy` of redis-conf/users.acl, who may do only what it needs, on a single server.
    pub redis_user: bool,
}

impl Default for StackOptions {
    fn default() -> StackOptions {
        StackOptions {
            redis_shape: Shape::default(),
            redis: RedisOptions::default(),
            mysql_home: None,
            replica: false,
            mysql_replicas: 0,
            kafka: true,
            kafka_brokers: 1,
            catalogue: Some(data::checkout().join("deploy/catalogue.csv")),
            webhooks: false,
            environment: Vec::new(),
            redis_user: false,
        }
    }
}

/// A catalogue file with these products, ten units each at 10.00 GBP.
pub fn catalogue_of(skus: &[&str]) -> Result<PathBuf> {
    let path = data::Home::for_test("catalogue")?.path("catalogue.csv");
    let rows: String = skus
        .iter()
        .map(|sku| format!("{sku},Thing,,10.00,GBP,10\n"))
        .collect();
    std::fs::write(
        &path,
        format!("sku,name,description,price,currency,stock\n{rows}"),
    )?;
    Ok(path)
}

/// Settings of the proxy, such as `("HOLDFAST_HOLDS__TTL_MS", "1000")`, as [`StackOptions::environment`] takes them.
pub fn environment_of(settings: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
    settings.iter().map(owned).collect()
}

/// A running shop. The fields are dropped in this order: the proxy first.
#[derive(Debug)]
pub struct Stack {
    /// The proxy.
    pub proxy: Proxy,
    /// The payment sandbox.
    pub payment: Payment,
    /// The broker, which may not have been started.
    pub kafka: Kafka,
    /// The database's replica, if one was asked for.
    pub replica: Option<Replica>,
    /// The database server; of several the first primary.
    pub mysql: Arc<Mysql>,
    /// All of them, if there are several.
    pub mysql_servers: Option<MysqlServers>,
    /// Redis with the module; of several servers, the one that was the (first) primary at the start.
    pub redis: Arc<Redis>,
    redis_servers: RedisServers,
    database: String,
    topic: String,
    proxy_options: ProxyOptions,
}

impl Stack {
    /// Starts everything, side by side where nothing depends on the other, migrates and imports.
    pub fn start(options: StackOptions) -> Result<Stack> {
        let kafka = match options.kafka_brokers {
            1 => Kafka::reserve(None)?,
            brokers => Kafka::reserve_cluster(brokers)?,
        };
        // On a server that is shared with others, this stack gets names of its own.
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let suffix = format!(
            "{}_{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let topic = if kafka.is_private() {
            TOPIC.to_owned()
        } else {
            format!("{TOPIC}.{suffix}")
        };

        let proxy_home = data::Home::for_test("proxy")?;
        let http_port = proxy_home.port("http", false)?;
        let payment_options = PaymentOptions {
            home: None,
            asks_for_key: true,
            webhook_url: options.webhooks.then(|| webhook_url(http_port)),
        };
        let (redis, mysql, payment, started) = thread::scope(|scope| {
            let redis = scope.spawn(|| RedisServers::start(options.redis_shape, &options.redis));
            let mysql = scope.spawn(|| start_mysql(&options));
            let broker = scope.spawn(|| match options.kafka {
                true => kafka
                    .start()
                    .and_then(|()| kafka.create_topic(&topic, PARTITIONS)),
                false => Ok(()),
            });
            let payment = Payment::start(payment_options);
            (join(redis), join(mysql), payment, join(broker))
        });
        started?;
        let (redis_servers, (mysql, mysql_servers), payment) = (redis?, mysql?, payment?);
        let database = match mysql.is_private() {
            true => "holdfast".to_owned(),
            false => format!("holdfast_test_{suffix}"),
        };
        mysql.create_database(&database)?;
        let replica = match options.replica {
            true => Some(Replica::start(&mysql)?),
            false => None,
        };
        let mut environment = options.environment;
        environment.extend(replica.as_ref().map(|replica| {
            let url = replica.mysql().url(&database);
            ("HOLDFAST_MYSQL__REPLICA_URL".to_owned(), url)
        }));
        let mysql_url = match &mysql_servers {
            Some(servers) => {
                let url = servers.url(&database)?;
                environment.push(("HOLDFAST_MYSQL__REPLICA_URL".to_owned(), url.clone()));
                url
            }
            None => mysql.url(&database),
        };

        let proxy_options = ProxyOptions {
            redis_url: match options.redis_user {
                true => redis_servers.first()?.admit_proxy()?,
                false => redis_servers.url()?,
            },
            sentinel_password_file: redis_servers.sentinel_password_file(),
            mysql_url,
            kafka_brokers: kafka.brokers().to_owned(),
            kafka_topic: Some(topic.clone()),
            payment_url: payment.url(),
            payment_api_key_file: Some(payment.api_key_file()),
            webhook_secret_file: Some(payment.webhook_secret_file()),
            environment,
            ..ProxyOptions::default()
        };
        let proxy = Proxy::configure(ProxyOptions {
            home: Some(proxy_home),
            http_port: Some(http_port),
            ..proxy_options.clone()
        })?;
        proxy.run(&["migrate"])?;
        if let Some(catalogue) = &options.catalogue {
            let path = catalogue
                .to_str()
                .context("the catalogue's path is not UTF-8")?;
            proxy.run(&["import", path])?;
        }
        proxy.start()?;
        Ok(Stack {
            proxy,
            payment,
            kafka,
            replica,
            mysql,
            mysql_servers,
            redis: Arc::clone(redis_servers.first()?),
            redis_servers,
            database,
            topic,
            proxy_options,
        })
    }

    /// Starts a further proxy on the same servers, with ports of its own.
    pub fn another_proxy(&self) -> Result<Proxy> {
        self.another_proxy_with(&[])
    }

    /// The same with further settings, such as `("HOLDFAST_HOLDS__TTL_MS", "1000")`.
    pub fn another_proxy_with(&self, environment: &[(&str, &str)]) -> Result<Proxy> {
        let mut options = self.proxy_options.clone();
        options.environment.extend(environment_of(environment));
        options.operator_token = Some(self.proxy.operator_token().to_owned());
        let proxy = Proxy::configure(options)?;
        proxy.start()?;
        Ok(proxy)
    }

    /// `holdfast audit` with these options, as the Redis user `operator`, who may look at every key.
    pub fn audit(&self, options: &[&str]) -> Result<String> {
        let url = self.redis_servers.url_of("operator")?;
        let arguments = [&["audit"], options].concat();
        self.proxy
            .run_with(&[("HOLDFAST_REDIS__URL", &url)], &arguments)
    }

    /// The servers under Sentinel, if they were asked for.
    pub fn sentinel(&self) -> Result<&RedisUnderSentinel> {
        match &self.redis_servers {
            RedisServers::Sentinel(servers) => Ok(servers),
            _ => Err(anyhow!("this stack was not asked for Shape::Sentinel")),
        }
    }

    /// The cluster, if it was asked for.
    pub fn cluster(&self) -> Result<&RedisCluster> {
        match &self.redis_servers {
            RedisServers::Cluster(cluster) => Ok(cluster),
            _ => Err(anyhow!("this stack was not asked for Shape::Cluster")),
        }
    }

    /// The URL of the shop's database, on the server that is the primary.
    pub fn database_url(&self) -> String {
        let servers = self.mysql_servers.as_ref();
        let primary = servers.map_or(&self.mysql, MysqlServers::primary);
        primary.url(&self.database)
    }

    /// The topic of the shop's events.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Starts the broker that was left out, or stopped, and waits until it answers.
    pub fn start_kafka(&self) -> Result<()> {
        self.kafka.start()?;
        self.kafka.create_topic(&self.topic, PARTITIONS)
    }
}

/// Where a proxy of this machine takes the provider's webhooks.
pub fn webhook_url(http_port: u16) -> String {
    format!("http://127.0.0.1:{http_port}/v1/webhooks/payment")
}

fn start_mysql(options: &StackOptions) -> Result<(Arc<Mysql>, Option<MysqlServers>)> {
    if options.mysql_replicas > 0 {
        let servers = MysqlServers::start(options.mysql_replicas)?;
        return Ok((servers.primary().clone(), Some(servers)));
    }
    let mysql = match &options.mysql_home {
        home if options.replica => Mysql::start_primary(home.as_ref()),
        Some(home) => Mysql::start_private(Some(home)),
        None => Mysql::start(None),
    };
    Ok((Arc::new(mysql?), None))
}

fn join<T>(handle: thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    handle
        .join()
        .unwrap_or_else(|_| Err(anyhow!("a thread that starts a server panicked")))
}
