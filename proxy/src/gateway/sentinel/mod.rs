//! Redis under Sentinel: one shard, whose primary is whom the Sentinels say.
//!
//! They are asked when a server was lost, silent or no primary, when one of them tells of a switch,
//! and every now and then in any case. As long as none of them answers the primary stays who it is.

mod claims;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use redis::{FromRedisValue, RedisResult, cmd};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use self::claims::{Claim, believable};
use super::access::Access;
use super::connection::Connection;
use super::request::Request;
use super::server::{Server, Servers};
use super::shard::Shard;
use crate::config::Address;

/// How often they are asked without a reason.
const EVERY: Duration = Duration::from_secs(2);
/// How often while no primary is known, or the one that is known is away.
const SOON: Duration = Duration::from_millis(100);
/// They are never asked more often than that.
const AT_MOST: Duration = Duration::from_millis(50);
/// How much longer the others are waited for once most have answered.
const GRACE: Duration = Duration::from_millis(50);
/// What they tell of a failover.
const SWITCHED: &str = "+switch-master";
/// How often it is asked whether the one that tells is still there.
const PULSE: Duration = Duration::from_secs(10);

/// Follows the primary as long as it lives.
#[derive(Debug)]
pub(super) struct Sentinel {
    shard: Arc<Shard>,
    _following: AbortOnDropHandle<()>,
}

impl Sentinel {
    /// Begins to ask. Needs a runtime.
    pub(super) fn open(
        sentinels: Vec<Address>,
        service: String,
        access: Access,
        servers: &Servers,
        shard: Arc<Shard>,
    ) -> Self {
        let sentinels = Sentinels::new(sentinels, service, access, servers, shard.clone());
        let following = async move {
            tokio::join!(sentinels.follow(), sentinels.listen());
        };
        Self {
            shard,
            _following: AbortOnDropHandle::new(tokio::spawn(following)),
        }
    }

    /// The one there is.
    pub(super) fn shard(&self) -> &Arc<Shard> {
        &self.shard
    }
}

struct Sentinels {
    addresses: Vec<Address>,
    connections: Vec<Connection>,
    access: Arc<Access>,
    service: String,
    patience: Duration,
    servers: Servers,
    shard: Arc<Shard>,
    /// Told when one of them tells of a switch.
    switched: Notify,
}

/// What is known from the looks before.
#[derive(Default)]
struct Known {
    epoch: u64,
    /// Who is to be the primary, and is not yet.
    candidate: Option<Arc<Server>>,
    /// Whether the log knows that the primary cannot be found.
    is_lost: bool,
}

impl Sentinels {
    fn new(
        addresses: Vec<Address>,
        service: String,
        access: Access,
        servers: &Servers,
        shard: Arc<Shard>,
    ) -> Self {
        let access = Arc::new(access);
        let patience = Duration::from_millis(servers.config.timeout_ms);
        let connect = |address: &Address| {
            // That a Sentinel is lost is no reason to ask them all.
            Connection::new(address.clone(), access.clone(), patience, Arc::default())
        };
        Self {
            connections: addresses.iter().map(connect).collect(),
            addresses,
            access: access.clone(),
            service,
            patience,
            servers: servers.clone(),
            shard,
            switched: Notify::new(),
        }
    }

    async fn follow(&self) {
        let mut known = Known::default();
        loop {
            let looked = self.look(&mut known).await;
            match &looked {
                Err(problem) if !known.is_lost => {
                    tracing::warn!(service = %self.service, problem, "the sentinels do not say who is the primary; it is left as it is");
                }
                Ok(()) if known.is_lost => {
                    tracing::info!(service = %self.service, "the sentinels say again who is the primary");
                }
                _ => {}
            }
            known.is_lost = looked.is_err();
            let is_settled = self.shard.primary().is_some()
                && known.candidate.is_none()
                && !self.shard.standing().is_away();
            tokio::select! {
                () = self.servers.trouble.notified() => {}
                () = self.switched.notified() => {}
                () = sleep(if is_settled { EVERY } else { SOON }) => {}
            }
            sleep(AT_MOST).await;
        }
    }

    /// Asks who is the primary, and makes it the shard's if it says so itself.
    async fn look(&self, known: &mut Known) -> Result<(), String> {
        let answers = self.ask_all().await;
        if answers.iter().all(Option::is_none) {
            return Err("none of them answers, or knows the service".into());
        }
        let claim = believable(&answers, known.epoch)
            .ok_or("only such answer as have not heard of the last failover")?;
        let is_later = claim.epoch > known.epoch;
        known.epoch = claim.epoch;
        let primary = self.shard.primary();
        let is_known = |primary: &Arc<Server>| *primary.address() == claim.address;
        if primary.as_ref().is_some_and(is_known) {
            known.candidate = None;
            if is_later {
                // It was a replica meanwhile, and may have lost what it had not passed on before.
                self.shard.standing().note_promotion();
            }
            return Ok(());
        }
        let candidate = known.candidate.take();
        let candidate = candidate
            .filter(|server| *server.address() == claim.address)
            .unwrap_or_else(|| self.servers.at(claim.address.clone()));
        if is_primary(&candidate, self.patience).await {
            tracing::info!(service = %self.service, primary = %claim.address, epoch = claim.epoch, "redis has a primary");
            let is_first = primary.is_none();
            self.shard.follow(Some(candidate));
            if !is_first {
                self.shard.standing().note_promotion();
            }
        } else {
            known.candidate = Some(candidate);
        }
        Ok(())
    }

