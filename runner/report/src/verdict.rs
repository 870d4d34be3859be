//! The verdict of a run in a word, a tone and a sentence. An environment that broke looks nothing like a red test.

use testbed_model::event::{StackFailure, StackFailureCause};
use testbed_model::exit_code::ExitCode;
use testbed_model::stack::Millis;
use testbed_model::triage::{Cause, Diagnosis, Subject};

use crate::quantity::{count, duration};
use crate::story::{ServicePhase, Story};
use crate::style::Tone;

/// How a run came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It ended, with this exit code.
    Ended(ExitCode),
    /// Its end was never heard.
    Unfinished,
}

impl Verdict {
    /// The verdict of a story.
    pub fn of(story: &Story) -> Self {
        story.end.map_or(Self::Unfinished, |end| Self::Ended(end.exit_code))
    }

    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ended(ExitCode::Passed) => "PASSED",
            Self::Ended(ExitCode::TestFailed) => "FAILED",
            Self::Ended(ExitCode::Usage) => "NOT STARTED",
            Self::Ended(ExitCode::Environment) => "ENVIRONMENT BROKEN",
            Self::Ended(ExitCode::NothingSelected) => "NOTHING RAN",
            Self::Ended(ExitCode::BudgetExceeded) => "OVER BUDGET",
            Self::Ended(ExitCode::Bug) => "BUG IN TESTBED",
            Self::Ended(ExitCode::Interrupted) => "INTERRUPTED",
            Self::Unfinished => "UNFINISHED",
        }
    }

    /// The tone.
    pub const fn tone(self) -> Tone {
        match self {
            Self::Ended(ExitCode::Passed) => Tone::Good,
            Self::Ended(ExitCode::TestFailed) => Tone::Bad,
            Self::Ended(ExitCode::Environment | ExitCode::Bug) => Tone::Broken,
            Self::Ended(_) | Self::Unfinished => Tone::Warn,
        }
    }
}

/// The verdict's sentence, after the word: how many cases came out how.
pub fn sentence(story: &Story) -> String {
    let counts = story.counts();
    let number = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    let (red, executed, passed) = (number(counts.red()), number(counts.executed()), number(counts.passed));
    let subject = story.subject();
    let took = duration(story.took_ms());
    match Verdict::of(story) {
        Verdict::Ended(ExitCode::Passed) if executed == 0 => format!("{subject} in {took}"),
        Verdict::Ended(ExitCode::Passed) => {
            format!("{subject}: {}{} in {took}", count(passed, "case"), aside(story))
        }
        Verdict::Ended(ExitCode::TestFailed) => {
            format!("{subject}: {red} of {} red in {took}", count(executed, "case"))
        }
        Verdict::Ended(ExitCode::Environment) => {
            format!("{subject}: no verdict on the code under test, after {took}")
        }
        Verdict::Ended(ExitCode::Interrupted) => {
            let signal = story.interrupted.as_deref().unwrap_or("a signal");
            format!("{subject}: {signal} after {took}; {}", so_far(executed, red))
        }
        Verdict::Ended(ExitCode::NothingSelected) => format!("{subject}: no case was executed"),
        Verdict::Ended(code) => format!("{subject}: {} after {took}", code.meaning()),
        Verdict::Unfinished => {
            format!("{subject}: no end was heard, only the first {took}; {}", so_far(executed, red))
        }
    }
}

/// The environment's fault in one sentence; none where it did not break. A service that crashed by itself is the product's
/// fault, unless it kept its stack from coming up: without one there is no verdict.
pub fn environment_fault(story: &Story) -> Option<String> {
    let told = story.diagnoses();
    let excuses = |one: Option<&Diagnosis>| one.is_none_or(|one| one.cause.excuses());
    let stack = story.stacks.iter().find_map(|stack| {
        let failure = stack.failure.as_ref()?;
        Some(format!("stack `{}` did not come up: {}", stack.name, fault(failure)))
    });
    let dead = || {
        // What dies after the first is a consequence, of which nothing is told.
        let mut dead = story.dead_services().filter(|(stack, service)| {
            told.of_service(&stack.name, &service.name).is_some_and(|one| one.cause.excuses())
        });
        dead.next().map(|(stack, service)| {
            format!("`{}` of stack `{}` {}", service.name, stack.name, exited(&service.phase))
        })
    };
    let lane = || {
        let mut lost = story.lanes.iter().filter(|lane| {
            let one = told.of_lane(&lane.id);
            (lane.environment_failed() && excuses(one)) || one.is_some_and(|one| one.cause.excuses())
        });
        lost.find_map(|lane| lane.failure.as_ref().map(|failure| format!("{}: {}", lane.id, failure.message)))
    };
    let case = || {
        let mut cases = told.all().iter().filter(|one| one.cause.excuses());
        cases.find_map(|one| match &one.subject {
            Subject::Case { lane, case } => {
                let shown =
                    one.evidence.first().map(|first| format!(": {}", first.quote)).unwrap_or_default();
                Some(format!("{case} ({lane}): {}{shown}", one.because))
            }
            _ => None,
        })
    };
    stack.or_else(dead).or_else(lane).or_else(case)
}

