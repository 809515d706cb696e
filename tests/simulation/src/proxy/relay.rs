//! The outbox relay. One proxy has the right to relay; one that has lost it may not know yet and
//! still send what it has read.

use crate::servers::mysql::Key;
use crate::world::World;

impl World {
    /// Reads the oldest rows. Rows of a key that is parked wait with it.
    pub fn read_outbox(&mut self, proxy: usize, most: usize) {
        if self.proxies[proxy].is_paused || !self.proxies[proxy].to_send.is_empty() {
            return;
        }
        let parked: Vec<Key> = (self.mysql.outbox.iter())
            .filter(|row| row.parked)
            .map(|row| row.event.key)
            .collect();
        let waiting = self.mysql.outbox.iter().map(|row| row.event);
        let free = waiting.filter(|event| !parked.contains(&event.key));
        self.proxies[proxy].to_send = free.take(most).collect();
    }

    /// Sends the next row. What is refused for good is parked, and so is whatever this proxy has
    /// of the same key behind it.
    pub fn relay(&mut self, proxy: usize, poisoned: bool) {
        let running = &mut self.proxies[proxy];
        if running.is_paused || running.to_send.is_empty() {
            return;
        }
        let event = running.to_send.remove(0);
        if !poisoned {
            running.sent.push(event);
            self.kafka.deliver(event);
            return;
        }
        running.to_send.retain(|later| later.key != event.key);
        for row in &mut self.mysql.outbox {
            row.parked |= row.event == event;
        }
    }

    /// Removes the rows that Kafka has.
    pub fn remove_relayed(&mut self, proxy: usize) {
        if self.proxies[proxy].is_paused {
            return;
        }
        let sent = std::mem::take(&mut self.proxies[proxy].sent);
        self.mysql.outbox.retain(|row| !sent.contains(&row.event));
    }
}
