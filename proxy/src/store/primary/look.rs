//! What a server says of itself, by whichever connection to it.

use sqlx::mysql::MySqlConnection;

use super::decision::Report;
use crate::store::Error;

/// No such table: the shop's tables are not there yet, or older than the term.
const NO_SUCH_TABLE: u16 = 1146;

/// Asks a server whether it takes writes, which server it is, and for the term.
pub async fn look(connection: &mut MySqlConnection) -> Result<Report, Error> {
    // A number on most servers and a word on newer ones, where it has more than two values.
    let (read_only, server): (String, String) = sqlx::query_as(
        "SELECT CAST(@@GLOBAL.read_only AS CHAR), CAST(CONCAT(@@hostname, ':', @@port, '/', @@server_id) AS CHAR)",
    )
    .fetch_one(&mut *connection)
    .await?;
    let term: Result<Option<u64>, Error> =
        sqlx::query_scalar("SELECT CAST(term AS UNSIGNED) FROM primary_term WHERE id = 1")
            .fetch_optional(connection)
            .await
            .map_err(Error::from);
    let term = match term {
        Ok(term) => term.unwrap_or_default(),
        Err(error) if error.mysql_number() == Some(NO_SUCH_TABLE) => 0,
        Err(error) => return Err(error),
    };
    Ok(match read_only.as_str() {
        "0" | "OFF" => Report::Writable { term, server },
        _ => Report::ReadOnly { term },
    })
}
