//! A proxy that stands still in the middle of a transaction (stopped, swapped out, cut off) must not
//! keep the others from its rows: the server ends the transaction, and whoever finds the connection
//! gone repeats what it did.

use sqlx::mysql::{MySqlConnection, MySqlDatabaseError};

/// How long a transaction may wait for its next statement, seconds. There is no work between two
/// statements that takes long; and it is shorter than the default of `recovery.lease_ms`, so that who
/// takes an order up after its lease finds its rows free.
const LONGEST_SECONDS: u32 = 4;
/// No such variable.
const UNKNOWN_VARIABLE: u16 = 1193;

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
