//! What one stock key does when its commands come one after another: written from the documentation, not from the
//! ledger, and as simple as can be.
//!
//! Time is part of it. A command ran at some time between its call and its response, and never before the one in front
//! of it; whether a hold was over depends on when. So the state keeps the earliest time that it can be, and a command
//! is tried at each time within its bounds at which something would be different. What is over counts in `seq` only
//! when the server has come by, of which nothing is said; so `seq` may be ahead by as many.

use std::collections::{BTreeMap, BTreeSet};

use todc_utils::specifications::Specification;

/// Units that there are when a history begins.
pub const ON_HAND: u64 = 5;

/// A hold's or an adjustment's number.
pub type Number = u8;

#[derive(Clone, Debug)]
pub enum Command {
    Set {
        on_hand: u64,
    },
    Adjust {
        id: Number,
        delta: i64,
    },
    Reserve {
        id: Number,
        for_ms: u64,
    },
    Prepare {
        id: Number,
        late: bool,
    },
    Extend {
        id: Number,
        for_ms: u64,
    },
    Confirm {
        id: Number,
        quantity: Option<u64>,
        late: bool,
    },
    Release {
        id: Number,
    },
    Return {
        id: Number,
        number: Number,
    },
    Get,
}

/// Units that the hold is for, in every command that names it.
pub fn units(id: Number) -> u64 {
    1 + u64::from(id % 3)
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Outcome {
        word: String,
        available: u64,
        seq: u64,
        deadline_ms: u64,
        replayed: bool,
    },
    View {
        on_hand: u64,
        held: u64,
        prepared: u64,
        available: u64,
        sold: u64,
        seq: u64,
        holds: u64,
    },
    /// An error, of which only the prefix counts.
    Refused(String),
}

impl Reply {
    fn seq_mut(&mut self) -> Option<&mut u64> {
        match self {
            Reply::Outcome { seq, .. } | Reply::View { seq, .. } => Some(seq),
            Reply::Refused(_) => None,
        }
    }
}

/// A command with its reply, and the Unix milliseconds between which it ran.
#[derive(Clone, Debug)]
pub struct Operation {
    pub command: Command,
    pub reply: Reply,
    pub called_ms: u64,
    pub returned_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Hold {
    Held { deadline_ms: u64 },
    Prepared,
    Confirmed { sold: u64, returned: u64 },
    Released,
    Expired,
}

/// The key, and the earliest time that it can be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Stock {
    now_ms: u64,
    on_hand: u64,
    sold: u64,
    seq: u64,
    /// How many changes there may have been besides: holds that were over.
    unseen: u64,
    holds: BTreeMap<Number, Hold>,
    adjustments: BTreeMap<Number, i64>,
    returns: BTreeSet<(Number, Number)>,
}

/// The specification in the checker's terms.
pub struct OneKey;

impl Specification for OneKey {
    type State = Stock;
    type Operation = Operation;

    fn init() -> Stock {
        Stock {
            now_ms: 0,
            on_hand: ON_HAND,
            sold: 0,
            seq: 1,
            unseen: 0,
            holds: BTreeMap::new(),
            adjustments: BTreeMap::new(),
            returns: BTreeSet::new(),
        }
    }

    fn apply(operation: &Operation, state: &Stock) -> (bool, Stock) {
        for now_ms in state.times(operation) {
            let mut next = state.clone();
            next.pass_to(now_ms);
            let reply = next.run(&operation.command);
            if next.agrees(reply, &operation.reply) {
                return (true, next);
            }
        }
        (false, state.clone())
    }
}

impl Stock {
    /// The times at which the operation can have run and found something different, the earliest first: if it fits at
    /// an earlier one, everything that could follow a later one can follow that too.
    fn times(&self, operation: &Operation) -> BTreeSet<u64> {
        let first = self.now_ms.max(operation.called_ms);
        let deadlines = self.holds.values().filter_map(|hold| match hold {
            Hold::Held { deadline_ms } => Some(*deadline_ms),
            _ => None,
        });
        let told = match (&operation.command, &operation.reply) {
            (
                Command::Reserve { for_ms, .. } | Command::Extend { for_ms, .. },
                Reply::Outcome { deadline_ms, .. },
            ) => deadline_ms.checked_sub(*for_ms),
            _ => None,
        };
        (deadlines.chain(told).chain([first]))
            .filter(|now_ms| (first..=operation.returned_ms).contains(now_ms))
            .collect()
    }

