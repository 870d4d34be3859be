//! How often to ask, for how long to wait, and what is worth saying.

use std::time::Duration;

use super::{LONGEST_PATIENCE, SHORTEST_PATIENCE};

/// The first pause between two questions.
const SHORTEST_PAUSE: Duration = Duration::from_millis(4);

/// The longest one: half of it is what a service waits on average until its readiness is noticed.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// The rhythm of one question's repetition.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    pause: Duration,
    patience: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { pause: SHORTEST_PAUSE, patience: SHORTEST_PATIENCE }
    }
}

impl Pace {
    /// How long to pause before asking again; a little longer each time.
    pub fn pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        pause
    }

    /// How long to wait for an answer.
    pub const fn patience(&self) -> Duration {
        self.patience
    }

    /// Waits longer from now on: an engine whose first answer takes long would otherwise never be let finish it.
    pub fn be_patient(&mut self) {
        self.patience = (self.patience * 2).min(LONGEST_PATIENCE);
    }
}

/// Tells news from repetition.
#[derive(Clone, Debug, Default)]
pub struct Change {
    last: Option<String>,
}

impl Change {
    /// Whether an answer differs from the one before in more than its numbers: an uptime is not news.
    pub fn is_news(&mut self, answer: &str) -> bool {
        // The first word holds the status and counts with its digits.
        let (status, rest) = answer.split_once(' ').unwrap_or((answer, ""));
        let rest: String = rest.chars().filter(|c| !c.is_ascii_digit()).collect();
        let essence = format!("{status} {rest}");
        let news = self.last.as_ref() != Some(&essence);
        self.last = Some(essence);
        news
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Change, LONGEST_PATIENCE, LONGEST_PAUSE, Pace};

    #[test]
    fn pauses_grow_from_short_to_their_cap() {
        let mut pace = Pace::default();
        let pauses: Vec<Duration> = (0..8).map(|_| pace.pause()).collect();
        assert!(pauses.is_sorted());
        assert_eq!(pauses[0], Duration::from_millis(4));
        assert_eq!(pauses[7], LONGEST_PAUSE);
    }

    #[test]
    fn patience_doubles_up_to_its_cap() {
        let mut pace = Pace::default();
        for _ in 0..10 {
            pace.be_patient();
        }
        assert_eq!(pace.patience(), LONGEST_PATIENCE);
    }

    #[test]
    fn an_uptime_is_not_news_and_a_status_is() {
        let mut change = Change::default();
        assert!(change.is_news("503 {\"uptime\": 12}"));
        assert!(!change.is_news("503 {\"uptime\": 13}"));
        assert!(change.is_news("500 {\"uptime\": 13}"));
        assert!(change.is_news("500 {\"downtime\": 13}"));
    }
}
