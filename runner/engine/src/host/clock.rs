//! The clock. Everything else in Testbed is given the time.
#![allow(clippy::disallowed_methods, reason = "this is the door that the lint sends everybody to")]

use std::time::Instant;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// What was told longer ago than this was told by another clock.
const A_MOMENT_US: u64 = 30_000_000;

/// A clock that remembers when it was started.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// Starts a clock.
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// Microseconds since the start, monotonic.
    pub fn elapsed_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Milliseconds since the start, monotonic.
    pub fn elapsed_ms(&self) -> u64 {
        self.elapsed_us() / 1000
    }

    /// The wall time.
    pub fn now(&self) -> Timestamp {
        now()
    }

    /// Microseconds from the start to a wall time a moment ago, as somebody else on this host told it. What cannot be so, because
    /// it is to come or long ago, is taken for now: then clocks differ, or somebody set one.
    pub fn elapsed_us_at(&self, at: Timestamp) -> u64 {
        let (elapsed_us, now) = (self.elapsed_us(), self.now());
        let ago_us = u64::try_from(now.as_microsecond() - at.as_microsecond()).unwrap_or(0);
        if ago_us > A_MOMENT_US { elapsed_us } else { elapsed_us.saturating_sub(ago_us) }
    }
}

/// The wall time.
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// The day, everywhere the same.
pub fn today() -> Date {
    now().to_zoned(TimeZone::UTC).date()
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::Clock;

    #[test]
    fn a_moment_ago_is_before_now_and_another_clock_is_not_believed() {
        let clock = Clock::start();
        std::thread::yield_now();
        let now = clock.now();
        assert!(clock.elapsed_us_at(now) <= clock.elapsed_us());
        let before_the_start = now.checked_sub(SignedDuration::from_secs(1)).unwrap();
        assert_eq!(clock.elapsed_us_at(before_the_start), 0);
        for other in [SignedDuration::from_hours(1), SignedDuration::from_hours(-1)] {
            let least = clock.elapsed_us();
            assert!(clock.elapsed_us_at(now.checked_add(other).unwrap()) >= least);
        }
    }
}
