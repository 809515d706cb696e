//! Holdfast's proxy: a storefront's HTTP calls in, Redis, MySQL and Kafka behind.
//!
//! Data walks down: `http` parses and answers; `orders`, `carts`, `catalogue` and `people` say
//! what each resource is; `saga` decides how an order is bought; `gateway`, `store`, `events`
//! and `payment` speak to the servers. ARCHITECTURE.md has the map.

pub mod app;
pub mod audit;
pub mod breaker;
pub mod carts;
pub mod catalogue;
pub mod cli;
pub mod config;
pub mod events;
pub mod gateway;
pub mod http;
pub mod limits;
pub mod live;
pub mod orders;
pub mod payment;
pub mod people;
pub mod reconcile;
pub mod retail;
pub mod saga;
pub mod sessions;
pub mod store;
pub mod telemetry;
