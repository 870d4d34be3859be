//! Cases that take longer than they did.

use serde::{Deserialize, Serialize};

use super::observation::Observation;
use crate::case::Outcome;
use crate::stack::Millis;

/// So many of the newest times are compared with the ones before.
const RECENT: usize = 5;
/// With fewer earlier times nobody knows what is usual.
const FEWEST_EARLIER: usize = 5;
/// The newest runs that the question is about: the recent ones and those before.
pub const GROWTH_RUNS: usize = 30;
/// A growth that nobody would notice is none.
const LEAST_MS: Millis = 50;
/// The spread of earlier times, as their median distance from the median, may be exceeded so many times by chance.
const SPREADS: Millis = 5;

/// How much longer a case takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Growth {
    /// The median of the earlier times.
    pub before_ms: Millis,
    /// The median of the newest times.
    pub now_ms: Millis,
}

impl Growth {
    /// By how much.
    pub const fn by_ms(self) -> Millis {
        self.now_ms.saturating_sub(self.before_ms)
    }

    /// The growth that observations in the order of time show; none where there are too few passes, or chance explains it. Medians
    /// are compared, so that a single slow run is nothing.
    pub fn of(observations: &[Observation]) -> Option<Self> {
        let passed = observations.iter().filter(|seen| seen.outcome == Outcome::Passed && seen.counts());
        let times: Vec<Millis> = passed.map(|seen| seen.duration_ms).collect();
        let times = times.get(times.len().saturating_sub(GROWTH_RUNS)..).unwrap_or_default();
        let (earlier, recent) = times.split_at_checked(times.len().checked_sub(RECENT)?)?;
        if earlier.len() < FEWEST_EARLIER {
            return None;
        }
        let growth = Self { before_ms: median(earlier), now_ms: median(recent) };
        let distances: Vec<Millis> = earlier.iter().map(|time| time.abs_diff(growth.before_ms)).collect();
        let enough = LEAST_MS.max(growth.before_ms / 4).max(median(&distances).saturating_mul(SPREADS));
        (growth.by_ms() >= enough).then_some(growth)
    }
}

/// The middle one of times; of an even number the lower middle one, which some run really took.
pub(super) fn median(times: &[Millis]) -> Millis {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}
