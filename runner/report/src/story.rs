//! The story of a run: its events folded into what is known so far. Everything that is shown derives from it, live or from
//! a stored journal, of a whole run or of one that was killed.

use std::sync::OnceLock;

use jiff::Timestamp;
use testbed_model::case::Counts;
use testbed_model::event::{Event, Stamped};
use testbed_model::exit_code::ExitCode;
use testbed_model::id::RunId;
use testbed_model::lane::LaneId;
use testbed_model::plan::{SkipCount, SkippedLane};
use testbed_model::stack::Millis;
use testbed_model::tier::Tier;
use testbed_model::triage::{Diagnoses, Triage};

mod image;
mod lane;
mod left_out;
mod model;
mod stack;

pub use image::{ImageState, ImageStory};
pub use lane::{CaseStory, LanePhase, LaneStory, RunningCase};
pub use left_out::LeftOut;
pub use model::{ModelState, ModelStory};
pub use stack::{Answer, ServicePhase, ServiceStory, StackPhase, StackStory};

use crate::neutral::{neutral, shows};

/// What is known of a run. Every text in it is harmless (see [`crate::neutral`]).
#[derive(Debug, Default)]
pub struct Story {
    /// How it began; none when its beginning was not heard.
    pub head: Option<Head>,
    /// Images, in order of their first mention.
    pub images: Vec<ImageStory>,
    /// Models that had to come here, in order of their first mention.
    pub models: Vec<ModelStory>,
    /// Stacks, in order of their first mention.
    pub stacks: Vec<StackStory>,
    /// Lanes, in the plan's order.
    pub lanes: Vec<LaneStory>,
    /// What a person should know.
    pub warnings: Vec<WarningTold>,
    /// The signal that ended it.
    pub interrupted: Option<String>,
    /// How it ended; none while it goes on, and for ever if it was killed.
    pub end: Option<End>,
    /// The last event's time since the run's start, in microseconds.
    pub elapsed_us: u64,
    /// What of a finished case is kept.
    keep: Keep,
    /// What the events say of failures.
    triage: Triage,
    /// What is concluded of it, once somebody asks.
    concluded: OnceLock<Diagnoses>,
}

/// The beginning of a run.
#[derive(Clone, Debug)]
pub struct Head {
    /// Run.
    pub run: RunId,
    /// Tier; none for a stack that is only brought up.
    pub tier: Option<Tier>,
    /// Plan.
    pub plan: Option<String>,
    /// Profiles.
    pub profiles: Vec<String>,
    /// What the plan leaves out.
    pub skipped: Vec<SkippedLane>,
    /// How many cases it leaves out, by suite and reason.
    pub left_out: Vec<SkipCount>,
    /// The record's folder.
    pub folder: String,
    /// When.
    pub at: Timestamp,
}

/// The end of a run.
#[derive(Clone, Copy, Debug)]
pub struct End {
    /// Exit code.
    pub exit_code: ExitCode,
    /// How long it took.
    pub took_ms: Millis,
}

/// A warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WarningTold {
    /// Message.
    pub message: String,
    /// Way out.
    pub hint: Option<String>,
}

/// What of a finished case is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Keep {
    /// Its result; its texts where it is red or flaky.
    #[default]
    Results,
    /// Nothing but the counts: enough to watch a run.
    Counts,
}

impl Story {
    /// A story that keeps the state and the counts, and no results: for watching.
    pub fn watching() -> Self {
        Self { keep: Keep::Counts, ..Self::default() }
    }

