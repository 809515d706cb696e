//! A session as a data type of the server.

use std::ffi::CStr;

use holdfast_session::{ENCODING_VERSION, Effect, Record};

use crate::ffi::{DataType, Digester, Loader, Rewriter, Saver, TypeCell};
use crate::replicate::APPLY_SESSION;
use crate::statistics;

/// A session under its key.
pub(crate) type Session = Record;

/// What the server allocates for a session beside its name, its entry among all keys and the record: the heads of the
/// object and of the module value with 16 bytes each, its entry of 32 among the keys that have a TTL, as sessions do,
/// and a place of 8 in both tables. Other types are not told with theirs, but of sessions there are millions.
const SERVERS_OWN_BYTES: usize = 80;

static CELL: TypeCell = TypeCell::new();

impl DataType for Record {
    const NAME: &'static CStr = c"holdsessn";
    const ENCODING_VERSION: i32 = ENCODING_VERSION;

    fn cell() -> &'static TypeCell {
        &CELL
    }

    fn load(loader: &mut Loader, version: i32) -> Result<Self, String> {
        match loader.chunk(|bytes| Record::decode(bytes, version)) {
            Some(record) => record.map_err(|error| error.to_string()),
            None => Err("it ends too early".to_owned()),
        }
    }

    fn save(&self, saver: &mut Saver) {
        saver.chunk(&self.encode());
    }

    fn rewrite(&self, rewriter: &mut Rewriter<'_>) {
        let args = Effect::Put(Box::new(self.clone())).to_args();
        rewriter.emit(APPLY_SESSION, args.iter().map(Vec::as_slice));
        // The server adds the key's TTL where it has one; PERSIST or RESTORE may have left it without.
        rewriter.emit(c"PERSIST", []);
    }

    fn digest(&self, digester: &mut Digester) {
        digester.add(&self.encode());
    }

    fn memory(&self) -> usize {
        Record::memory(self) + SERVERS_OWN_BYTES
    }

    fn free_effort(&self) -> usize {
        1
    }

    fn defrag(&mut self, _cursor: u64, _go_on: &mut dyn FnMut() -> bool) -> u64 {
        self.renew();
        0
    }

    fn came(&self) {
        statistics::SESSIONS.change(1, 0);
    }

    fn goes(&self) {
        statistics::SESSIONS.change(0, 1);
    }
}
