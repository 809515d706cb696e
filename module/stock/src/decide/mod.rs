//! What a command comes to. Nothing here changes the ledger.
//!
//! A hold past due counts as expired in every answer, whether or not the sweep has come by.

mod commit;
mod count;
mod hold;
mod room;

use crate::{Command, Decision, Effect, Ledger, MAX_SEQ, Misuse, Policy, Until};

impl Ledger {
    /// Decides the command as of `now_ms` (Unix milliseconds): the outcome, and the effects that bring it about.
    ///
    /// # Errors
    /// [`Misuse`] when the command makes no sense. There is nothing to undo.
    pub fn decide(
        &self,
        command: &Command,
        policy: &Policy,
        now_ms: u64,
    ) -> Result<Decision, Misuse> {
        let decision = match command {
            Command::Set {
                on_hand,
                only_if,
                force,
            } => Ok(self.decide_set(*on_hand, *only_if, *force, now_ms)),
            Command::Adjust {
                delta,
                id,
                only_if,
                force,
            } => self.decide_adjust(*delta, id.as_ref(), *only_if, *force, now_ms),
            Command::Reserve {
                id,
                quantity,
                until,
            } => self.decide_reserve(id, *quantity, *until, policy, now_ms),
            Command::Prepare { id, late } => self.decide_prepare(id, *late, policy, now_ms),
            Command::Extend { id, for_ms } => self.decide_extend(id, *for_ms, policy, now_ms),
            Command::Confirm { id, quantity, late } => {
                self.decide_confirm(id, *quantity, *late, policy, now_ms)
            }
            Command::Release { id } => Ok(self.decide_release(id, now_ms)),
            Command::Return {
                id,
                return_id,
                quantity,
            } => self.decide_return(id, return_id, *quantity, now_ms),
        }?;
        // What could not be applied must not be decided: other keys' lines of the same order would be.
        let changes: u64 = decision.effects.iter().map(Effect::changes).sum();
        if changes > MAX_SEQ.saturating_sub(self.seq) {
            return Err(Misuse::SeqExhausted);
        }
        Ok(decision)
    }
}

impl Until {
    /// The deadline in Unix milliseconds, if it is ahead and not too far.
    fn resolve(self, policy: &Policy, now_ms: u64) -> Result<u64, Misuse> {
        let deadline_ms = match self {
            Self::Default => {
                now_ms.saturating_add(policy.default_hold_ms.min(policy.longest_hold_ms))
            }
            Self::In(ms) => now_ms.saturating_add(ms),
            Self::At(unix_ms) => unix_ms,
        };
        let ahead_ms = deadline_ms.saturating_sub(now_ms);
        if ahead_ms == 0 {
            return Err(Misuse::DeadlinePast {
                deadline_ms,
                now_ms,
            });
        }
        if ahead_ms > policy.longest_hold_ms {
            return Err(Misuse::DeadlineTooFar {
                ahead_ms,
                longest_ms: policy.longest_hold_ms,
            });
        }
        Ok(deadline_ms)
    }
}
