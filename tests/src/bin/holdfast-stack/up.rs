//! Starts the stack, or what of it does not run.

use std::path::Path;
use std::thread::{self, ScopedJoinHandle};
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use clap::Args;
use holdfast_tests::data::{self, Home};
use holdfast_tests::kafka::{self, Kafka};
use holdfast_tests::mysql::Mysql;
use holdfast_tests::payment::{Payment, PaymentOptions};
use holdfast_tests::ports;
use holdfast_tests::proxy::{Proxy, ProxyOptions};
use holdfast_tests::redis::RedisOptions;
use holdfast_tests::shape::{RedisServers, Shape};
use holdfast_tests::stack::{PARTITIONS, TOPIC, webhook_url};

use crate::demo;
use crate::place::Place;
use crate::status::Addresses;

const DATABASE: &str = "holdfast";

#[derive(Args)]
pub struct Options {
    /// The port of the HTTP API; when it is taken, a free one is used instead.
    #[arg(long, env = "HOLDFAST_HTTP_PORT", default_value_t = 8080)]
    http_port: u16,
    /// The admin port (health); when it is taken, a free one is used instead.
    #[arg(long, env = "HOLDFAST_ADMIN_PORT", default_value_t = 9080)]
    admin_port: u16,
    #[command(flatten)]
    place: Place,
    /// Start the stack without showing anything.
    #[arg(long)]
    no_demo: bool,
}

/// Starts the servers side by side, then the proxy, then shows the shop selling.
pub fn run(options: &Options) -> Result<()> {
    println!(
        "starting the stack; its data and logs are in {}",
        shown(&options.place.folder())
    );
    let place = options.place;
    let kafka = Kafka::reserve(Some(&place.home("kafka")?))?;
    let proxy_home = place.home("proxy")?;
    let http_port = choose_port(&proxy_home, "http", "the API", options.http_port)?;
    let (redis, mysql, payment, has_kafka) = thread::scope(|scope| {
        let redis = scope.spawn(|| start_redis(place));
        let mysql = scope.spawn(|| start_mysql(place));
        let broker = scope.spawn(|| start_kafka(&kafka));
        let payment = start_payment(place, http_port);
        (
            join(redis),
            join(mysql),
            payment,
            broker.join().unwrap_or(false),
        )
    });
    let (redis, mysql, payment) = (redis?, mysql?, payment?);
    let admin_port = choose_port(&proxy_home, "admin", "the admin port", options.admin_port)?;
    let proxy = start_proxy(ProxyOptions {
        home: Some(proxy_home),
        http_port: Some(http_port),
        admin_port: Some(admin_port),
        redis_url: redis.url()?,
        sentinel_password_file: redis.sentinel_password_file(),
        mysql_url: mysql.url(DATABASE),
        kafka_brokers: kafka.brokers().to_owned(),
        payment_url: payment.url(),
        payment_api_key_file: Some(payment.api_key_file()),
        webhook_secret_file: Some(payment.webhook_secret_file()),
        ..ProxyOptions::default()
    })?;

    let addresses = Addresses::of(
        place,
        &proxy,
        &redis,
        &mysql.url(DATABASE),
        &kafka,
        has_kafka,
    )?;
    addresses.write()?;
    if !options.no_demo {
        demo::run(&addresses)?;
    }
    addresses.print_farewell();
    Ok(())
}

fn start_redis(place: Place) -> Result<RedisServers> {
    let what = match place.shape {
        Shape::Standalone => "Redis with the module",
        Shape::Sentinel => "a primary of Redis with two replicas and three Sentinels",
        Shape::Cluster => "a cluster of three primaries of Redis with a replica each",
    };
    announce(what, || {
        let home = |server: &str| place.home(server);
        let servers = RedisServers::start_in(&home, place.shape, &RedisOptions::default())?;
        for redis in servers.all().filter(|redis| redis.runs_replaced_module()) {
            println!("  the module was built anew: Redis is started again with it");
            redis.server()?.stop()?;
            redis.start_again()?;
        }
        let ports: Vec<String> = servers
            .all()
            .map(|redis| {
                redis
                    .port()
                    .map_or_else(|_| "given by HOLDFAST_REDIS_URL".to_owned(), on)
            })
            .collect();
        let address = ports.join(" ");
        Ok((servers, address))
    })
}

