//! `holdfast serve`

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::catalogue::cache::Catalogue;
use crate::config::Config;
use crate::events::{kafka, refusals::Refusals, relay};
use crate::gateway::Gateway;
use crate::http::{admin, connection::Leave, openapi, router::Router, routes::routes, server};
use crate::limits::Limits;
use crate::live::Live;
use crate::payment::HttpProvider;
use crate::people::access_tokens::AccessTokens;
use crate::people::password::Passwords;
use crate::reconcile::Servers;
use crate::reconcile::rebuilding::Rebuilder;
use crate::reconcile::returning::Returning;
use crate::reconcile::watch::Watch;
use crate::saga::{leases, recovery, runner::Runner};
use crate::sessions::Sessions;
use crate::store::Store;
use crate::telemetry::Metrics;

pub(super) async fn run(config: Config) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    let app = assemble(config, &stop)?;
    refuse_eviction_of_stock(&app.gateway).await?;
    let router = Router::new().context("the route table contradicts itself")?;
    let send_timeout = Duration::from_millis(app.config.http.send_timeout_ms);
    let admin_listener = listen(app.config.admin.listen, send_timeout).context("admin.listen")?;
    let listener = listen(app.config.http.listen, send_timeout).context("http.listen")?;
    if app.config.http.plain_http_cookies {
        tracing::warn!(
            "development mode: http.plain_http_cookies is set, so sessions are not kept from who listens"
        );
    }
    tracing::info!(api = %listener.local_addr()?, admin = %admin_listener.local_addr()?, "holdfast serves");

    let producer = kafka::outbox_producer(&app.config.kafka).context("kafka")?;
    // The relay outlives the requests and sagas whose events it carries.
    let stop_relay = CancellationToken::new();
    let relay = tokio::spawn(relay::run(
        app.store.clone(),
        app.config.kafka.clone(),
        producer,
        app.metrics.clone(),
        stop_relay.clone(),
    ));
    let recovery = tokio::spawn(recovery::run(app.sagas.clone(), stop.clone()));
    // Leases are kept until the last saga has come to rest.
    let renewal = tokio::spawn(leases::renew(app.sagas.clone(), stop_relay.clone()));
    let watch = Watch {
        rebuilder: app.sagas.rebuilder.clone(),
        config: app.config.reconcile.clone(),
        metrics: app.metrics.clone(),
    };
    let reconciler = tokio::spawn(watch.run(stop.clone()));
    let replica = tokio::spawn(app.store.clone().watch_replicas(stop_relay.clone()));
    let news = tokio::spawn(app.catalogue.clone().run(stop_relay.clone()));
    let returning = Returning {
        servers: app.sagas.rebuilder.servers.clone(),
        sessions: app.sessions.clone(),
        config: app.config.reconcile.clone(),
        metrics: app.metrics.clone(),
    };
    // As long as sagas go on they need to know that Redis is back.
    let returning = tokio::spawn(returning.run(stop_relay.clone()));
    let copying = tokio::spawn(app.sessions.clone().write_behind(stop_relay.clone()));
    let (live, stop_live) = (app.live.clone(), stop.clone());
    let live = tokio::spawn(async move { stop_live.run_until_cancelled(live.follow()).await });
    let (limits, stop_limits) = (app.limits.clone(), stop.clone());
    let limits = tokio::spawn(async move { limits.forget_idle(stop_limits).await });
    let drain_timeout = Duration::from_millis(app.config.http.drain_timeout_ms);
    // The admin port answers until the end, so that a balancer sees the drain.
    let admin_app = app.clone();
    let admin = tokio::spawn(server::accept(
        admin_listener,
        Leave {
            draining: stop_relay.clone(),
            stopping: stop_relay.clone(),
        },
        drain_timeout,
        move |_, request| admin::answer(admin_app.clone(), request),
    ));
    let api = tokio::spawn(server::serve(listener, app.clone(), router));

    let notice = Duration::from_millis(app.config.http.drain_notice_ms);
    await_the_end(notice, &app.draining).await?;
    tracing::info!("stopping: open requests and sagas are finished, new ones are refused");
    stop.cancel();
    api.await?;
    app.sagas.drain(drain_timeout).await;
    stop_relay.cancel();
    recovery.await?;
    renewal.await?;
    reconciler.await?;
    replica.await?;
    news.await?;
    live.await?;
    limits.await?;
    returning.await?;
    copying.await?;
    relay.await?;
    admin.await?;
    tracing::info!("holdfast has stopped");
    Ok(())
}

