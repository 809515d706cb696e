//! When either end of a connection falls silent.
//!
//! A proxy that stands still in the middle of a transaction (stopped, swapped out, cut off) must not
//! keep the others from its rows: the server ends the transaction, and whoever finds the connection
//! gone repeats what it did. A server whose answer got lost with the network is not waited for for
//! ever either: nothing would ever tell that it is gone.

use std::time::Duration;

use sqlx::mysql::{MySqlConnection, MySqlDatabaseError};

use super::{Error, Store};

/// How long a transaction may wait for its next statement, seconds. There is no work between two
/// statements that takes long; and it is shorter than the default of `recovery.lease_ms`, so that who
/// takes an order up after its lease finds its rows free.
const LONGEST_SECONDS: u32 = 4;
/// How long what runs in the background waits for the database: longer than for any lock.
pub const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// No such variable.
const UNKNOWN_VARIABLE: u16 = 1193;

impl Store {
    /// What `asked` answers, within [`LONGEST_WAIT`] and before another server is written to: what was
    /// asked of a former primary may never be answered.
    ///
    /// # Errors
    /// Those of `asked`, and [`Error::Unanswered`]: it may or may not be done.
    pub async fn answered<T, E: From<Error>>(
        &self,
        asked: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        tokio::select! {
            biased;
            answer = asked => answer,
            () = self.primary.moved() => Err(Error::Unanswered.into()),
            () = tokio::time::sleep(LONGEST_WAIT) => Err(Error::Unanswered.into()),
        }
    }
}

/// Has the server end this connection when a transaction on it is left alone.
pub(super) async fn end_silent_transactions(
    connection: &mut MySqlConnection,
) -> Result<(), sqlx::Error> {
    // MySQL knows only a bound on any silence, between two transactions too: then the pool finds
    // that the connection is gone, and makes another.
    for variable in ["idle_transaction_timeout", "wait_timeout"] {
        let statement = format!("SET SESSION {variable} = {LONGEST_SECONDS}");
        let set = sqlx::query(sqlx::AssertSqlSafe(statement));
        match set.execute(&mut *connection).await {
            Err(sqlx::Error::Database(error)) if is_unknown_variable(&*error) => {}
            set => return set.map(drop),
        }
    }
    Ok(())
}

fn is_unknown_variable(error: &dyn sqlx::error::DatabaseError) -> bool {
    let error = error.try_downcast_ref::<MySqlDatabaseError>();
    error.is_some_and(|error| error.number() == UNKNOWN_VARIABLE)
}
