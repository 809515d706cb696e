//! Which roles somebody is given and loses. Pure.

use super::{ADMIN, SUPPORT, split_roles};

/// A role that an operator gives and takes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// Helps customers.
    Support,
    /// Runs the shop.
    Admin,
}

impl Role {
    /// As it stands in a list of roles.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Support => SUPPORT,
            Role::Admin => ADMIN,
        }
    }
}

/// The list with `role` in it.
pub fn granted(roles: &str, role: Role) -> String {
    let others = revoked(roles, role);
    match others.as_str() {
        "" => role.as_str().to_owned(),
        others => format!("{others},{}", role.as_str()),
    }
}

/// The list without `role`.
pub fn revoked(roles: &str, role: Role) -> String {
    let kept: Vec<_> = split_roles(roles)
        .filter(|known| *known != role.as_str())
        .collect();
    kept.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_had_once_or_not_at_all() {
        assert_eq!(granted("customer", Role::Admin), "customer,admin");
        assert_eq!(granted("admin,customer", Role::Admin), "customer,admin");
        assert_eq!(granted("", Role::Support), "support");
        assert_eq!(
            revoked("customer,admin,support", Role::Admin),
            "customer,support"
        );
        assert_eq!(revoked("customer", Role::Admin), "customer");
        assert_eq!(revoked("admin", Role::Admin), "");
    }
}
