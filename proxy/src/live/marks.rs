//! SKUs for which something is to be done, each once however often it is marked.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::catalogue::Sku;

/// Marked SKUs, and who waits for them; one at a time.
#[derive(Debug, Default)]
pub struct Marks {
    skus: Mutex<BTreeSet<Sku>>,
    wake: Notify,
}

impl Marks {
    /// Marks these too.
    pub fn mark(&self, skus: impl IntoIterator<Item = Sku>) {
        self.skus().extend(skus);
        self.wake.notify_one();
    }

    /// Waits until there are any.
    pub async fn any(&self) {
        while self.skus().is_empty() {
            self.wake.notified().await;
        }
    }

    /// Takes all away, as soon as there are any. Nothing is lost where it is not waited for to the end.
    pub async fn take(&self) -> BTreeSet<Sku> {
        self.any().await;
        std::mem::take(&mut *self.skus())
    }

    fn skus(&self) -> MutexGuard<'_, BTreeSet<Sku>> {
        // A set is whole between any two calls.
        self.skus.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn marks_are_taken_once_and_waited_for() {
        let marks = Marks::default();
        let sku = |text: &str| text.parse::<Sku>().expect("a sku");
        assert!(marks.take().now_or_never().is_none());
        marks.mark([sku("A"), sku("B")]);
        marks.mark([sku("A")]);
        assert_eq!(marks.take().await, BTreeSet::from([sku("A"), sku("B")]));
        assert!(
            marks.take().now_or_never().is_none(),
            "a wake without marks"
        );
        let (taken, ()) = tokio::join!(marks.take(), async { marks.mark([sku("C")]) });
        assert_eq!(taken, BTreeSet::from([sku("C")]));
    }
}
