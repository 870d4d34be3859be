//! Whose fault a failure is: the test's, the product's, the infrastructure's or the host's, with the facts that show it.
//!
//! Only what the kernel, the container engine or the runner itself found out can excuse a failure. Whatever a test or a service
//! writes explains it, and can take an excuse back, but is none. The rules are data, in `triage/rules.toml`; which facts they
//! ask for is gathered from a run's events, so the same comes out of a run as it goes and of its record at any time later.

mod account;
mod fact;
mod hearing;
mod judge;
mod rule;

use std::collections::HashMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::fact::{FactKind, finding};
pub use self::hearing::Triage;
pub use self::rule::{Rule, Rules, SubjectKind};
use crate::event::{StackFailure, StackFailureCause};
use crate::lane::LaneId;
use crate::verdict::Damage;

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The test is wrong: it cannot be collected, or does not work as it is written.
    Test,
    /// The product does not do what it is to do. Also what nothing else explains.
    Product,
    /// What surrounds the product broke: its memory or disk ran out, somebody killed it, an image or the engine is gone.
    Infrastructure,
    /// The host itself cannot do its part.
    Host,
}

impl Cause {
    /// Every cause, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::Test, Self::Product, Self::Infrastructure, Self::Host];

    /// The word for it in reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Product => "product",
            Self::Infrastructure => "infrastructure",
            Self::Host => "host",
        }
    }

    /// Whether such a failure says nothing about the code under test.
    pub const fn excuses(self) -> bool {
        matches!(self, Self::Infrastructure | Self::Host)
    }
}

/// What failed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A case.
    Case {
        /// Its lane.
        lane: LaneId,
        /// Its id.
        case: String,
    },
    /// A lane, beyond its cases.
    Lane(LaneId),
    /// A stack that did not come up.
    Stack(String),
    /// A service that ended unasked.
    Service {
        /// Profile.
        stack: String,
        /// Service.
        service: String,
    },
    /// The run as a whole.
    Run,
}

/// A fact that shows whose fault a failure is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// When the fact became known.
    pub at: Timestamp,
    /// The same, in microseconds since the run's start.
    pub elapsed_us: u64,
    /// The event that tells it, by its number.
    pub seq: u64,
    /// Where it stands: `event`, `message`, ``log of `worker-0` ``.
    pub source: String,
    /// The fact itself: an event in words, or a line as it was written.
    pub quote: String,
}

/// What is concluded of one failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// Of what.
    pub subject: Subject,
    /// Whose fault it is.
    pub cause: Cause,
    /// The name of the rule that decided.
    pub rule: &'static str,
    /// Why, in a sentence without its dot.
    pub because: String,
    /// What shows it; the first is the most telling.
    pub evidence: Vec<Evidence>,
}

/// All that is concluded of a run's failures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnoses {
    all: Vec<Diagnosis>,
    index: HashMap<Subject, usize>,
}

impl Diagnoses {
    /// Of several about one subject the last holds: a stack may come up twice.
    fn new(all: Vec<Diagnosis>) -> Self {
        let index = all.iter().enumerate().map(|(at, one)| (one.subject.clone(), at)).collect();
        Self { all, index }
    }

    /// All, in the order of the failures.
    pub fn all(&self) -> &[Diagnosis] {
        &self.all
    }

    /// How many failures have a cause. The end of a service is none of its own: it shows in what it broke.
    pub fn count(&self, cause: Cause) -> usize {
        let counted =
            |one: &&Diagnosis| one.cause == cause && !matches!(one.subject, Subject::Service { .. });
        self.all.iter().filter(counted).count()
    }

    /// That of a subject.
    pub fn of(&self, subject: &Subject) -> Option<&Diagnosis> {
        self.index.get(subject).and_then(|at| self.all.get(*at))
    }

    /// That of a case.
    pub fn of_case(&self, lane: &LaneId, case: &str) -> Option<&Diagnosis> {
        self.of(&Subject::Case { lane: lane.clone(), case: case.to_owned() })
    }

    /// That of a lane.
    pub fn of_lane(&self, lane: &LaneId) -> Option<&Diagnosis> {
        self.of(&Subject::Lane(lane.clone()))
    }

    /// That of a stack.
    pub fn of_stack(&self, stack: &str) -> Option<&Diagnosis> {
        self.of(&Subject::Stack(stack.to_owned()))
    }

    /// That of a service that died.
    pub fn of_service(&self, stack: &str, service: &str) -> Option<&Diagnosis> {
        self.of(&Subject::Service { stack: stack.to_owned(), service: service.to_owned() })
    }

    /// What ended badly, with what the diagnoses add to it. A lane that says nothing about the code under test is a broken
    /// environment; cases that do not are one only where no other case is red for a reason of its own.
    pub fn weigh(&self, damage: Damage) -> Damage {
        let excused: Vec<&Diagnosis> = self.all.iter().filter(|one| one.cause.excuses()).collect();
        let lane = excused.iter().any(|one| matches!(one.subject, Subject::Lane(_)));
        let case = excused.iter().any(|one| matches!(one.subject, Subject::Case { .. }));
        let environment = lane || (case && self.red_by_themselves() == 0);
        Damage { environment: damage.environment || environment, ..damage }
    }

    /// How many cases are red although nothing around the product explains it.
    pub fn red_by_themselves(&self) -> usize {
        let own = |one: &&Diagnosis| matches!(one.subject, Subject::Case { .. }) && !one.cause.excuses();
        self.all.iter().filter(own).count()
    }
}

/// Whose fault the end of a service is that broke its stack.
pub fn of_death(failure: &StackFailure) -> Cause {
    match failure.cause {
        StackFailureCause::Exited { exit_code, oom_killed } => {
            judge::death(exit_code, oom_killed, &failure.log)
        }
        _ => Cause::Infrastructure,
    }
}

#[cfg(test)]
mod tests;
