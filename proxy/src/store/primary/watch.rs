//! Looking at all hosts, again and again, on connections of their own.

use std::time::Duration;

use futures::future::join_all;
use sqlx::{ConnectOptions, MySqlConnection};
use tokio::time::{Instant, sleep, timeout};

use super::decision::{Belief, Report, decide};
use super::look::look;
use super::{Server, Watched};
use crate::config::MysqlHost;
use crate::store::Error;

/// From one look to the next.
const INTERVAL: Duration = Duration::from_millis(250);
/// The shortest time between two looks, however many ask for one.
const BREATH: Duration = Duration::from_millis(50);
/// A server that has not answered within this is taken for silent. One that hangs keeps its connections, so only this
/// finds it.
const PATIENCE: Duration = Duration::from_millis(500);
/// A connection is made anew after this, since another server may stand behind the same address.
const CONNECTION_AGE: Duration = Duration::from_secs(5);

/// Decides who is written to, again and again, until nobody needs to know any more.
pub(super) async fn run(watched: Watched) {
    let mut eyes: Vec<Eye> = watched.hosts.iter().map(Eye::of).collect();
    let mut belief = Belief::default();
    loop {
        let reports = join_all(eyes.iter_mut().map(Eye::report)).await;
        belief = tell(&watched, &belief, &reports);
        sleep(BREATH).await;
        tokio::select! {
            () = sleep(INTERVAL) => {}
            () = watched.hint.notified() => {}
            () = watched.state.closed() => return,
        }
    }
}

/// What is believed now; a change is told to all who write.
fn tell(watched: &Watched, before: &Belief, reports: &[Report]) -> Belief {
    let after = decide(before, reports);
    let said = said(&watched.hosts, reports);
    if after.chosen == before.chosen {
        watched.state.send_if_modified(|state| {
            state.said = said;
            false
        });
    } else {
        log(watched, before, &after, &said);
        switch(watched, &after, said);
    }
    count(watched, before, &after);
    after
}

/// From now on this server is written to, and no other.
fn switch(watched: &Watched, after: &Belief, said: String) {
    let chosen = after.chosen.as_ref();
    let server = chosen.map(|chosen| Server::new(watched, chosen.host, after.term));
    let mut former = None;
    watched.state.send_modify(|state| {
        former = std::mem::replace(&mut state.server, server);
        state.turn += 1;
        state.said = said;
    });
    if let Some(former) = former {
        tokio::spawn(async move { former.pool.close().await });
    }
}

fn log(watched: &Watched, before: &Belief, after: &Belief, said: &str) {
    match (&before.chosen, &after.chosen) {
        (_, Some(chosen)) => {
            let (host, server) = (&watched.hosts[chosen.host].name, &chosen.server);
            tracing::info!(%host, server, term = after.term, "this server of mysql is written to");
        }
        (Some(_), None) => {
            tracing::warn!(
                said,
                "no server of mysql may be written to; orders wait or are refused until one may"
            );
        }
        (None, None) => {}
    }
}

fn count(watched: &Watched, before: &Belief, after: &Belief) {
    let counted = &watched.counted.writing;
    let place = after.chosen.as_ref().map_or(0, |chosen| chosen.host + 1);
    counted
        .primary
        .set(i64::try_from(place).unwrap_or(i64::MAX));
    counted
        .term
        .set(i64::try_from(after.term).unwrap_or(i64::MAX));
    if after.chosen.is_some() && after.chosen != before.chosen {
        counted.choices.inc();
    }
}

fn said(hosts: &[MysqlHost], reports: &[Report]) -> String {
    let each = std::iter::zip(hosts, reports);
    let each: Vec<_> = each
        .map(|(host, report)| format!("{} {report}", host.name))
        .collect();
    each.join("; ")
}

/// Looks at one host.
struct Eye<'a> {
    host: &'a MysqlHost,
    connection: Option<(MySqlConnection, Instant)>,
}

impl<'a> Eye<'a> {
    fn of(host: &'a MysqlHost) -> Self {
        Self {
            host,
            connection: None,
        }
    }

    async fn report(&mut self) -> Report {
        let report = match timeout(PATIENCE, self.ask()).await {
            Ok(Ok(report)) => report,
            Ok(Err(error)) => Report::Silent(error.to_string()),
            Err(_elapsed) => Report::Silent(format!("no answer within {PATIENCE:?}")),
        };
        let is_old = |(_, since): &(_, Instant)| since.elapsed() > CONNECTION_AGE;
        if !matches!(report, Report::Writable { .. })
            || self.connection.as_ref().is_some_and(is_old)
        {
            self.connection = None;
        }
        report
    }

    async fn ask(&mut self) -> Result<Report, Error> {
        let (connection, _) = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert((self.host.options.connect().await?, Instant::now())),
        };
        look(connection).await
    }
}
