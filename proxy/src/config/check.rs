//! What a configuration must keep to, beyond being readable.

use super::{Config, Error};

/// No hold may be longer: LONGEST_HOLD_MS of the module.
const LONGEST_HOLD_MS: u64 = 3_600_000;

impl Config {
    /// Fails with the first setting that makes no sense.
    pub(super) fn check(&self) -> Result<(), Error> {
        let positive: &[(&'static str, u64)] = &[
            ("http.request_timeout_ms", self.http.request_timeout_ms),
            ("http.body_timeout_ms", self.http.body_timeout_ms),
            ("http.send_timeout_ms", self.http.send_timeout_ms),
            ("http.max_body_bytes", self.http.max_body_bytes),
            ("redis.timeout_ms", self.redis.timeout_ms),
            ("redis.breaker_failures", self.redis.breaker_failures.into()),
            ("redis.breaker_open_ms", self.redis.breaker_open_ms),
            (
                "redis.replica_acks_timeout_ms",
                self.redis.replica_acks_timeout_ms,
            ),
            ("mysql.acquire_timeout_ms", self.mysql.acquire_timeout_ms),
            ("payment.timeout_ms", self.payment.timeout_ms),
            (
                "payment.breaker_failures",
                self.payment.breaker_failures.into(),
            ),
            ("payment.breaker_open_ms", self.payment.breaker_open_ms),
            ("payment.patience_ms", self.payment.patience_ms),
            ("catalogue.local_ttl_ms", self.catalogue.local_ttl_ms),
            ("catalogue.local_max_bytes", self.catalogue.local_max_bytes),
            ("catalogue.redis_ttl_ms", self.catalogue.redis_ttl_ms),
            ("catalogue.missing_ttl_ms", self.catalogue.missing_ttl_ms),
            ("session.idle_ms", self.session.idle_ms),
            ("session.absolute_ms", self.session.absolute_ms),
            ("session.guest_idle_ms", self.session.guest_idle_ms),
            ("session.guest_first_ms", self.session.guest_first_ms),
            ("session.max_per_user", self.session.max_per_user as u64),
            ("auth.account_attempts", self.auth.account_attempts.into()),
            ("auth.address_attempts", self.auth.address_attempts.into()),
            (
                "auth.address_registrations",
                self.auth.address_registrations.into(),
            ),
            ("auth.window_ms", self.auth.window_ms),
            ("cart.ttl_ms", self.cart.ttl_ms),
            ("stream.heartbeat_ms", self.stream.heartbeat_ms),
            ("stream.lifetime_ms", self.stream.lifetime_ms),
            ("holds.ttl_ms", self.holds.ttl_ms),
            ("holds.checkout_ttl_ms", self.holds.checkout_ttl_ms),
            ("idempotency.expiry_ms", self.idempotency.expiry_ms),
            (
                "idempotency.refusal_expiry_ms",
                self.idempotency.refusal_expiry_ms,
            ),
            ("recovery.interval_ms", self.recovery.interval_ms),
            ("recovery.lease_ms", self.recovery.lease_ms),
            ("reconcile.interval_ms", self.reconcile.interval_ms),
        ];
        for &(setting, value) in positive {
            ensure(value > 0, setting, "must be at least 1")?;
        }
        ensure(
            self.http.max_concurrent_requests > 0,
            "http.max_concurrent_requests",
            "must be at least 1",
        )?;
        for (setting, value) in [
            ("http.max_uri_bytes", self.http.max_uri_bytes),
            ("http.max_header_bytes", self.http.max_header_bytes),
            ("commit.max_batch", self.commit.max_batch),
            ("stream.max_watchers", self.stream.max_watchers),
            ("commit.queue_length", self.commit.queue_length),
        ] {
            ensure(value > 0, setting, "must be at least 1")?;
        }
        ensure(
            self.http.body_timeout_ms < self.http.request_timeout_ms,
            "http.body_timeout_ms",
            "must be shorter than http.request_timeout_ms",
        )?;
        ensure(
            self.holds.ttl_ms <= LONGEST_HOLD_MS,
            "holds.ttl_ms",
            "must be at most 3600000, an hour",
        )?;
        ensure(
            self.holds.checkout_ttl_ms <= LONGEST_HOLD_MS,
            "holds.checkout_ttl_ms",
            "must be at most 3600000, an hour",
        )?;
        ensure(
            self.reconcile.orphan_age_ms > self.recovery.lease_ms,
            "reconcile.orphan_age_ms",
            "must be longer than recovery.lease_ms",
        )?;
        ensure(
            self.catalogue.local_ttl_ms <= self.catalogue.redis_ttl_ms,
            "catalogue.local_ttl_ms",
            "must not be longer than catalogue.redis_ttl_ms",
        )?;
        ensure(
            self.session.idle_ms <= self.session.absolute_ms,
            "session.idle_ms",
            "must not be longer than session.absolute_ms",
        )?;
        ensure(
            self.cart.ttl_ms > self.session.absolute_ms,
            "cart.ttl_ms",
            "must be longer than session.absolute_ms, so that no cart ends before its session",
        )?;
        ensure(
            self.http.listen.port() == 0 || self.http.listen != self.admin.listen,
            "admin.listen",
            "must not be the address of http.listen",
        )?;
        ensure(
            !self.kafka.brokers.is_empty(),
            "kafka.brokers",
            "must name at least one host:port",
        )?;
        ensure(
            !self.kafka.topic.is_empty(),
            "kafka.topic",
            "must not be empty",
        )?;
        self.redis.parsed_url()?;
        self.mysql.check()?;
        self.jwt.check()?;
        self.limits.check()?;
        check_with("payment.url", self.payment.url.parse::<reqwest::Url>())?;
        check_with(
            "log.filter",
            self.log.filter.parse::<tracing_subscriber::EnvFilter>(),
        )?;
        Ok(())
    }
}

/// Refuses a setting unless something holds of it.
pub(super) fn ensure(holds: bool, setting: &'static str, problem: &str) -> Result<(), Error> {
    if holds {
        Ok(())
    } else {
        Err(Error::Invalid {
            setting,
            problem: problem.to_owned(),
        })
    }
}

/// Refuses a setting that cannot be read as what it stands for.
pub(super) fn check_with<T, E: std::fmt::Display>(
    setting: &'static str,
    parsed: Result<T, E>,
) -> Result<T, Error> {
    parsed.map_err(|error| Error::Invalid {
        setting,
        problem: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    fn refused(change: impl FnOnce(&mut Config)) -> String {
        let mut config = Config::default();
        change(&mut config);
        let refused = config
            .check()
            .expect_err("a configuration that makes no sense");
        refused.to_string()
    }

    #[test]
    fn the_defaults_are_sound() {
        assert!(Config::default().check().is_ok());
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        let zero = refused(|config| config.redis.timeout_ms = 0);
        assert_eq!(zero, "redis.timeout_ms: must be at least 1");
        let many = refused(|config| config.mysql.max_connections = 301);
        assert_eq!(many, "mysql.max_connections: must be from 4 to 300");
        let long = refused(|config| config.holds.checkout_ttl_ms = LONGEST_HOLD_MS + 1);
        assert_eq!(
            long,
            "holds.checkout_ttl_ms: must be at most 3600000, an hour"
        );
        let short = refused(|config| config.cart.ttl_ms = config.session.absolute_ms);
        assert!(short.starts_with("cart.ttl_ms: must be longer"), "{short}");
        let upside_down = refused(|config| config.catalogue.local_ttl_ms = 300_001);
        assert!(
            upside_down.starts_with("catalogue.local_ttl_ms: "),
            "{upside_down}"
        );
        let replica = Some(Secret("http://127.0.0.1".into()));
        let replica = refused(|config| config.mysql.replica_url = replica.clone());
        assert!(replica.starts_with("mysql.replica_url: "), "{replica}");
        let no_url = refused(|config| config.redis.url = Secret("http://127.0.0.1".into()));
        assert!(no_url.starts_with("redis.url: "), "{no_url}");
        let other = refused(|config| config.mysql.url = Secret("postgres://127.0.0.1/shop".into()));
        assert_eq!(other, "mysql.url: must begin with mysql://");
        let twice = refused(|config| config.admin.listen = config.http.listen);
        assert!(twice.starts_with("admin.listen: "), "{twice}");
    }
}
