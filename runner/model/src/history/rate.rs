//! A pass rate, and how sure it is.

use serde::{Deserialize, Serialize};

use super::observation::Observation;

/// The two-sided 95 % quantile of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// How many executions passed, of how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// Passed.
    pub passed: u32,
    /// All.
    pub executions: u32,
}

impl Rate {
    /// The rate over observations.
    pub fn of<'o>(observations: impl IntoIterator<Item = &'o Observation>) -> Self {
        observations.into_iter().fold(Self::default(), |rate, seen| Self {
            passed: rate.passed.saturating_add(seen.executions.saturating_sub(seen.failures)),
            executions: rate.executions.saturating_add(seen.executions),
        })
    }

    /// How many did not pass.
    pub const fn failures(self) -> u32 {
        self.executions.saturating_sub(self.passed)
    }

    /// The share that passed, from 0 to 1; none of nothing.
    pub fn share(self) -> Option<f64> {
        (self.executions > 0).then(|| f64::from(self.passed) / f64::from(self.executions))
    }

    /// Wilson's score interval at 95 %, from 0 to 1. It stays inside and says something also of few executions; of none it says that
    /// everything is possible.
    pub fn interval(self) -> (f64, f64) {
        let Some(share) = self.share() else { return (0.0, 1.0) };
        let n = f64::from(self.executions);
        let (square, scale) = (Z * Z, 1.0 + Z * Z / n);
        let centre = (share + square / (2.0 * n)) / scale;
        let half = Z / scale * (share * (1.0 - share) / n + square / (4.0 * n * n)).sqrt();
        // Where all passed or none did, the bound is exact, whatever rounding says.
        let low = if self.passed == 0 { 0.0 } else { (centre - half).max(0.0) };
        let high = if self.passed == self.executions { 1.0 } else { (centre + half).min(1.0) };
        (low, high)
    }

    /// Whether more than `percent` of a hundred passed.
    pub fn is_above(self, percent: u32) -> bool {
        u64::from(self.passed) * 100 > u64::from(self.executions) * u64::from(percent)
    }
}