    fn pass_to(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        for hold in self.holds.values_mut() {
            if matches!(hold, Hold::Held { deadline_ms } if *deadline_ms <= now_ms) {
                *hold = Hold::Expired;
                self.unseen += 1;
            }
        }
    }

    /// Whether the reply is the one that was told, but for changes that were not seen and have now been.
    fn agrees(&mut self, mut reply: Reply, told: &Reply) -> bool {
        if let (Some(seq), Some(told)) = (reply.seq_mut(), told.clone().seq_mut()) {
            let Some(seen) = told.checked_sub(*seq).filter(|seen| *seen <= self.unseen) else {
                return false;
            };
            *seq = *told;
            self.seq += seen;
            self.unseen -= seen;
        }
        reply == *told
    }

    fn run(&mut self, command: &Command) -> Reply {
        match *command {
            Command::Set { on_hand } if on_hand == self.on_hand => self.again("OK"),
            Command::Set { on_hand } => self.count(on_hand),
            Command::Adjust { id, delta } => self.adjust(id, delta),
            Command::Reserve { id, for_ms } => self.reserve(id, for_ms),
            Command::Prepare { id, late } => self.prepare(id, late),
            Command::Extend { id, for_ms } => self.extend(id, for_ms),
            Command::Confirm { id, quantity, late } => self.confirm(id, quantity, late),
            Command::Release { id } => self.release(id),
            Command::Return { id, number } => self.take_back(id, number),
            Command::Get => self.view(),
        }
    }

    fn count(&mut self, on_hand: u64) -> Reply {
        if on_hand < self.held() {
            return self.refused("BELOW_HELD");
        }
        self.on_hand = on_hand;
        self.done("OK", 0)
    }

    fn adjust(&mut self, id: Number, delta: i64) -> Reply {
        match self.adjustments.get(&id) {
            Some(known) if *known == delta => return self.again("OK"),
            Some(_) => return error("MISMATCH"),
            None => {}
        }
        let Some(on_hand) = self.on_hand.checked_add_signed(delta) else {
            return self.refused("BELOW_HELD");
        };
        let reply = self.count(on_hand);
        if self.on_hand == on_hand {
            self.adjustments.insert(id, delta);
        }
        reply
    }

    fn reserve(&mut self, id: Number, for_ms: u64) -> Reply {
        match self.holds.get(&id) {
            Some(Hold::Held { deadline_ms }) => self.outcome("RESERVED", *deadline_ms, true),
            Some(Hold::Prepared) => self.again("RESERVED"),
            Some(Hold::Confirmed { .. }) => self.again("CONFIRMED"),
            Some(Hold::Released) => self.again("RELEASED"),
            Some(Hold::Expired) => self.again("EXPIRED"),
            None if units(id) > self.available() => self.refused("OUT_OF_STOCK"),
            None => {
                let deadline_ms = self.now_ms + for_ms;
                self.holds.insert(id, Hold::Held { deadline_ms });
                self.done("RESERVED", deadline_ms)
            }
        }
    }

    fn prepare(&mut self, id: Number, late: bool) -> Reply {
        match self.holds.get(&id) {
            Some(Hold::Held { .. }) => {
                self.holds.insert(id, Hold::Prepared);
                self.done("PREPARED", 0)
            }
            Some(Hold::Prepared) => self.again("PREPARED"),
            Some(Hold::Confirmed { .. }) => self.refused("ALREADY_CONFIRMED"),
            Some(Hold::Released) => self.again("RELEASED"),
            Some(Hold::Expired) if !late => self.again("EXPIRED"),
            None if !late => self.refused("UNKNOWN_HOLD"),
            Some(Hold::Expired) | None if units(id) > self.available() => self.refused("SOLD_OUT"),
            Some(Hold::Expired) | None => {
                self.holds.insert(id, Hold::Prepared);
                self.done("PREPARED", 0)
            }
        }
    }

    fn extend(&mut self, id: Number, for_ms: u64) -> Reply {
        match self.holds.get(&id) {
            Some(Hold::Held { deadline_ms }) if *deadline_ms >= self.now_ms + for_ms => {
                self.outcome("EXTENDED", *deadline_ms, true)
            }
            Some(Hold::Held { .. }) => {
                let deadline_ms = self.now_ms + for_ms;
                self.holds.insert(id, Hold::Held { deadline_ms });
                self.done("EXTENDED", deadline_ms)
            }
            Some(Hold::Prepared) => self.again("PREPARED"),
            Some(Hold::Confirmed { .. }) => self.refused("ALREADY_CONFIRMED"),
            Some(Hold::Released) => self.again("RELEASED"),
            Some(Hold::Expired) => self.again("EXPIRED"),
            None => self.refused("UNKNOWN_HOLD"),
        }
    }

