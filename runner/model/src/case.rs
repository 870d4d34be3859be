//! Cases: one test of a suite, and how it ended.

use serde::{Deserialize, Serialize};

use crate::stack::Millis;

/// One test as its suite's tool announced it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// The tool's own id: `suites/x/test_a.py::test_b[c]`, `testbed-model tier::tests::tiers_nest`, a hook's id.
    pub id: String,
    /// File, relative to the project's root, where the tool knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line, from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Markers, without arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub markers: Vec<String>,
}

/// How a case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It held.
    Passed,
    /// It did not hold.
    Failed,
    /// It could not be executed: setup, teardown, collection, a crash of the tool.
    Error,
    /// It exceeded its time.
    TimedOut,
    /// It was not executed, for a reason.
    Skipped,
    /// It failed as it was expected to.
    ExpectedFailure,
    /// It had started, and the run ended before it did.
    Interrupted,
}

impl Outcome {
    /// Whether the outcome makes a tier red.
    pub const fn is_red(self) -> bool {
        matches!(self, Self::Failed | Self::Error | Self::TimedOut)
    }

    /// The word for it in reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Error => "error",
            Self::TimedOut => "timed out",
            Self::Skipped => "skipped",
            Self::ExpectedFailure => "expected failure",
            Self::Interrupted => "interrupted",
        }
    }
}

/// The end of one case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseResult {
    /// The case.
    pub case: Case,
    /// How it ended, after all attempts.
    pub outcome: Outcome,
    /// Of the last attempt.
    pub duration_ms: Millis,
    /// Attempts, from one. More than one with a passing outcome is a flaky case.
    #[serde(default = "one")]
    pub attempts: u32,
    /// How often it was executed, where that was asked for more than once. It is red if one of these was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounds: Option<Rounds>,
    /// The assertion, error or skip reason in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The tool's full account of a failure: traceback, diff.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
    /// What the case printed, standard output and error and log together, as its tool captured it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output: String,
}

impl CaseResult {
    /// The result of one attempt that took no time and said nothing.
    pub const fn new(case: Case, outcome: Outcome) -> Self {
        Self {
            case,
            outcome,
            duration_ms: 0,
            attempts: 1,
            rounds: None,
            message: None,
            details: None,
            output: String::new(),
        }
    }
}

/// How often a case was executed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rounds {
    /// To an end that says something of it.
    pub executed: u32,
    /// Of these, red.
    pub failed: u32,
}

const fn one() -> u32 {
    1
}

/// How many cases ended in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Passed, flaky ones included.
    pub passed: u32,
    /// Failed.
    pub failed: u32,
    /// Errors.
    pub errors: u32,
    /// Timed out.
    pub timed_out: u32,
    /// Skipped.
    pub skipped: u32,
    /// Expected failures.
    pub expected_failures: u32,
    /// Interrupted.
    pub interrupted: u32,
    /// Of the passed ones, those that needed more than one attempt.
    pub flaky: u32,
}

impl Counts {
    /// Counts one result.
    pub fn add(&mut self, result: &CaseResult) {
        let slot = match result.outcome {
            Outcome::Passed => &mut self.passed,
            Outcome::Failed => &mut self.failed,
            Outcome::Error => &mut self.errors,
            Outcome::TimedOut => &mut self.timed_out,
            Outcome::Skipped => &mut self.skipped,
            Outcome::ExpectedFailure => &mut self.expected_failures,
            Outcome::Interrupted => &mut self.interrupted,
        };
        *slot += 1;
        if result.outcome == Outcome::Passed && result.attempts > 1 {
            self.flaky += 1;
        }
    }

    /// Counts of several lanes, or of several runs, together.
    pub fn sum(all: impl IntoIterator<Item = Self>) -> Self {
        all.into_iter().fold(Self::default(), |sum, one| Self {
            passed: sum.passed + one.passed,
            failed: sum.failed + one.failed,
            errors: sum.errors + one.errors,
            timed_out: sum.timed_out + one.timed_out,
            skipped: sum.skipped + one.skipped,
            expected_failures: sum.expected_failures + one.expected_failures,
            interrupted: sum.interrupted + one.interrupted,
            flaky: sum.flaky + one.flaky,
        })
    }

    /// Cases that make the tier red.
    pub const fn red(&self) -> u32 {
        self.failed + self.errors + self.timed_out
    }

    /// Cases that were executed to an end.
    pub const fn executed(&self) -> u32 {
        self.passed + self.red() + self.expected_failures
    }
}
