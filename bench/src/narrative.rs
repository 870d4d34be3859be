//! The story that a measured runner tells with `--json`, each line with the moment at which it arrived here.

use std::time::Duration;

use testbed_engine::host::clock::Clock;
use testbed_model::event::{Event, Stamped};
use tokio::io::{BufReader, Lines};
use tokio::process::ChildStdout;
use tokio::time::timeout;

use crate::error::BenchError;

/// A runner's events as they come.
#[derive(Debug)]
pub struct Narrative {
    lines: Lines<BufReader<ChildStdout>>,
    clock: Clock,
    told: Vec<Stamped>,
}

/// An event that was waited for.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// The event.
    pub stamped: Stamped,
    /// When it arrived, in microseconds since the runner was started.
    pub arrived_us: u64,
}

impl Narrative {
    /// Listens; `clock` started with the runner.
    pub const fn new(lines: Lines<BufReader<ChildStdout>>, clock: Clock) -> Self {
        Self { lines, clock, told: Vec::new() }
    }

    /// The next event; none at the end. A line that is not an event is passed over.
    pub async fn next(&mut self) -> Option<Arrived> {
        while let Ok(Some(line)) = self.lines.next_line().await {
            if let Ok(stamped) = serde_json::from_str::<Stamped>(&line) {
                self.told.push(stamped.clone());
                return Some(Arrived { stamped, arrived_us: self.clock.elapsed_us() });
            }
        }
        None
    }

    /// The next event of a kind, within so many seconds. None if the runner's story ends before.
    pub async fn until(
        &mut self,
        what: &str,
        seconds: u64,
        is_it: impl Fn(&Event) -> bool,
    ) -> Result<Option<Arrived>, BenchError> {
        let waiting = async {
            while let Some(arrived) = self.next().await {
                if is_it(&arrived.stamped.event) {
                    return Some(arrived);
                }
            }
            None
        };
        let late = |_| BenchError::Late { what: what.to_owned(), seconds };
        timeout(Duration::from_secs(seconds), waiting).await.map_err(late)
    }

    /// Listens to the end and gives everything that was told.
    pub async fn whole(mut self) -> Vec<Stamped> {
        while self.next().await.is_some() {}
        self.told
    }
}

/// The error of an event that never came.
pub fn untold(what: &str, said: &[String]) -> BenchError {
    BenchError::Program {
        program: "testbed".to_owned(),
        ended: format!("no word of {what}"),
        said: said.to_vec(),
    }
}

/// Microseconds between the first two events of these kinds, by the runner's own clock.
pub fn between(told: &[Stamped], from: impl Fn(&Event) -> bool, to: impl Fn(&Event) -> bool) -> Option<u64> {
    let begin = told.iter().find(|stamped| from(&stamped.event))?;
    let end = told.iter().find(|stamped| to(&stamped.event))?;
    end.elapsed_us.checked_sub(begin.elapsed_us)
}

#[cfg(test)]
mod tests {
    use testbed_model::event::{Event, Stamped};

    use super::between;

    #[test]
    fn the_time_between_two_events_is_the_runners_own() {
        let event =
            |elapsed_us, event| Stamped { seq: 0, at: jiff::Timestamp::UNIX_EPOCH, elapsed_us, event };
        let stack = || "mocker".to_owned();
        let told = [
            event(100, Event::StackStarting { stack: stack(), services: Vec::new() }),
            event(1_600, Event::StackReady { stack: stack(), took_ms: 1 }),
        ];
        let starting = |event: &Event| matches!(event, Event::StackStarting { .. });
        let ready = |event: &Event| matches!(event, Event::StackReady { .. });
        let stopped = |event: &Event| matches!(event, Event::StackStopped { .. });
        assert_eq!(between(&told, starting, ready), Some(1_500));
        assert_eq!(between(&told, starting, stopped), None);
    }
}
