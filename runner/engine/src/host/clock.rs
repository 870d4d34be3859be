//! The clock. Everything else in Testbed is given the time.
#![allow(clippy::disallowed_methods, reason = "this is the door that the lint sends everybody to")]

use std::time::Instant;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

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
}

/// The wall time.
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// The day, everywhere the same.
pub fn today() -> Date {
    now().to_zoned(TimeZone::UTC).date()
}
