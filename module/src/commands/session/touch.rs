//! `SESSION.TOUCH key digest [PAGE page] [ITEM item] [RATE burst count period-s]`

use holdfast_session::limits::{MAX_ITEM_BYTES, MAX_PAGE_BYTES};
use holdfast_session::{Rate, Record, State, Touch, Touched};

use super::change;
use crate::args::{self, Bytes, MAX_NUMBER, Options};
use crate::commands::syntax::{DIGEST, KEY, block, integer, text};
use crate::commands::{Access, Entry, Group, Keys, TELLS_TIME, WRITE};
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply};
use crate::statistics;

pub(crate) const ENTRY: Entry = Entry {
    name: "session.touch",
    group: Group::Session,
    flags: WRITE,
    keys: Keys::First(Access::Update),
    arguments: &[
        KEY,
        DIGEST,
        text("page").after("PAGE").optional(),
        text("item").after("ITEM").optional(),
        block(
            "rate",
            &[integer("burst"), integer("count"), integer("period-s")],
        )
        .after("RATE")
        .optional(),
    ],
    complexity: "O(1)",
    summary: "Checks a session's secret, records the view and keeps it alive.",
    tips: TELLS_TIME,
    since: "0.1.0",
    parse: |args| parse(args).map(drop),
    run,
};

pub(crate) fn parse<A: Bytes>(args: &[A]) -> Result<(&A, Touch<'_>), Failure> {
    let [_, key, digest, rest @ ..] = args else {
        return Err(Failure::Arity);
    };
    let digest = args::digest(digest, "digest")?;
    let (mut page, mut item, mut rate) = (None, None, None);
    let mut options = Options::new(rest);
    while let Some(name) = options.next_name() {
        match name.as_slice() {
            b"PAGE" => {
                let value = args::text(options.value()?, "page", 0, MAX_PAGE_BYTES)?;
                options.once(&mut page, value)?;
            }
            b"ITEM" => {
                let value = args::text(options.value()?, "item", 1, MAX_ITEM_BYTES)?;
                options.once(&mut item, value)?;
            }
            b"RATE" => {
                let value = read_rate(&mut options)?;
                options.once(&mut rate, value)?;
            }
            _ => return Err(options.unknown(ENTRY.arguments)),
        }
    }
    let touch = Touch {
        digest,
        page,
        item,
        rate,
    };
    Ok((key, touch))
}

pub(crate) fn run(context: &mut Context, args: &[Arg<'_>]) -> Result<Reply, Failure> {
    let (key, touch) = parse(args)?;
    let touched = match context.open(key).value::<Record>()? {
        Some(record) => record.touch(&touch, context.now_ms()),
        None => Touched::refused(State::Absent),
    };
    if let Some(effect) = &touched.effect {
        change(context, key, effect)?;
    }
    statistics::checked(touched.state, &statistics::SESSIONS_TOUCHED);
    let mut reply = vec![
        Reply::Word(touched.state.as_str()),
        Reply::Bulk(touched.user),
        Reply::Bulk(touched.roles),
        Reply::number(touched.page_views),
        Reply::number(touched.left.idle_ms),
        Reply::number(touched.left.absolute_ms),
    ];
    if touch.rate.is_some() {
        reply.extend(match touched.verdict {
            Some(verdict) => [
                Reply::Integer(verdict.limited.into()),
                Reply::number(verdict.limit),
                Reply::number(verdict.remaining),
                Reply::Integer(verdict.retry_after_s),
                Reply::number(verdict.reset_after_s),
            ],
            None => [0; 5].map(Reply::Integer),
        });
    }
    Ok(Reply::Array(reply))
}

/// `burst count period-s`
fn read_rate<A: Bytes>(options: &mut Options<'_, A>) -> Result<Rate, Failure> {
    let burst = args::number(options.value()?, "burst", 0, MAX_NUMBER)?;
    let count = args::number(options.value()?, "count", 1, MAX_NUMBER)?;
    let period_s = args::number(options.value()?, "period-s", 1, MAX_NUMBER)?;
    Rate::new(burst, count, period_s).ok_or_else(|| {
        Failure::error("RATE is out of range: more than one a nanosecond, or a burst that takes over ten years to refill")
    })
}
