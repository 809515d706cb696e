//! Writes the copies of sessions that begin, all that wait at once: a rush of guests must not take the
//! database's connections from those who buy.

use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::store::Store;

/// Sessions that may wait for their copy; further ones begin without.
const QUEUE: usize = 8_192;
/// Copies written by one statement.
const BATCH: usize = 256;

/// The copy of a session that has begun.
#[derive(Debug, Clone)]
pub struct NewCopy {
    /// The session's id.
    pub id: Uuid,
    /// SHA-256 of its secret.
    pub digest: [u8; 32],
    /// Whose it is.
    pub user: Uuid,
    /// Roles, separated by commas.
    pub roles: String,
    /// How long it may go without a request, ms.
    pub longest_idle_ms: u64,
    /// Until it ends without one, ms.
    pub idle_ms: u64,
    /// Until it ends in any case, ms.
    pub absolute_ms: u64,
}

/// The way to who writes them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Beginnings {
    queue: mpsc::Sender<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    copy: NewCopy,
    written: oneshot::Sender<()>,
}

impl Beginnings {
    /// Starts the task that writes; it ends with the last clone.
    pub fn start(store: Store) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(write(store, waiting));
        Self { queue }
    }

    /// Has a copy written, and waits for it. False when it was not.
    pub async fn write(&self, copy: NewCopy) -> bool {
        let (written, is_written) = oneshot::channel();
        let queued = self.queue.try_send(Waiting { copy, written });
        queued.is_ok() && is_written.await.is_ok()
    }
}

async fn write(store: Store, mut waiting: mpsc::Receiver<Waiting>) {
    let mut batch = Vec::with_capacity(BATCH);
    while waiting.recv_many(&mut batch, BATCH).await > 0 {
        let copies: Vec<&NewCopy> = batch.iter().map(|one| &one.copy).collect();
        match store.answered(store.copy_sessions(&copies)).await {
            Ok(()) => {
                for one in batch.drain(..) {
                    // A failed send only means that nobody waits any more.
                    let _gone = one.written.send(());
                }
            }
            Err(error) => {
                tracing::warn!(%error, sessions = batch.len(), "sessions were begun without copies");
                batch.clear();
            }
        }
    }
}
