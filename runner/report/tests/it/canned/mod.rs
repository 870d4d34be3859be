//! Canned runs, event by event, as the engine tells them: the same for snapshots, for hostile tests and for the replay
//! example.

use testbed_model::case::{Case, CaseResult, Outcome};
use testbed_model::event::{
    Event, ImageOrigin, LaneFailure, LogWindow, StackFailure, StackFailureCause, Stamped,
};
use testbed_model::exit_code::ExitCode;
use testbed_model::lane::LaneId;

mod tape;

use tape::{Tape, result};

/// Makes the events of a canned run.
type Make = fn() -> Vec<Stamped>;

/// Names and makers of all canned runs.
pub const ALL: [(&str, Make); 7] = [
    ("green", green),
    ("red", red),
    ("environment", environment),
    ("dead-worker", dead_worker),
    ("interrupted", interrupted),
    ("nothing", nothing),
    ("many", many),
];

/// The canned run of that name.
pub fn named(name: &str) -> Option<Vec<Stamped>> {
    ALL.iter().find(|(known, _)| *known == name).map(|(_, make)| make())
}

pub fn lane(suite: &str, profile: Option<&str>) -> LaneId {
    LaneId { suite: suite.into(), part: None, profile: profile.map(Into::into) }
}

fn hooks() -> Vec<Case> {
    ["rustfmt", "clippy", "ruff", "codespell", "check-toml"]
        .map(|id| Case { id: id.into(), file: None, line: None, markers: vec!["lint".into()] })
        .to_vec()
}

fn pytest(file: &str, names: &[&str], marker: &str) -> Vec<Case> {
    (12u32..)
        .step_by(17)
        .zip(names)
        .map(|(line, name)| Case {
            id: format!("{file}::{name}"),
            file: Some(file.into()),
            line: Some(line),
            markers: vec![marker.into(), "pre_merge".into()],
        })
        .collect()
}

fn unit() -> Vec<Case> {
    ["tier::tests::tiers_nest", "verdict::tests::red_is_one", "id::tests::a_path_is_not_an_id"]
        .map(|name| Case {
            id: format!("testbed-model {name}"),
            file: Some("runner/model/src/tier.rs".into()),
            line: Some(174),
            markers: vec!["unit".into()],
        })
        .to_vec()
}

fn integration() -> Vec<Case> {
    let names = [
        "test_workers_register_in_etcd",
        "test_worker_vanishes_on_stop",
        "test_repeated_prefix_goes_to_the_same_worker",
        "test_new_prefixes_spread",
        "test_nats_carries_requests",
    ];
    pytest("suites/conformance/integration/test_discovery_and_routing.py", &names, "integration")
}

fn e2e() -> Vec<Case> {
    let names = [
        "test_models_list",
        "test_chat_whole",
        "test_usage_equals_what_was_streamed[8]",
        "test_stop",
        "test_client_disconnect_frees_the_worker",
        "test_unknown_model",
    ];
    pytest("suites/conformance/e2e/test_chat_completions.py", &names, "e2e")
}

const SERVICES: [&str; 5] = ["nats", "etcd", "worker-0", "worker-1", "frontend"];

struct Lanes {
    lint: LaneId,
    unit: LaneId,
    integration: LaneId,
    e2e: LaneId,
    file: LaneId,
}

fn lanes() -> Lanes {
    Lanes {
        lint: lane("lint", None),
        unit: lane("unit", None),
        integration: lane("integration", Some("mocker")),
        e2e: lane("e2e", Some("mocker")),
        file: lane("e2e", Some("mocker-file")),
    }
}

fn begin(tape: &mut Tape, lanes: &Lanes) {
    let Lanes { lint, unit, integration, e2e, file } = lanes;
    tape.start(
        &["mocker", "mocker-file"],
        &[lint.clone(), unit.clone(), integration.clone(), e2e.clone(), file.clone()],
        &[(lane("e2e", Some("vllm")), "needs 1 GPU, this host has none")],
    );
    tape.image(40, "nats", ImageOrigin::Present);
    tape.image(41, "etcd", ImageOrigin::Present);
    tape.step(45, "dynamo", "layer 1/3: Debian packages", None);
    tape.step(10_200, "dynamo", "layer 2/3: wheels", Some((0, 311_427_072)));
    tape.step(12_200, "dynamo", "layer 2/3: wheels", Some((125_829_120, 311_427_072)));
    tape.step(18_000, "dynamo", "loading", Some((230_000_000, 390_000_000)));
    tape.image(21_400, "dynamo", ImageOrigin::Built);
    tape.image(21_420, "tests", ImageOrigin::Loaded);
    tape.stack(21_500, "mocker", &SERVICES, 1_900);
    tape.stack(21_600, "mocker-file", &["worker-0", "worker-1", "frontend"], 2_300);
}

