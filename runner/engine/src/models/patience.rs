//! How long a fetch waits, and how often it tries again.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use crate::host::environment;

/// Bounds of waiting and trying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Failures in a row, without a byte in between, after which a fetch gives up.
    pub failures: u32,
    /// How often a server may ask for another time.
    pub postponements: u32,
    /// The longest time that a server may ask for at once.
    pub postponement: Duration,
    /// The pause after the first failure; each further one takes twice as long.
    pub pause: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// How long a connection may be silent.
    pub silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            failures: 6,
            postponements: 10,
            postponement: Duration::from_mins(15),
            pause: Duration::from_secs(1),
            longest: Duration::from_secs(30),
            silence: Duration::from_mins(1),
        }
    }
}

impl Patience {
    /// The pause after so many failures in a row, one at least: doubled each time, and between a half and the whole of it by
    /// chance, so that many who failed together do not come back together.
    pub fn pause_after(&self, failures: u32) -> Duration {
        self.pause_with(failures, environment::random_bytes::<1>().map_or(255, |[byte]| byte))
    }

    fn pause_with(&self, failures: u32, chance: u8) -> Duration {
        let doubled = self.pause.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(self.longest);
        doubled / 2 + doubled / 2 * u32::from(chance) / 255
    }
}

/// What `Retry-After` asks for: seconds, or a date (RFC 9110, section 10.2.3).
pub fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More seconds than a number holds are too many anyway.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let at = httpdate::parse_http_date(value).ok()?;
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(now.as_second()).ok()?);
    Some(at.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::{Patience, retry_after};

    #[test]
    fn a_server_may_ask_in_seconds_and_by_a_date() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        for (value, seconds) in [
            ("0", Some(0)),
            (" 7 ", Some(7)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("Sat, 21 Nov 2026 12:00:30 GMT", Some(30)),
            ("Saturday, 21-Nov-26 12:01:00 GMT", Some(60)),
            ("Sat, 21 Nov 2026 11:00:00 GMT", Some(0)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
        ] {
            assert_eq!(retry_after(value, now), seconds.map(Duration::from_secs), "{value}");
        }
    }

    #[test]
    fn pauses_grow_to_a_bound_and_differ_by_chance() {
        let patience = Patience::default();
        let pauses: Vec<u128> =
            (1..8).map(|failures| patience.pause_with(failures, 255).as_millis()).collect();
        assert_eq!(pauses, [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
        assert_eq!(patience.pause_with(3, 0), Duration::from_secs(2));
        assert!(patience.pause_after(u32::MAX) >= patience.longest / 2);
    }
}
