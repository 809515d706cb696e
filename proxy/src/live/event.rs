//! What a watcher is told: events of the format that the HTML standard describes under
//! "Server-sent events". Pure.

use bytes::Bytes;

use super::shown::Shown;

/// The state of a SKU, written once for all who watch it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    id: String,
    text: Bytes,
}

/// What one watcher has been told last.
#[derive(Debug)]
pub struct Told {
    id: Option<String>,
}

impl Event {
    /// The event of this state. Its id is the whole state and not `seq` alone, which begins anew
    /// where Redis has lost a key: who knows the id knows the state, whichever history it is of.
    pub fn of(shown: &Shown) -> Result<Self, serde_json::Error> {
        let stock = shown.stock;
        let counts = [
            stock.seq,
            stock.on_hand,
            stock.held,
            stock.prepared,
            stock.available,
            stock.sold,
        ];
        let id = counts.map(|count| count.to_string()).join(".");
        let data = serde_json::to_string(shown)?;
        let text = format!("id: {id}\nevent: stock\ndata: {data}\n\n").into();
        Ok(Self { id, text })
    }
}

impl Told {
    /// A watcher who was told the event of this id before, if any: its `Last-Event-ID`.
    pub fn until(last_event_id: Option<&str>) -> Self {
        Self {
            id: last_event_id.map(str::to_owned),
        }
    }

    /// What to send now that this is the newest; nothing where it is known already.
    pub fn tell(&mut self, newest: &Event) -> Option<Bytes> {
        if self.id.as_ref() == Some(&newest.id) {
            return None;
        }
        self.id = Some(newest.id.clone());
        Some(newest.text.clone())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::gateway::inventory::Stock;

    fn event(seq: i64, on_hand: i64) -> Event {
        let stock = Stock {
            on_hand,
            available: on_hand,
            seq,
            ..Stock::default()
        };
        let sku = "LAMP".parse().expect("a sku");
        Event::of(&Shown { sku, stock }).expect("json")
    }

    #[test]
    fn an_event_is_what_a_browser_reads() {
        let text = Told::until(None).tell(&event(3, 7)).expect("news");
        assert_eq!(
            text,
            "id: 3.7.0.0.7.0\nevent: stock\ndata: {\"sku\":\"LAMP\",\"on_hand\":7,\"held\":0,\"prepared\":0,\
             \"available\":7,\"sold\":0,\"seq\":3}\n\n"
        );
    }

    #[test]
    fn who_comes_back_is_told_what_is_not_known_yet() {
        let known = Some("3.7.0.0.7.0");
        assert_eq!(Told::until(known).tell(&event(3, 7)), None);
        // The same seq of another history.
        assert!(Told::until(known).tell(&event(3, 8)).is_some());
        assert!(
            Told::until(Some("no id of ours"))
                .tell(&event(3, 7))
                .is_some()
        );
    }

    proptest! {
        /// Whichever states a slow watcher misses, the last that is told is the newest, and nothing
        /// is told twice in a row.
        #[test]
        fn the_newest_is_always_told(states in proptest::collection::vec((1..4_i64, 0..3_i64, any::<bool>()), 1..40)) {
            let mut told = Told::until(None);
            let mut heard = Vec::new();
            let last = states.len() - 1;
            for (at, (seq, on_hand, is_missed)) in states.iter().enumerate() {
                if at == last || !is_missed {
                    heard.extend(told.tell(&event(*seq, *on_hand)));
                }
            }
            let (seq, on_hand, _) = states[last];
            prop_assert_eq!(heard.last(), Some(&event(seq, on_hand).text));
            prop_assert!(heard.windows(2).all(|pair| pair[0] != pair[1]));
        }
    }
}
