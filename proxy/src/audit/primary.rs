//! How the audit reaches the one Redis that has all keys, by redis-rs's own clients: it shares
//! nothing with the gateway.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, IntoConnectionInfo,
    RedisConnectionInfo, RedisResult, TlsCertificates, TlsMode,
};
use tokio_rustls::rustls::crypto::aws_lc_rs;

use super::Error;
use crate::config::{self, Credentials, RedisShape, RedisUrl};

/// How long the server may take for a batch.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Connects to the server that is named, or that the Sentinels say is the primary.
pub async fn connect(config: &config::Redis) -> Result<MultiplexedConnection, Error> {
    let url = config.parsed_url()?;
    let certificates = certificates(config, &url)?;
    let settings = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE));
    let client = match &url.shape {
        RedisShape::Sentinel { service } => {
            let to_sentinels = config.sentinel_credentials();
            let client = by_sentinels(&url, service, &to_sentinels, certificates)?;
            client.build()?.async_get_client().await?
        }
        _ => named(&url, certificates)?,
    };
    let connecting = client.get_multiplexed_async_connection_with_config(&settings);
    Ok(connecting.await?)
}

/// What TLS needs, where the URL asks for it.
///
/// # Errors
/// When a file cannot be read.
pub fn certificates(
    config: &config::Redis,
    url: &RedisUrl,
) -> Result<Option<TlsCertificates>, Error> {
    if !url.tls {
        return Ok(None);
    }
    // redis-rs takes the one of the process, which has two to choose from. Another is as good.
    let _installed = aws_lc_rs::default_provider().install_default();
    let client_tls = match (&config.tls_cert_file, &config.tls_key_file) {
        (Some(certificate), Some(key)) => Some(ClientTlsConfig {
            client_cert: std::fs::read(certificate).map_err(redis::RedisError::from)?,
            client_key: std::fs::read(key).map_err(redis::RedisError::from)?,
        }),
        _ => None,
    };
    let root_cert = config.tls_ca_file.as_ref().map(std::fs::read).transpose();
    Ok(Some(TlsCertificates {
        client_tls,
        root_cert: root_cert.map_err(redis::RedisError::from)?,
    }))
}

fn named(url: &RedisUrl, certificates: Option<TlsCertificates>) -> RedisResult<Client> {
    let addresses = addresses(url).into_iter();
    let mut login = RedisConnectionInfo::default().set_db(url.db);
    if let Some(user) = &url.credentials.user {
        login = login.set_username(user);
    }
    if let Some(password) = &url.credentials.password {
        login = login.set_password(password.expose());
    }
    let nowhere = || ConnectionAddr::Tcp(String::new(), 0);
    let address = addresses.take(1).next().unwrap_or_else(nowhere);
    let server = address.into_connection_info()?.set_redis_settings(login);
    match certificates {
        Some(certificates) => Client::build_with_tls(server, certificates),
        None => Client::open(server),
    }
}

fn by_sentinels(
    url: &RedisUrl,
    service: &str,
    to_sentinels: &Credentials,
    certificates: Option<TlsCertificates>,
) -> RedisResult<SentinelClientBuilder> {
    let primary = SentinelServerType::Master;
    let mut client = SentinelClientBuilder::new(addresses(url), service, primary)?
        .set_client_to_redis_db(url.db);
    if let Some(user) = &url.credentials.user {
        client = client.set_client_to_redis_username(user);
    }
    if let Some(password) = &url.credentials.password {
        client = client.set_client_to_redis_password(password.expose());
    }
    if let Some(user) = &to_sentinels.user {
        client = client.set_client_to_sentinel_username(user);
    }
    if let Some(password) = &to_sentinels.password {
        client = client.set_client_to_sentinel_password(password.expose());
    }
    if let Some(certificates) = certificates {
        client = client
            .set_client_to_redis_tls_mode(TlsMode::Secure)
            .set_client_to_redis_certificates(certificates.clone())
            .set_client_to_sentinel_certificates(certificates);
    }
    Ok(client)
}

/// The servers that the URL names.
pub fn addresses(url: &RedisUrl) -> Vec<ConnectionAddr> {
    let addresses = url.servers.iter().map(|address| {
        let (host, port) = (address.host.clone(), address.port);
        match url.tls {
            true => ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                tls_params: None,
            },
            false => ConnectionAddr::Tcp(host, port),
        }
    });
    addresses.collect()
}
