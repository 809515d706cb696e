//! How a reply is sent.

use redis_module::raw;

use super::{Context, api};
use crate::reply::{Failure, Reply};

impl Context {
    pub(super) fn send(&self, result: Result<Reply, Failure>) {
        match result {
            Ok(reply) => self.send_reply(&reply),
            Err(Failure::Arity) => {
                // SAFETY: the context is valid; the server names the command itself.
                unsafe { api!(RedisModule_WrongArity)(self.raw()) };
            }
            Err(failure) => self.send_error(&failure.to_string()),
        }
    }

    pub(super) fn send_error(&self, message: &str) {
        let line = c_line(message);
        // SAFETY: the line is NUL-terminated and is copied.
        unsafe { api!(RedisModule_ReplyWithError)(self.raw(), line.as_ptr().cast()) };
    }

    fn send_reply(&self, reply: &Reply) {
        let context = self.raw();
        // SAFETY: the context is that of the running command; arrays and maps get as many elements as they announce.
        unsafe {
            match reply {
                Reply::Integer(integer) => {
                    api!(RedisModule_ReplyWithLongLong)(context, *integer);
                }
                Reply::Bulk(bytes) => send_bulk(context, bytes),
                Reply::Word(word) => send_bulk(context, word.as_bytes()),
                Reply::Line(line) => {
                    let line = c_line(line);
                    api!(RedisModule_ReplyWithSimpleString)(context, line.as_ptr().cast());
                }
                Reply::Array(elements) => {
                    api!(RedisModule_ReplyWithArray)(context, elements.len() as i64);
                    elements.iter().for_each(|element| self.send_reply(element));
                }
                Reply::Map(pairs) => {
                    api!(RedisModule_ReplyWithMap)(context, pairs.len() as i64);
                    for (name, value) in pairs {
                        send_bulk(context, name);
                        self.send_reply(value);
                    }
                }
                Reply::Null => {
                    api!(RedisModule_ReplyWithNull)(context);
                }
            }
        }
    }
}

/// An error or a simple string is a line and a C string: a line's end or a NUL inside would break the one or the other.
fn c_line(text: &str) -> Vec<u8> {
    let bytes = text
        .bytes()
        .map(|byte| if byte < b' ' { b' ' } else { byte });
    bytes.chain([0]).collect()
}

/// # Safety
/// The context must be that of the running command.
unsafe fn send_bulk(context: *mut raw::RedisModuleCtx, bytes: &[u8]) {
    // SAFETY: the bytes are copied.
    unsafe { api!(RedisModule_ReplyWithStringBuffer)(context, bytes.as_ptr().cast(), bytes.len()) };
}
