//! What the proxy counts: every metric there is, each a member that its room sets or adds to.
//!
//! Names follow Prometheus: a unit at the end where there is one, `_total` on counters, which the
//! encoder adds. docs/operations.md has the table that operators read.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use super::reading::Reading;
use super::writing::Writing;

/// The media type of [`Metrics::text`]: OpenMetrics 1.0.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A gauge of what is not whole, such as seconds.
pub type Fraction = Gauge<f64, AtomicU64>;

/// Servers by their `server`, host and port.
pub type Primaries = Family<[(&'static str, String); 1], Gauge>;

/// Every metric of this process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,

    /// Events in the outbox that Kafka does not have yet, the parked ones among them.
    pub outbox_rows: Gauge,
    /// Those of them that wait for an operator.
    pub outbox_parked_rows: Gauge,
    /// How long the oldest event that is not parked has waited.
    pub outbox_oldest_age_seconds: Fraction,
    /// Events that this proxy brought to Kafka.
    pub events_relayed: Counter,

    /// Sagas that this proxy ran to an end of theirs.
    pub sagas: Family<Ending, Counter>,
    /// Orders that recovery took up, because nobody ran them any more.
    pub recovery_resumed: Counter,
    /// Orders that wait for an operator.
    pub orders_parked: Gauge,

    /// How many orders one transaction of the committer wrote.
    pub commit_batch_orders: Histogram,
    /// Orders that wait for the committer.
    pub commit_queue_length: Gauge,
    /// Orders turned away because the committer's queue was full.
    pub commit_shed: Counter,

    /// Passwords that were hashed, to register somebody or to check a login.
    pub password_hashes: Counter,

    /// 1 while the payment provider is not called, because it failed too often.
    pub payment_breaker_open: Gauge,

    /// How many shards of Redis are not called, because they failed too often.
    pub redis_breaker_open: Gauge,
    /// 1 while orders are sold by what Redis counts: not while it is away, and not before its
    /// counts have been compared after that.
    pub redis_sells: Gauge,

    /// The servers of Redis that are written to.
    pub redis_primary: Primaries,
    /// How often another one took the place of one of them.
    pub redis_switches: Counter,

    /// SKUs whose count in Redis was not what MySQL says, at the last look.
    pub reconcile_drifted_skus: Gauge,

    /// What is read, and where it was found.
    pub reading: Reading,

    /// Who is written to.
    pub writing: Writing,

    /// Those who watch stock.
    pub stream_watchers: Gauge,
    /// SKUs that they watch.
    pub stream_skus: Gauge,
}

/// How a saga ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// The order is sold.
    Confirmed,
    /// Nothing was sold, and everything was given back.
    Refused,
    /// Recovery goes on with it.
    Left,
    /// An operator must look at it.
    Parked,
}

impl Metrics {
    /// All metrics, at zero.
    pub fn new() -> Self {
        let metrics = Self {
            registry: Registry::with_prefix("holdfast"),
            outbox_rows: Gauge::default(),
            outbox_parked_rows: Gauge::default(),
            outbox_oldest_age_seconds: Fraction::default(),
            events_relayed: Counter::default(),
            sagas: Family::default(),
            recovery_resumed: Counter::default(),
            orders_parked: Gauge::default(),
            commit_batch_orders: Histogram::new(exponential_buckets(1.0, 2.0, 11)),
            commit_queue_length: Gauge::default(),
            commit_shed: Counter::default(),
            password_hashes: Counter::default(),
            payment_breaker_open: Gauge::default(),
            redis_breaker_open: Gauge::default(),
            redis_sells: Gauge::default(),
            redis_primary: Primaries::default(),
            redis_switches: Counter::default(),
            reconcile_drifted_skus: Gauge::default(),
            reading: Reading::default(),
            writing: Writing::default(),
            stream_watchers: Gauge::default(),
            stream_skus: Gauge::default(),
        };
        // A series that appears with its first event has no rise to see in it.
        for ending in Ending::ALL {
            drop(metrics.sagas.get_or_create(&ending));
        }
        metrics.registered()
    }

