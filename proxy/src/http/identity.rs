//! Who asks, however it was shown: by a session, or by an access token that needs no session.

use uuid::Uuid;

use super::{Call, Kind, Problem};
use crate::people::access_tokens::{self, Error};
use crate::people::{ADMIN, CUSTOMER, GUEST, SUPPORT, split_roles};

/// A user or a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// A user's id, or an id of the guest's own: carts and orders belong to it.
    pub owner: Uuid,
    /// Roles, separated by commas.
    pub roles: String,
    /// How it was shown.
    pub via: Via,
}

/// What showed who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// A session, which was touched.
    Session,
    /// An access token, which says what was true when it was issued, minutes ago at most.
    AccessToken,
}

impl Identity {
    /// True for who has the role.
    pub fn has_role(&self, role: &str) -> bool {
        split_roles(&self.roles).any(|known| known == role)
    }

    /// True for who has not logged in.
    pub fn is_guest(&self) -> bool {
        ![CUSTOMER, SUPPORT, ADMIN]
            .iter()
            .any(|role| self.has_role(role))
            || self.has_role(GUEST)
    }
}

impl Call {
    /// Who asks. What needs the session itself, and not only whose it is, takes
    /// [`Call::session`].
    pub async fn identity(&self) -> Result<&Identity, Problem> {
        let shown = self.identity.get_or_try_init(|| async {
            let identity = match self.access_token() {
                Some(token) => self.holder_of(token).await?,
                None => self.identity_of_session().await?,
            };
            if !identity.is_guest() {
                self.count_for_user(identity.owner)?;
            }
            Ok(identity)
        });
        shown.await
    }

    /// Refuses who has none of `roles`. The operator's token stands for every role.
    pub async fn has_role(&self, roles: &[&str]) -> Result<(), Problem> {
        if self.is_operator() {
            return Ok(());
        }
        let identity = self.identity().await?;
        if roles.iter().any(|role| identity.has_role(role)) {
            return Ok(());
        }
        let detail = format!("this needs the role {}", roles.join(" or "));
        Err(Problem::new(Kind::Forbidden, detail))
    }

    /// A bearer token that has the form of an access token.
    pub(super) fn access_token(&self) -> Option<&str> {
        let bearer = self.bearer().filter(|_| !self.is_operator());
        bearer.filter(|token| access_tokens::has_form(token))
    }

    async fn identity_of_session(&self) -> Result<Identity, Problem> {
        let session = self.session().await?;
        Ok(Identity {
            owner: session.owner,
            roles: session.touched.roles,
            via: Via::Session,
        })
    }

    async fn holder_of(&self, token: &str) -> Result<Identity, Problem> {
        let holder = self.app.access_tokens.read(token).await;
        let holder = holder.map_err(|error| match error {
            Error::Refused(why) => Problem::new(Kind::NoSession, why),
            Error::KeysAway(_) => Problem::unavailable("the issuer of access tokens", error),
            Error::Unsigned(_) => Problem::internal(error),
        })?;
        Ok(Identity {
            owner: holder.owner,
            roles: holder.roles,
            via: Via::AccessToken,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(roles: &str) -> Identity {
        Identity {
            owner: Uuid::nil(),
            roles: roles.into(),
            via: Via::Session,
        }
    }

    #[test]
    fn a_role_is_a_whole_word_of_the_list() {
        assert!(with("customer,admin").has_role(ADMIN));
        assert!(!with("customer,administrator").has_role(ADMIN));
        assert!(!with("").has_role(""));
    }

    #[test]
    fn who_has_no_role_of_a_user_is_a_guest() {
        for (roles, is_guest) in [
            ("guest", true),
            ("", true),
            ("customer", false),
            ("admin", false),
        ] {
            assert_eq!(with(roles).is_guest(), is_guest, "{roles}");
        }
    }
}