fn assemble(config: Config, stop: &CancellationToken) -> anyhow::Result<Arc<App>> {
    let metrics = Arc::new(Metrics::new());
    let gateway = Gateway::open_guarded(&config.redis, config.orders.without_redis, &metrics)?;
    let store =
        Store::open_counted(&config.mysql, &config.commit, &metrics).context("mysql.url")?;
    let provider = Box::new(HttpProvider::new(
        &config.payment,
        metrics.payment_breaker_open.clone(),
    )?);
    let refusals = Refusals::new(&config.kafka).context("kafka")?;
    let sagas = Runner::new(
        gateway.clone(),
        Rebuilder::start(Servers {
            gateway: gateway.clone(),
            store: store.clone(),
        }),
        store.clone(),
        provider,
        refusals,
        metrics.clone(),
        &config,
    );
    let catalogue = Catalogue::new(
        store.clone(),
        gateway.clone(),
        &config.catalogue,
        metrics.clone(),
    );
    let shop = openapi::Shop {
        session_cookie: config.http.session_cookie(),
        longest_hold_ms: config.holds.checkout_ttl_ms,
    };
    Ok(Arc::new(App {
        sessions: Sessions::new(gateway.clone(), store.clone(), config.session.clone()),
        passwords: Passwords::new(metrics.password_hashes.clone()),
        access_tokens: AccessTokens::open(&config.jwt)?,
        webhook_secrets: config.payment.webhook_secrets()?,
        limits: Arc::new(Limits::new(&config.limits)),
        openapi: openapi::document(&routes(), &shop),
        live: Live::new(
            gateway.clone(),
            store.clone(),
            &config.stream,
            metrics.clone(),
        ),
        config,
        gateway,
        store,
        catalogue,
        sagas: Arc::new(sagas),
        metrics,
        draining: CancellationToken::new(),
        stopping: stop.clone(),
    }))
}

/// Stock keys have no TTL, so `volatile-*` never evicts them and `allkeys-*` would. A Redis that
/// does not answer yet is asked again by /readyz.
async fn refuse_eviction_of_stock(gateway: &Gateway) -> anyhow::Result<()> {
    match gateway.eviction_policy().await {
        Ok(policy) if policy.starts_with("allkeys") => {
            bail!(
                "redis has maxmemory-policy {policy}, which evicts stock; set noeviction or volatile-lru"
            )
        }
        Ok(_) => Ok(()),
        Err(error) => {
            tracing::warn!(%error, "redis does not answer yet");
            Ok(())
        }
    }
}

/// Listens. A client that acknowledges nothing of what it is sent for `send_timeout` loses its
/// connection, which each inherits from the listener: nobody may take part of an answer and keep its
/// place for ever.
fn listen(address: SocketAddr, send_timeout: Duration) -> anyhow::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    SockRef::from(&socket).set_tcp_user_timeout(Some(send_timeout))?;
    socket
        .bind(address)
        .with_context(|| format!("cannot listen on {address}"))?;
    Ok(socket.listen(server::MOST_WAITING)?)
}

/// Returns when it is time to close. SIGTERM begins the drain, in which everything is served on for
/// the time of the `notice`; a second one ends it. SIGINT comes from a terminal, where nobody else
/// needs to take notice.
async fn await_the_end(notice: Duration, draining: &CancellationToken) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {
            tracing::info!(?notice, "draining: everything is served on meanwhile");
            draining.cancel();
            tokio::select! {
                () = tokio::time::sleep(notice) => {}
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        _ = interrupt.recv() => draining.cancel(),
    }
    Ok(())
}
