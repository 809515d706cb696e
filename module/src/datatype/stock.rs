//! Stock as a data type of the server.

use std::ffi::CStr;

use holdfast_stock::{Decoder, ENCODING_VERSION, Ledger, Totals};

use crate::ffi::{DataType, Digester, Loader, Rewriter, Saver, TypeCell};
use crate::replicate::RESTORE_STOCK;
use crate::{expiry, statistics};

/// The stock of one SKU under its key.
pub(crate) type Stock = Ledger;

static CELL: TypeCell = TypeCell::new();

/// Records that go into one command of a rewritten AOF: few enough that replaying one stops nobody.
const RECORDS_A_COMMAND: usize = 256;

impl DataType for Ledger {
    const NAME: &'static CStr = c"holdstock";
    const ENCODING_VERSION: i32 = ENCODING_VERSION;

    fn cell() -> &'static TypeCell {
        &CELL
    }

    fn load(loader: &mut Loader, version: i32) -> Result<Self, String> {
        let mut decoder = Decoder::new(version).map_err(|error| error.to_string())?;
        while !decoder.is_complete() {
            match loader.chunk(|bytes| {
                if bytes.is_empty() {
                    None
                } else {
                    Some(decoder.chunk(bytes))
                }
            }) {
                Some(Some(read)) => read.map_err(|error| error.to_string())?,
                Some(None) | None => return Err("it ends too early".to_owned()),
            }
        }
        decoder.finish().map_err(|error| error.to_string())
    }

    fn save(&self, saver: &mut Saver) {
        self.encode(|chunk| saver.chunk(chunk));
    }

    fn rewrite(&self, rewriter: &mut Rewriter<'_>) {
        let mut records = self.records().peekable();
        while records.peek().is_some() {
            let args: Vec<_> = records
                .by_ref()
                .take(RECORDS_A_COMMAND)
                .flat_map(|record| record.to_args())
                .collect();
            rewriter.emit(RESTORE_STOCK, args.iter().map(Vec::as_slice));
        }
    }

    fn digest(&self, digester: &mut Digester) {
        self.encode(|chunk| digester.add(chunk));
    }

    fn memory(&self) -> usize {
        Ledger::memory(self)
    }

    fn free_effort(&self) -> usize {
        self.allocations()
    }

    fn defrag(&mut self, cursor: u64, go_on: &mut dyn FnMut() -> bool) -> u64 {
        Ledger::defrag(self, cursor, go_on)
    }

    fn came(&self) {
        statistics::STOCK_KEYS.change(1, 0);
        statistics::changed(&Totals::default(), &self.totals());
    }

    fn goes(&self) {
        statistics::STOCK_KEYS.change(0, 1);
        statistics::changed(&self.totals(), &Totals::default());
    }

    fn loaded(&self, db: i32, key: &[u8]) {
        expiry::loaded(db, key, self);
    }

    fn left(db: i32, key: &[u8]) {
        expiry::forget(db, key);
    }
}
