//! `holdfast users`

use anyhow::{Context, bail};
use clap::{Args, Subcommand};

use super::output::say;
use super::servers;
use crate::config::Config;
use crate::gateway::Gateway;
use crate::people::roles::{Role, granted, revoked};
use crate::people::{Email, User};
use crate::sessions::Sessions;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Give a user a role, and end the user's sessions.
    Grant(RoleOptions),
    /// Take a role from a user, and end the user's sessions.
    Revoke(RoleOptions),
}

#[derive(Debug, Args)]
pub(super) struct RoleOptions {
    /// Who has registered with this e-mail address.
    email: String,
    /// The role.
    role: Role,
}

pub(super) async fn run(config: &Config, command: &Command) -> anyhow::Result<()> {
    let (options, change): (_, fn(&str, Role) -> String) = match command {
        Command::Grant(options) => (options, granted),
        Command::Revoke(options) => (options, revoked),
    };
    let store = servers::store(config).await?;
    let email: Email = options.email.parse()?;
    let user: Option<User> = store.user_by_email(&email).await?;
    let user = user.with_context(|| format!("nobody has registered as {}", email.as_str()))?;
    let roles = change(&user.roles, options.role);
    if !store.set_roles(&user, &roles).await? {
        bail!(
            "the roles of {} were changed meanwhile; run this again",
            email.as_str()
        );
    }
    // Also when the roles were these before: it may be a second try to end the sessions.
    let gateway = Gateway::open(&config.redis)?;
    let sessions = Sessions::new(gateway, store, config.session.clone());
    sessions.end_all_but(user.id, None).await.context(
        "the roles are changed, but sessions with the old ones may live on; run this again",
    )?;
    say(format_args!("{}: {roles}", email.as_str()))?;
    Ok(())
}
