//! A run as large as Dynamo may come to have: as many cases as asked for, on stacks with logs and figures.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use testbed_model::case::{Case, CaseResult, Counts, Outcome};
use testbed_model::event::{Event, LogWindow, Stamped};
use testbed_model::exit_code::ExitCode;
use testbed_model::facts::Facts;
use testbed_model::id::RunId;
use testbed_model::lane::LaneId;
use testbed_model::record::{LogLine, Manifest, Record, RecordedLog, SCHEMA, Series, Unit};
use testbed_model::tier::Tier;

/// What a page is made of.
pub struct Crowd {
    pub record: Record,
    pub logs: Vec<RecordedLog>,
    pub series: Vec<Series>,
}

const STACKS: [&str; 3] = ["mocker", "mocker-disagg", "vllm"];
const SERVICES: [&str; 5] = ["etcd", "nats", "frontend", "worker-0", "worker-1"];
const COMPONENTS: [&str; 5] = ["router", "planner", "kvbm", "frontend", "core"];
/// Workers of each lane.
const SLOTS: u64 = 4;

/// Lines of each service's log.
const LOG_LINES: u64 = 6000;

/// Numbers that look like chance and are the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most.max(1)
    }
}

struct Run {
    events: Vec<(u64, Event)>,
    chance: Chance,
    counts: Counts,
}

fn id(run: &str) -> Option<RunId> {
    run.parse().ok()
}

/// A run of so many cases; one of a hundred is red. None where its parts are not sound.
pub fn crowd(cases: u64) -> Option<Crowd> {
    let mut run = Run { events: Vec::new(), chance: Chance(7), counts: Counts::default() };
    let lanes: Vec<LaneId> = STACKS.iter().map(|stack| lane(stack)).collect();
    let name = id("20261121-143005-a1b2c3")?;
    let started = Event::RunStarted {
        run: name.clone(),
        tier: Some(Tier::Nightly),
        plan: None,
        profiles: STACKS.map(str::to_owned).to_vec(),
        lanes: lanes.clone(),
        skipped: Vec::new(),
        left_out: Vec::new(),
        folder: String::new(),
    };
    run.events.push((400_000, started));
    let each = cases / 3;
    let mut end = 0;
    for (number, stack) in (0..).zip(STACKS) {
        let of_stack = if number == 2 { cases - 2 * each } else { each };
        end = end.max(run.stack(stack, 500_000 + number * 900_000, number * each, of_stack));
    }
    let (counts, took_ms) = (run.counts, end / 1000);
    let finished = Event::RunFinished { run: name.clone(), counts, exit_code: ExitCode::TestFailed, took_ms };
    run.events.push((end, finished));
    run.events.sort_by_key(|(at, _)| *at);
    let zero = Timestamp::from_second(1_795_271_405).ok()?;
    let at = |us: u64| {
        i64::try_from(us).ok().and_then(|us| zero.checked_add(SignedDuration::from_micros(us)).ok())
    };
    let events = (0..).zip(run.events).filter_map(|(seq, (elapsed_us, event))| {
        Some(Stamped { seq, at: at(elapsed_us)?, elapsed_us, event })
    });
    let record =
        Record { manifest: manifest(name, zero, counts), plan: None, events: events.collect(), damaged: 0 };
    let logs = logs(&mut run.chance, end, at);
    Some(Crowd { record, logs, series: series(&mut run.chance, end) })
}

fn lane(stack: &str) -> LaneId {
    LaneId { suite: "tests".into(), part: None, profile: Some(stack.into()) }
}

fn manifest(run: RunId, started: Timestamp, counts: Counts) -> Manifest {
    Manifest {
        schema: SCHEMA,
        run,
        testbed: "0.1.0".into(),
        arguments: vec!["testbed".into(), "nightly".into()],
        tier: Some(Tier::Nightly),
        plan: None,
        images: BTreeMap::new(),
        environments: Vec::new(),
        facts: Facts::default(),
        changes: None,
        seed: 0,
        budget_ms: Some(3_600_000),
        shares: Vec::new(),
        started,
        finished: Some(started),
        counts: Some(counts),
        exit_code: Some(ExitCode::TestFailed),
    }
}

impl Run {
    /// A stack comes up, executes its cases with all workers, and goes. Gives its end in microseconds.
    fn stack(&mut self, name: &str, begin: u64, first: u64, cases: u64) -> u64 {
        let stack = || name.to_owned();
        let mut at = begin;
        let services = SERVICES.map(str::to_owned).to_vec();
        self.events.push((at, Event::StackStarting { stack: stack(), services: services.clone() }));
        for service in &services {
            self.events
                .push((at + 1000, Event::ServiceStarting { stack: stack(), service: service.clone() }));
        }
        for service in &services {
            at += 300_000 + self.chance.below(300_000);
            let (service, container) = (service.clone(), "4be1a0c2d3f5".to_owned());
            self.events
                .push((at, Event::ServiceStarted { stack: stack(), service: service.clone(), container }));
            let answer = "connection refused".to_owned();
            self.events.push((
                at + 20_000,
                Event::ProbeAnswered { stack: stack(), service: service.clone(), answer },
            ));
            let ready = at + 400_000 + self.chance.below(900_000);
            self.events.push((ready, Event::ServiceReady { stack: stack(), service }));
        }
        at += 1_500_000;
        self.events.push((at, Event::StackReady { stack: stack(), took_ms: (at - begin) / 1000 }));
        let lane = lane(name);
        self.events.push((at, Event::LaneStarted { lane: lane.clone(), waited_ms: 0 }));
        let mut free = vec![at + 800_000; usize::try_from(SLOTS).unwrap_or(1)];
        for number in first..first + cases {
            let Some((slot, begin)) = free.iter().copied().enumerate().min_by_key(|(_, at)| *at) else {
                break;
            };
            free[slot] = self.case(&lane, number, begin) + 200;
        }
        let end = free.into_iter().max().unwrap_or(at);
        let counts = self.counts;
        self.events
            .push((end, Event::LaneFinished { lane, counts, took_ms: (end - at) / 1000, failure: None }));
        self.events.push((end, Event::StackStopping { stack: stack() }));
        self.events.push((end + 700_000, Event::StackStopped { stack: stack(), took_ms: 700 }));
        end + 700_000
    }

