//! What every handler works with: the configuration and the ways to the servers.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::catalogue::cache::Catalogue;
use crate::config::Config;
use crate::gateway::Gateway;
use crate::limits::Limits;
use crate::live::Live;
use crate::people::access_tokens::AccessTokens;
use crate::people::password::Passwords;
use crate::saga::runner::Runner;
use crate::sessions::Sessions;
use crate::store::Store;
use crate::telemetry::Metrics;

/// The application, shared by all requests.
pub struct App {
    /// Checked at start; does not change.
    pub config: Config,
    /// Redis: the gate.
    pub gateway: Gateway,
    /// MySQL: the truth.
    pub store: Store,
    /// Who is at the shop: in Redis, with a copy in MySQL.
    pub sessions: Sessions,
    /// The catalogue as it is looked at, kept in layers.
    pub catalogue: Catalogue,
    /// How often somebody may ask.
    pub limits: Arc<Limits>,
    /// Who watches which stock.
    pub live: Arc<Live>,
    /// Runs each order to its end, whether or not its client waits.
    pub sagas: Arc<Runner>,
    /// Hashes passwords, a few at a time.
    pub passwords: Passwords,
    /// Issues and reads the tokens of API clients.
    pub access_tokens: AccessTokens,
    /// What the payment provider may sign its webhooks with.
    pub webhook_secrets: Vec<Vec<u8>>,
    /// The OpenAPI document of all routes.
    pub openapi: serde_json::Value,
    /// What is counted, for GET /metrics on the admin port.
    pub metrics: Arc<Metrics>,
    /// Cancelled when the process has been told to stop: it serves on, and the balancers are told to
    /// leave it alone.
    pub draining: CancellationToken,
    /// Cancelled `http.drain_notice_ms` later: nothing new is begun.
    pub stopping: CancellationToken,
}
