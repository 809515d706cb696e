//! What is counted of reads: the layers of the catalogue's cache, and the servers behind them.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::metrics::Fraction;

type Labelled = Family<[(&'static str, &'static str); 1], Counter>;

/// Where the catalogue looks for a product, the nearest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// This process.
    Local,
    /// Redis, which all proxies share.
    Redis,
}

/// Which MySQL server answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pool {
    /// The one that is written to.
    Primary,
    /// The one that follows it.
    Replica,
}

/// The metrics of reads.
#[derive(Debug, Default)]
pub struct Reading {
    hits: Labelled,
    misses: Labelled,
    early_refreshes: Labelled,
    /// Products that no layer had, read from MySQL.
    pub loads: Counter,
    /// Readings that came too late: a newer one was known by then.
    pub stale_loads: Counter,
    mysql_reads: Labelled,
    /// How far the replica was behind, at the last look.
    pub replica_lag_seconds: Fraction,
    /// 1 while the replica is read.
    pub replica_serves: Gauge,
}

impl Reading {
    /// A layer had what was looked for.
    pub fn hit(&self, layer: Layer) {
        self.hits.get_or_create(&layer.label()).inc();
    }

    /// A layer did not have what was looked for.
    pub fn missed(&self, layer: Layer) {
        self.misses.get_or_create(&layer.label()).inc();
    }

    /// What a layer has is read anew before it ends.
    pub fn refreshes_early(&self, layer: Layer) {
        self.early_refreshes.get_or_create(&layer.label()).inc();
    }

    /// A server answered a read that either may answer.
    pub fn read_from(&self, pool: Pool) {
        self.mysql_reads.get_or_create(&pool.label()).inc();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        // A series that appears with its first event has no rise to see in it.
        for layer in [Layer::Local, Layer::Redis] {
            for family in [&self.hits, &self.misses, &self.early_refreshes] {
                drop(family.get_or_create(&layer.label()));
            }
        }
        for pool in [Pool::Primary, Pool::Replica] {
            drop(self.mysql_reads.get_or_create(&pool.label()));
        }
        registry.register(
            "catalogue_hits",
            "Products that a layer of the cache had",
            self.hits.clone(),
        );
        registry.register(
            "catalogue_misses",
            "Products that a layer of the cache did not have",
            self.misses.clone(),
        );
        registry.register(
            "catalogue_early_refreshes",
            "Products that were read anew before a layer of the cache gave them up",
            self.early_refreshes.clone(),
        );
        registry.register(
            "catalogue_loads",
            "Products read from MySQL because no layer of the cache had them",
            self.loads.clone(),
        );
        registry.register(
            "catalogue_stale_loads",
            "Readings that were not kept because a newer one was known",
            self.stale_loads.clone(),
        );
        registry.register(
            "mysql_reads",
            "Reads that either server may answer, by the one that did",
            self.mysql_reads.clone(),
        );
        registry.register_with_unit(
            "mysql_replica_lag",
            "How far the replica was behind, at the last look",
            Unit::Seconds,
            self.replica_lag_seconds.clone(),
        );
        registry.register(
            "mysql_replica_serves",
            "1 while the replica is read",
            self.replica_serves.clone(),
        );
    }
}

impl Layer {
    fn label(self) -> [(&'static str, &'static str); 1] {
        let layer = match self {
            Layer::Local => "local",
            Layer::Redis => "redis",
        };
        [("layer", layer)]
    }
}

impl Pool {
    fn label(self) -> [(&'static str, &'static str); 1] {
        let pool = match self {
            Pool::Primary => "primary",
            Pool::Replica => "replica",
        };
        [("pool", pool)]
    }
}
