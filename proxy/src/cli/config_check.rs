//! `holdfast config check`

use super::output::say;
use crate::config::Config;
use crate::people::access_tokens::AccessTokens;

/// A configuration that could not be used has been refused before this runs.
pub(super) fn run(config: &Config) -> anyhow::Result<()> {
    AccessTokens::open(&config.jwt)?;
    say(format_args!(
        "the configuration is sound: API on {}, admin on {}",
        config.http.listen, config.admin.listen
    ))?;
    if config.auth.operator_token.is_none() {
        say("note: without auth.operator_token_file nobody can set stock over HTTP")?;
    }
    if config.http.plain_http_cookies {
        say("note: http.plain_http_cookies is for development; behind TLS leave it out")?;
    }
    Ok(())
}
