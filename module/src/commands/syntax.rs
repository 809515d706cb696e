//! What arguments a command takes: one definition each, of which its arity, its syntax line, its HELP and what
//! COMMAND DOCS says of it are made.

/// An argument, or several that belong together.
#[derive(Clone, Copy)]
pub(crate) struct Argument {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// The word that stands before it.
    pub(crate) token: Option<&'static str>,
    pub(crate) optional: bool,
    /// Whether it may be repeated, without its token.
    pub(crate) multiple: bool,
}

/// What an argument is.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Key,
    /// Bytes of any kind.
    Text,
    Integer,
    UnixTime,
    /// Nothing but its token.
    Token,
    OneOf(&'static [Argument]),
    /// One after the other.
    Block(&'static [Argument]),
}

pub(crate) const KEY: Argument = Argument::new("key", Kind::Key);
pub(crate) const HOLD_ID: Argument = text("hold-id");
pub(crate) const QUANTITY: Argument = integer("quantity");
pub(crate) const ONLY_IF: Argument = integer("seq").after("IF").optional();
pub(crate) const FORCE: Argument = token("FORCE").optional();
pub(crate) const LATE: Argument = QUANTITY.after("LATE").optional();
pub(crate) const COUNT: Argument = integer("count").after("COUNT").optional();
pub(crate) const DIGEST: Argument = text("digest");
/// `[PX ms | PXAT unix-ms]`
pub(crate) const DEADLINE: Argument = one_of(
    "deadline",
    &[
        integer("ms").after("PX"),
        Argument::new("unix-ms", Kind::UnixTime).after("PXAT"),
    ],
)
.optional();

pub(crate) const fn text(name: &'static str) -> Argument {
    Argument::new(name, Kind::Text)
}

pub(crate) const fn integer(name: &'static str) -> Argument {
    Argument::new(name, Kind::Integer)
}

pub(crate) const fn token(token: &'static str) -> Argument {
    Argument::new(token, Kind::Token).after(token)
}

pub(crate) const fn one_of(name: &'static str, choices: &'static [Argument]) -> Argument {
    Argument::new(name, Kind::OneOf(choices))
}

pub(crate) const fn block(name: &'static str, parts: &'static [Argument]) -> Argument {
    Argument::new(name, Kind::Block(parts))
}

impl Argument {
    const fn new(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            token: None,
            optional: false,
            multiple: false,
        }
    }

    pub(crate) const fn after(self, token: &'static str) -> Self {
        let token = Some(token);
        Self { token, ..self }
    }

    pub(crate) const fn optional(self) -> Self {
        Self {
            optional: true,
            ..self
        }
    }

    pub(crate) const fn multiple(self) -> Self {
        Self {
            multiple: true,
            ..self
        }
    }

    /// How many arguments it is at least, and whether it may be more.
    fn length(&self) -> (usize, bool) {
        let (least, open) = match self.kind {
            Kind::Token => (0, false),
            Kind::Block(parts) => lengths(parts),
            Kind::OneOf(choices) => {
                let lengths = choices.iter().map(Self::length);
                lengths
                    .reduce(|a, b| (a.0.min(b.0), a.1 || b.1 || a.0 != b.0))
                    .unwrap_or_default()
            }
            Kind::Key | Kind::Text | Kind::Integer | Kind::UnixTime => (1, false),
        };
        if self.optional {
            (0, true)
        } else {
            (
                least + usize::from(self.token.is_some()),
                open || self.multiple,
            )
        }
    }

    /// As it stands in a syntax line, in the notation of Redis's own documentation.
    fn notation(&self) -> String {
        let bare = self.bare();
        if self.optional {
            format!("[{bare}]")
        } else {
            bare
        }
    }

    /// Likewise, whether optional or not.
    fn bare(&self) -> String {
        let joined = |parts: &[Self], between: &str| {
            let parts: Vec<_> = parts.iter().map(Self::notation).collect();
            parts.join(between)
        };
        let mut value = match self.kind {
            Kind::Token => String::new(),
            Kind::Block(parts) => joined(parts, " "),
            Kind::OneOf(choices) if self.optional && self.token.is_none() => joined(choices, " | "),
            Kind::OneOf(choices) => format!("<{}>", joined(choices, " | ")),
            Kind::Key | Kind::Text | Kind::Integer | Kind::UnixTime => self.name.to_owned(),
        };
        if self.multiple {
            value = format!("{value} [{value} ...]");
        }
        let words = [self.token.unwrap_or_default(), &value];
        words.join(" ").trim().to_owned()
    }
}

fn lengths(arguments: &[Argument]) -> (usize, bool) {
    arguments
        .iter()
        .map(Argument::length)
        .fold((0, false), |sum, one| (sum.0 + one.0, sum.1 || one.1))
}

/// The number of arguments with the command's name; negative when there may be more.
pub(crate) fn arity(arguments: &[Argument]) -> i32 {
    let (least, open) = lengths(arguments);
    let arity = i32::try_from(least + 1).unwrap_or(i32::MAX);
    if open { -arity } else { arity }
}

/// The arguments as one line.
pub(crate) fn line(arguments: &[Argument]) -> String {
    let parts: Vec<_> = arguments.iter().map(Argument::notation).collect();
    parts.join(" ")
}

/// The arguments that begin with a word of their own, as a list in a sentence.
pub(crate) fn options(arguments: &[Argument]) -> String {
    let named = |argument: &&Argument| {
        argument.token.is_some() || matches!(argument.kind, Kind::OneOf(_) | Kind::Token)
    };
    let options: Vec<_> = arguments.iter().filter(named).map(Argument::bare).collect();
    match options.as_slice() {
        [many @ .., last] if !many.is_empty() => format!("{} and {last}", many.join(", ")),
        few => few.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arity_and_line_come_from_the_definition() {
        const PAIR: Argument = block("pair", &[text("f"), text("v")]);
        const STATE: Argument = one_of("state", &[token("A"), token("B")]);
        let cases: [(&[Argument], i32, &str); 7] = [
            (&[], 1, ""),
            (&[KEY, HOLD_ID], 3, "key hold-id"),
            (&[KEY, integer("ms").after("PX")], 4, "key PX ms"),
            (
                &[
                    integer("numkeys"),
                    KEY.multiple(),
                    QUANTITY.multiple(),
                    DEADLINE,
                ],
                -4,
                "numkeys key [key ...] quantity [quantity ...] [PX ms | PXAT unix-ms]",
            ),
            (
                &[KEY, text("field").multiple().optional()],
                -2,
                "key [field [field ...]]",
            ),
            (
                &[KEY, PAIR.multiple(), FORCE],
                -4,
                "key f v [f v ...] [FORCE]",
            ),
            (
                &[KEY, STATE.after("STATE").optional()],
                -2,
                "key [STATE <A | B>]",
            ),
        ];
        for (arguments, expected, text) in cases {
            assert_eq!(
                (arity(arguments), line(arguments).as_str()),
                (expected, text)
            );
        }
        let many = [KEY, integer("ms").after("PX"), ONLY_IF, FORCE];
        assert_eq!(options(&many), "PX ms, IF seq and FORCE");
        assert_eq!(options(&[KEY, DEADLINE]), "PX ms | PXAT unix-ms");
    }
}