fn lint_and_unit(tape: &mut Tape, lanes: &Lanes) {
    tape.collect(21_450, &lanes.lint, &hooks(), 0, 0);
    tape.pass(21_600, &lanes.lint, &hooks());
    tape.close(23_400, &lanes.lint, 1_950, None);
    tape.at(
        21_450,
        Event::LanePreparing { lane: lanes.unit.clone(), step: "compiling the Rust tests".into() },
    );
    let line = "   Compiling testbed-model v0.1.0".to_owned();
    tape.at(22_000, Event::LaneOutput { lane: lanes.unit.clone(), line });
    tape.collect(23_500, &lanes.unit, &unit(), 4, 0);
    tape.pass(23_600, &lanes.unit, &unit());
    tape.close(24_500, &lanes.unit, 3_050, None);
}

/// Everything passes.
pub fn green() -> Vec<Stamped> {
    let mut tape = Tape::new();
    let lanes = lanes();
    begin(&mut tape, &lanes);
    lint_and_unit(&mut tape, &lanes);
    for (at, id, cases, waited) in [
        (24_600, &lanes.integration, integration(), 0),
        (27_000, &lanes.e2e, e2e(), 0),
        (31_000, &lanes.file, e2e(), 310),
    ] {
        tape.collect(at, id, &cases, 3, waited);
        let end = tape.pass(at + 130, id, &cases);
        tape.close(end + 20, id, end + 20 - at, None);
    }
    tape.stop(34_000, "mocker", 480);
    tape.stop(34_010, "mocker-file", 400);
    tape.end(34_600, ExitCode::Passed);
    tape.played()
}

