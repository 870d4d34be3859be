//! Flaky or a regression, by the rule that Dynamo's project goes by.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::observation::Observation;
use super::rate::Rate;

/// The days that the rule looks back.
pub const WINDOW_DAYS: i64 = 7;
/// A case that fails now and then is flaky where more than so many of a hundred executions pass.
pub const FLAKY_ABOVE_PERCENT: u32 = 80;
/// So many red runs in a row are a regression.
pub const IN_A_ROW: usize = 3;

/// What the rule says of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// It was red in its last three runs.
    Regression,
    /// It fails more often than a flaky case may, and not three times in a row.
    Failing,
    /// It fails now and then: more than 80 % of the last 7 days' executions passed, and not all.
    Flaky,
    /// Every execution of the last 7 days passed.
    Steady,
    /// It was not executed in the last 7 days.
    Unseen,
}

impl Rule {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Regression => "regression",
            Self::Failing => "failing",
            Self::Flaky => "flaky",
            Self::Steady => "steady",
            Self::Unseen => "not seen",
        }
    }

    /// Whether somebody should look at it.
    pub const fn is_trouble(self) -> bool {
        matches!(self, Self::Regression | Self::Failing | Self::Flaky)
    }

    /// The rule's answer for observations in the order of time, at the end of its window.
    pub(super) fn of(observations: &[Observation], until: Timestamp) -> Self {
        let recent = recent(observations, until);
        if recent.executions == 0 {
            return Self::Unseen;
        }
        let mut last = observations.iter().rev().filter(|seen| seen.counts()).take(IN_A_ROW);
        if last.by_ref().filter(|seen| seen.is_red()).count() == IN_A_ROW {
            Self::Regression
        } else if recent.failures() == 0 {
            Self::Steady
        } else if recent.is_above(FLAKY_ABOVE_PERCENT) {
            Self::Flaky
        } else {
            Self::Failing
        }
    }
}

/// The beginning of the window that ends then.
pub(super) fn window_start(until: Timestamp) -> Timestamp {
    until.checked_sub(SignedDuration::from_hours(WINDOW_DAYS * 24)).unwrap_or(Timestamp::MIN)
}

/// The rate in the window.
pub(super) fn recent(observations: &[Observation], until: Timestamp) -> Rate {
    let start = window_start(until);
    Rate::of(observations.iter().filter(|seen| seen.at >= start && seen.at <= until))
}