    fn case(&mut self, lane: &LaneId, number: u64, begin: u64) -> u64 {
        let component = COMPONENTS[usize::try_from(number % 5).unwrap_or(0)];
        let file = format!("tests/{component}/test_{component}_{}.py", number / 200);
        let case = Case {
            id: format!(
                "{file}::TestFlow{}::test_flow_{}[{}-{}]",
                number / 40 % 5,
                number / 10 % 20,
                number % 10,
                self.chance.below(90)
            ),
            file: Some(file),
            line: u32::try_from(10 + number / 10 % 20 * 8).ok(),
            markers: vec![
                component.into(),
                ["pre_merge", "nightly"][usize::from(number.is_multiple_of(3))].into(),
                "gpu_0".into(),
            ],
        };
        let took =
            2_000 + self.chance.below(60_000) + if self.chance.below(400) == 0 { 2_000_000 } else { 0 };
        let red = self.chance.below(100) == 0;
        let outcome = match self.chance.below(60) {
            _ if red => Outcome::Failed,
            0 => Outcome::Skipped,
            _ => Outcome::Passed,
        };
        let message = match outcome {
            Outcome::Failed => Some(format!("assert {} == {}", self.chance.below(90), self.chance.below(90))),
            Outcome::Skipped => Some("needs 1 GPU, this host has none".into()),
            _ => None,
        };
        let details = red.then(|| {
            format!(
                "    def test_flow(n):\n>       assert ask(n) == {}\nE       {}\n",
                number,
                message.clone().unwrap_or_default()
            )
            .repeat(8)
        });
        let output = if red {
            format!("POST /v1/chat/completions {number}\n200 OK\n").repeat(6)
        } else {
            String::new()
        };
        let result = CaseResult {
            case,
            outcome,
            duration_ms: took / 1000,
            attempts: 1,
            rounds: None,
            message,
            details,
            output,
        };
        self.counts.add(&result);
        let window = |service: &str| LogWindow {
            service: service.into(),
            lines: (0..6)
                .map(|line| {
                    format!("INFO {service}: request {} finished status=200 tokens={line}", number * 7 + line)
                })
                .collect(),
            omitted: 3,
        };
        let service_logs = if red { vec![window("frontend"), window("worker-0")] } else { Vec::new() };
        self.events.push((begin, Event::CaseStarted { lane: lane.clone(), case: result.case.id.clone() }));
        self.events.push((begin + took, Event::CaseFinished { lane: lane.clone(), result, service_logs }));
        begin + took
    }
}

fn logs(chance: &mut Chance, end: u64, at: impl Fn(u64) -> Option<Timestamp>) -> Vec<RecordedLog> {
    let mut out = Vec::new();
    for stack in STACKS {
        for service in SERVICES {
            let step = end / LOG_LINES + 1;
            let lines = (0..LOG_LINES).filter_map(|line| {
                let request = chance.below(1 << 40);
                let text = format!(
                    "INFO dynamo_runtime::{service}: request {request:010x} finished status=200 ttft_ms={}",
                    chance.below(400)
                );
                Some(LogLine { at: at(line * step)?, text })
            });
            out.push(RecordedLog { stack: Some(stack.into()), name: service.into(), lines: lines.collect() });
        }
    }
    out
}

#[allow(clippy::cast_precision_loss, reason = "figures of a test")]
fn series(chance: &mut Chance, end: u64) -> Vec<Series> {
    let mut out = Vec::new();
    let figures = [
        ("cpu", Unit::Cores, 2.0),
        ("memory", Unit::Bytes, 2e9),
        ("time to first token", Unit::Seconds, 0.4),
        ("requests", Unit::PerSecond, 90.0),
    ];
    for (stack, begin) in STACKS.iter().zip([500_u64, 1400, 2300]) {
        for (figure, unit, most) in figures {
            for service in
                SERVICES.iter().filter(|service| unit != Unit::PerSecond || **service == "frontend")
            {
                let mut value = 0.3;
                let points = (begin..end / 1000).step_by(250).map(|millis| {
                    value = (value + (chance.below(1000) as f64 / 1000.0 - 0.5) * 0.12_f64).clamp(0.02, 1.0);
                    (millis, value * most)
                });
                out.push(Series {
                    stack: (*stack).into(),
                    service: (*service).into(),
                    figure: figure.into(),
                    unit,
                    points: points.collect(),
                });
            }
        }
    }
    out
}
