//! A session kept in the plainest way there is.

use holdfast_session::{Effect, Record, limits};

/// What a session must show after the effects that went into it. It believes everything that it is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Book {
    user: Vec<u8>,
    roles: Vec<u8>,
    login_ms: u64,
    activity_ms: u64,
    page: Vec<u8>,
    page_views: u64,
    viewed: Vec<Vec<u8>>,
    fields: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Book {
    /// The book of a session as it stands.
    pub fn of(record: &Record) -> Self {
        Self {
            user: record.user(),
            roles: record.roles(),
            login_ms: record.login_ms(),
            activity_ms: record.activity_ms(),
            page: record.page(),
            page_views: record.page_views(),
            viewed: record.viewed(),
            fields: record.fields(),
        }
    }

    /// Writes down an effect that the session has taken.
    pub fn write(&mut self, effect: &Effect) {
        match effect {
            Effect::Put(record) => *self = Self::of(record),
            Effect::Touched {
                at_ms, page, item, ..
            } => self.touched(*at_ms, page.as_ref(), item.as_ref()),
            Effect::Set { pairs } => {
                for (name, value) in pairs {
                    self.set(name, value);
                }
            }
            Effect::Rotated { .. } => {}
        }
    }

    fn touched(&mut self, at_ms: u64, page: Option<&Vec<u8>>, item: Option<&Vec<u8>>) {
        self.activity_ms = self.activity_ms.max(at_ms);
        if page.is_some() || item.is_some() {
            self.page_views = (self.page_views + 1).min(i64::MAX as u64);
        }
        if let Some(page) = page {
            self.page = page.clone();
        }
        if let Some(item) = item {
            self.viewed.retain(|known| known != item);
            self.viewed.insert(0, item.clone());
            self.viewed.truncate(limits::MAX_VIEWED);
        }
    }

    fn set(&mut self, name: &[u8], value: &[u8]) {
        match name {
            b"user" => self.user = value.to_vec(),
            b"roles" => self.roles = value.to_vec(),
            _ => match self.fields.iter_mut().find(|(known, _)| known == name) {
                Some((_, old)) => *old = value.to_vec(),
                None => self.fields.push((name.to_vec(), value.to_vec())),
            },
        }
    }
}
