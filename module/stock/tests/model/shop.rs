//! The model: what a ledger means, as plainly as it can be written. Lists in order, no index, nothing cached, all
//! counted afresh. It knows nothing of effects, numbers or chunks.

use holdfast_stock::{Command, Ending, Id, MAX_UNITS, Policy, Retention, Until, Word};

/// A hold that runs or is prepared.
#[derive(Clone, Debug)]
pub struct Live {
    pub id: Id,
    pub quantity: u64,
    /// `None` when it is prepared.
    pub deadline_ms: Option<u64>,
    pub since_ms: u64,
}

/// A hold that is over.
#[derive(Clone, Debug)]
pub struct Finished {
    pub id: Id,
    pub ending: Ending,
    pub quantity: u64,
    pub returned: u64,
    pub at_ms: u64,
}

/// An adjustment or a return that was given an id.
#[derive(Clone, Debug)]
pub struct Booked {
    pub id: Id,
    pub delta: i64,
    pub hold: Option<Id>,
    pub at_ms: u64,
}

#[derive(Clone, Debug, Default)]
pub struct Shop {
    pub on_hand: u64,
    pub sold: u64,
    /// What counts and adjustments have brought into the house.
    pub stocked: i128,
    /// In order of taking.
    pub live: Vec<Live>,
    /// In order of ending.
    pub finished: Vec<Finished>,
    pub booked: Vec<Booked>,
}

