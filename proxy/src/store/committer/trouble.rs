//! What to do about a batch that could not be written. Pure.

use super::super::Error;

/// What the error says about trying again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It passes: a deadlock, a lost connection, a server that is full or starting. The same batch
    /// may be tried again, and may be written already.
    Passing,
    /// Something of it exists already, which looking first will find.
    Duplicate,
    /// It would fail again because of some order in it, which the others should not wait for.
    OneOfThem,
}

/// What `error` says about trying again.
pub fn of(error: &Error) -> Trouble {
    use sqlx::Error as Driver;
    match error {
        Error::Unanswered | Error::NoPrimary(_) => Trouble::Passing,
        Error::Database(Driver::Database(_)) => {
            error.mysql_number().map_or(Trouble::Passing, of_number)
        }
        // The value itself cannot be sent or read.
        Error::Database(Driver::Encode(_) | Driver::Decode(_) | Driver::ColumnDecode { .. }) => {
            Trouble::OneOfThem
        }
        Error::Database(_) => Trouble::Passing,
        _ => Trouble::OneOfThem,
    }
}

fn of_number(number: u16) -> Trouble {
    match number {
        1062 => Trouble::Duplicate,
        number if PASSING.contains(&number) => Trouble::Passing,
        _ => Trouble::OneOfThem,
    }
}

/// Errors of the server's state, not of what it was given. A lock that stays locked (1205) is not
/// among them: it concerns the orders of one row.
const PASSING: [u16; 18] = [
    1021, // disk full
    1030, // the storage engine failed, which a full disk can mean
    1037, // out of memory
    1038, // out of sort memory
    1040, // too many connections
    1041, // out of resources
    1053, // the server shuts down
    1114, // table full, which a full disk means
    1180, // COMMIT failed
    1203, // too many connections of this user
    1213, // deadlock
    1290, // read only
    1317, // the query was killed
    1461, // too many prepared statements
    1792, // read only transaction
    1836, // read only mode
    1927, // the connection was killed
    4031, // MySQL ended the connection, which was silent for too long
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_network_did_passes_and_what_one_order_is_does_not() {
        let io = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        for passing in [
            Error::Unanswered,
            sqlx::Error::Io(io).into(),
            sqlx::Error::Protocol("cut off".into()).into(),
        ] {
            assert_eq!(of(&passing), Trouble::Passing, "{passing}");
        }
        for lasting in [
            Error::NotToBeConfirmed,
            sqlx::Error::Encode("too long".into()).into(),
        ] {
            assert_eq!(of(&lasting), Trouble::OneOfThem, "{lasting}");
        }
    }

    #[test]
    fn what_the_server_says_of_itself_passes_and_of_a_row_does_not() {
        // A deadlock, a killed connection, and one that MySQL found idle.
        for number in [1213, 1927, 4031] {
            assert_eq!(of_number(number), Trouble::Passing, "{number}");
        }
        assert_eq!(of_number(1062), Trouble::Duplicate);
        // A value that is too long, and a lock that one row's orders wait for.
        for number in [1406, 1205] {
            assert_eq!(of_number(number), Trouble::OneOfThem, "{number}");
        }
    }
}
