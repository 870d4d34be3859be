//! The way out: events are stamped where they happen and received in one place.

mod recent_logs;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use testbed_model::event::{Event, LogWindow, Stamped};
use testbed_model::triage::{Diagnoses, Triage};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use self::recent_logs::RecentLogs;
use crate::host::clock::Clock;

/// A handle to emit events. Cloning is cheap; all clones share one sequence.
#[derive(Clone, Debug)]
pub struct Events {
    clock: Clock,
    sequence: Arc<Mutex<Sequence>>,
    sender: UnboundedSender<Stamped>,
}

/// What all handles share.
#[derive(Debug, Default)]
struct Sequence {
    next: u64,
    logs: RecentLogs,
    /// What the events say of failures: the exit code depends on it, and is an event itself.
    triage: Triage,
}

impl Events {
    /// A new sequence, and its receiving end, which ends when every handle is dropped.
    pub fn channel(clock: Clock) -> (Self, UnboundedReceiver<Stamped>) {
        let (sender, receiver) = unbounded_channel();
        (Self { clock, sequence: Arc::default(), sender }, receiver)
    }

    /// Emits one event. A receiver that is gone is not an error: then nobody wants to know.
    pub fn emit(&self, event: Event) {
        self.emit_of(event, None);
    }

    /// Emits a line of a log, which arrives a moment after it was written.
    pub fn emit_written(&self, event: Event, at: Timestamp) {
        self.emit_of(event, Some(at));
    }

    fn emit_of(&self, event: Event, written: Option<Timestamp>) {
        // Stamping and sending under one lock keeps the receiver's order equal to the sequence.
        let mut sequence = self.sequence();
        let elapsed_us = self.clock.elapsed_us();
        if let Event::ServiceLog { stack, service, line } = &event {
            let written_us = written.map_or(elapsed_us, |at| self.clock.elapsed_us_at(at));
            sequence.logs.push(stack, service, written_us, line);
        }
        let stamped = Stamped { seq: sequence.next, at: self.clock.now(), elapsed_us, event };
        sequence.next += 1;
        sequence.triage.hear(&stamped);
        let _ = self.sender.send(stamped);
    }

    /// For each service of a stack the last lines, at most `count`, that it logged between two times in microseconds
    /// since the start.
    pub fn recent_logs(&self, stack: &str, from_us: u64, to_us: u64, count: usize) -> Vec<LogWindow> {
        self.sequence().logs.windows(stack, from_us, to_us, count)
    }

    /// Whose fault each failure so far is.
    pub fn diagnoses(&self) -> Diagnoses {
        self.sequence().triage.diagnoses()
    }

    fn sequence(&self) -> MutexGuard<'_, Sequence> {
        self.sequence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The clock that stamps.
    pub const fn clock(&self) -> Clock {
        self.clock
    }
}

#[cfg(test)]
mod tests {
    use testbed_model::event::Event;

    use super::Events;
    use crate::host::clock::Clock;

    #[test]
    fn concurrent_emitters_share_one_gapless_sequence_in_order() {
        let (events, mut receiver) = Events::channel(Clock::start());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let events = events.clone();
                scope.spawn(move || {
                    for _ in 0..250 {
                        events.emit(Event::Warning { message: String::new(), hint: None });
                    }
                });
            }
        });
        drop(events);
        let mut seen = 0;
        while let Ok(stamped) = receiver.try_recv() {
            assert_eq!(stamped.seq, seen);
            seen += 1;
        }
        assert_eq!(seen, 1000);
    }
}
