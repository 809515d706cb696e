//! The gate's settings.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::check::{check_with, ensure};
use super::secrets::first_line;
use super::{Credentials, Error, RedisUrl, Secret};

/// The gate: Redis or Valkey servers with the Holdfast module.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Redis {
    /// `redis://[user:password@]host[:port][/db]`, `redis+sentinel://…host,…host/service[/db]` or
    /// `redis+cluster://…host,…host`; with TLS `rediss` in place of `redis`.
    pub url: Secret,
    /// Who the proxy is to the Sentinels.
    pub sentinel_user: Option<String>,
    /// Sent to the Sentinels; better given by file or environment than in TOML.
    pub sentinel_password: Option<Secret>,
    /// A file whose first line is that password.
    pub sentinel_password_file: Option<PathBuf>,
    /// Whose certificates are trusted, PEM; without it those that the system trusts.
    pub tls_ca_file: Option<PathBuf>,
    /// The proxy's own certificate, PEM, where the servers ask for one.
    pub tls_cert_file: Option<PathBuf>,
    /// Its key, PEM.
    pub tls_key_file: Option<PathBuf>,
    /// The deadline of one call, ms.
    pub timeout_ms: u64,
    /// After this many failed calls in a row Redis is left alone: whatever needs it is refused at
    /// once.
    pub breaker_failures: u32,
    /// For so long, ms; then one call tries whether it answers again.
    pub breaker_open_ms: u64,
    /// A hold waits until so many replicas have it; one that does not come so far is released and
    /// answered with 503. 0: none is waited for.
    pub replica_acks: u32,
    /// For so long, ms.
    pub replica_acks_timeout_ms: u64,
}

impl Default for Redis {
    fn default() -> Self {
        Self {
            url: Secret("redis://127.0.0.1:6379".into()),
            sentinel_user: None,
            sentinel_password: None,
            sentinel_password_file: None,
            tls_ca_file: None,
            tls_cert_file: None,
            tls_key_file: None,
            timeout_ms: 500,
            breaker_failures: 5,
            breaker_open_ms: 1_000,
            replica_acks: 0,
            replica_acks_timeout_ms: 250,
        }
    }
}

impl Redis {
    /// The URL, read.
    ///
    /// # Errors
    /// When it is none; the error names what is wrong with it, and not what is secret in it.
    pub fn parsed_url(&self) -> Result<RedisUrl, Error> {
        check_with("redis.url", self.url.expose().parse())
    }

    /// Who the proxy is to the Sentinels.
    pub fn sentinel_credentials(&self) -> Credentials {
        Credentials {
            user: self.sentinel_user.clone(),
            password: self.sentinel_password.clone(),
        }
    }

    /// How connections are encrypted, where the URL says that they are.
    ///
    /// # Errors
    /// When a file cannot be read or has nothing in it, or the key is not that of the certificate.
    pub fn tls(&self) -> Result<Option<Arc<ClientConfig>>, Error> {
        if !self.parsed_url()?.tls {
            let files = [&self.tls_ca_file, &self.tls_cert_file, &self.tls_key_file];
            let is_unused = files.into_iter().all(Option::is_none);
            let problem =
                "is not encrypted, and there are files for it: write rediss in place of redis";
            ensure(is_unused, "redis.url", problem)?;
            return Ok(None);
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = check_with("redis.url", config)?.with_root_certificates(self.trusted()?);
        let config = match (&self.tls_cert_file, &self.tls_key_file) {
            (Some(certificate), Some(key)) => {
                let key = PrivateKeyDer::from_pem_file(key);
                let key = check_with("redis.tls_key_file", key)?;
                let chain = certificates("redis.tls_cert_file", certificate)?;
                check_with(
                    "redis.tls_cert_file",
                    config.with_client_auth_cert(chain, key),
                )?
            }
            (None, None) => config.with_no_client_auth(),
            _ => {
                let problem = "must be given together with redis.tls_key_file, or neither of them";
                return ensure(false, "redis.tls_cert_file", problem).map(|()| None);
            }
        };
        Ok(Some(Arc::new(config)))
    }

    fn trusted(&self) -> Result<RootCertStore, Error> {
        let mut trusted = RootCertStore::empty();
        match &self.tls_ca_file {
            Some(file) => {
                for certificate in certificates("redis.tls_ca_file", file)? {
                    check_with("redis.tls_ca_file", trusted.add(certificate))?;
                }
            }
            None => {
                let found = rustls_native_certs::load_native_certs();
                trusted.add_parsable_certificates(found.certs);
                let problem = "is needed, since the system trusts nobody";
                ensure(!trusted.is_empty(), "redis.tls_ca_file", problem)?;
            }
        }
        Ok(trusted)
    }

    /// Takes the Sentinels' password from its file, unless it was given outright, and checks what
    /// can be checked without a server.
    pub(super) fn read_files(&mut self) -> Result<(), Error> {
        if let (None, Some(path)) = (&self.sentinel_password, &self.sentinel_password_file) {
            self.sentinel_password = Some(first_line("redis.sentinel_password_file", path)?);
        }
        self.tls().map(drop)
    }
}

fn certificates(setting: &'static str, file: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates = check_with(setting, CertificateDer::pem_file_iter(file))?;
    let certificates = check_with(setting, certificates.collect::<Result<Vec<_>, _>>())?;
    ensure(
        !certificates.is_empty(),
        setting,
        "has no certificate in it",
    )?;
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_for_tls_that_would_not_be_used_or_cannot_be_are_refused() {
        let with = |url: &str, ca: Option<&str>, cert: Option<&str>| Redis {
            url: Secret(url.into()),
            tls_ca_file: ca.map(Into::into),
            tls_cert_file: cert.map(Into::into),
            ..Redis::default()
        };
        for (mut wrong, setting) in [
            (with("redis://a", Some("/nowhere"), None), "redis.url"),
            (
                with("rediss://a", Some("/nowhere"), None),
                "redis.tls_ca_file",
            ),
            (
                with("rediss://a", Some("/dev/null"), None),
                "redis.tls_ca_file",
            ),
            (with("rediss+ring://a", None, None), "redis.url"),
        ] {
            let refused = wrong.read_files().expect_err(setting).to_string();
            assert!(refused.starts_with(setting), "{refused}");
        }
    }
}
