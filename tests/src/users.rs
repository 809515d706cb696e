//! The users of private Redis servers: those of redis-conf/users.acl, each with a password that was made for them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::data::{self, Home};

const SENTINELS: &str = "sentinels-password";

/// Tests look into servers and empty them, and do that as the operator, whom redis-conf/users.acl spares such slips.
const SLIPS: &str = "+flushall +flushdb +keys +debug";

/// One user a role, as an operator lets them in who follows redis-conf/README.md; `default` is off.
#[derive(Debug, Clone)]
pub struct Users {
    passwords: BTreeMap<String, String>,
    /// What the Sentinels ask for, and its file.
    sentinels: (String, PathBuf),
    /// Roles and what they may besides.
    further: Vec<(String, String)>,
}

impl Users {
    /// The users of the servers that belong to `home`, where their passwords are kept.
    pub fn of(home: &Home) -> Result<Users> {
        let named = template()?;
        let roles = named
            .lines()
            .filter_map(|line| line.split(' ').nth(1))
            .filter(|name| *name != "default");
        let passwords = roles.map(|role| {
            let password = home.secret(&format!("{role}-password"))?;
            Ok((role.to_owned(), password))
        });
        Ok(Users {
            passwords: passwords.collect::<Result<_>>()?,
            sentinels: (home.secret(SENTINELS)?, home.path(SENTINELS)),
            further: vec![("operator".to_owned(), SLIPS.to_owned())],
        })
    }

    /// The password of a role.
    pub fn password(&self, role: &str) -> Result<&str> {
        let password = self.passwords.get(role);
        Ok(password.with_context(|| format!("users.acl has no user '{role}'"))?)
    }

    /// The password that the Sentinels ask of everybody.
    pub fn sentinels_password(&self) -> &str {
        &self.sentinels.0
    }

    /// The file with that password.
    pub fn sentinels_password_file(&self) -> PathBuf {
        self.sentinels.1.clone()
    }

    /// `role:password@`, for a URL.
    pub fn login(&self, role: &str) -> Result<String> {
        Ok(format!("{role}:{}@", self.password(role)?))
    }

    /// Grants a role what not every server knows, and the file therefore cannot say.
    pub fn grant(mut self, role: &str, rule: &str) -> Users {
        self.further.push((role.to_owned(), rule.to_owned()));
        self
    }

    /// The ACL file of a server that lets them in, and nobody else.
    pub fn file(&self) -> Result<String> {
        let mut file = template()?.replace("user default on ", "user default off ");
        for (role, password) in &self.passwords {
            let further: String = self
                .further
                .iter()
                .filter(|(whose, _)| whose == role)
                .map(|(_, rule)| format!(" {rule}"))
                .collect();
            file = file
                .lines()
                .map(
                    |line| match line.strip_prefix(&format!("user {role} off resetpass ")) {
                        Some(rules) => {
                            format!("user {role} on resetpass >{password} {rules}{further}\n")
                        }
                        None => format!("{line}\n"),
                    },
                )
                .collect();
        }
        Ok(file)
    }
}

fn template() -> Result<String> {
    let path = data::checkout().join("redis-conf/users.acl");
    std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_is_let_in_with_its_own_password_and_default_is_not() {
        let home = Home::for_test("users").unwrap();
        let users = Users::of(&home).unwrap();
        let file = users.file().unwrap();
        let lines: Vec<&str> = file.lines().collect();
        assert!(lines[0].starts_with("user default off "));
        assert!(
            lines.len() >= 7 && !file.contains("off resetpass"),
            "{file}"
        );
        for role in ["operator", "proxy", "replica", "sentinel"] {
            let password = users.password(role).unwrap();
            assert_eq!(file.matches(&format!(">{password} ")).count(), 1, "{role}");
        }
        assert_eq!(Users::of(&home).unwrap().passwords, users.passwords);
        assert!(users.password("nobody").is_err());
        let granted = users.grant("replica", "+cluster|syncslots").file().unwrap();
        assert!(granted.contains("+psync +cluster|syncslots\n"), "{granted}");
    }
}
