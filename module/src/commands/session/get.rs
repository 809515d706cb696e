//! `SESSION.GET key [field [field ...]]`

use holdfast_session::{FREE_PREFIX, Left, Record};

use crate::args::Bytes;
use crate::commands::syntax::{KEY, text};
use crate::commands::{Access, Entry, Group, Keys, READ, TELLS_TIME};
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply};

pub(crate) const ENTRY: Entry = Entry {
    name: "session.get",
    group: Group::Session,
    flags: READ,
    keys: Keys::First(Access::Read),
    arguments: &[KEY, text("field").multiple().optional()],
    complexity: "O(f) in its fields and in those asked for",
    summary: "Shows a session or some of its fields.",
    tips: TELLS_TIME,
    since: "0.1.0",
    parse: |args| parse(args).map(drop),
    run,
};

/// The key and the names of the fields, none of which means all.
pub(crate) fn parse<A: Bytes>(args: &[A]) -> Result<(&A, &[A]), Failure> {
    match args {
        [_, key, names @ ..] => Ok((key, names)),
        _ => Err(Failure::Arity),
    }
}

pub(crate) fn run(context: &mut Context, args: &[Arg<'_>]) -> Result<Reply, Failure> {
    let (key, names) = parse(args)?;
    let open = context.open(key);
    let live = open
        .value::<Record>()?
        .and_then(|record| Some((record, record.left(context.now_ms()).ok()?)));
    let Some((record, left)) = live else {
        return Ok(Reply::Null);
    };
    if names.is_empty() {
        let free = record
            .fields()
            .into_iter()
            .map(|(name, value)| ([FREE_PREFIX.as_bytes(), &name].concat(), Reply::Bulk(value)));
        let own = OWN
            .iter()
            .map(|(name, read)| (name.as_bytes().to_vec(), read(record, &left)));
        return Ok(Reply::Map(own.chain(free).collect()));
    }
    let names: Vec<&[u8]> = names.iter().map(|name| &**name).collect();
    let values = names.iter().zip(record.values(&names)).map(|(name, free)| {
        match OWN.iter().find(|(own, _)| own.as_bytes() == *name) {
            Some((_, read)) => read(record, &left),
            None => free.map_or(Reply::Null, Reply::Bulk),
        }
    });
    Ok(Reply::Array(values.collect()))
}

type Read = fn(&Record, &Left) -> Reply;

/// The session's own fields.
const OWN: [(&str, Read); 8] = [
    ("user", |record, _| Reply::Bulk(record.user())),
    ("roles", |record, _| Reply::Bulk(record.roles())),
    ("login_ms", |record, _| Reply::number(record.login_ms())),
    ("activity_ms", |record, _| {
        Reply::number(record.activity_ms())
    }),
    ("page", |record, _| Reply::Bulk(record.page())),
    ("page_views", |record, _| Reply::number(record.page_views())),
    ("idle_ms_left", |_, left| Reply::number(left.idle_ms)),
    ("absolute_ms_left", |_, left| {
        Reply::number(left.absolute_ms)
    }),
];