const TRACEBACK: &str = "\
client = <openai.OpenAI object at 0x7f3c5c0e2d10>, length = 8

    @pytest.mark.parametrize(\"length\", [1, 8, 64])
    def test_usage_equals_what_was_streamed(client, model, length):
        chunks = list(
            client.chat.completions.create(
                model=model,
                messages=[{\"role\": \"user\", \"content\": \"count\"}],
                max_tokens=length,
                stream=True,
                stream_options={\"include_usage\": True},
            )
        )
        streamed = [c for c in chunks if c.choices and c.choices[0].delta.content]
        usage = chunks[-1].usage
>       assert usage.completion_tokens == len(streamed)
E       assert 7 == 8
E        +  where 7 = CompletionUsage(completion_tokens=7, prompt_tokens=14, total_tokens=21).completion_tokens
E        +  and   8 = len([ChatCompletionChunk(id='chatcmpl-1'), ...])

suites/conformance/e2e/test_chat_completions.py:46: AssertionError";

/// Four red cases of four kinds, a flaky one, skips, an expected failure.
pub fn red() -> Vec<Stamped> {
    let mut tape = Tape::new();
    let lanes = lanes();
    begin(&mut tape, &lanes);
    lint_and_unit(&mut tape, &lanes);
    red_integration(&mut tape, &lanes.integration);
    let cases = e2e();
    let [models, whole, usage, stop, disconnect, unknown] = &cases[..] else { unreachable!() };
    tape.collect(27_000, &lanes.e2e, &cases, 12, 0);
    let mut at = tape.pass(27_130, &lanes.e2e, &[models.clone(), whole.clone()]);
    at = tape.case(at, &lanes.e2e, assertion(usage), worker_logs());
    at = tape.case(at, &lanes.e2e, result(stop, Outcome::Passed, 210), Vec::new());
    let timeout = CaseResult {
        message: Some("Failed: Timeout (>10.0s) from pytest-timeout".into()),
        output: "waiting for the worker to be free\n".repeat(3),
        ..result(disconnect, Outcome::TimedOut, 10_004)
    };
    at = tape.case(at, &lanes.e2e, timeout, Vec::new());
    let skipped = CaseResult { message: Some("needs a GPU".into()), ..result(unknown, Outcome::Skipped, 0) };
    at = tape.case(at, &lanes.e2e, skipped, Vec::new());
    tape.close(at + 20, &lanes.e2e, at + 20 - 27_000, None);
    let file = e2e();
    tape.collect(at + 30, &lanes.file, &file, 3, 310);
    at = tape.pass(at + 160, &lanes.file, &file);
    tape.close(at + 20, &lanes.file, 3_100, None);
    let (message, hint) = ("the daemon has 2 GiB of disk left", "remove images that nothing uses");
    tape.at(at + 25, Event::Warning { message: message.into(), hint: Some(hint.into()) });
    tape.stop(at + 30, "mocker", 480);
    tape.stop(at + 40, "mocker-file", 400);
    tape.end(at + 560, ExitCode::TestFailed);
    tape.played()
}

fn red_integration(tape: &mut Tape, lane: &LaneId) {
    let cases = integration();
    let [register, vanish, prefix, spread, nats] = &cases[..] else { unreachable!() };
    tape.collect(24_600, lane, &cases, 3, 400);
    let flaky = CaseResult { attempts: 2, ..result(vanish, Outcome::Passed, 640) };
    let mut at = tape.pass(24_730, lane, std::slice::from_ref(register));
    at = tape.case(at, lane, flaky, Vec::new());
    let broken = CaseResult {
        message: Some("fixture 'etcd_client' failed: etcd3.exceptions.ConnectionFailedError".into()),
        details: Some("conftest.py:88: in etcd_client\n    raise ConnectionFailedError()".into()),
        ..result(prefix, Outcome::Error, 31)
    };
    at = tape.case(at, lane, broken, Vec::new());
    let expected = CaseResult {
        message: Some("DYN-1432: random routing does not spread yet".into()),
        ..result(spread, Outcome::ExpectedFailure, 420)
    };
    at = tape.case(at, lane, expected, Vec::new());
    let skipped =
        CaseResult { message: Some("only in the nats plane".into()), ..result(nats, Outcome::Skipped, 0) };
    at = tape.case(at, lane, skipped, Vec::new());
    tape.close(at + 20, lane, at + 20 - 24_600, None);
}

fn assertion(case: &Case) -> CaseResult {
    CaseResult {
        message: Some("assert 7 == 8\n +  where 7 = CompletionUsage(...).completion_tokens".into()),
        details: Some(TRACEBACK.into()),
        output: "\u{1b}[2mPOST\u{1b}[0m http://frontend:8000/v1/chat/completions\n\u{1b}[32m200 OK\u{1b}[0m in 38 ms\n"
            .into(),
        attempts: 2,
        rounds: None,
        ..result(case, Outcome::Failed, 428)
    }
}

fn worker_logs() -> Vec<LogWindow> {
    let line = |text: &str| format!("2026-11-21T14:30:33.104211Z \u{1b}[32m INFO\u{1b}[0m {text}");
    vec![
        LogWindow {
            service: "frontend".into(),
            lines: vec![
                line("http_service: chat request model=tiny stream=true"),
                line("http_service: finished status=200"),
            ],
            omitted: 0,
        },
        LogWindow {
            service: "worker-1".into(),
            lines: vec![
                line("mocker: request 0192 prefill tokens=14"),
                line("mocker: request 0192 finish_reason=length completion_tokens=7"),
            ],
            omitted: 12,
        },
    ]
}

/// A worker's command is broken: its stack does not come up.
pub fn environment() -> Vec<Stamped> {
    let mut tape = Tape::new();
    let lanes = lanes();
    tape.start(&["mocker"], &[lanes.lint.clone(), lanes.e2e.clone()], &[]);
    for name in ["nats", "etcd", "dynamo", "tests"] {
        tape.image(40, name, ImageOrigin::Present);
    }
    tape.stack_starts(60, "mocker", &SERVICES);
    tape.collect(70, &lanes.lint, &hooks(), 0, 0);
    for service in ["nats", "etcd"] {
        tape.at(400, Event::ServiceReady { stack: "mocker".into(), service: service.into() });
    }
    let (stack, service) = ("mocker".to_owned(), "frontend".to_owned());
    let answer = "404 model `tiny` not found".to_owned();
    tape.at(820, Event::ProbeAnswered { stack: stack.clone(), service, answer });
    let exited = Event::ServiceExited {
        stack: stack.clone(),
        service: "worker-0".into(),
        exit_code: 2,
        oom_killed: false,
        expected: false,
    };
    tape.at(940, exited);
    let failure = StackFailure {
        service: Some("worker-0".into()),
        cause: StackFailureCause::Exited { exit_code: 2, oom_killed: false },
        last_answer: Some("connection refused".into()),
        log: vec![
            "usage: python3 -m dynamo.mocker [-h] [--model-path MODEL_PATH]".into(),
            "python3 -m dynamo.mocker: error: unrecognized arguments: --speedup-ration 10".into(),
        ],
        chain: vec!["frontend".into(), "worker-0".into()],
    };
    tape.at(945, Event::StackFailed { stack, failure });
    tape.pass(200, &lanes.lint, &hooks());
    tape.close(2_300, &lanes.lint, 2_230, None);
    tape.stop(950, "mocker", 410);
    tape.end(2_400, ExitCode::Environment);
    tape.played()
}

/// A worker dies under a lane.
pub fn dead_worker() -> Vec<Stamped> {
    let mut tape = Tape::new();
    let lanes = lanes();
    tape.start(&["mocker"], &[lanes.lint.clone(), lanes.e2e.clone()], &[]);
    tape.stack(60, "mocker", &SERVICES, 1_900);
    tape.collect(70, &lanes.lint, &hooks(), 0, 0);
    tape.pass(200, &lanes.lint, &hooks());
    tape.close(2_300, &lanes.lint, 2_230, None);
    let cases = e2e();
    tape.collect(2_400, &lanes.e2e, &cases, 3, 0);
    let at = tape.pass(2_530, &lanes.e2e, &cases[..2]);
    tape.begin(at, &lanes.e2e, &cases[2]);
    let exited = Event::ServiceExited {
        stack: "mocker".into(),
        service: "worker-1".into(),
        exit_code: 137,
        oom_killed: true,
        expected: false,
    };
    tape.at(at + 50, exited);
    let failure = LaneFailure {
        message: "`worker-1` of stack `mocker` was killed for lack of memory (exit code 137)".into(),
        environment: true,
        log: vec![
            "INFO mocker: kv cache 3.9 GiB of 4.0 GiB".into(),
            "INFO mocker: allocating 512 blocks".into(),
        ],
    };
    tape.close(at + 60, &lanes.e2e, at + 60 - 2_400, Some(failure));
    tape.stop(at + 70, "mocker", 480);
    tape.end(at + 600, ExitCode::Environment);
    tape.played()
}

/// Ctrl-C in the middle of a case.
pub fn interrupted() -> Vec<Stamped> {
    let mut tape = Tape::new();
    let lanes = lanes();
    tape.start(&["mocker"], &[lanes.lint.clone(), lanes.e2e.clone(), lanes.file.clone()], &[]);
    tape.stack(60, "mocker", &SERVICES, 1_900);
    tape.collect(70, &lanes.lint, &hooks(), 0, 0);
    tape.pass(200, &lanes.lint, &hooks());
    tape.close(2_300, &lanes.lint, 2_230, None);
    let cases = e2e();
    tape.collect(2_400, &lanes.e2e, &cases, 3, 0);
    let at = tape.pass(2_530, &lanes.e2e, &cases[..2]);
    tape.begin(at, &lanes.e2e, &cases[2]);
    tape.at(at + 90, Event::Interrupted { signal: "SIGINT".into() });
    tape.finish(at + 95, &lanes.e2e, result(&cases[2], Outcome::Interrupted, 95), Vec::new());
    tape.close(at + 100, &lanes.e2e, at + 100 - 2_400, None);
    let message = "the run was interrupted before it began".to_owned();
    let cancelled = LaneFailure { message, environment: false, log: Vec::new() };
    tape.close(at + 100, &lanes.file, 0, Some(cancelled));
    tape.stop(at + 100, "mocker", 510);
    tape.end(at + 640, ExitCode::Interrupted);
    tape.played()
}

/// A tier that holds nothing here.
pub fn nothing() -> Vec<Stamped> {
    let mut tape = Tape::new();
    let gpu = "needs 1 GPU, this host has none";
    tape.start(&[], &[], &[(lane("e2e", Some("vllm")), gpu), (lane("e2e", Some("sglang")), gpu)]);
    tape.end(9, ExitCode::NothingSelected);
    tape.played()
}

/// More of everything than a screen holds.
pub fn many() -> Vec<Stamped> {
    let mut tape = Tape::new();
    let ids: Vec<LaneId> = (0..14).map(|n| lane("e2e", Some(&format!("profile-{n:02}")))).collect();
    tape.start(&["profile-00"], &ids, &[]);
    let names: Vec<String> = (0..6).map(|n| format!("test_number_{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let cases = pytest("suites/conformance/e2e/test_many.py", &names, "e2e");
    let mut at = 100;
    for (index, id) in ids.iter().enumerate() {
        tape.collect(at, id, &cases, 0, 0);
        let from = at;
        at = tape.pass(at + 130, id, &cases[..3]);
        for case in &cases[3..] {
            let outcome = if index % 3 == 2 { Outcome::Failed } else { Outcome::Passed };
            let red = CaseResult { message: Some("assert False".into()), ..result(case, outcome, 50) };
            at = tape.case(at, id, red, Vec::new());
        }
        tape.close(at, id, at - from, None);
    }
    tape.end(at + 10, ExitCode::TestFailed);
    tape.played()
}
