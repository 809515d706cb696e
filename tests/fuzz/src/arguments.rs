//! Hostile arguments of every command: they are read, or refused with an error that a client can show.

use crate::{Verdict, pieces};

/// The input is commands, each with its name first.
pub fn check(input: &[u8]) -> Verdict {
    let mut accepted = false;
    for args in pieces::commands(input) {
        let read = holdfast::parse(&args);
        assert_eq!(holdfast::parse(&args), read);
        match read {
            Ok(()) => accepted = true,
            Err(error) => assert_error(&error),
        }
    }
    Verdict::accepted_if(accepted)
}

/// An error goes over the wire as one line, and its first word tells programs what it is.
fn assert_error(error: &str) {
    assert!(error.len() <= 1024, "too long to show: {error}");
    assert!(!error.contains(char::is_control), "{error:?}");
    let prefix = error.split(' ').next().unwrap_or_default();
    assert!(
        !prefix.is_empty()
            && prefix
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte == b'_'),
        "{error:?} has no prefix"
    );
}
