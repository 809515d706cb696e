//! The URL of Redis, in each of its shapes:
//! `redis[s][+sentinel|+cluster]://[[user]:password@]host[:port][,host[:port]…][/path]`, where the
//! path of one server is its database, and under Sentinel the service with the database behind it.

use std::fmt;
use std::str::FromStr;

use super::Secret;

const REDIS_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// Where Redis is, and as whom the proxy comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisUrl {
    /// How its servers belong together.
    pub shape: RedisShape,
    /// Whether every connection is encrypted, those to Sentinels too.
    pub tls: bool,
    /// Who the proxy is to the servers that keep data.
    pub credentials: Credentials,
    /// The server; under Sentinel the Sentinels; of a cluster some nodes, to find the others.
    pub servers: Vec<Address>,
    /// The database; a cluster has only 0.
    pub db: i64,
}

/// How Redis servers belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedisShape {
    /// One server.
    Standalone,
    /// Sentinels know which server is the primary of a service.
    Sentinel {
        /// Its name, as in `sentinel monitor`.
        service: String,
    },
    /// Each primary keeps some of the slots.
    Cluster,
}

/// A user and a password.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// `default` when absent.
    pub user: Option<String>,
    /// None is sent when absent.
    pub password: Option<Secret>,
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// A name or an address, IPv6 without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// What is wrong with a URL. It never repeats what may be secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// The scheme is none of those.
    #[error(
        "must begin with redis://, rediss://, or one of these with +sentinel or +cluster, as in redis+sentinel://"
    )]
    Scheme,
    /// One of the hosts cannot be read.
    #[error("the {nth}. host must be host or host:port, IPv6 as in [::1]:6379")]
    Host {
        /// Which, from 1.
        nth: usize,
    },
    /// Several hosts for one server.
    #[error("redis:// takes one host; several are for redis+sentinel:// and redis+cluster://")]
    SeveralHosts,
    /// The user or the password cannot be read.
    #[error("the {0} has a % that is not followed by two hexadecimal digits of UTF-8")]
    Encoding(&'static str),
    /// A Sentinel knows several services.
    #[error(
        "must end with the service that the Sentinels watch, as in redis+sentinel://host/holdfast"
    )]
    NoService,
    /// The path is no database.
    #[error("'{0}' is no number of a database")]
    Database(String),
    /// The path of a cluster says something.
    #[error("a cluster has no other database than 0")]
    ClusterDatabase,
    /// Something behind a `?`, which would be ignored.
    #[error("takes no options behind a ?; they are settings of their own")]
    Options,
}

impl FromStr for RedisUrl {
    type Err = InvalidUrl;

