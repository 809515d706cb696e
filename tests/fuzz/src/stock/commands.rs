//! Random lives of a ledger: commands, time, sweeps, restarts and fail-overs.

use arbitrary::{Arbitrary, Unstructured};
use holdfast_stock::{Command, Id, Ledger, MAX_HOLD_MS, MAX_UNITS, Policy, Retention, Until};

use super::watched::Watched;
use super::{codec, sound};
use crate::Verdict;

/// One thing that happens to a ledger. Small numbers, so that ids meet again and units run out.
#[derive(Arbitrary, Debug)]
enum Step {
    Ask(Ask),
    Wait { ms: u16 },
    WaitHours { hours: u8 },
    ClockBack { ms: u16 },
    Sweep { limit: u8 },
    Forget { limit: u8, kept: u8 },
    ReserveMany { first: u8, count: u8, apart_ms: i8 },
    LongestHold { seconds: u16 },
    Defrag { chunks: u8 },
    Restart,
    FailOver,
}

#[derive(Arbitrary, Debug)]
enum Ask {
    Set {
        on_hand: Units,
        only_if: Option<u8>,
        force: bool,
    },
    Adjust {
        delta: i8,
        id: Option<u8>,
        only_if: Option<u8>,
        force: bool,
    },
    Reserve {
        id: u8,
        quantity: Units,
        until: Deadline,
    },
    Prepare {
        id: u8,
        late: Option<Units>,
    },
    Extend {
        id: u8,
        for_ms: u16,
    },
    Confirm {
        id: u8,
        quantity: Option<Units>,
        late: Option<Units>,
    },
    Release {
        id: u8,
    },
    Return {
        id: u8,
        return_id: u8,
        quantity: Units,
    },
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Units {
    Few(u8),
    Most(u8),
}

#[derive(Arbitrary, Debug)]
enum Deadline {
    In(u16),
    At(i16),
    Default,
    TooFar,
}

/// The input is a first count and the steps of a life.
pub fn check(input: &[u8]) -> Verdict {
    let mut input = Unstructured::new(input);
    let mut life = Life {
        watched: Watched::new(Ledger::default()),
        longest_hold_ms: Policy::default().longest_hold_ms,
        now_ms: 1_760_000_000_000,
    };
    let first = Units::arbitrary(&mut input).unwrap_or(Units::Few(10));
    life.ask(Ask::Set {
        on_hand: first,
        only_if: None,
        force: false,
    });
    let mut steps = 0;
    while let Ok(true) = bool::arbitrary(&mut input)
        && let Ok(step) = Step::arbitrary(&mut input)
    {
        life.step(step);
        steps += 1;
    }
    sound::assert_sound(life.watched.ledger());
    Verdict::accepted_if(steps > 0)
}

struct Life {
    watched: Watched,
    now_ms: u64,
    longest_hold_ms: u64,
}

impl Life {
    fn step(&mut self, step: Step) {
        match step {
            Step::Ask(ask) => self.ask(ask),
            Step::Wait { ms } => self.now_ms += u64::from(ms),
            Step::WaitHours { hours } => self.now_ms += u64::from(hours) * 3_600_000,
            Step::ClockBack { ms } => self.now_ms -= u64::from(ms),
            Step::Sweep { limit } => self.watched.sweep(self.now_ms, usize::from(limit)),
            Step::Forget { limit, kept } => {
                let retention = Retention {
                    outcome_ms: u64::from(kept) * 60_000,
                    outcomes: kept.into(),
                    adjustment_ms: 2 * self.longest_hold_ms,
                    adjustments: kept.into(),
                    longest_hold_ms: self.longest_hold_ms,
                };
                self.watched.forget(&retention, self.now_ms, limit.into());
            }
            Step::ReserveMany {
                first,
                count,
                apart_ms,
            } => {
                for number in 0..count % 24 {
                    let in_ms = 10_000 + i64::from(apart_ms) * i64::from(number);
                    let command = Command::Reserve {
                        id: id(first.wrapping_add(number)),
                        quantity: 1,
                        until: Until::At(self.now_ms.saturating_add_signed(in_ms)),
                    };
                    self.watched.ask(&command, self.now_ms);
                }
            }
            Step::LongestHold { seconds } => {
                self.longest_hold_ms = (u64::from(seconds) * 1_000).clamp(1, MAX_HOLD_MS);
                self.watched.set_policy(Policy {
                    longest_hold_ms: self.longest_hold_ms,
                    // Any number will do, and a field of its own would turn the kept inputs into others.
                    expires_at_once: seconds.into(),
                    ..Policy::default()
                });
            }
            Step::Defrag { chunks } => self.watched.defrag(chunks),
            Step::Restart => self.restart(),
            Step::FailOver => self.watched.fail_over(),
        }
    }

