//! What a configuration must keep to, beyond being readable.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Auth, Config, Error, Payment, Secret};

/// No hold may be longer: LONGEST_HOLD_MS of the module.
const LONGEST_HOLD_MS: u64 = 3_600_000;
/// Standard Webhooks: a secret has 24 to 64 bytes.
const SHORTEST_WEBHOOK_SECRET: usize = 24;

impl Config {
    /// Fails with the first setting that makes no sense.
    pub(super) fn check(&self) -> Result<(), Error> {
        let positive: &[(&'static str, u64)] = &[
            ("http.request_timeout_ms", self.http.request_timeout_ms),
            ("http.body_timeout_ms", self.http.body_timeout_ms),
            ("http.max_body_bytes", self.http.max_body_bytes),
            ("redis.timeout_ms", self.redis.timeout_ms),
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
            ("session.idle_ms", self.session.idle_ms),
            ("session.absolute_ms", self.session.absolute_ms),
            ("session.guest_idle_ms", self.session.guest_idle_ms),
            ("cart.ttl_ms", self.cart.ttl_ms),
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
            ("commit.max_batch", self.commit.max_batch),
            ("commit.queue_length", self.commit.queue_length),
        ] {
            ensure(value > 0, setting, "must be at least 1")?;
        }
        ensure(
            (4..=300).contains(&self.mysql.max_connections),
            "mysql.max_connections",
            "must be from 4 to 300",
        )?;
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
            self.session.idle_ms <= self.session.absolute_ms,
            "session.idle_ms",
            "must not be longer than session.absolute_ms",
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
        check_with("redis.url", redis::Client::open(self.redis.url.expose()))?;
        check_with(
            "mysql.url",
            self.mysql
                .url
                .expose()
                .parse::<sqlx::mysql::MySqlConnectOptions>(),
        )?;
        // The driver would read any scheme as its own.
        let mysql_url = self.mysql.url.expose();
        ensure(
            mysql_url.starts_with("mysql://") || mysql_url.starts_with("mariadb://"),
            "mysql.url",
            "must begin with mysql://",
        )?;
        check_with("payment.url", self.payment.url.parse::<reqwest::Url>())?;
        check_with(
            "log.filter",
            self.log.filter.parse::<tracing_subscriber::EnvFilter>(),
        )?;
        Ok(())
    }
}

impl Auth {
    /// Takes the token from its file, unless it was given outright.
    pub(super) fn read_token_file(&mut self) -> Result<(), Error> {
        if let (None, Some(path)) = (&self.operator_token, &self.operator_token_file) {
            self.operator_token = Some(first_line("auth.operator_token_file", path)?);
        }
        let long_enough = self
            .operator_token
            .as_ref()
            .is_none_or(|token| token.expose().len() >= 16);
        ensure(
            long_enough,
            "auth.operator_token",
            "must have at least 16 characters",
        )
    }
}

impl Payment {
    /// Takes the API key and the webhooks' secrets from their files, unless they were given
    /// outright.
    pub(super) fn read_secret_files(&mut self) -> Result<(), Error> {
        if let (None, Some(path)) = (&self.api_key, &self.api_key_file) {
            self.api_key = Some(first_line("payment.api_key_file", path)?);
        }
        if let (None, Some(path)) = (&self.webhook_secret, &self.webhook_secret_file) {
            let text = check_with("payment.webhook_secret_file", std::fs::read_to_string(path))?;
            self.webhook_secret = Some(Secret(text));
        }
        self.webhook_secrets()?;
        // What cannot be a header would make every payment fail.
        let key = self.api_key.as_ref().map_or("key", Secret::expose);
        let is_sendable = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
        ensure(
            is_sendable,
            "payment.api_key",
            "must be printable ASCII without spaces",
        )
    }

    /// The keys that webhooks may be signed with.
    ///
    /// # Errors
    /// When a secret is not written as Standard Webhooks has it, or is too short to be one.
    pub fn webhook_secrets(&self) -> Result<Vec<Vec<u8>>, Error> {
        let written = self.webhook_secret.as_ref().map_or("", Secret::expose);
        let secrets = written.split_whitespace().map(|secret| {
            let key = secret
                .strip_prefix("whsec_")
                .and_then(|base64| STANDARD.decode(base64).ok());
            key.filter(|key| key.len() >= SHORTEST_WEBHOOK_SECRET)
        });
        secrets
            .collect::<Option<_>>()
            .ok_or_else(|| Error::Invalid {
                setting: "payment.webhook_secret",
                problem: format!(
                    "must be whsec_ and the base64 of at least {SHORTEST_WEBHOOK_SECRET} bytes"
                ),
            })
    }
}

fn first_line(setting: &'static str, path: &Path) -> Result<Secret, Error> {
    let text = check_with(setting, std::fs::read_to_string(path))?;
    let line = text.lines().next().unwrap_or_default().trim();
    Ok(Secret(line.to_owned()))
}

fn ensure(holds: bool, setting: &'static str, problem: &str) -> Result<(), Error> {
    if holds {
        Ok(())
    } else {
        Err(Error::Invalid {
            setting,
            problem: problem.to_owned(),
        })
    }
}

fn check_with<T, E: std::fmt::Display>(
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
        let no_url = refused(|config| config.redis.url = Secret("http://127.0.0.1".into()));
        assert!(no_url.starts_with("redis.url: "), "{no_url}");
        let other = refused(|config| config.mysql.url = Secret("postgres://127.0.0.1/shop".into()));
        assert_eq!(other, "mysql.url: must begin with mysql://");
        let twice = refused(|config| config.admin.listen = config.http.listen);
        assert!(twice.starts_with("admin.listen: "), "{twice}");
    }

    #[test]
    fn a_short_token_and_an_absent_file_are_refused() {
        let mut auth = Auth {
            operator_token: Some(Secret("guessable".into())),
            ..Auth::default()
        };
        assert!(auth.read_token_file().is_err());
        let absent = Some("/nowhere/operator-token".into());
        let mut auth = Auth {
            operator_token_file: absent,
            ..Auth::default()
        };
        assert!(auth.read_token_file().is_err());
    }

    #[test]
    fn webhook_secrets_are_read_one_by_one_and_guessable_ones_refused() {
        let with = |written: &str| Payment {
            webhook_secret: Some(Secret(written.into())),
            ..Payment::default()
        };
        let long = STANDARD.encode([7; SHORTEST_WEBHOOK_SECRET]);
        let two = with(&format!(" whsec_{long}\nwhsec_{long}\n")).webhook_secrets();
        assert_eq!(two.expect("two secrets").len(), 2);
        let none = Payment::default().webhook_secrets();
        assert!(none.expect("no secret").is_empty());
        let short = STANDARD.encode([7; SHORTEST_WEBHOOK_SECRET - 1]);
        for bad in [&long, "whsec_%", &format!("whsec_{short}")] {
            assert!(with(bad).webhook_secrets().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_secret_does_not_show_itself() {
        assert_eq!(format!("{:?}", Secret("hunter2".into())), "***");
    }
}