    fn from_str(url: &str) -> Result<Self, InvalidUrl> {
        let (scheme, rest) = url.split_once("://").ok_or(InvalidUrl::Scheme)?;
        let (tls, shape) = match scheme.split_once('+').unwrap_or((scheme, "")) {
            ("redis", shape) => (false, shape),
            ("rediss", shape) => (true, shape),
            _ => return Err(InvalidUrl::Scheme),
        };
        // A password may have a slash, if it is not encoded as it should be; hosts have neither.
        let (credentials, rest) = match rest.rsplit_once('@') {
            Some((credentials, rest)) => (self::credentials(credentials)?, rest),
            None => (Credentials::default(), rest),
        };
        if rest.contains(['?', '#']) {
            return Err(InvalidUrl::Options);
        }
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (shape, db) = match shape {
            "" => (RedisShape::Standalone, path),
            "cluster" => (RedisShape::Cluster, path),
            "sentinel" => {
                let (service, db) = path.split_once('/').unwrap_or((path, ""));
                let service = decoded(service, "service")?;
                (RedisShape::Sentinel { service }, db)
            }
            _ => return Err(InvalidUrl::Scheme),
        };
        let db = database(db)?;
        let port = match shape {
            RedisShape::Sentinel { .. } => SENTINEL_PORT,
            _ => REDIS_PORT,
        };
        let servers = hosts.split(',').zip(1..);
        let servers: Vec<Address> = servers
            .map(|(host, nth)| address(host, port).ok_or(InvalidUrl::Host { nth }))
            .collect::<Result<_, _>>()?;
        match &shape {
            RedisShape::Standalone if servers.len() > 1 => return Err(InvalidUrl::SeveralHosts),
            RedisShape::Sentinel { service } if service.is_empty() => {
                return Err(InvalidUrl::NoService);
            }
            RedisShape::Cluster if db != 0 => return Err(InvalidUrl::ClusterDatabase),
            _ => {}
        }
        Ok(Self {
            shape,
            tls,
            credentials,
            servers,
            db,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        match host.contains(':') {
            true => write!(formatter, "[{host}]:{port}"),
            false => write!(formatter, "{host}:{port}"),
        }
    }
}

/// `user:password`, `:password` or `user`.
fn credentials(text: &str) -> Result<Credentials, InvalidUrl> {
    let (user, password) = match text.split_once(':') {
        Some((user, password)) => (user, Some(decoded(password, "password")?)),
        None => (text, None),
    };
    let user = decoded(user, "user")?;
    Ok(Credentials {
        user: (!user.is_empty()).then_some(user),
        password: password.map(Secret),
    })
}

fn address(text: &str, default_port: u16) -> Option<Address> {
    let (host, port) = match text.strip_prefix('[') {
        Some(text) => {
            let (host, port) = text.split_once(']')?;
            (
                host,
                port.strip_prefix(':').or(port.is_empty().then_some(""))?,
            )
        }
        None => text.split_once(':').unwrap_or((text, "")),
    };
    let is_host = |character: char| {
        character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '_' | ':' | '%')
    };
    let port = match port {
        "" => Some(default_port),
        port => port.parse().ok(),
    };
    let is_readable = !host.is_empty() && host.chars().all(is_host);
    port.filter(|port| is_readable && *port > 0)
        .map(|port| Address {
            host: host.to_owned(),
            port,
        })
}

fn database(text: &str) -> Result<i64, InvalidUrl> {
    match text {
        "" => Ok(0),
        _ => match text.parse::<u16>() {
            Ok(db) => Ok(db.into()),
            Err(_) => Err(InvalidUrl::Database(text.to_owned())),
        },
    }
}

/// Percent-encoding of RFC 3986.
fn decoded(text: &str, what: &'static str) -> Result<String, InvalidUrl> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                let (high, low) = digit().zip(digit()).ok_or(InvalidUrl::Encoding(what))?;
                // Two hexadecimal digits.
                (16 * high + low) as u8
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| InvalidUrl::Encoding(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Result<RedisUrl, InvalidUrl> {
        text.parse()
    }

    fn at(url: &RedisUrl) -> Vec<String> {
        url.servers.iter().map(Address::to_string).collect()
    }

    #[test]
    fn each_shape_is_read() {
        let one = url("redis://127.0.0.1").expect("a URL");
        assert_eq!(
            (&one.shape, one.tls, one.db),
            (&RedisShape::Standalone, false, 0)
        );
        assert_eq!(at(&one), ["127.0.0.1:6379"]);

        let sentinels = url("rediss+sentinel://proxy:a%40b%2Fc@one,two:5,[::1]/holdfast/3");
        let sentinels = sentinels.expect("a URL");
        let service = "holdfast".to_owned();
        assert_eq!(sentinels.shape, RedisShape::Sentinel { service });
        assert_eq!((sentinels.tls, sentinels.db), (true, 3));
        assert_eq!(at(&sentinels), ["one:26379", "two:5", "[::1]:26379"]);
        let Credentials { user, password } = sentinels.credentials;
        assert_eq!(user.as_deref(), Some("proxy"));
        assert_eq!(password.expect("given").expose(), "a@b/c");

        let cluster = url("redis+cluster://:secret@a:7000,b:7001").expect("a URL");
        assert_eq!(cluster.shape, RedisShape::Cluster);
        assert_eq!(cluster.credentials.user, None);
        assert_eq!(at(&cluster), ["a:7000", "b:7001"]);
    }

    #[test]
    fn what_is_wrong_is_named_and_no_password_shown() {
        for (text, problem) in [
            ("", InvalidUrl::Scheme),
            ("127.0.0.1:6379", InvalidUrl::Scheme),
            ("http://127.0.0.1", InvalidUrl::Scheme),
            ("redis+ring://a", InvalidUrl::Scheme),
            ("redis+sentinel://a,b", InvalidUrl::NoService),
            ("redis+sentinel://a//1", InvalidUrl::NoService),
            ("redis+sentinel://a,,b/s", InvalidUrl::Host { nth: 2 }),
            ("redis+cluster://a,b:0", InvalidUrl::Host { nth: 2 }),
            ("redis://", InvalidUrl::Host { nth: 1 }),
            ("redis://a:port", InvalidUrl::Host { nth: 1 }),
            ("redis://::1", InvalidUrl::Host { nth: 1 }),
            ("redis://[::1", InvalidUrl::Host { nth: 1 }),
            ("redis://a b", InvalidUrl::Host { nth: 1 }),
            ("redis://a,b", InvalidUrl::SeveralHosts),
            ("redis://a/one", InvalidUrl::Database("one".into())),
            ("redis+cluster://a/1", InvalidUrl::ClusterDatabase),
            ("redis://a?protocol=resp3", InvalidUrl::Options),
            ("redis://u:100%@a", InvalidUrl::Encoding("password")),
            ("redis://%ff:p@a", InvalidUrl::Encoding("user")),
        ] {
            assert_eq!(url(text), Err(problem), "{text}");
        }
        let secret = url("redis://u:hunter2%zz@a").expect_err("a wrong password");
        assert!(!secret.to_string().contains("hunter2"));
        let read = url("redis://u:hunter2@a").expect("a URL");
        assert!(!format!("{read:?}").contains("hunter2"));
    }
}
