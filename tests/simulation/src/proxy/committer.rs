//! Group commit on its proxy: what many sagas wait for is written as one, and tried again by itself
//! when the connection is lost.

use crate::action::{Batch, Fault};
use crate::machine::{Effect, Input};
use crate::servers::mysql::Transaction;
use crate::world::World;

impl World {
    /// Writes the oldest of a queue. Of a fault that leaves it unclear whether they are written,
    /// the sagas learn nothing until patience is over ([`Fault::Refused`]).
    pub fn write(&mut self, proxy: usize, batch: Batch, most: usize, fault: Fault) {
        if self.proxies[proxy].is_paused {
            return;
        }
        let sagas = &self.proxies[proxy].sagas;
        let waiting: Vec<usize> = (self.proxies[proxy].queue(batch).iter().take(most))
            .filter_map(|number| sagas.iter().position(|saga| saga.number == *number))
            .collect();
        if waiting.is_empty() {
            return;
        }
        if fault == Fault::Refused {
            let unclear = vec![Input::Unclear; waiting.len()];
            return self.answer_batch(proxy, batch, &waiting, unclear);
        }
        let transactions: Vec<Transaction> = (waiting.iter())
            .map(|saga| self.transaction(&self.proxies[proxy].sagas[*saga], batch))
            .collect();
        let transaction = Transaction::Batch(transactions);
        if self.mysql.is_blocked(&transaction) {
            return;
        }
        match (fault, &transaction) {
            (Fault::None, Transaction::Batch(transactions)) => {
                let answers = self.execute_all(transactions);
                self.answer_batch(proxy, batch, &waiting, answers);
            }
            (Fault::Late, _) => self.mysql.limbo.push(transaction),
            (Fault::ReplyLost | Fault::Again | Fault::Twice, Transaction::Batch(transactions)) => {
                self.execute_all(transactions);
            }
            _ => {}
        }
    }

    fn transaction(&self, saga: &super::saga::Saga, batch: Batch) -> Transaction {
        match batch {
            Batch::Record => self.recording(saga),
            Batch::Commit => Transaction::Commit(saga.order, self.orders[saga.order].lines),
        }
    }

    fn answer_batch(&mut self, proxy: usize, batch: Batch, waiting: &[usize], answers: Vec<Input>) {
        let running = &mut self.proxies[proxy];
        for (saga, answer) in waiting.iter().zip(answers) {
            running.sagas[*saga].answer = Some(answer);
        }
        let answered = waiting.len();
        running.queue_mut(batch).drain(..answered);
    }
}

impl Batch {
    /// The queue for an effect, if there is one.
    pub fn of(effect: Effect) -> Option<Self> {
        match effect {
            Effect::Record => Some(Batch::Record),
            Effect::Commit => Some(Batch::Commit),
            _ => None,
        }
    }
}
