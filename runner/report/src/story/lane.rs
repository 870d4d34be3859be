//! A lane and its cases.

use std::collections::HashSet;

use jiff::Timestamp;
use testbed_model::case::{Case, CaseResult, Counts, Outcome};
use testbed_model::event::{Event, LaneFailure, LogWindow};
use testbed_model::lane::LaneId;
use testbed_model::record::EnvironmentId;
use testbed_model::stack::Millis;

use super::{Keep, Story};

/// What is known of a lane.
#[derive(Clone, Debug)]
pub struct LaneStory {
    /// Name.
    pub id: LaneId,
    /// How far it is.
    pub phase: LanePhase,
    /// How long it waited for its stack; none before it started.
    pub waited_ms: Option<Millis>,
    /// How many cases its tool announced; none before.
    pub announced: Option<usize>,
    /// Cases that the tool left out by expression or because another profile executes them.
    pub deselected: u32,
    /// Counts of the finished cases.
    pub counts: Counts,
    /// Cases that have begun and not ended.
    pub running: Vec<RunningCase>,
    /// Finished cases, in the order in which they ended.
    pub results: Vec<CaseStory>,
    /// How long it took.
    pub took_ms: Option<Millis>,
    /// Why it failed beyond its cases.
    pub failure: Option<LaneFailure>,
    /// Whether it ended after a signal had asked the run to end. Then its failure is the signal's.
    pub interrupted: bool,
    /// When it started.
    pub started: Option<Timestamp>,
    /// When it started, in microseconds since the run's start.
    pub began_us: Option<u64>,
    /// The hash of all that can decide its results besides the code.
    pub environment: Option<EnvironmentId>,
    /// The last line that its tool printed outside of any case.
    pub last_line: Option<String>,
    cases: Vec<Case>,
}

/// How far a lane is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LanePhase {
    /// Nothing has happened yet.
    Waiting,
    /// Something is done before it can start.
    Preparing {
        /// What.
        step: String,
        /// Since when, in microseconds since the run's start.
        since_us: u64,
    },
    /// Its tool runs.
    Running,
    /// It ended.
    Finished,
}

/// A case that has begun and not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningCase {
    /// Case id.
    pub id: String,
    /// When it began, in microseconds since the run's start.
    pub since_us: u64,
}

/// A finished case.
#[derive(Clone, Debug)]
pub struct CaseStory {
    /// How it ended. Output and details are there only where the case is red or flaky; the record has them all.
    pub result: CaseResult,
    /// What the services said meanwhile, for a red case.
    pub service_logs: Vec<LogWindow>,
    /// When it ended.
    pub ended: Timestamp,
}

impl CaseStory {
    /// Whether it passed after it had failed.
    pub fn is_flaky(&self) -> bool {
        self.result.outcome == Outcome::Passed && self.result.attempts > 1
    }

    /// `FILE:LINE`, as far as known.
    pub fn place(&self) -> Option<String> {
        let case = &self.result.case;
        let file = case.file.as_deref()?;
        Some(case.line.map_or_else(|| file.to_owned(), |line| format!("{file}:{line}")))
    }

    /// The message's first line that says anything.
    pub fn headline(&self) -> Option<&str> {
        self.result.message.as_deref()?.lines().map(str::trim).find(|line| !line.is_empty())
    }
}

impl LaneStory {
    pub(super) fn new(id: LaneId) -> Self {
        Self {
            id,
            phase: LanePhase::Waiting,
            waited_ms: None,
            announced: None,
            deselected: 0,
            counts: Counts::default(),
            running: Vec::new(),
            results: Vec::new(),
            took_ms: None,
            failure: None,
            interrupted: false,
            started: None,
            began_us: None,
            environment: None,
            last_line: None,
            cases: Vec::new(),
        }
    }

    /// How many cases have ended, skipped and interrupted ones included.
    pub fn done(&self) -> usize {
        let counts = &self.counts;
        let ended = counts.executed() + counts.skipped + counts.interrupted;
        usize::try_from(ended).unwrap_or(usize::MAX)
    }

