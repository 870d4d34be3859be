//! What a measurement came to: rows of figures, each with its ratios and whether its targets hold.

use serde::Serialize;

use crate::error::BenchError;
use crate::statistics::{Figures, paired_ratio};

/// Everything that one kind of measurement found.
#[derive(Clone, Debug, Serialize)]
pub struct Section {
    /// Its name on the command line.
    pub name: &'static str,
    /// What is measured, in one sentence.
    pub about: &'static str,
    /// Figures.
    pub rows: Vec<Row>,
    /// Sentences that help to read them.
    pub notes: Vec<String>,
}

/// What a measurement came to, also when it did not come to its end.
#[derive(Debug, Default)]
pub struct Measured {
    /// What was found so far.
    pub section: Option<Section>,
    /// Why it ended early.
    pub error: Option<BenchError>,
}

impl From<Section> for Measured {
    fn from(section: Section) -> Self {
        Self { section: Some(section), error: None }
    }
}

impl From<Result<Section, BenchError>> for Measured {
    fn from(result: Result<Section, BenchError>) -> Self {
        match result {
            Ok(section) => section.into(),
            Err(e) => Self { section: None, error: Some(e) },
        }
    }
}

/// One thing, measured in one way.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The thing, such as `first chat`; neighbouring rows of one thing stand together.
    pub what: String,
    /// The way, such as `docker-compose`.
    pub how: String,
    /// The figures' unit.
    pub unit: Unit,
    /// The figures.
    pub figures: Figures,
    /// What they are compared with.
    pub comparisons: Vec<Comparison>,
}

/// A unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Unit {
    /// Milliseconds.
    #[serde(rename = "ms")]
    Milliseconds,
    /// Millions of bytes.
    #[serde(rename = "MB")]
    Megabytes,
    /// Hundredths of one core.
    #[serde(rename = "% of a core")]
    PercentOfCore,
    /// Hundredths.
    #[serde(rename = "%")]
    Percent,
}

impl Unit {
    /// As it stands in a table.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Milliseconds => "ms",
            Self::Megabytes => "MB",
            Self::PercentOfCore => "% of a core",
            Self::Percent => "%",
        }
    }
}

/// A ratio, and what it should be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// What the figure is divided by: another row's way, or a limit.
    pub to: String,
    /// The value that it is divided by.
    pub divisor: f64,
    /// The ratio.
    pub ratio: f64,
    /// The median of the ratios within each round, where both were measured in each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by_round: Option<f64>,
    /// The largest ratio that is good enough; none where the ratio only informs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<f64>,
    /// Whether the target holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holds: Option<bool>,
}

impl Comparison {
    /// Compares the medians of two ways that were measured in the same rounds; none without samples.
    pub fn of_medians(to: &str, ours: &[f64], theirs: &[f64], target: Option<f64>) -> Option<Self> {
        let divisor = Figures::of(theirs)?.median;
        let by_round = paired_ratio(ours, theirs);
        Some(Self { by_round, ..Self::new(to, Figures::of(ours)?.median, divisor, target) })
    }

    /// Compares a value with the most that it may be.
    pub fn with_limit(to: &str, value: f64, limit: f64) -> Self {
        Self::new(to, value, limit, Some(1.0))
    }

    /// Compares two values.
    pub fn new(to: &str, value: f64, divisor: f64, target: Option<f64>) -> Self {
        let ratio = value / divisor;
        let holds = target.map(|target| ratio <= target);
        Self { to: to.to_owned(), divisor, ratio, by_round: None, target, holds }
    }
}

impl Row {
    /// A row without comparisons; none without samples.
    pub fn of(what: &str, how: &str, unit: Unit, samples: &[f64]) -> Option<Self> {
        let figures = Figures::of(samples)?;
        Some(Self { what: what.to_owned(), how: how.to_owned(), unit, figures, comparisons: Vec::new() })
    }

    /// Adds a comparison, where there is one.
    #[must_use]
    pub fn compared(mut self, comparison: impl IntoIterator<Item = Comparison>) -> Self {
        self.comparisons.extend(comparison);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::{Comparison, Row, Unit};

    #[test]
    fn a_ratio_at_its_target_holds_and_one_above_does_not() {
        let compare = |ours: f64| Comparison::of_medians("bare", &[ours], &[100.0], Some(0.8)).unwrap();
        assert_eq!(compare(80.0).holds, Some(true));
        assert_eq!(compare(81.0).holds, Some(false));
    }

    #[test]
    fn a_ratio_without_target_judges_nothing() {
        let comparison = Comparison::of_medians("bare", &[1.0], &[2.0], None).unwrap();
        assert_eq!((comparison.ratio, comparison.holds), (0.5, None));
    }

    #[test]
    fn a_limit_is_kept_at_one() {
        assert_eq!(Comparison::with_limit("50 ms", 50.0, 50.0).holds, Some(true));
        assert_eq!(Comparison::with_limit("50 ms", 50.5, 50.0).holds, Some(false));
    }

    #[test]
    fn nothing_measured_makes_no_row_and_no_ratio() {
        assert!(Row::of("x", "y", Unit::Milliseconds, &[]).is_none());
        assert_eq!(Comparison::of_medians("bare", &[], &[1.0], None), None);
    }
}
