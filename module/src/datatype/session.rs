//! A session as a data type of the server.

use std::ffi::CStr;

use holdfast_session::{ENCODING_VERSION, Effect, Record};

use crate::ffi::{DataType, Digester, Loader, Rewriter, Saver, TypeCell};
use crate::replicate::APPLY_SESSION;

/// A session under its key.
pub(crate) type Session = Record;

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
        Record::memory(self)
    }

    fn free_effort(&self) -> usize {
        1
    }
}