/// What is known of an id at some time.
pub enum Fate<'a> {
    Unknown,
    Live(&'a Live),
    /// Past due, or swept.
    Expired,
    Finished(&'a Finished),
}

impl Live {
    pub fn is_due(&self, now_ms: u64) -> bool {
        self.deadline_ms
            .is_some_and(|deadline_ms| deadline_ms <= now_ms)
    }
}

impl Shop {
    pub fn fate(&self, id: &Id, now_ms: u64) -> Fate<'_> {
        let live = self.live.iter().find(|hold| hold.id == *id);
        let finished = self.finished.iter().find(|hold| hold.id == *id);
        match (live, finished) {
            (Some(hold), _) if hold.is_due(now_ms) => Fate::Expired,
            (Some(hold), _) => Fate::Live(hold),
            (None, Some(hold)) if hold.ending == Ending::Expired => Fate::Expired,
            (None, Some(hold)) => Fate::Finished(hold),
            (None, None) => Fate::Unknown,
        }
    }

    pub fn live_at(&self, now_ms: u64) -> impl Iterator<Item = &Live> {
        self.live.iter().filter(move |hold| !hold.is_due(now_ms))
    }

    pub fn held(&self, now_ms: u64) -> u64 {
        self.live_at(now_ms).map(|hold| hold.quantity).sum()
    }

    /// Units of the hold that are covered, the oldest holds being covered first.
    fn covered(&self, id: &Id, now_ms: u64) -> u64 {
        let mut left = self.on_hand;
        for hold in self.live_at(now_ms) {
            let covered = hold.quantity.min(left);
            if hold.id == *id {
                return covered;
            }
            left -= covered;
        }
        0
    }

    fn fits(&self, quantity: u64, now_ms: u64) -> bool {
        self.held(now_ms) + quantity <= self.on_hand
    }

    /// The sweep has taken the holds with the earliest deadlines; says whether all of them were due.
    pub fn sweep(&mut self, count: u64, now_ms: u64) -> bool {
        let mut all_due = true;
        for _ in 0..count {
            let running = self.live.iter().filter(|hold| hold.deadline_ms.is_some());
            let Some(first) = running.min_by_key(|hold| hold.deadline_ms) else {
                return false;
            };
            all_due &= first.is_due(now_ms);
            let (id, quantity) = (first.id.clone(), first.quantity);
            self.finish(&id, Ending::Expired, quantity, now_ms);
        }
        all_due
    }

    /// Forgets what may be forgotten, and says how many outcomes and adjustments that are.
    pub fn forget(&mut self, retention: &Retention, now_ms: u64, limit: usize) -> (u64, u64) {
        let may_go = |at_ms: u64, kept: usize, most: u64, kept_ms: u64| {
            let age_ms = if kept as u64 > most { 0 } else { kept_ms };
            at_ms + age_ms.max(retention.longest_hold_ms) <= now_ms
        };
        let mut gone = (0, 0);
        while let Some(oldest) = self.finished.first()
            && gone.0 < limit as u64
            && may_go(
                oldest.at_ms,
                self.finished.len(),
                retention.outcomes,
                retention.outcome_ms,
            )
        {
            self.finished.remove(0);
            gone.0 += 1;
        }
        while let Some(oldest) = self.booked.first()
            && gone.1 < limit as u64
            && may_go(
                oldest.at_ms,
                self.booked.len(),
                retention.adjustments,
                retention.adjustment_ms,
            )
        {
            self.booked.remove(0);
            gone.1 += 1;
        }
        gone
    }

    /// The word that the command must be answered with, `None` for a misuse. The shop has moved on.
    pub fn run(
        &mut self,
        command: &Command,
        policy: &Policy,
        now_ms: u64,
        seq: u64,
    ) -> Option<Word> {
        match command {
            Command::Set {
                on_hand,
                only_if,
                force,
            } => {
                if only_if.is_some_and(|expected| expected != seq) {
                    return Some(Word::Stale);
                }
                self.count(*on_hand, *force, now_ms)
            }
            Command::Adjust {
                delta,
                id,
                only_if,
                force,
            } => self.adjust(*delta, id.as_ref(), *only_if, *force, now_ms, seq),
            Command::Reserve {
                id,
                quantity,
                until,
            } => self.reserve(id, *quantity, *until, policy, now_ms),
            Command::Extend { id, for_ms } => self.extend(id, *for_ms, policy, now_ms),
            Command::Prepare { id, late } => self.commit(id, *late, None, now_ms),
            Command::Confirm { id, quantity, late } => {
                self.commit(id, *late, Some(*quantity), now_ms)
            }
            Command::Release { id } => Some(self.release(id, now_ms)),
            Command::Return {
                id,
                return_id,
                quantity,
            } => self.take_back(id, return_id, *quantity, now_ms),
        }
    }

    fn count(&mut self, on_hand: u64, force: bool, now_ms: u64) -> Option<Word> {
        if on_hand < self.on_hand && on_hand < self.held(now_ms) && !force {
            return Some(Word::BelowHeld);
        }
        self.stocked += i128::from(on_hand) - i128::from(self.on_hand);
        self.on_hand = on_hand;
        Some(Word::Ok)
    }

    fn adjust(
        &mut self,
        delta: i64,
        id: Option<&Id>,
        only_if: Option<u64>,
        force: bool,
        now_ms: u64,
        seq: u64,
    ) -> Option<Word> {
        let known = self.booked.iter().find(|known| Some(&known.id) == id);
        if let Some(known) = known {
            return (known.delta == delta).then_some(Word::Ok);
        }
        if only_if.is_some_and(|expected| expected != seq) {
            return Some(Word::Stale);
        }
        let Some(on_hand) = self.on_hand.checked_add_signed(delta) else {
            return (!force).then_some(Word::BelowHeld);
        };
        if on_hand > MAX_UNITS {
            return None;
        }
        let word = self.count(on_hand, force, now_ms)?;
        if let (Word::Ok, Some(id)) = (word, id) {
            self.booked.push(Booked {
                id: id.clone(),
                delta,
                hold: None,
                at_ms: now_ms,
            });
        }
        Some(word)
    }

    fn reserve(
        &mut self,
        id: &Id,
        quantity: u64,
        until: Until,
        policy: &Policy,
        now_ms: u64,
    ) -> Option<Word> {
        match self.fate(id, now_ms) {
            Fate::Live(hold) => return (hold.quantity == quantity).then_some(Word::Reserved),
            Fate::Expired => return Some(Word::Expired),
            Fate::Finished(hold) => return Some(hold.ending.word()),
            Fate::Unknown => {}
        }
        let deadline_ms = match until {
            Until::Default => now_ms + policy.default_hold_ms,
            Until::In(ms) => now_ms + ms,
            Until::At(ms) => ms,
        };
        if deadline_ms <= now_ms || deadline_ms - now_ms > policy.longest_hold_ms {
            return None;
        }
        if !self.fits(quantity, now_ms) {
            return Some(Word::OutOfStock);
        }
        self.live.push(Live {
            id: id.clone(),
            quantity,
            deadline_ms: Some(deadline_ms),
            since_ms: 0,
        });
        Some(Word::Reserved)
    }

    fn extend(&mut self, id: &Id, for_ms: u64, policy: &Policy, now_ms: u64) -> Option<Word> {
        match self.fate(id, now_ms) {
            Fate::Live(Live {
                deadline_ms: Some(deadline_ms),
                ..
            }) => {
                if for_ms == 0 || for_ms > policy.longest_hold_ms {
                    return None;
                }
                let later_ms = (now_ms + for_ms).max(*deadline_ms);
                self.change(id, |hold| hold.deadline_ms = Some(later_ms));
                Some(Word::Extended)
            }
            Fate::Live(_) => Some(Word::Prepared),
            Fate::Expired => Some(Word::Expired),
            Fate::Finished(hold) if hold.ending == Ending::Confirmed => {
                Some(Word::AlreadyConfirmed)
            }
            Fate::Finished(_) => Some(Word::Released),
            Fate::Unknown => Some(Word::UnknownHold),
        }
    }

    /// PREPARE, and CONFIRM with the units to `sell`.
    fn commit(
        &mut self,
        id: &Id,
        late: Option<u64>,
        sell: Option<Option<u64>>,
        now_ms: u64,
    ) -> Option<Word> {
        let asked = sell.flatten();
        match self.fate(id, now_ms) {
            Fate::Finished(hold) if hold.ending == Ending::Confirmed => {
                if sell.is_none() {
                    return Some(Word::AlreadyConfirmed);
                }
                let same = asked.or(late).is_none_or(|asked| asked == hold.quantity);
                same.then_some(Word::Confirmed)
            }
            Fate::Finished(_) => Some(Word::Released),
            Fate::Live(hold) => {
                let (held, prepared) = (hold.quantity, hold.deadline_ms.is_none());
                let sold = asked.unwrap_or(held);
                if late.is_some_and(|late| late != held) || sold > held {
                    return None;
                }
                if sell.is_none() && prepared {
                    return Some(Word::Prepared);
                }
                if sold > self.covered(id, now_ms) {
                    return Some(Word::SoldOut);
                }
                Some(self.go_on(id, sell.map(|_| sold), now_ms))
            }
            fate @ (Fate::Expired | Fate::Unknown) => {
                let Some(quantity) = late else {
                    let known = matches!(fate, Fate::Expired);
                    return Some(if known {
                        Word::Expired
                    } else {
                        Word::UnknownHold
                    });
                };
                let sold = asked.unwrap_or(quantity);
                if sold > quantity {
                    return None;
                }
                if !self.fits(quantity, now_ms) {
                    return Some(Word::SoldOut);
                }
                // A hold that is taken again is the youngest.
                self.live.retain(|hold| hold.id != *id);
                self.finished.retain(|hold| hold.id != *id);
                self.live.push(Live {
                    id: id.clone(),
                    quantity,
                    deadline_ms: None,
                    since_ms: now_ms,
                });
                Some(self.go_on(id, sell.map(|_| sold), now_ms))
            }
        }
    }

    /// A live hold is sold, or prepared where nothing is.
    fn go_on(&mut self, id: &Id, sold: Option<u64>, now_ms: u64) -> Word {
        let Some(sold) = sold else {
            self.change(id, |hold| {
                hold.deadline_ms = None;
                hold.since_ms = now_ms;
            });
            return Word::Prepared;
        };
        self.finish(id, Ending::Confirmed, sold, now_ms);
        self.on_hand -= sold;
        self.sold += sold;
        Word::Confirmed
    }

    fn release(&mut self, id: &Id, now_ms: u64) -> Word {
        let quantity = match self.fate(id, now_ms) {
            Fate::Expired => return Word::Expired,
            Fate::Finished(hold) if hold.ending == Ending::Confirmed => {
                return Word::AlreadyConfirmed;
            }
            Fate::Finished(_) => return Word::Released,
            Fate::Live(hold) => hold.quantity,
            Fate::Unknown => 0,
        };
        self.finish(id, Ending::Released, quantity, now_ms);
        Word::Released
    }

    fn take_back(&mut self, id: &Id, return_id: &Id, quantity: u64, now_ms: u64) -> Option<Word> {
        if let Some(known) = self.booked.iter().find(|known| known.id == *return_id) {
            let same = known.delta == quantity as i64;
            let same_hold = known.hold.as_ref().is_none_or(|hold| hold == id);
            return (same && same_hold).then_some(Word::Returned);
        }
        match self.fate(id, now_ms) {
            Fate::Unknown => return Some(Word::UnknownHold),
            Fate::Expired => return Some(Word::Expired),
            Fate::Live(hold) if hold.deadline_ms.is_none() => return Some(Word::Prepared),
            Fate::Live(_) => return Some(Word::Reserved),
            Fate::Finished(hold) if hold.ending == Ending::Released => {
                return Some(Word::Released);
            }
            Fate::Finished(hold) if quantity > hold.quantity - hold.returned => return None,
            Fate::Finished(_) => {}
        }
        if let Some(hold) = self.finished.iter_mut().find(|hold| hold.id == *id) {
            hold.returned += quantity;
        }
        self.on_hand += quantity;
        self.sold -= quantity;
        self.booked.push(Booked {
            id: return_id.clone(),
            delta: quantity as i64,
            hold: Some(id.clone()),
            at_ms: now_ms,
        });
        Some(Word::Returned)
    }

    fn change(&mut self, id: &Id, change: impl FnOnce(&mut Live)) {
        if let Some(hold) = self.live.iter_mut().find(|hold| hold.id == *id) {
            change(hold);
        }
    }

    fn finish(&mut self, id: &Id, ending: Ending, quantity: u64, at_ms: u64) {
        self.live.retain(|hold| hold.id != *id);
        self.finished.push(Finished {
            id: id.clone(),
            ending,
            quantity,
            returned: 0,
            at_ms,
        });
    }
}