    /// How many cases there are, as far as known.
    pub fn total(&self) -> Option<usize> {
        self.announced.map(|announced| announced.max(self.done() + self.running.len()))
    }

    /// Announced cases that have no result, in the order of their announcement.
    pub fn without_result(&self) -> Vec<&Case> {
        let mut known: HashSet<&str> = self.results.iter().map(|case| case.result.case.id.as_str()).collect();
        self.cases.iter().filter(|case| known.insert(&case.id)).collect()
    }

    /// Whether it failed beyond its cases, and not because a signal ended the run.
    pub fn failed_itself(&self) -> bool {
        self.failure.is_some() && !self.interrupted
    }

    /// Whether the environment broke under the lane.
    pub fn environment_failed(&self) -> bool {
        self.failed_itself() && self.failure.as_ref().is_some_and(|failure| failure.environment)
    }

    fn begin(&mut self, elapsed_us: u64) {
        self.began_us.get_or_insert(elapsed_us);
        if self.phase != LanePhase::Finished {
            self.phase = LanePhase::Running;
        }
    }

    fn finish_case(&mut self, at: Timestamp, result: CaseResult, logs: Vec<LogWindow>, keep: Keep) {
        self.counts.add(&result);
        if let Some(index) = self.running.iter().position(|running| running.id == result.case.id) {
            self.running.remove(index);
        }
        if keep == Keep::Counts {
            return;
        }
        let mut case = CaseStory { result, service_logs: logs, ended: at };
        if !case.result.outcome.is_red() && !case.is_flaky() {
            case.result.details = None;
            case.result.output = String::new();
        }
        self.results.push(case);
    }
}

impl Story {
    pub(super) fn fold_lane(&mut self, at: Timestamp, elapsed_us: u64, event: Event) {
        let (keep, interrupted) = (self.keep, self.interrupted.is_some());
        let (Event::LanePreparing { lane, .. }
        | Event::LaneStarted { lane, .. }
        | Event::CasesCollected { lane, .. }
        | Event::CaseStarted { lane, .. }
        | Event::CaseFinished { lane, .. }
        | Event::LaneOutput { lane, .. }
        | Event::LaneFinished { lane, .. }) = &event
        else {
            return;
        };
        let Some(lane) = self.lane(&lane.clone()) else { return };
        match event {
            Event::LanePreparing { step, .. } => {
                lane.phase = LanePhase::Preparing { step, since_us: elapsed_us };
            }
            Event::LaneStarted { waited_ms, .. } => {
                lane.phase = LanePhase::Running;
                lane.waited_ms = Some(waited_ms);
                lane.started = Some(at);
                lane.began_us = Some(elapsed_us);
            }
            Event::CasesCollected { cases, deselected, .. } => {
                lane.begin(elapsed_us);
                lane.announced = Some(lane.announced.unwrap_or(0) + cases.len());
                lane.deselected = lane.deselected.saturating_add(deselected);
                if keep == Keep::Results {
                    lane.cases.extend(cases);
                }
            }
            Event::CaseStarted { case, .. } => {
                lane.begin(elapsed_us);
                if lane.running.iter().all(|running| running.id != case) {
                    lane.running.push(RunningCase { id: case, since_us: elapsed_us });
                }
            }
            Event::CaseFinished { result, service_logs, .. } => {
                lane.begin(elapsed_us);
                lane.finish_case(at, result, service_logs, keep);
            }
            Event::LaneOutput { line, .. } if !line.trim().is_empty() => lane.last_line = Some(line),
            Event::LaneFinished { took_ms, failure, .. } => {
                lane.phase = LanePhase::Finished;
                lane.took_ms = Some(took_ms);
                lane.failure = failure;
                lane.interrupted = interrupted;
                lane.running.clear();
            }
            _ => {}
        }
    }
}