    /// The story of a list of events.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a Stamped>) -> Self {
        let mut story = Self::default();
        for stamped in events {
            story.fold(stamped);
        }
        story
    }

    /// Takes one event in.
    pub fn fold(&mut self, stamped: &Stamped) {
        if shows(&stamped.event) {
            let harmless = Stamped { event: neutral(&stamped.event), ..*stamped };
            self.triage.hear(&harmless);
            self.concluded.take();
            self.fold_neutral(stamped.at, stamped.elapsed_us, harmless.event);
        }
    }

    /// Whose fault each failure is.
    pub fn diagnoses(&self) -> &Diagnoses {
        self.concluded.get_or_init(|| self.triage.diagnoses())
    }

    /// Takes in one event whose texts are harmless already.
    pub(crate) fn fold_neutral(&mut self, at: Timestamp, elapsed_us: u64, event: Event) {
        self.elapsed_us = self.elapsed_us.max(elapsed_us);
        match event {
            Event::RunStarted { run, tier, plan, profiles, lanes, skipped, left_out, folder } => {
                for id in lanes {
                    self.lane(&id);
                }
                let plan = plan.map(|id| id.0);
                self.head = Some(Head { run, tier, plan, profiles, skipped, left_out, folder, at });
            }
            Event::Warning { message, hint } => self.warnings.push(WarningTold { message, hint }),
            Event::Interrupted { signal } => self.interrupted = Some(signal),
            Event::RunFinished { exit_code, took_ms, .. } => self.end = Some(End { exit_code, took_ms }),
            Event::EnvironmentResolved { lane, environment } => {
                if let Some(lane) = self.lane(&lane) {
                    lane.environment = Some(environment);
                }
            }
            Event::ServiceLog { .. }
            | Event::Sampled { .. }
            | Event::Found { .. }
            | Event::GpusGranted { .. } => {}
            Event::ImageProgress { .. } | Event::ImageReady { .. } => self.fold_image(elapsed_us, event),
            Event::ModelProgress { .. } | Event::ModelReady { .. } => self.fold_model(elapsed_us, event),
            Event::LanePreparing { .. }
            | Event::LaneStarted { .. }
            | Event::CasesCollected { .. }
            | Event::CaseStarted { .. }
            | Event::CaseFinished { .. }
            | Event::LaneOutput { .. }
            | Event::LaneFinished { .. } => self.fold_lane(at, elapsed_us, event),
            Event::StackStarting { .. }
            | Event::ServiceStarting { .. }
            | Event::ServiceStarted { .. }
            | Event::ProbeAnswered { .. }
            | Event::ServiceReady { .. }
            | Event::ServiceExited { .. }
            | Event::StackReady { .. }
            | Event::StackFailed { .. }
            | Event::StackStopping { .. }
            | Event::StackStopped { .. }
            | Event::StackAdopted { .. }
            | Event::StackKept { .. } => self.fold_stack(elapsed_us, event),
        }
    }

    /// The counts of all lanes together.
    pub fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        for lane in &self.lanes {
            let counts = &lane.counts;
            sum.passed += counts.passed;
            sum.failed += counts.failed;
            sum.errors += counts.errors;
            sum.timed_out += counts.timed_out;
            sum.skipped += counts.skipped;
            sum.expected_failures += counts.expected_failures;
            sum.interrupted += counts.interrupted;
            sum.flaky += counts.flaky;
        }
        sum
    }

    /// What was asked for, as a person would say it: the tier, or the profiles that were brought up.
    pub fn subject(&self) -> String {
        match &self.head {
            Some(Head { tier: Some(tier), .. }) => tier.name().to_owned(),
            Some(head) if !head.profiles.is_empty() => head.profiles.join(", "),
            None if !self.models.is_empty() => "models".to_owned(),
            _ => "run".to_owned(),
        }
    }

    /// How long the run took, or has taken so far.
    pub fn took_ms(&self) -> Millis {
        self.end.map_or(self.elapsed_us / 1000, |end| end.took_ms)
    }

    /// Every red case with its lane, in the plan's order.
    pub fn red(&self) -> impl Iterator<Item = (&LaneStory, &CaseStory)> {
        self.results().filter(|(_, case)| case.result.outcome.is_red())
    }

    /// Every case that passed after it had failed.
    pub fn flaky(&self) -> impl Iterator<Item = (&LaneStory, &CaseStory)> {
        self.results().filter(|(_, case)| case.is_flaky())
    }

    /// Every finished case with its lane.
    pub fn results(&self) -> impl Iterator<Item = (&LaneStory, &CaseStory)> {
        self.lanes.iter().flat_map(|lane| lane.results.iter().map(move |case| (lane, case)))
    }

    /// The slowest finished cases, slowest first.
    pub fn slowest(&self, most: usize) -> Vec<(&LaneStory, &CaseStory)> {
        let mut cases: Vec<_> = self.results().collect();
        cases.sort_by_key(|(_, case)| std::cmp::Reverse(case.result.duration_ms));
        cases.truncate(most);
        cases
    }

    /// The lane of that id, made if it is new.
    fn lane(&mut self, id: &LaneId) -> Option<&mut LaneStory> {
        let index = self.lanes.iter().position(|lane| lane.id == *id).unwrap_or_else(|| {
            self.lanes.push(LaneStory::new(id.clone()));
            self.lanes.len() - 1
        });
        self.lanes.get_mut(index)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use testbed_model::event::{Event, Stamped};
    use testbed_model::lane::LaneId;

    use super::{LanePhase, Story};

    fn stamped(seq: u64, event: Event) -> Stamped {
        Stamped { seq, at: Timestamp::UNIX_EPOCH, elapsed_us: seq * 1000, event }
    }

    #[test]
    fn a_story_without_its_beginning_is_told_as_far_as_it_was_heard() {
        let lane = LaneId { suite: "unit".into(), part: None, profile: None };
        let events = [
            stamped(7, Event::CaseStarted { lane: lane.clone(), case: "a".into() }),
            stamped(9, Event::LaneOutput { lane, line: "\u{1b}[1mhello".into() }),
        ];
        let story = Story::of(&events);
        assert_eq!(story.subject(), "run");
        assert_eq!(story.took_ms(), 9);
        let lane = story.lanes.first().unwrap();
        assert_eq!(lane.phase, LanePhase::Running);
        assert_eq!(lane.running.len(), 1);
        assert_eq!(lane.last_line.as_deref(), Some("hello"));
    }
}