    /// What each of them says, in their order. Those that are slow are not waited for long once
    /// most have answered.
    async fn ask_all(&self) -> Vec<Option<Claim>> {
        let mut until = Instant::now() + self.patience;
        let asked = self.connections.iter().enumerate();
        let mut asked: FuturesUnordered<_> = asked
            .map(|(nth, sentinel)| async move { (nth, self.ask(sentinel, until).await) })
            .collect();
        let mut answers = vec![None; self.connections.len()];
        while let Ok(Some((nth, answer))) = timeout_at(until, asked.next()).await {
            answers[nth] = answer;
            if 2 * answers.iter().flatten().count() > answers.len() {
                until = until.min(Instant::now() + GRACE);
            }
        }
        answers
    }

    async fn ask(&self, sentinel: &Connection, until: Instant) -> Option<Claim> {
        let [master, address] = ["MASTER", "GET-MASTER-ADDR-BY-NAME"].map(|what| {
            let mut command = cmd("SENTINEL");
            command.arg(what).arg(&self.service).to_owned()
        });
        let asked = tokio::try_join!(
            sentinel.send(Request::Command(&master), false, until),
            sentinel.send(Request::Command(&address), false, until),
        );
        let claim = match asked {
            Ok((master, address)) => {
                Claim::read(master, address).map_err(|error| error.to_string())
            }
            Err(failure) => Err(failure.error.to_string()),
        };
        claim
            .inspect_err(|error| {
                tracing::debug!(error, "a sentinel does not say who is the primary")
            })
            .ok()
    }

    /// Hears of switches from one of them, and from another when that one is lost.
    async fn listen(&self) {
        for address in self.addresses.iter().cycle() {
            if let Err(error) = self.listen_to(address).await {
                tracing::debug!(%address, %error, "a sentinel is not heard");
            }
            sleep(SOON).await;
        }
    }

    async fn listen_to(&self, address: &Address) -> RedisResult<()> {
        let within = |_| std::io::Error::from(std::io::ErrorKind::TimedOut);
        let subscriptions = timeout(self.patience, self.access.subscriptions(address));
        let (mut commands, mut messages) = subscriptions.await.map_err(within)??.split();
        loop {
            let subscribed = timeout(self.patience, commands.subscribe(SWITCHED));
            subscribed.await.map_err(within)??;
            // What was told before is lost.
            self.switched.notify_one();
            let pulse = Instant::now() + PULSE;
            while let Ok(message) = timeout_at(pulse, messages.next()).await {
                if message.is_none() {
                    return Ok(());
                }
                self.switched.notify_one();
            }
        }
    }
}

/// A server that was promoted a moment ago may not know it yet, and one that comes back may not
/// know that it was demoted.
async fn is_primary(server: &Server, patience: Duration) -> bool {
    let role = cmd("ROLE");
    let until = Instant::now() + patience;
    match server.send(Request::Command(&role), false, until).await {
        Ok(redis::Value::Array(parts)) => {
            let role = parts.into_iter().next().map(String::from_redis_value);
            matches!(role, Some(Ok(role)) if role == "master")
        }
        Ok(_) => false,
        Err(failure) => {
            tracing::debug!(error = %failure.error, "a primary does not say its role");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::config::{self, Credentials};
    use crate::gateway::standing::Guard;

    /// Says that the primary of the epoch is at port 7001.
    async fn answer(mut stream: TcpStream, epoch: Arc<AtomicU64>) {
        let mut sent = vec![0; 1024];
        while let Ok(read @ 1..) = stream.read(&mut sent).await {
            let mut answer = String::new();
            for word in String::from_utf8_lossy(&sent[..read]).split("\r\n") {
                let epoch = epoch.load(Ordering::SeqCst);
                match word {
                    "SETINFO" => answer += "+OK\r\n",
                    "MASTER" => answer += &format!("*2\r\n$12\r\nconfig-epoch\r\n:{epoch}\r\n"),
                    "GET-MASTER-ADDR-BY-NAME" => {
                        answer += "*2\r\n$9\r\n127.0.0.1\r\n$4\r\n7001\r\n";
                    }
                    _ => {}
                }
            }
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }

    async fn sentinel(epoch: Arc<AtomicU64>) -> std::io::Result<Address> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (host, port) = ("127.0.0.1".into(), listener.local_addr()?.port());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, epoch.clone()));
            }
        });
        Ok(Address { host, port })
    }

    #[tokio::test]
    async fn a_primary_that_was_a_replica_between_two_looks_is_in_doubt() {
        let epoch = Arc::new(AtomicU64::new(1));
        let address = sentinel(epoch.clone()).await.expect("a sentinel");
        let access = Access::new(&Credentials::default(), 0, None);
        let servers = Servers {
            access: Arc::new(access.clone()),
            config: Arc::new(config::Redis::default()),
            trouble: Arc::default(),
        };
        let (host, port) = ("127.0.0.1".into(), 7001);
        let shard = Arc::new(Shard::new(None, &Guard::none()));
        let sentinels = Sentinels::new(
            vec![address],
            "holdfast".into(),
            access,
            &servers,
            shard.clone(),
        );
        let mut known = Known {
            epoch: 1,
            ..Known::default()
        };
        shard.follow(Some(servers.at(Address { host, port })));
        for (said, doubts) in [(1, 0), (3, 1), (3, 1)] {
            epoch.store(said, Ordering::SeqCst);
            sentinels.look(&mut known).await.expect("an answer");
            assert_eq!(shard.standing().doubts(), doubts, "epoch {said}");
        }
    }
}
