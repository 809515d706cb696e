//! How an input is cut into pieces.

/// Ends a command. Like [`ARGUMENT_END`], a byte that no UTF-8 text has.
pub const COMMAND_END: u8 = 0xff;

/// Ends an argument.
pub const ARGUMENT_END: u8 = 0xfe;

/// The commands in the input, each as its arguments.
pub fn commands(input: &[u8]) -> impl Iterator<Item = Vec<&[u8]>> {
    let commands = input.split(|byte| *byte == COMMAND_END);
    commands.map(|command| command.split(|byte| *byte == ARGUMENT_END).collect())
}

/// The input that [`commands`] cuts into these. Arguments that have one of the two bytes come back in pieces.
#[must_use]
pub fn from_commands(commands: &[Vec<Vec<u8>>]) -> Vec<u8> {
    let commands: Vec<_> = (commands.iter())
        .map(|command| command.join(&ARGUMENT_END))
        .collect();
    commands.join(&COMMAND_END)
}

/// Borrows owned arguments the way that commands take them.
#[must_use]
pub fn borrowed(args: &[Vec<u8>]) -> Vec<&[u8]> {
    args.iter().map(Vec::as_slice).collect()
}

/// Says that a payload is not cut.
pub const UNCUT: u8 = u8::MAX;

/// An encoding version and a payload in two chunks: the first byte is the version, the second says where to cut, or that
/// it is [`UNCUT`].
#[must_use]
pub fn payload(input: &[u8]) -> Option<(i32, [&[u8]; 2])> {
    let [version, cut, payload @ ..] = input else {
        return None;
    };
    let cut = match *cut {
        UNCUT => payload.len(),
        cut => usize::from(cut).min(payload.len()),
    };
    let (first, second) = payload.split_at(cut);
    Some((i32::from(*version), [first, second]))
}
