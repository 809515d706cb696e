//! A session as plain as can be: every part written out, every rule one line.

use holdfast_session::{Left, Rate, State, Verdict, limits};

use crate::commands::Text;
use crate::gcra;

#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    pub user: Text,
    pub roles: Text,
    pub secret: u8,
    pub previous: Option<(u8, u64)>,
    pub login_ms: u64,
    pub activity_ms: u64,
    pub idle_ms: u64,
    pub absolute_ms: u64,
    pub page: Text,
    pub views: u64,
    pub viewed: Vec<Text>,
    pub fields: Vec<(Text, Text)>,
    pub tat_ns: u64,
}

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

impl Model {
    /// A session that starts, `None` if it may not have what it is given.
    pub fn start(
        secret: u8,
        user: &Text,
        roles: &Text,
        timeouts_ms: (u64, u64),
        fields: &[(Text, Text)],
        now_ms: u64,
    ) -> Option<Self> {
        let mut model = Self {
            user: user.clone(),
            roles: roles.clone(),
            secret,
            previous: None,
            login_ms: now_ms,
            activity_ms: now_ms,
            idle_ms: timeouts_ms.0,
            absolute_ms: timeouts_ms.1,
            page: Text::new(),
            views: 0,
            viewed: Vec::new(),
            fields: Vec::new(),
            tat_ns: 0,
        };
        let sound = (1..=limits::MAX_USER_BYTES).contains(&user.len())
            && roles.len() <= limits::MAX_ROLES_BYTES
            && fields
                .iter()
                .all(|(name, value)| model.set_free(name, value));
        sound.then_some(model)
    }

    pub fn ends_ms(&self) -> u64 {
        (self.activity_ms + self.idle_ms).min(self.login_ms + self.absolute_ms)
    }

    pub fn left(&self, now_ms: u64) -> Result<Left, State> {
        if now_ms >= self.login_ms + self.absolute_ms {
            Err(State::AbsoluteExpired)
        } else if now_ms >= self.activity_ms + self.idle_ms {
            Err(State::IdleExpired)
        } else {
            Ok(Left {
                idle_ms: self.activity_ms + self.idle_ms - now_ms,
                absolute_ms: self.login_ms + self.absolute_ms - now_ms,
            })
        }
    }

    pub fn touch(
        &mut self,
        secret: u8,
        page: Option<&Text>,
        item: Option<&Text>,
        rate: Option<Rate>,
        now_ms: u64,
    ) -> (State, Option<Verdict>) {
        if let Err(state) = self.left(now_ms) {
            return (state, None);
        }
        let in_grace = |(old, until_ms)| old == secret && now_ms < until_ms;
        if self.secret != secret && !self.previous.is_some_and(in_grace) {
            return (State::BadSecret, None);
        }
        let verdict = rate.map(|rate| gcra::call(rate, self.tat_ns, now_ms));
        if verdict.is_some_and(|verdict| verdict.limited) {
            return (State::RateLimited, verdict);
        }
        self.tat_ns = verdict.map_or(self.tat_ns, |verdict| verdict.tat_ns);
        self.activity_ms = self.activity_ms.max(now_ms);
        if page.is_some() || item.is_some() {
            self.views += 1;
        }
        self.page = page.unwrap_or(&self.page).clone();
        if let Some(item) = item {
            self.viewed.retain(|known| known != item);
            self.viewed.insert(0, item.clone());
            self.viewed.truncate(limits::MAX_VIEWED);
        }
        self.previous = self
            .previous
            .filter(|(_, until_ms)| now_ms < until_ms + limits::LONGEST_GRACE_MS);
        (State::Ok, verdict)
    }

    /// Whether the fields can be set; then they are.
    pub fn set(&mut self, pairs: &[(Text, Text)]) -> bool {
        let mut after = self.clone();
        let done = pairs.iter().all(|(name, value)| match name.as_slice() {
            b"user" => {
                after.user = value.clone();
                (1..=limits::MAX_USER_BYTES).contains(&value.len())
            }
            b"roles" => {
                after.roles = value.clone();
                value.len() <= limits::MAX_ROLES_BYTES
            }
            _ => after.set_free(name, value),
        });
        if done {
            *self = after;
        }
        done
    }

    fn set_free(&mut self, name: &[u8], value: &Text) -> bool {
        let name = name.strip_prefix(b"field:").unwrap_or(name);
        if OWN.iter().any(|own| own.as_bytes() == name)
            || !(1..=limits::MAX_FIELD_NAME_BYTES).contains(&name.len())
            || value.len() > limits::MAX_FIELD_VALUE_BYTES
        {
            return false;
        }
        match self.fields.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value.clone(),
            None => self.fields.push((name.to_vec(), value.clone())),
        }
        self.fields.len() <= limits::MAX_FIELDS
    }

    /// The state, and whether anything changed.
    pub fn rotate(&mut self, old: u8, new: u8, grace_ms: u64, now_ms: u64) -> (State, bool) {
        if let Err(state) = self.left(now_ms) {
            return (state, false);
        }
        if self.secret == new && self.previous.is_some_and(|(previous, _)| previous == old) {
            return (State::Ok, false);
        }
        if self.secret != old {
            return (State::BadSecret, false);
        }
        (self.previous, self.secret) = (Some((old, now_ms + grace_ms)), new);
        (State::Ok, true)
    }
}
