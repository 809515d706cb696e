//! Settings that are credentials: given outright, or by a file of their own.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::check::{check_with, ensure};
use super::{Auth, Error, Payment};

/// Standard Webhooks: a secret has 24 to 64 bytes.
const SHORTEST_WEBHOOK_SECRET: usize = 24;

/// A value that may hold a credential: it never shows itself in a log.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub(super) String);

impl Secret {
    /// The value itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("***")
    }
}

impl Auth {
    /// Takes the token from its file, unless it was given outright.
    pub(super) fn read_token_file(&mut self) -> Result<(), Error> {
        if let (None, Some(path)) = (&self.operator_token, &self.operator_token_file) {
            self.operator_token = Some(first_line("auth.operator_token_file", path)?);
        }
        let long_enough = self
            .operator_token
            .as_ref()
            .is_none_or(|token| token.expose().len() >= 16);
        ensure(
            long_enough,
            "auth.operator_token",
            "must have at least 16 characters",
        )
    }
}

impl Payment {
    /// Takes the API key and the webhooks' secrets from their files, unless they were given
    /// outright.
    pub(super) fn read_secret_files(&mut self) -> Result<(), Error> {
        if let (None, Some(path)) = (&self.api_key, &self.api_key_file) {
            self.api_key = Some(first_line("payment.api_key_file", path)?);
        }
        if let (None, Some(path)) = (&self.webhook_secret, &self.webhook_secret_file) {
            let text = check_with("payment.webhook_secret_file", std::fs::read_to_string(path))?;
            self.webhook_secret = Some(Secret(text));
        }
        self.webhook_secrets()?;
        // What cannot be a header would make every payment fail.
        let key = self.api_key.as_ref().map_or("key", Secret::expose);
        let is_sendable = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
        ensure(
            is_sendable,
            "payment.api_key",
            "must be printable ASCII without spaces",
        )
    }

    /// The keys that webhooks may be signed with.
    ///
    /// # Errors
    /// When a secret is not written as Standard Webhooks has it, or is too short to be one.
    pub fn webhook_secrets(&self) -> Result<Vec<Vec<u8>>, Error> {
        let written = self.webhook_secret.as_ref().map_or("", Secret::expose);
        let secrets = written.split_whitespace().map(|secret| {
            let key = secret
                .strip_prefix("whsec_")
                .and_then(|base64| STANDARD.decode(base64).ok());
            key.filter(|key| key.len() >= SHORTEST_WEBHOOK_SECRET)
        });
        secrets
            .collect::<Option<_>>()
            .ok_or_else(|| Error::Invalid {
                setting: "payment.webhook_secret",
                problem: format!(
                    "must be whsec_ and the base64 of at least {SHORTEST_WEBHOOK_SECRET} bytes"
                ),
            })
    }
}

pub(super) fn first_line(setting: &'static str, path: &Path) -> Result<Secret, Error> {
    let text = check_with(setting, std::fs::read_to_string(path))?;
    let line = text.lines().next().unwrap_or_default().trim();
    Ok(Secret(line.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_token_and_an_absent_file_are_refused() {
        let mut auth = Auth {
            operator_token: Some(Secret("guessable".into())),
            ..Auth::default()
        };
        assert!(auth.read_token_file().is_err());
        let absent = Some("/nowhere/operator-token".into());
        let mut auth = Auth {
            operator_token_file: absent,
            ..Auth::default()
        };
        assert!(auth.read_token_file().is_err());
    }

    #[test]
    fn webhook_secrets_are_read_one_by_one_and_guessable_ones_refused() {
        let with = |written: &str| Payment {
            webhook_secret: Some(Secret(written.into())),
            ..Payment::default()
        };
        let long = STANDARD.encode([7; SHORTEST_WEBHOOK_SECRET]);
        let two = with(&format!(" whsec_{long}\nwhsec_{long}\n")).webhook_secrets();
        assert_eq!(two.expect("two secrets").len(), 2);
        let none = Payment::default().webhook_secrets();
        assert!(none.expect("no secret").is_empty());
        let short = STANDARD.encode([7; SHORTEST_WEBHOOK_SECRET - 1]);
        for bad in [&long, "whsec_%", &format!("whsec_{short}")] {
            assert!(with(bad).webhook_secrets().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_secret_does_not_show_itself() {
        assert_eq!(format!("{:?}", Secret("hunter2".into())), "***");
    }
}