/// What a run without a verdict says of the code under test: nothing, unless it is the product itself that did not come up.
pub fn not_a_red_test(story: &Story) -> &'static str {
    let told = story.diagnoses();
    let crashed = told.all().iter().any(|one| {
        one.cause == Cause::Product && matches!(one.subject, Subject::Stack(_) | Subject::Service { .. })
    });
    match (crashed, told.red_by_themselves()) {
        (true, _) => "the product is at fault, not what surrounds it",
        (false, 0) => "this is not a red test",
        (false, _) => "the environment broke, and cases are red for reasons of their own",
    }
}

/// What is at fault that a stack did not come up: the service and what happened to it.
pub fn fault(failure: &StackFailure) -> String {
    let service = failure.service.as_deref().map(|name| format!("`{name}`"));
    let who = service.as_deref();
    match &failure.cause {
        StackFailureCause::Exited { exit_code, oom_killed } => {
            format!("{} {}", who.unwrap_or("a service"), ended(*exit_code, *oom_killed))
        }
        StackFailureCause::TimedOut { after_ms, waiting_for } => {
            let who = who.unwrap_or("the stack");
            format!("{who} was not ready after {}, missing: {waiting_for}", limit(*after_ms))
        }
        StackFailureCause::Unhealthy => format!("{} failed its health check", who.unwrap_or("a service")),
        StackFailureCause::Daemon { message } => {
            let message = message.lines().next().unwrap_or_default();
            match who {
                // What it names itself was not refused, but done otherwise than it was asked for.
                Some(who) if message.starts_with(who) => message.to_owned(),
                Some(who) => format!("the container engine refused {who}: {message}"),
                None => format!("the container engine refused: {message}"),
            }
        }
    }
}

/// How a service's container ended, to follow its name.
pub fn exited(phase: &ServicePhase) -> String {
    match phase {
        ServicePhase::Exited { exit_code, oom_killed, .. } => ended(*exit_code, *oom_killed),
        _ => "ended".to_owned(),
    }
}

/// The end of a container, with what its code means where that is known (128 + signal, as shells and engines have it).
pub fn ended(exit_code: i64, oom_killed: bool) -> String {
    if oom_killed {
        return format!("was killed for lack of memory (exit code {exit_code})");
    }
    let meaning = match exit_code {
        126 => " (command not executable)",
        127 => " (command not found)",
        134 => " (SIGABRT)",
        137 => " (SIGKILL)",
        139 => " (SIGSEGV)",
        143 => " (SIGTERM)",
        _ => "",
    };
    format!("ended with exit code {exit_code}{meaning}")
}

/// A time limit; whole seconds are written whole.
fn limit(millis: Millis) -> String {
    if millis.is_multiple_of(1000) && millis < 60_000 {
        format!("{} s", millis / 1000)
    } else {
        duration(millis)
    }
}

fn so_far(executed: usize, red: usize) -> String {
    match (executed, red) {
        (0, _) => "no case had ended".to_owned(),
        (_, 0) => format!("{} had ended, none red", count(executed, "case")),
        _ => format!("{} had ended, {red} red", count(executed, "case")),
    }
}

/// What stands beside passed and red cases.
fn aside(story: &Story) -> String {
    let counts = story.counts();
    let parts: Vec<String> =
        [(counts.flaky, "flaky"), (counts.skipped, "skipped"), (counts.expected_failures, "xfailed")]
            .into_iter()
            .filter(|(number, _)| *number > 0)
            .map(|(number, word)| format!(", {number} {word}"))
            .collect();
    parts.concat()
}

#[cfg(test)]
mod tests {
    use super::ended;

    #[test]
    fn an_exit_code_says_what_it_means() {
        assert_eq!(ended(1, false), "ended with exit code 1");
        assert_eq!(ended(137, false), "ended with exit code 137 (SIGKILL)");
        assert_eq!(ended(137, true), "was killed for lack of memory (exit code 137)");
    }
}
