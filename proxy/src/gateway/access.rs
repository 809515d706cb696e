//! How a server is reached: who the proxy is there, and what of a connection is set.

use std::fmt;
use std::io;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use redis::aio::{MultiplexedConnection, PubSub};
use redis::{AsyncConnectionConfig, ProtocolVersion, PushInfo, RedisConnectionInfo, RedisResult};
use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedSender;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_util::either::Either;

use crate::config::{Address, Credentials};

/// The same for all servers of a kind.
#[derive(Clone)]
pub(super) struct Access {
    login: RedisConnectionInfo,
    tls: Option<TlsConnector>,
}

/// A connection, and what must be run for it to work.
pub(super) type Connected = (MultiplexedConnection, BoxFuture<'static, ()>);

type Stream = Either<TcpStream, TlsStream<TcpStream>>;

impl Access {
    /// To the database `db` as who `credentials` say, encrypted as `tls` says.
    pub(super) fn new(credentials: &Credentials, db: i64, tls: Option<Arc<ClientConfig>>) -> Self {
        let mut login = RedisConnectionInfo::default().set_db(db);
        if let Some(user) = &credentials.user {
            login = login.set_username(user);
        }
        if let Some(password) = &credentials.password {
            login = login.set_password(password.expose());
        }
        let tls = tls.map(TlsConnector::from);
        Self { login, tls }
    }

    /// To servers of another kind, beside these.
    pub(super) fn of(&self, credentials: &Credentials) -> Self {
        Self {
            tls: self.tls.clone(),
            ..Self::new(credentials, 0, None)
        }
    }

    /// A connection, and what must be run for it to work; it ends when the connection is lost.
    pub(super) async fn connect(&self, address: &Address) -> RedisResult<Connected> {
        // Whoever waits for an answer knows how long.
        let settings = AsyncConnectionConfig::new().set_response_timeout(None);
        self.open(address, &self.login, settings).await
    }

    /// The same where `pushed` is told what comes between the answers: it speaks RESP3.
    pub(super) async fn listen(
        &self,
        address: &Address,
        pushed: UnboundedSender<PushInfo>,
    ) -> RedisResult<Connected> {
        let settings = AsyncConnectionConfig::new().set_response_timeout(None);
        let login = self.login.clone().set_protocol(ProtocolVersion::RESP3);
        let settings = settings.set_push_sender(pushed);
        self.open(address, &login, settings).await
    }

    async fn open(
        &self,
        address: &Address,
        login: &RedisConnectionInfo,
        settings: AsyncConnectionConfig,
    ) -> RedisResult<Connected> {
        let stream = self.reach(address).await?;
        let connecting = MultiplexedConnection::new_with_config(login, stream, settings);
        let (connection, driver) = connecting.await?;
        Ok((connection, driver.boxed()))
    }

    /// A connection for subscriptions.
    pub(super) async fn subscriptions(&self, address: &Address) -> RedisResult<PubSub> {
        PubSub::new(&self.login, self.reach(address).await?).await
    }

    async fn reach(&self, address: &Address) -> io::Result<Stream> {
        let host = address.host.as_str();
        let stream = TcpStream::connect((host, address.port)).await?;
        // A command waits for no other to fill a packet with it.
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else {
            return Ok(Either::Left(stream));
        };
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        tls.connect(name, stream).await.map(Either::Right)
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.login.username();
        formatter
            .debug_struct("Access")
            .field("user", &user)
            .finish()
    }
}
