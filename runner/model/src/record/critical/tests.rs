//! Critical paths of small journals.

use jiff::Timestamp;

use super::{CriticalPath, to_end, to_first_case, to_first_case_on_stack};
use crate::case::{Case, Counts};
use crate::event::{Event, ImageOrigin, Stamped};
use crate::exit_code::ExitCode;
use crate::lane::LaneId;

struct Journal(Vec<Stamped>);

impl Journal {
    fn at(&mut self, millis: u64, event: Event) {
        let seq = u64::try_from(self.0.len()).unwrap();
        self.0.push(Stamped { seq, at: Timestamp::UNIX_EPOCH, elapsed_us: millis * 1000, event });
    }

    fn begin(millis: u64) -> Self {
        let mut journal = Self(Vec::new());
        let started = Event::RunStarted {
            run: "20261121-152610-3a514f".parse().unwrap(),
            tier: None,
            plan: None,
            profiles: Vec::new(),
            lanes: Vec::new(),
            skipped: Vec::new(),
            left_out: Vec::new(),
            folder: String::new(),
        };
        journal.at(millis, started);
        journal
    }

    fn image(&mut self, from: u64, to: u64, image: &str) {
        let name = || image.to_owned();
        self.at(
            from,
            Event::ImageProgress { image: name(), step: "loading".into(), done: None, total: None },
        );
        let (reference, id) = (name(), name());
        self.at(to, Event::ImageReady { image: name(), reference, id, origin: ImageOrigin::Built });
    }

    fn stack(&mut self, at: u64, services: &[(&str, u64, u64)], ready: u64) {
        let stack = || "mocker".to_owned();
        let names = services.iter().map(|(name, ..)| (*name).to_owned()).collect();
        self.at(at, Event::StackStarting { stack: stack(), services: names });
        let mut later = Vec::new();
        for (name, started, ready) in services {
            let service = || (*name).to_owned();
            self.at(at + 30, Event::ServiceStarting { stack: stack(), service: service() });
            let container = String::new();
            later.push((*started, Event::ServiceStarted { stack: stack(), service: service(), container }));
            later.push((*ready, Event::ServiceReady { stack: stack(), service: service() }));
        }
        later.sort_by_key(|(at, _)| *at);
        for (at, event) in later {
            self.at(at, event);
        }
        self.at(ready, Event::StackReady { stack: stack(), took_ms: ready - at });
    }

    fn lane(&mut self, lane: &LaneId, started: u64, first: u64, finished: u64) {
        self.at(started, Event::LaneStarted { lane: lane.clone(), waited_ms: 0 });
        let case = Case { id: "a".into(), file: None, line: None, markers: Vec::new() };
        let collected = Event::CasesCollected { lane: lane.clone(), cases: vec![case], deselected: 0 };
        self.at(first - 10, collected);
        self.at(first, Event::CaseStarted { lane: lane.clone(), case: "a".into() });
        let (counts, took_ms) = (Counts::default(), finished - started);
        self.at(finished, Event::LaneFinished { lane: lane.clone(), counts, took_ms, failure: None });
    }
}

fn lane(suite: &str, profile: Option<&str>) -> LaneId {
    LaneId { suite: suite.into(), part: None, profile: profile.map(Into::into) }
}

fn told(path: &CriticalPath) -> String {
    let line = |step: &super::Step| format!("{:>5} {:>5} {step}", step.begin_us / 1000, step.end_us / 1000);
    path.steps.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn run() -> Vec<Stamped> {
    let mut journal = Journal::begin(200);
    journal.image(205, 900, "dynamo");
    // The frontend cannot serve before a worker does, and the last worker starts late.
    journal.stack(950, &[("nats", 1200, 1300), ("frontend", 1250, 2500), ("worker-1", 1600, 2450)], 2600);
    journal.lane(&lane("e2e", Some("mocker")), 2600, 3000, 5000);
    let lint = lane("lint", None);
    journal.at(5001, Event::LanePreparing { lane: lint.clone(), step: "fetching crates".into() });
    journal.lane(&lint, 6000, 6100, 7000);
    journal.at(7000, Event::StackStopping { stack: "mocker".into() });
    journal.at(7400, Event::StackStopped { stack: "mocker".into(), took_ms: 400 });
    journal.at(
        7450,
        Event::RunFinished {
            run: "20261121-152610-3a514f".parse().unwrap(),
            counts: Counts::default(),
            exit_code: ExitCode::Passed,
            took_ms: 7450,
        },
    );
    journal.0
}

#[test]
fn the_first_case_waited_for_the_service_that_held_up_the_others() {
    let path = to_first_case(&run()).unwrap();
    insta::assert_snapshot!(told(&path), @r"
        0   200 look at the project and plan
      200   205 until dynamo starts
      205   900 image dynamo
      900   950 until mocker starts
      950   980 network of mocker
      980  1600 create and start mocker/worker-1
     1600  2450 until mocker/worker-1 serves
     2450  2500 until mocker/frontend serves
     2500  2600 first answer of mocker
     2600  2990 tool of e2e@mocker starts and collects
     2990  3000 first case of e2e@mocker begins
    ");
    assert_eq!(to_first_case_on_stack(&run()).unwrap().steps, path.steps);
}

#[test]
fn the_end_waited_for_the_lane_that_came_last() {
    insta::assert_snapshot!(told(&to_end(&run()).unwrap()), @r"
        0   200 look at the project and plan
      200   205 until dynamo starts
      205   900 image dynamo
      900   950 until mocker starts
      950   980 network of mocker
      980  1600 create and start mocker/worker-1
     1600  2450 until mocker/worker-1 serves
     2450  2500 until mocker/frontend serves
     2500  2600 first answer of mocker
     2600  2990 tool of e2e@mocker starts and collects
     2990  3000 first case of e2e@mocker begins
     3000  5000 cases of e2e@mocker
     5000  5001 until lint starts
     5001  6000 prepare lint
     6000  6090 tool of lint starts and collects
     6090  6100 first case of lint begins
     6100  7000 cases of lint
     7000  7400 tear down mocker
     7400  7450 until the run ends
    ");
}

#[test]
fn every_step_begins_where_the_one_before_it_ends_however_early_the_journal_is_cut() {
    let events = run();
    for length in 0..=events.len() {
        let cut = &events[..length];
        for path in [to_first_case(cut), to_first_case_on_stack(cut), to_end(cut)].into_iter().flatten() {
            let mut at = 0;
            for step in &path.steps {
                assert_eq!(step.begin_us, at, "{length}: {}", told(&path));
                assert!(step.end_us > step.begin_us);
                at = step.end_us;
            }
        }
    }
    // Without its beginning it is told as far as it is known.
    for from in 1..events.len() {
        assert!(to_end(&events[from..]).is_some());
    }
}

#[test]
fn nothing_heard_has_no_path() {
    assert_eq!((to_first_case(&[]), to_first_case_on_stack(&[]), to_end(&[])), (None, None, None));
    assert_eq!(to_first_case(&Journal::begin(3).0), None);
}
