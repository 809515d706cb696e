//! Whose a session is and what is noted in it: what SET can write.

use thiserror::Error;

use crate::limits::{
    MAX_FIELD_NAME_BYTES, MAX_FIELD_VALUE_BYTES, MAX_FIELDS, MAX_ROLES_BYTES, MAX_USER_BYTES,
};
use crate::text::{TextReader, TextWriter};

/// What a free field's name may be prefixed with, to tell it from the session's own: `field:cart` and `cart` are the
/// same field wherever one is named.
pub const FREE_PREFIX: &str = "field:";

/// Fields that cannot be set. Nothing has changed, and repeating the same command gives the same error.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Misuse {
    /// A field that only the module writes.
    #[error("field '{0}' is kept by the module and cannot be set")]
    Kept(&'static str),
    /// A user that is empty or too long.
    #[error("user must be 1 to {MAX_USER_BYTES} bytes long")]
    User,
    /// Roles that are too long.
    #[error("roles must be at most {MAX_ROLES_BYTES} bytes long")]
    Roles,
    /// A free field that is too long, or one too many.
    #[error(
        "a session has at most {MAX_FIELDS} free fields, with names of 1 to {MAX_FIELD_NAME_BYTES} bytes \
         and values of up to {MAX_FIELD_VALUE_BYTES}"
    )]
    Field,
}

/// The fields of a session's own; SET may write the first two, START and TOUCH keep the others.
const OWN: [&str; 8] = [
    "user",
    "roles",
    "login_ms",
    "activity_ms",
    "page",
    "page_views",
    "idle_ms_left",
    "absolute_ms_left",
];

/// User, roles and free fields, in the order of their first setting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) user: Vec<u8>,
    pub(crate) roles: Vec<u8>,
    pub(crate) fields: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Profile {
    /// The profile in a packed session's texts.
    pub(crate) fn unpack(texts: &[u8]) -> Self {
        let mut texts = TextReader::new(texts);
        let mut next = || texts.read();
        Self {
            user: next().unwrap_or_default(),
            roles: next().unwrap_or_default(),
            fields: std::iter::from_fn(|| Some((next()?, next()?))).collect(),
        }
    }

    /// Only who and what, without reading the fields.
    pub(crate) fn user_and_roles(texts: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let mut texts = TextReader::new(texts);
        let mut next = || texts.read().unwrap_or_default();
        (next(), next())
    }

    pub(crate) fn pack(&self) -> Vec<u8> {
        let mut texts = TextWriter::default();
        texts.write(&self.user);
        texts.write(&self.roles);
        for (name, value) in &self.fields {
            texts.write(name);
            texts.write(value);
        }
        texts.finish()
    }

    pub(crate) fn field(&self, name: &[u8]) -> Option<&[u8]> {
        let mut fields = self.fields.iter();
        let (_, value) = fields.find(|(known, _)| known == name)?;
        Some(value)
    }

    /// Sets the user, the roles or a free field. The name of a free field stands as it is, without a prefix.
    pub(crate) fn set(&mut self, name: &[u8], value: &[u8]) -> Result<(), Misuse> {
        match name {
            b"user" if (1..=MAX_USER_BYTES).contains(&value.len()) => self.user = value.to_vec(),
            b"user" => return Err(Misuse::User),
            b"roles" if value.len() <= MAX_ROLES_BYTES => self.roles = value.to_vec(),
            b"roles" => return Err(Misuse::Roles),
            _ => return self.set_field(name, value),
        }
        Ok(())
    }

    /// Sets a free field.
    pub(crate) fn set_field(&mut self, name: &[u8], value: &[u8]) -> Result<(), Misuse> {
        if let Some(own) = OWN.into_iter().find(|own| own.as_bytes() == name) {
            return Err(Misuse::Kept(own));
        }
        let fits = (1..=MAX_FIELD_NAME_BYTES).contains(&name.len())
            && value.len() <= MAX_FIELD_VALUE_BYTES;
        let room = self.fields.len() < MAX_FIELDS;
        match self.fields.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) if fits => *old = value.to_vec(),
            None if fits && room => {
                self.fields.push((name.to_vec(), value.to_vec()));
            }
            _ => return Err(Misuse::Field),
        }
        Ok(())
    }
}

/// The name of a free field without the prefix, or `None` if it has none.
pub(crate) fn free_name(name: &[u8]) -> Option<&[u8]> {
    name.strip_prefix(FREE_PREFIX.as_bytes())
}
