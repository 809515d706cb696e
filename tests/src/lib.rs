//! The stack launcher: real servers as private instances on 127.0.0.1, for the tests and for `make up`.
//!
//! # Writing a test
//!
//! Cargo runs the test binaries one after another and the tests of one binary in parallel threads, so let a binary's
//! tests share their servers, each test on keys of its own:
//!
//! ```no_run
//! use std::sync::LazyLock;
//! use holdfast_tests::redis::{Redis, RedisOptions};
//!
//! static REDIS: LazyLock<Redis> = LazyLock::new(|| Redis::start(RedisOptions::default()).unwrap());
//!
//! // in a test:
//! let mut connection = REDIS.connection().unwrap();
//! ```
//!
//! A static is never dropped, and need not be: the kernel kills every server of a test when the test process ends, even
//! if it is killed itself. A test that stops, kills or fills a server starts one of its own, in a local variable, with
//! [`redis::Redis::start_private`]; it is stopped when the variable goes.
//!
//! Everything here blocks, so that it can be used with and without a runtime. Nothing here sleeps for a fixed time:
//! [`wait::until`] polls a condition with a deadline.
//!
//! The servers' files and logs are in `data/tests/<test>-<pid>/`, kept until the same test starts again, for whoever
//! looks into a failure.
//!
//! # Other servers
//!
//! | variable | what it gives |
//! |---|---|
//! | `HOLDFAST_REDIS_SERVER` | the program, such as `valkey-server` |
//! | `HOLDFAST_REDIS_URL` | a running Redis with the module, used and never stopped |
//! | `HOLDFAST_MYSQL_SERVER` | the program: another `mariadbd`, or MySQL's `mysqld` |
//! | `HOLDFAST_MYSQL_URL` | a running server, whose user may create databases named `holdfast…` |
//! | `HOLDFAST_JAVA`, `HOLDFAST_KAFKA_JARS` | another Java; a folder with Kafka's jars |
//! | `HOLDFAST_KAFKA_BROKERS` | a running Kafka |
//! | `HOLDFAST_HAPROXY`, `HOLDFAST_NGINX` | the programs |
//! | `HOLDFAST_MODULE`, `HOLDFAST_BIN` | the module and the proxy, instead of those built beside the running program |
//! | `HOLDFAST_DATA` | the data folder, instead of `data` in the checkout |

pub mod balancer;
pub mod books;
pub mod certificates;
pub mod cluster;
pub mod cut;
pub mod data;
pub mod event_order;
pub mod failover;
pub mod faults;
pub mod heard;
pub mod kafka;
pub mod mysql;
pub mod mysql_servers;
pub mod payment;
pub mod payment_sandbox;
pub mod ports;
pub mod probe;
pub mod process;
pub mod proxy;
pub mod redis;
pub mod replica;
pub mod saga_events;
pub mod sentinel;
pub mod server;
pub mod shape;
pub mod shop;
pub mod stack;
pub mod users;
pub mod wait;
