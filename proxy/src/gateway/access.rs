//! How a server is reached: who the proxy is there, and what of a connection is set.

use futures::FutureExt;
use futures::future::BoxFuture;
use redis::aio::{MultiplexedConnection, PubSub};
use redis::{AsyncConnectionConfig, RedisConnectionInfo, RedisResult};
use tokio::net::TcpStream;

use crate::config::{Address, Credentials};

/// The same for all servers of a kind.
#[derive(Debug, Clone)]
pub(super) struct Access {
    login: RedisConnectionInfo,
}

impl Access {
    /// To the database `db` as who `credentials` say.
    pub(super) fn new(credentials: &Credentials, db: i64) -> Self {
        let mut login = RedisConnectionInfo::default().set_db(db);
        if let Some(user) = &credentials.user {
            login = login.set_username(user);
        }
        if let Some(password) = &credentials.password {
            login = login.set_password(password.expose());
        }
        Self { login }
    }

    /// A connection, and what must be run for it to work; it ends when the connection is lost.
    pub(super) async fn connect(
        &self,
        address: &Address,
    ) -> RedisResult<(MultiplexedConnection, BoxFuture<'static, ()>)> {
        let stream = reach(address).await?;
        // Whoever waits for an answer knows how long.
        let settings = AsyncConnectionConfig::new().set_response_timeout(None);
        let connecting = MultiplexedConnection::new_with_config(&self.login, stream, settings);
        let (connection, driver) = connecting.await?;
        Ok((connection, driver.boxed()))
    }

    /// A connection for subscriptions.
    pub(super) async fn subscriptions(&self, address: &Address) -> RedisResult<PubSub> {
        PubSub::new(&self.login, reach(address).await?).await
    }
}

async fn reach(address: &Address) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
    // A command waits for no other to fill a packet with it.
    stream.set_nodelay(true)?;
    Ok(stream)
}