fn start_mysql(place: Place) -> Result<Mysql> {
    let home = place.home("mysql")?;
    announce("MariaDB", || {
        let mysql = Mysql::start(Some(&home))?;
        mysql.create_database(DATABASE)?;
        let address = mysql
            .port()
            .map_or_else(|_| "given by HOLDFAST_MYSQL_URL".to_owned(), on);
        Ok((mysql, address))
    })
}

/// Whether there is a Kafka. Without one the shop sells all the same, so that is told and no error.
fn start_kafka(kafka: &Kafka) -> bool {
    if kafka.is_private() && kafka::must_fetch_jars() {
        println!("  fetching Kafka's jars with Maven, once: about 45 MB");
    }
    let started = announce("Kafka", || {
        kafka.start()?;
        kafka.create_topic(TOPIC, PARTITIONS)?;
        Ok(((), kafka.brokers().to_owned()))
    });
    if let Err(error) = &started {
        println!("  no Kafka: {error:#}");
        println!(
            "  the shop sells without it; events wait in the outbox until a broker answers at {}",
            kafka.brokers()
        );
    }
    started.is_ok()
}

fn start_payment(place: Place, http_port: u16) -> Result<Payment> {
    let options = PaymentOptions {
        home: Some(place.home("payment")?),
        asks_for_key: true,
        webhook_url: Some(webhook_url(http_port)),
    };
    announce("the payment sandbox", || {
        let payment = Payment::start(options)?;
        if payment.server().runs_replaced_file("payment-sandbox") {
            payment.server().stop()?;
            payment.start_again()?;
        }
        let address = payment.url();
        Ok((payment, address))
    })
}

fn start_proxy(options: ProxyOptions) -> Result<Proxy> {
    let proxy = Proxy::configure(options)?;
    proxy.run(&["migrate"])?;
    announce("the proxy", || {
        proxy.start()?;
        Ok(((), proxy.url()))
    })?;
    if !has_products(&proxy)? {
        let catalogue = data::checkout().join("deploy/catalogue.csv");
        proxy.run(&[
            "import",
            catalogue
                .to_str()
                .context("the checkout's path is not UTF-8")?,
        ])?;
        println!("  the catalogue deploy/catalogue.csv is imported");
    }
    Ok(proxy)
}

/// The wanted port, unless somebody else has it: then the one that this proxy had before, or a free one.
fn choose_port(home: &Home, name: &str, what: &str, wanted: u16) -> Result<u16> {
    let running = holdfast_tests::process::Process::find(&home.folder).is_some();
    let noted = home.port(name, running)?;
    if noted == wanted || ports::is_free(wanted) {
        return Ok(wanted);
    }
    println!("  port {wanted} is taken by another program; {what} gets {noted}");
    Ok(noted)
}

fn has_products(proxy: &Proxy) -> Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let url = format!("{}/v1/products?limit=1", proxy.url());
    let reply = runtime.block_on(holdfast_tests::shop::send(reqwest::Client::new().get(url)))?;
    let products = reply.body["products"].as_array();
    let products = products.with_context(|| format!("the proxy lists no products: {reply:?}"))?;
    Ok(!products.is_empty())
}

/// Does something that takes a moment, then says how long it took and where the result is.
fn announce<T>(what: &str, start: impl FnOnce() -> Result<(T, String)>) -> Result<T> {
    let started = Instant::now();
    let (value, address) = start()?;
    println!(
        "  {what} answers after {:.1} s: {address}",
        started.elapsed().as_secs_f64()
    );
    Ok(value)
}

fn on(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here)
        .unwrap_or(path)
        .display()
        .to_string()
}

fn join<T>(handle: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    handle
        .join()
        .unwrap_or_else(|_| Err(anyhow!("a thread that starts a server panicked")))
}
