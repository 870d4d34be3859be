//! Names that a run gives to itself and to everything that it creates.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Label keys on every container, network and volume that Testbed creates. `gc` finds its own by them, and nothing else.
pub mod label {
    /// The run that created the object; the value is a [`super::RunId`].
    pub const RUN: &str = "dev.testbed.run";
    /// The stack's profile.
    pub const PROFILE: &str = "dev.testbed.profile";
    /// The service of the stack, or the lane that a container executes.
    pub const SERVICE: &str = "dev.testbed.service";
    /// Host name and process id of the runner that owns the object, as `HOST:PID:START`, so that `gc` can tell the dead.
    pub const OWNER: &str = "dev.testbed.owner";
    /// Wall time until which the object is meant to stay although its runner has ended (`testbed up`), RFC 3339.
    pub const KEEP_UNTIL: &str = "dev.testbed.keep-until";
}

/// The identity of one run: sortable by time, short enough for a name, unique enough for concurrent runs on one daemon.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(String);

impl RunId {
    /// Makes an id from the wall time and 24 random bits: `20261121-143005-a1b2c3`, in UTC.
    pub fn new(now: jiff::Timestamp, random: u32) -> Self {
        let stamp = now.strftime("%Y%m%d-%H%M%S");
        Self(format!("{stamp}-{:06x}", random & 0x00ff_ffff))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is not a run id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a run id (it looks like `20261121-143005-a1b2c3`)")]
pub struct RunIdError(String);

impl FromStr for RunId {
    type Err = RunIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('-');
        let digits = |part: Option<&str>, n: usize| {
            part.is_some_and(|p| p.len() == n && p.bytes().all(|b| b.is_ascii_digit()))
        };
        let hex = |part: Option<&str>| {
            part.is_some_and(|p| p.len() == 6 && p.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
        };
        if digits(parts.next(), 8) && digits(parts.next(), 6) && hex(parts.next()) && parts.next().is_none() {
            Ok(Self(text.to_owned()))
        } else {
            Err(RunIdError(text.to_owned()))
        }
    }
}

impl TryFrom<String> for RunId {
    type Error = RunIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::RunId;

    #[test]
    fn an_id_sorts_by_time_and_reads_back() {
        let at = |s| RunId::new(jiff::Timestamp::from_second(s).unwrap(), 0xffa1_b2c3);
        let (early, late) = (at(1_795_271_405), at(1_795_271_406));
        assert_eq!(early.as_str(), "20261121-143005-a1b2c3");
        assert!(early < late);
        assert_eq!(early.as_str().parse::<RunId>().unwrap(), early);
    }

    #[test]
    fn a_path_is_not_an_id() {
        for text in ["", "../x", "20261121-143005", "20261121-143005-A1B2C3", "20261121-143005-a1b2c3-x"] {
            assert!(text.parse::<RunId>().is_err(), "{text}");
        }
    }
}