    fn confirm(&mut self, id: Number, quantity: Option<u64>, late: bool) -> Reply {
        let wanted = quantity.unwrap_or(units(id));
        match self.holds.get(&id) {
            Some(Hold::Confirmed { sold, .. }) => {
                let asked = quantity.or(late.then_some(units(id)));
                match asked {
                    Some(asked) if asked != *sold => error("MISMATCH"),
                    _ => self.again("CONFIRMED"),
                }
            }
            Some(Hold::Released) => self.again("RELEASED"),
            Some(Hold::Expired) if !late => self.again("EXPIRED"),
            None if !late => self.refused("UNKNOWN_HOLD"),
            _ if wanted > units(id) => error("EXCEEDS_HOLD"),
            Some(Hold::Expired) | None if units(id) > self.available() => self.refused("SOLD_OUT"),
            standing => {
                // What is not held any more is taken again first, which is a change of its own, unless the hold was
                // over and nobody had seen it.
                match standing {
                    Some(Hold::Expired) => self.unseen += 1,
                    None => self.seq += 1,
                    _ => {}
                }
                let confirmed = Hold::Confirmed {
                    sold: wanted,
                    returned: 0,
                };
                self.holds.insert(id, confirmed);
                self.on_hand -= wanted;
                self.sold += wanted;
                self.done("CONFIRMED", 0)
            }
        }
    }

    fn release(&mut self, id: Number) -> Reply {
        match self.holds.get(&id) {
            Some(Hold::Confirmed { .. }) => self.refused("ALREADY_CONFIRMED"),
            Some(Hold::Released) => self.again("RELEASED"),
            Some(Hold::Expired) => self.again("EXPIRED"),
            Some(Hold::Held { .. } | Hold::Prepared) | None => {
                self.holds.insert(id, Hold::Released);
                self.done("RELEASED", 0)
            }
        }
    }

    /// One unit comes back.
    fn take_back(&mut self, id: Number, number: Number) -> Reply {
        if self.returns.contains(&(id, number)) {
            return self.again("RETURNED");
        }
        match self.holds.get_mut(&id) {
            Some(Hold::Held { deadline_ms }) => {
                let deadline_ms = *deadline_ms;
                self.outcome("RESERVED", deadline_ms, true)
            }
            Some(Hold::Prepared) => self.again("PREPARED"),
            Some(Hold::Released) => self.again("RELEASED"),
            Some(Hold::Expired) => self.again("EXPIRED"),
            None => self.refused("UNKNOWN_HOLD"),
            Some(Hold::Confirmed { sold, returned }) if sold == returned => error("EXCEEDS_HOLD"),
            Some(Hold::Confirmed { returned, .. }) => {
                *returned += 1;
                self.on_hand += 1;
                self.sold -= 1;
                self.returns.insert((id, number));
                self.done("RETURNED", 0)
            }
        }
    }

    fn view(&self) -> Reply {
        let live = |hold: &&Hold| matches!(hold, Hold::Held { .. } | Hold::Prepared);
        Reply::View {
            on_hand: self.on_hand,
            held: self.held(),
            prepared: self.units_of(|hold| *hold == Hold::Prepared),
            available: self.available(),
            sold: self.sold,
            seq: self.seq,
            holds: self.holds.values().filter(live).count() as u64,
        }
    }

    fn held(&self) -> u64 {
        self.units_of(|hold| matches!(hold, Hold::Held { .. } | Hold::Prepared))
    }

    fn units_of(&self, which: impl Fn(&Hold) -> bool) -> u64 {
        let which = self.holds.iter().filter(|(_, hold)| which(hold));
        which.map(|(id, _)| units(*id)).sum()
    }

    fn available(&self) -> u64 {
        self.on_hand - self.held()
    }

    fn done(&mut self, word: &str, deadline_ms: u64) -> Reply {
        self.seq += 1;
        self.outcome(word, deadline_ms, false)
    }

    fn again(&self, word: &str) -> Reply {
        self.outcome(word, 0, true)
    }

    fn refused(&self, word: &str) -> Reply {
        self.outcome(word, 0, false)
    }

    fn outcome(&self, word: &str, deadline_ms: u64, replayed: bool) -> Reply {
        Reply::Outcome {
            word: word.to_owned(),
            available: self.available(),
            seq: self.seq,
            deadline_ms,
            replayed,
        }
    }
}

fn error(prefix: &str) -> Reply {
    Reply::Refused(prefix.to_owned())
}
