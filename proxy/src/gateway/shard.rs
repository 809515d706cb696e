//! A shard: the keys that one primary answers for, and how it stands with them. The primary may
//! change, and the shard stays what it is.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::server::Server;
use super::standing::{Guard, Shown, Standing};

/// Standalone and under Sentinel there is one for ever; a cluster has one for each primary.
#[derive(Debug)]
pub struct Shard {
    /// None as long as nobody knows it.
    primary: watch::Sender<Option<Arc<Server>>>,
    standing: Standing,
    shown: Shown,
}

impl Shard {
    pub(super) fn new(primary: Option<Arc<Server>>, guard: &Guard) -> Self {
        let shard = Self {
            primary: watch::Sender::new(None),
            standing: Standing::new(guard),
            shown: guard.shown.clone(),
        };
        shard.follow(primary);
        shard
    }

    /// Whether it is used, and sold by.
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    pub(super) fn primary(&self) -> Option<Arc<Server>> {
        self.primary.borrow().clone()
    }

    /// Has `server` for its primary from now on.
    pub(super) fn follow(&self, server: Option<Arc<Server>>) {
        let address = |server: &Option<Arc<Server>>| {
            let server = server.as_ref()?;
            Some(server.address().clone())
        };
        self.primary.send_if_modified(|primary| {
            let is_same = match (primary.as_ref(), server.as_ref()) {
                (Some(primary), Some(server)) => Arc::ptr_eq(primary, server),
                (primary, server) => primary.is_none() && server.is_none(),
            };
            self.shown.change(address(primary), address(&server));
            *primary = server;
            !is_same
        });
    }

    /// Waits until the primary is another than `server`.
    pub(super) async fn leaves(self: Arc<Self>, server: Arc<Server>) {
        self.changes_from(Some(&server), Duration::MAX).await;
    }

    /// Waits until the primary is another than `server`, at most for so long.
    pub(super) async fn changes_from(&self, server: Option<&Arc<Server>>, within: Duration) {
        let mut primary = self.primary.subscribe();
        let is_other = |found: &Option<Arc<Server>>| match (found, server) {
            (Some(found), Some(server)) => !Arc::ptr_eq(found, server),
            (found, server) => found.is_some() != server.is_some(),
        };
        // The sender lives as long as the shard.
        let _changed = tokio::time::timeout(within, primary.wait_for(is_other)).await;
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        self.follow(None);
    }
}
