//! A run of one lane, event by event.

use jiff::{SignedDuration, Timestamp};

use crate::case::{Case, CaseResult, Counts, Outcome};
use crate::event::{Event, Finding, LaneFailure, LogWindow, StackFailure, StackFailureCause, Stamped};
use crate::exit_code::ExitCode;
use crate::id::RunId;
use crate::lane::LaneId;
use crate::triage::Subject;

const STARTED: i64 = 1_795_271_405;

pub struct Tape {
    pub events: Vec<Stamped>,
    pub lane: LaneId,
    /// Logs that the next red case shows.
    pub windows: Vec<LogWindow>,
    ms: u64,
}

impl Tape {
    /// A run whose stack serves and whose lane has begun.
    pub fn new(profile: &str) -> Self {
        let mut tape = Self::bare(profile);
        let stack = tape.stack();
        let services = ["nats", "etcd", "worker-0", "worker-1", "frontend"].map(str::to_owned).to_vec();
        tape.say(Event::StackStarting { stack: stack.clone(), services });
        tape.wait(900);
        tape.say(Event::StackReady { stack, took_ms: 900 });
        tape.say(Event::LaneStarted { lane: tape.lane.clone(), waited_ms: 0 });
        tape
    }

    /// A run of which nothing has begun.
    pub fn bare(profile: &str) -> Self {
        let lane = LaneId { suite: "e2e".to_owned(), part: None, profile: Some(profile.to_owned()) };
        Self { events: Vec::new(), lane, windows: Vec::new(), ms: 0 }
    }

    pub fn stack(&self) -> String {
        self.lane.profile.clone().unwrap()
    }

    pub fn say(&mut self, event: Event) {
        let start = Timestamp::from_second(STARTED).unwrap();
        let at = start + SignedDuration::from_millis(i64::try_from(self.ms).unwrap());
        let seq = u64::try_from(self.events.len()).unwrap();
        self.events.push(Stamped { seq, at, elapsed_us: self.ms * 1000, event });
        self.ms += 1;
    }

    pub fn wait(&mut self, ms: u64) {
        self.ms += ms;
    }

    pub fn begin(&mut self, case: &str) {
        self.say(Event::CaseStarted { lane: self.lane.clone(), case: case.to_owned() });
    }

    pub fn end(&mut self, case: &str, outcome: Outcome, message: &str, details: &str) {
        let file = case.split("::").next().filter(|file| file.contains('.')).map(str::to_owned);
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let case = Case { id: case.to_owned(), file, line: Some(12), markers: Vec::new() };
        let (message, details) = (text(message), text(details));
        let result = CaseResult { duration_ms: 40, message, details, ..CaseResult::new(case, outcome) };
        let service_logs = std::mem::take(&mut self.windows);
        self.say(Event::CaseFinished { lane: self.lane.clone(), result, service_logs });
    }

    /// A red case ends.
    pub fn red(&mut self, case: &str, outcome: Outcome, message: &str, details: &str) -> Subject {
        self.end(case, outcome, message, details);
        Subject::Case { lane: self.lane.clone(), case: case.to_owned() }
    }

    pub fn logged(&mut self, service: &str, lines: &[&str]) {
        let lines = lines.iter().map(ToString::to_string).collect();
        self.windows.push(LogWindow { service: service.to_owned(), lines, omitted: 0 });
    }

    pub fn exited(&mut self, service: &str, exit_code: i64, oom_killed: bool, expected: bool) -> Subject {
        let (stack, service) = (self.stack(), service.to_owned());
        self.say(Event::ServiceExited {
            stack: stack.clone(),
            service: service.clone(),
            exit_code,
            oom_killed,
            expected,
        });
        Subject::Service { stack, service }
    }

    pub fn died(&mut self, service: &str, exit_code: i64, oom_killed: bool) -> Subject {
        self.exited(service, exit_code, oom_killed, false)
    }

    pub fn found(&mut self, service: Option<&str>, finding: Finding) {
        let (lane, service) = (self.lane.clone(), service.map(str::to_owned));
        self.say(Event::Found { lane, service, finding });
    }

    pub fn lane_failed(&mut self, message: &str, environment: bool, log: &[&str]) -> Subject {
        let failure = LaneFailure {
            message: message.to_owned(),
            environment,
            log: log.iter().map(ToString::to_string).collect(),
        };
        let (lane, counts) = (self.lane.clone(), Counts::default());
        self.say(Event::LaneFinished { lane, counts, took_ms: self.ms, failure: Some(failure) });
        Subject::Lane(self.lane.clone())
    }

    pub fn stack_failed(&mut self, service: Option<&str>, cause: StackFailureCause, log: &[&str]) -> Subject {
        let failure = StackFailure {
            service: service.map(str::to_owned),
            cause,
            last_answer: Some("connection refused".to_owned()),
            log: log.iter().map(ToString::to_string).collect(),
            chain: Vec::new(),
        };
        let stack = self.stack();
        self.say(Event::StackFailed { stack: stack.clone(), failure });
        Subject::Stack(stack)
    }

    pub fn warned(&mut self, message: &str) {
        self.say(Event::Warning { message: message.to_owned(), hint: None });
    }

    pub fn finish(&mut self, exit_code: ExitCode) -> Subject {
        let run = RunId::new(Timestamp::from_second(STARTED).unwrap(), 7);
        self.say(Event::RunFinished { run, counts: Counts::default(), exit_code, took_ms: self.ms });
        Subject::Run
    }
}
