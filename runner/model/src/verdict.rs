//! The verdict of a run, computed from what happened.

use serde::{Deserialize, Serialize};

use crate::case::Counts;
use crate::exit_code::ExitCode;

/// What ended badly besides cases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    /// A stack or an image could not be had, or a service died under a test.
    pub environment: bool,
    /// A signal ended the run.
    pub interrupted: bool,
    /// A lane failed beyond its cases: its tool crashed or refused to work, its time ran out, its code did not compile.
    pub lane: bool,
}

/// The exit code that a run's counts and damage amount to.
///
/// An interrupt outranks everything, for the counts are then not the tier's; a broken environment outranks red cases,
/// because a red case in a broken environment says nothing about the product.
pub const fn exit_code(counts: &Counts, damage: Damage) -> ExitCode {
    if damage.interrupted {
        ExitCode::Interrupted
    } else if damage.environment {
        ExitCode::Environment
    } else if counts.red() > 0 || damage.lane {
        ExitCode::TestFailed
    } else if counts.executed() == 0 {
        ExitCode::NothingSelected
    } else {
        ExitCode::Passed
    }
}

/// The exit code of several shares of one run together: the worst, where a share that nothing fell to is none.
pub fn together(codes: impl IntoIterator<Item = ExitCode>) -> ExitCode {
    let badness = |code: &ExitCode| match code {
        ExitCode::NothingSelected => 0,
        ExitCode::Passed => 1,
        ExitCode::BudgetExceeded => 2,
        ExitCode::TestFailed => 3,
        ExitCode::Usage => 4,
        ExitCode::Environment => 5,
        ExitCode::Bug => 6,
        ExitCode::Interrupted => 7,
    };
    codes.into_iter().max_by_key(badness).unwrap_or(ExitCode::NothingSelected)
}

#[cfg(test)]
mod tests {
    use super::{Damage, exit_code, together};
    use crate::case::Counts;
    use crate::exit_code::ExitCode;

    const GREEN: Counts = Counts {
        passed: 2,
        failed: 0,
        errors: 0,
        timed_out: 0,
        skipped: 1,
        expected_failures: 0,
        interrupted: 0,
        flaky: 0,
    };
    const RED: Counts = Counts { failed: 1, ..GREEN };

    #[test]
    fn infrastructure_never_looks_like_a_red_test() {
        let broken = Damage { environment: true, lane: true, ..Damage::default() };
        assert_eq!(exit_code(&RED, broken), ExitCode::Environment);
        assert_eq!(exit_code(&GREEN, broken), ExitCode::Environment);
    }

    #[test]
    fn shares_together_are_as_bad_as_the_worst_and_an_empty_one_is_none() {
        let (green, empty) = (ExitCode::Passed, ExitCode::NothingSelected);
        assert_eq!(together([empty, green]), green);
        assert_eq!(together([empty, empty]), empty);
        assert_eq!(together([green, ExitCode::TestFailed]), ExitCode::TestFailed);
        assert_eq!(together([ExitCode::Environment, ExitCode::TestFailed]), ExitCode::Environment);
        assert_eq!(together([ExitCode::Interrupted, ExitCode::Environment]), ExitCode::Interrupted);
        assert_eq!(together([]), empty);
    }

    #[test]
    fn red_is_one_green_is_zero_and_nothing_is_four() {
        assert_eq!(exit_code(&RED, Damage::default()), ExitCode::TestFailed);
        assert_eq!(exit_code(&GREEN, Damage::default()), ExitCode::Passed);
        let lane = Damage { lane: true, ..Damage::default() };
        assert_eq!(exit_code(&GREEN, lane), ExitCode::TestFailed);
        let only_skips = Counts { skipped: 3, ..Counts::default() };
        assert_eq!(exit_code(&only_skips, Damage::default()), ExitCode::NothingSelected);
    }
}
