//! A tape on which a run's events are recorded with their time.

use jiff::{SignedDuration, Timestamp};
use testbed_model::case::{Case, CaseResult, Counts, Outcome};
use testbed_model::event::{Event, ImageOrigin, LaneFailure, LogWindow, Stamped};
use testbed_model::exit_code::ExitCode;
use testbed_model::id::RunId;
use testbed_model::lane::LaneId;
use testbed_model::plan::{PlanId, SkippedLane};
use testbed_model::tier::Tier;

const STARTED: i64 = 1_795_271_405;

/// Records events with their time.
pub struct Tape {
    events: Vec<Stamped>,
    counts: Vec<(LaneId, Counts)>,
}

impl Tape {
    pub const fn new() -> Self {
        Self { events: Vec::new(), counts: Vec::new() }
    }

    pub fn at(&mut self, ms: u64, event: Event) {
        let start = Timestamp::from_second(STARTED).unwrap();
        let at = start + SignedDuration::from_millis(i64::try_from(ms).unwrap());
        let seq = u64::try_from(self.events.len()).unwrap();
        self.events.push(Stamped { seq, at, elapsed_us: ms * 1000, event });
    }

    pub fn start(&mut self, profiles: &[&str], lanes: &[LaneId], skipped: &[(LaneId, &str)]) {
        let run = RunId::new(Timestamp::from_second(STARTED).unwrap(), 0x00a1_b2c3);
        let folder = format!(".testbed/runs/{run}");
        let skipped = skipped
            .iter()
            .map(|(lane, reason)| SkippedLane { lane: lane.clone(), reason: (*reason).into() })
            .collect();
        self.at(
            3,
            Event::RunStarted {
                run,
                tier: Some(Tier::Premerge),
                plan: Some(PlanId("7d40c1e29ab35f68".into())),
                profiles: profiles.iter().map(ToString::to_string).collect(),
                lanes: lanes.to_vec(),
                skipped,
                left_out: Vec::new(),
                folder,
            },
        );
    }

    /// The events as a run would tell them: in the order of their time.
    pub fn played(mut self) -> Vec<Stamped> {
        self.events.sort_by_key(|stamped| stamped.elapsed_us);
        for (seq, stamped) in (0..).zip(&mut self.events) {
            stamped.seq = seq;
        }
        self.events
    }

    pub fn end(&mut self, ms: u64, exit_code: ExitCode) {
        let mut counts = Counts::default();
        for (_, lane) in &self.counts {
            counts.passed += lane.passed;
            counts.failed += lane.failed;
            counts.errors += lane.errors;
            counts.timed_out += lane.timed_out;
            counts.skipped += lane.skipped;
            counts.interrupted += lane.interrupted;
            counts.flaky += lane.flaky;
        }
        let run = RunId::new(Timestamp::from_second(STARTED).unwrap(), 0x00a1_b2c3);
        self.at(ms, Event::RunFinished { run, counts, exit_code, took_ms: ms });
    }

    pub fn image(&mut self, ms: u64, name: &str, origin: ImageOrigin) {
        let reference = format!("testbed/{name}:5f1d0c9e7a2b");
        let id = format!("sha256:{}", "0a1b2c3d".repeat(8));
        self.at(ms, Event::ImageReady { image: name.into(), reference, id, origin });
    }

    pub fn step(&mut self, ms: u64, name: &str, step: &str, done: Option<(u64, u64)>) {
        let (done, total) = done.unzip();
        self.at(ms, Event::ImageProgress { image: name.into(), step: step.into(), done, total });
    }

    /// A stack that comes up; its services start together and answer one after another.
    pub fn stack(&mut self, ms: u64, name: &str, services: &[&str], took_ms: u64) {
        self.stack_starts(ms, name, services);
        let count = u64::try_from(services.len()).unwrap();
        for (index, service) in (0u64..).zip(services) {
            let ready = ms + 250 + took_ms.saturating_sub(300) * (index + 1) / count;
            if index + 1 == count {
                let answer = "connection refused".to_owned();
                let (stack, service) = (name.to_owned(), (*service).to_owned());
                self.at(ms + 260, Event::ProbeAnswered { stack, service, answer });
            }
            self.at(ready, Event::ServiceReady { stack: name.into(), service: (*service).into() });
        }
        let answer = "404 model `tiny` not found".to_owned();
        let (stack, service) = (name.to_owned(), "frontend".to_owned());
        self.at(ms + took_ms - 40, Event::ProbeAnswered { stack, service, answer });
        self.at(ms + took_ms, Event::StackReady { stack: name.into(), took_ms });
    }

    pub fn stack_starts(&mut self, ms: u64, name: &str, services: &[&str]) {
        let names = services.iter().map(ToString::to_string).collect();
        self.at(ms, Event::StackStarting { stack: name.into(), services: names });
        for service in services {
            self.at(ms + 20, Event::ServiceStarting { stack: name.into(), service: (*service).into() });
        }
        for service in services {
            let container = "4be1a0c2d3f5".to_owned();
            let (stack, service) = (name.to_owned(), (*service).to_owned());
            self.at(ms + 210, Event::ServiceStarted { stack, service, container });
        }
    }

    pub fn stop(&mut self, ms: u64, name: &str, took_ms: u64) {
        self.at(ms, Event::StackStopping { stack: name.into() });
        self.at(ms + took_ms, Event::StackStopped { stack: name.into(), took_ms });
    }

    pub fn collect(&mut self, ms: u64, lane: &LaneId, cases: &[Case], deselected: u32, waited_ms: u64) {
        self.at(ms, Event::LaneStarted { lane: lane.clone(), waited_ms });
        let event = Event::CasesCollected { lane: lane.clone(), cases: cases.to_vec(), deselected };
        self.at(ms + 120, event);
    }

    pub fn begin(&mut self, ms: u64, lane: &LaneId, case: &Case) {
        self.at(ms, Event::CaseStarted { lane: lane.clone(), case: case.id.clone() });
    }

    pub fn finish(&mut self, ms: u64, lane: &LaneId, result: CaseResult, service_logs: Vec<LogWindow>) {
        if self.counts.iter().all(|(known, _)| known != lane) {
            self.counts.push((lane.clone(), Counts::default()));
        }
        for (_, counts) in self.counts.iter_mut().filter(|(known, _)| known == lane) {
            counts.add(&result);
        }
        self.at(ms, Event::CaseFinished { lane: lane.clone(), result, service_logs });
    }

    pub fn case(&mut self, ms: u64, lane: &LaneId, result: CaseResult, service_logs: Vec<LogWindow>) -> u64 {
        self.begin(ms, lane, &result.case);
        let end = ms + result.duration_ms + 5;
        self.finish(end, lane, result, service_logs);
        end
    }

    pub fn pass(&mut self, ms: u64, lane: &LaneId, cases: &[Case]) -> u64 {
        (0u64..).zip(cases).fold(ms, |at, (index, case)| {
            let took = 90 + index * 137 % 700;
            self.case(at, lane, result(case, Outcome::Passed, took), Vec::new())
        })
    }

    pub fn close(&mut self, ms: u64, lane: &LaneId, took_ms: u64, failure: Option<LaneFailure>) {
        let counts = self.counts.iter().find(|(known, _)| known == lane).map(|(_, counts)| *counts);
        let counts = counts.unwrap_or_default();
        self.at(ms, Event::LaneFinished { lane: lane.clone(), counts, took_ms, failure });
    }
}

pub fn result(case: &Case, outcome: Outcome, duration_ms: u64) -> CaseResult {
    CaseResult { duration_ms, ..CaseResult::new(case.clone(), outcome) }
}
