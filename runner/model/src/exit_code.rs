//! The documented exit codes of the command line.

use serde::{Deserialize, Serialize};

/// How a run of the command ends, as the shell sees it. The numbers are a public promise (README, `testbed --help`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitCode {
    /// All that ran passed.
    Passed,
    /// A test failed.
    TestFailed,
    /// The command line or a configuration file is wrong; nothing was started.
    Usage,
    /// The environment could not be brought up, or broke.
    Environment,
    /// The selection is empty.
    NothingSelected,
    /// The tier's time budget was exceeded and enforcing it was asked for.
    BudgetExceeded,
    /// A bug in Testbed.
    Bug,
    /// Interrupted by a signal.
    Interrupted,
}

impl ExitCode {
    /// Every code, in the order of the documentation.
    pub const ALL: [Self; 8] = [
        Self::Passed,
        Self::TestFailed,
        Self::Usage,
        Self::Environment,
        Self::NothingSelected,
        Self::BudgetExceeded,
        Self::Bug,
        Self::Interrupted,
    ];

    /// The number that the process returns.
    pub const fn number(self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::TestFailed => 1,
            Self::Usage => 2,
            Self::Environment => 3,
            Self::NothingSelected => 4,
            Self::BudgetExceeded => 5,
            Self::Bug => 70,
            Self::Interrupted => 130,
        }
    }

    /// What the number means, as the documentation words it.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Passed => "all that ran passed",
            Self::TestFailed => "a test failed",
            Self::Usage => "usage or configuration",
            Self::Environment => "the environment could not be brought up",
            Self::NothingSelected => "nothing was selected",
            Self::BudgetExceeded => "the tier's time budget was exceeded",
            Self::Bug => "a bug in Testbed",
            Self::Interrupted => "interrupted",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ExitCode;

    #[test]
    fn numbers_are_the_documented_ones_and_distinct() {
        let numbers: Vec<u8> = ExitCode::ALL.iter().map(|code| code.number()).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 70, 130]);
    }
}
