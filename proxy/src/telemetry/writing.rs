//! What is counted of the server that is written to.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The metrics of who is the primary.
#[derive(Debug, Default)]
pub struct Writing {
    /// Which host of `mysql.url` is written to, from 1 on; 0 while none is.
    pub primary: Gauge,
    /// The highest term that was heard of.
    pub term: Gauge,
    /// How often a server was chosen, the first time included.
    pub choices: Counter,
}

impl Writing {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "mysql_primary",
            "Which host of mysql.url is written to, from 1 on; 0 while none is",
            self.primary.clone(),
        );
        registry.register(
            "mysql_primary_term",
            "The highest term that a server of MySQL was heard to know of",
            self.term.clone(),
        );
        registry.register(
            "mysql_primary_choices",
            "How often a server of MySQL was chosen to be written to, the first time included",
            self.choices.clone(),
        );
    }
}
