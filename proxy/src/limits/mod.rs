//! How often somebody may ask: by address, and by user over all sessions and access tokens. A
//! session's own rate is kept with it, in Redis.
//!
//! Each proxy counts for itself: behind a balancer a client has as many times the rate as there are
//! proxies.

mod limiter;

use std::net::IpAddr;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use limiter::Limiter;

use crate::config;
use crate::gateway::sessions::Rate;

/// Time between two looks for keys that are to be forgotten.
const FORGETTING: Duration = Duration::from_secs(10);

/// The limiters of this process.
pub struct Limits {
    /// By client address; an IPv6 client has a /64.
    pub address: Option<Limiter<IpAddr>>,
    /// By user.
    pub user: Option<Limiter<Uuid>>,
}

impl Limits {
    /// Limiters as configured, none of which knows anybody.
    pub fn new(config: &config::Limits) -> Self {
        Self {
            address: Limiter::new(Rate {
                burst: config.address_burst,
                count: config.address_requests,
                period_s: config.address_period_s,
            }),
            user: Limiter::new(Rate {
                burst: config.user_burst,
                count: config.user_requests,
                period_s: config.user_period_s,
            }),
        }
    }

    /// Forgets who has not asked for long, until `stop`.
    pub async fn forget_idle(&self, stop: CancellationToken) {
        while stop
            .run_until_cancelled(tokio::time::sleep(FORGETTING))
            .await
            .is_some()
        {
            self.address.iter().for_each(Limiter::forget_idle);
            self.user.iter().for_each(Limiter::forget_idle);
        }
    }
}