    /// All metrics as OpenMetrics text.
    ///
    /// # Errors
    /// Never in practice: writing to a string does not fail.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut written = String::new();
        text::encode(&mut written, &self.registry)?;
        Ok(written)
    }

    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        registry.register(
            "outbox_rows",
            "Events in the outbox that Kafka does not have yet",
            self.outbox_rows.clone(),
        );
        registry.register(
            "outbox_parked_rows",
            "Events in the outbox that wait for an operator",
            self.outbox_parked_rows.clone(),
        );
        registry.register_with_unit(
            "outbox_oldest_age",
            "How long the oldest event that is not parked has waited",
            Unit::Seconds,
            self.outbox_oldest_age_seconds.clone(),
        );
        registry.register(
            "events_relayed",
            "Events that this proxy brought to Kafka",
            self.events_relayed.clone(),
        );
        registry.register(
            "sagas",
            "Sagas that this proxy ran, by how they ended",
            self.sagas.clone(),
        );
        registry.register(
            "recovery_resumed",
            "Orders that recovery took up",
            self.recovery_resumed.clone(),
        );
        registry.register(
            "orders_parked",
            "Orders that wait for an operator",
            self.orders_parked.clone(),
        );
        registry.register(
            "commit_batch_orders",
            "Orders that one transaction wrote",
            self.commit_batch_orders.clone(),
        );
        registry.register(
            "commit_queue_length",
            "Orders that wait for the committer",
            self.commit_queue_length.clone(),
        );
        registry.register(
            "commit_shed",
            "Orders turned away because the committer's queue was full",
            self.commit_shed.clone(),
        );
        registry.register(
            "password_hashes",
            "Passwords that were hashed, to register or to log in",
            self.password_hashes.clone(),
        );
        registry.register(
            "payment_breaker_open",
            "1 while the payment provider is not called because it failed too often",
            self.payment_breaker_open.clone(),
        );
        registry.register(
            "redis_breaker_open",
            "Shards of Redis that are not called because they failed too often",
            self.redis_breaker_open.clone(),
        );
        registry.register(
            "redis_sells",
            "1 while orders are sold by what Redis counts",
            self.redis_sells.clone(),
        );
        registry.register(
            "redis_primary",
            "1 for each server of Redis that is written to",
            self.redis_primary.clone(),
        );
        registry.register(
            "redis_switches",
            "How often another server took the place of a primary of Redis",
            self.redis_switches.clone(),
        );
        registry.register(
            "reconcile_drifted_skus",
            "SKUs whose count in Redis was not what MySQL says, at the last look",
            self.reconcile_drifted_skus.clone(),
        );
        self.reading.register(registry);
        self.writing.register(registry);
        registry.register(
            "stream_watchers",
            "Those who watch stock at this proxy",
            self.stream_watchers.clone(),
        );
        registry.register(
            "stream_skus",
            "SKUs that are watched at this proxy",
            self.stream_skus.clone(),
        );
        self
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Ending {
    const ALL: [Ending; 4] = [
        Ending::Confirmed,
        Ending::Refused,
        Ending::Left,
        Ending::Parked,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Ending::Confirmed => "confirmed",
            Ending::Refused => "refused",
            Ending::Left => "left",
            Ending::Parked => "parked",
        }
    }
}

impl EncodeLabelSet for Ending {
    fn encode(
        &self,
        encoder: &mut prometheus_client::encoding::LabelSetEncoder,
    ) -> Result<(), std::fmt::Error> {
        [("ending", *self)].encode(encoder)
    }
}

impl EncodeLabelValue for Ending {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> Result<(), std::fmt::Error> {
        self.as_str().encode(encoder)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Name and kind of every metric served, the name as a query has it.
    fn served() -> BTreeMap<String, String> {
        let metrics = Metrics::new();
        // Who is the primary shows only once it is known.
        let server = [("server", "127.0.0.1:6379".to_owned())];
        drop(metrics.redis_primary.get_or_create(&server));
        let text = metrics.text().expect("a string takes everything");
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        types
            .map(|line| {
                let (name, kind) = line.split_once(' ').expect("a name and a kind");
                let ending = if kind == "counter" { "_total" } else { "" };
                (format!("{name}{ending}"), kind.to_owned())
            })
            .collect()
    }

    /// Name and kind of every metric in a page; INFO fields of the module, in tables before, are none.
    fn documented(page: &str) -> BTreeMap<String, String> {
        let (_, below) = page.split_once("\n## Metrics\n").expect("the heading");
        let rows = below
            .lines()
            .filter_map(|line| line.strip_prefix("| `holdfast_"));
        rows.map(|row| {
            let mut cells = row.split('|').map(str::trim);
            let name = cells.next().unwrap_or_default().trim_end_matches('`');
            let name = name.split('{').next().unwrap_or_default();
            let kind = cells.next().unwrap_or_default();
            (format!("holdfast_{name}"), kind.to_owned())
        })
        .collect()
    }

    #[test]
    fn every_metric_is_in_the_page_with_its_kind_and_no_other() {
        let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations.md");
        let page = std::fs::read_to_string(page).expect("the page");
        assert_eq!(documented(&page), served());
        let doctored = page.replace("holdfast_outbox_rows", "holdfast_outbox_length");
        assert_ne!(documented(&doctored), served());
    }

    #[test]
    fn values_show_under_the_names_that_a_query_uses() {
        let metrics = Metrics::new();
        metrics.events_relayed.inc_by(3);
        metrics.outbox_oldest_age_seconds.set(1.5);
        metrics.sagas.get_or_create(&Ending::Confirmed).inc();
        let text = metrics.text().expect("a string takes everything");
        for line in [
            "holdfast_events_relayed_total 3",
            "holdfast_outbox_oldest_age_seconds 1.5",
            "holdfast_sagas_total{ending=\"confirmed\"} 1",
            "holdfast_sagas_total{ending=\"parked\"} 0",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }
}
