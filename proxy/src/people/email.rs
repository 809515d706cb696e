//! The address that a user logs in with.

use std::str::FromStr;

/// An e-mail address in lower case: the part before the `@` as a dot-atom (RFC 5322, 3.2.3), the
/// part behind it as a host name with at least one dot. Quoted and non-ASCII addresses are not
/// taken, because two spellings of one address must not become two users.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(transparent)]
#[schemars(extend("maxLength" = MAX_BYTES, "pattern" = PATTERN, "examples" = ["ada@example.com"]))]
pub struct Email(String);

/// The text is no e-mail address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an e-mail address looks like name@example.com, is ASCII and has at most 254 characters")]
pub struct InvalidEmail;

// RFC 5321, 4.5.3.1, with erratum 1690.
const MAX_BYTES: usize = 254;
const MAX_LOCAL_BYTES: usize = 64;
const MAX_LABEL_BYTES: usize = 63;

/// What [`Email::from_str`] takes, as a pattern for callers.
const PATTERN: &str = concat!(
    r"^(?=.{1,64}@)[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@",
    r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)+$",
);

impl Email {
    /// The text of the address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Email {
    type Err = InvalidEmail;

    fn from_str(text: &str) -> Result<Self, InvalidEmail> {
        let text = text.trim();
        let (local, domain) = text.rsplit_once('@').ok_or(InvalidEmail)?;
        if text.len() <= MAX_BYTES && is_dot_atom(local) && is_host_name(domain) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(InvalidEmail)
        }
    }
}

impl TryFrom<String> for Email {
    type Error = InvalidEmail;

    fn try_from(text: String) -> Result<Self, InvalidEmail> {
        text.parse()
    }
}

fn is_dot_atom(local: &str) -> bool {
    let is_atom_byte =
        |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
    local.len() <= MAX_LOCAL_BYTES
        && local
            .split('.')
            .all(|atom| !atom.is_empty() && atom.bytes().all(is_atom_byte))
}

fn is_host_name(domain: &str) -> bool {
    let is_label = |label: &str| {
        let known = label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        known
            && (1..=MAX_LABEL_BYTES).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    domain.contains('.') && domain.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_address_has_one_spelling() {
        let email: Email = " Ada.Lovelace+shop@Example.COM "
            .parse()
            .expect("an address");
        assert_eq!(email.as_str(), "ada.lovelace+shop@example.com");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long_local = format!("{}@example.com", "a".repeat(65));
        let long = format!("a@{}.com", vec!["b".repeat(63); 4].join("."));
        for text in [
            "",
            "@",
            "a",
            "a@",
            "@b.com",
            "a@b",
            "a@b..com",
            "a@.com",
            "a@b.com.",
            "a@-b.com",
            "a@b-.com",
            "a b@c.com",
            "a..b@c.com",
            ".a@c.com",
            "a@b@c.com",
            "é@b.com",
            "a@é.com",
            "a\0@b.com",
            "\"a b\"@c.com",
            &long_local,
            &long,
        ] {
            assert_eq!(text.parse::<Email>(), Err(InvalidEmail), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_read_reads_the_same_again(text in "[ -~]{0,20}@[a-zA-Z0-9.-]{0,20}") {
            if let Ok(email) = text.parse::<Email>() {
                prop_assert_eq!(email.as_str().parse::<Email>(), Ok(email.clone()));
            }
        }
    }
}