    fn restart(&mut self) {
        let ledger = self.watched.ledger();
        if ledger.seq() > 0 {
            let bytes = sound::encoded(ledger);
            let again = codec::decode(holdfast_stock::ENCODING_VERSION, [&bytes, &[]]);
            self.watched
                .replace(again.expect("what was written can be read"));
        }
    }

    fn ask(&mut self, ask: Ask) {
        let number = |small: Option<u8>| small.map(u64::from);
        let command = match ask {
            Ask::Set {
                on_hand,
                only_if,
                force,
            } => Command::Set {
                on_hand: on_hand.units(0),
                only_if: number(only_if),
                force,
            },
            Ask::Adjust { delta: 0, .. } => return,
            Ask::Adjust {
                delta,
                id: adjustment,
                only_if,
                force,
            } => Command::Adjust {
                delta: delta.into(),
                id: adjustment.map(id),
                only_if: number(only_if),
                force,
            },
            Ask::Reserve {
                id: hold,
                quantity,
                until,
            } => Command::Reserve {
                id: id(hold),
                quantity: quantity.units(1),
                until: match until {
                    Deadline::In(ms) => Until::In(ms.into()),
                    Deadline::At(from_now_ms) => {
                        Until::At(self.now_ms.saturating_add_signed(from_now_ms.into()))
                    }
                    Deadline::Default => Until::Default,
                    Deadline::TooFar => Until::In(MAX_HOLD_MS + 1),
                },
            },
            Ask::Prepare { id: hold, late } => Command::Prepare {
                id: id(hold),
                late: late.map(|late| late.units(1)),
            },
            Ask::Extend { id: hold, for_ms } => Command::Extend {
                id: id(hold),
                for_ms: for_ms.into(),
            },
            Ask::Confirm {
                id: hold,
                quantity,
                late,
            } => Command::Confirm {
                id: id(hold),
                quantity: quantity.map(|quantity| quantity.units(1)),
                late: late.map(|late| late.units(1)),
            },
            Ask::Return {
                id: hold,
                return_id,
                quantity,
            } => Command::Return {
                id: id(hold),
                return_id: id(return_id),
                quantity: quantity.units(1),
            },
            Ask::Release { id: hold } => Command::Release { id: id(hold) },
        };
        self.watched.ask(&command, self.now_ms);
    }
}

impl Units {
    fn units(self, least: u64) -> u64 {
        match self {
            Self::Few(few) => u64::from(few).max(least),
            Self::Most(fewer) => MAX_UNITS - u64::from(fewer),
        }
    }
}

/// One of 96 ids of every kind and length.
fn id(number: u8) -> Id {
    let number = number % 96;
    let text = match number % 4 {
        0 => format!("0190f3a2-7c1e-7abc-8def-0123456789{number:02x}"),
        1 => format!("0190F3A2-7C1E-7ABC-8DEF-0123456789{number:02X}"),
        2 => format!("\0\r\n{number}"),
        _ => format!("{number:064}"),
    };
    Id::new(text.as_bytes()).expect("1 to 64 bytes")
}
