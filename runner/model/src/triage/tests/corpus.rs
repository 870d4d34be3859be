//! A thousand failures in recorded form, a hundred of them planted faults of what surrounds the product. The texts are those that
//! Python, pytest, Rust, Go, NATS, etcd, `vLLM`, `SGLang` and container engines really write; the product failures speak of full
//! disks, lost connections and killed processes wherever they can.

use super::tape::Tape;
use crate::case::Outcome;
use crate::event::{Finding, StackFailureCause, Stamped};
use crate::exit_code::ExitCode;
use crate::triage::{Cause, Subject};

/// A run with failures of which it is known whose fault they are.
pub struct Recorded {
    pub events: Vec<Stamped>,
    pub plants: Vec<Plant>,
}

pub struct Plant {
    pub kind: &'static str,
    pub subject: Subject,
    pub expected: Expected,
}

/// Whose fault it is.
pub enum Expected {
    /// A planted fault.
    Fault(Cause),
    /// The test's or the product's.
    OfTheCode,
}

/// Numbers that look random and are the same each time (splitmix64).
pub struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(most).unwrap()).unwrap()
    }

    fn of<'t, T: ?Sized>(&mut self, choices: &[&'t T]) -> &'t T {
        choices[self.below(choices.len())]
    }
}

/// What healthy services write all day.
const NOISE: [&str; 18] = [
    "2026-11-21T14:30:33.104211Z  INFO http_service: chat request model=tiny stream=true",
    "2026-11-21T14:30:33.142001Z DEBUG dynamo_runtime::transports::etcd: lease 7587885 kept alive",
    "[1] 2026/11/21 14:30:31.000211 [INF] Server is ready",
    "[1] 2026/11/21 14:30:31.310211 [DBG] 10.231.0.4:51234 - cid:7 - Client Ping Timer",
    "{\"level\":\"info\",\"ts\":\"2026-11-21T14:30:30.9Z\",\"msg\":\"ready to serve client requests\"}",
    "INFO 11-21 14:30:33 [loggers.py:118] Engine 000: Avg prompt throughput: 12.1 tokens/s, GPU KV cache usage: 0.3%",
    "[2026-11-21 14:30:34] INFO:     10.231.0.3:41870 - \"POST /generate HTTP/1.1\" 200 OK",
    "\u{1b}[32m INFO\u{1b}[0m mocker: request 0192 finish_reason=length completion_tokens=7",
    "WARNING 11-21 14:30:34 [config.py:4096] max_num_seqs is larger than the scheduler will use",
    "  GET /v1/models 200 in 3 ms",
    "retrying in 100 ms (attempt 2 of 5)",
    "memory: 812 MiB in use, limit 2 GiB",
    "0 errors, 0 failures so far",
    "kv cache: 3.1 GiB of 4.0 GiB",
    "worker-1 left, worker-1 joined",
    "shutting down idle connection to etcd:2379",
    "====== round 3 ======",
    "",
];

/// Lines that have nothing to do with anything.
pub fn noise(seed: u64) -> impl FnMut() -> String {
    let mut dice = Dice(seed);
    move || NOISE[dice.below(NOISE.len())].to_owned()
}

/// Texts that speak of faults, and are none.
pub fn adversarial() -> Vec<&'static str> {
    let more = [
        "the container engine was lost while asked to create a container: broken pipe",
        "the lane's container ran out of its 64MiB of memory",
        "it was running when the lane's container ran out of its 64MiB of memory",
        "image `nats` cannot be had: connection refused",
        "no address range is free for stack `mocker` in 10.231.0.0/16",
        "Failed: Timeout (>10.0s) from pytest-timeout.",
        "infrastructure: a disk of the environment was full",
    ];
    SAYS_FULL
        .iter()
        .chain(&SAYS_MEMORY)
        .chain(&SAYS_LOST)
        .chain(&CRASHES_LAST)
        .chain(&more)
        .copied()
        .collect()
}

const SAYS_FULL: [&str; 7] = [
    "AssertionError: assert 'No space left on device' in 'internal error'",
    "openai.InternalServerError: Error code: 500 - {'message': 'No space left on device (os error 28)'}",
    "OSError: [Errno 28] No space left on device: '/dev/full'",
    "assert err.value.errno == errno.ENOSPC",
    "nats.js.errors.ServiceUnavailableError: insufficient resources",
    "[ERR] JetStream failed to store a msg on stream: write /data/1.blk: no space left on device",
    "Failed: DID NOT RAISE <class 'DiskFullError'> although the disk is full",
];

const SAYS_MEMORY: [&str; 6] = [
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 79.10 GiB",
    "AssertionError: the worker was OOM killed and nobody restarted it",
    "Memory cgroup out of memory: Killed process 4711 (python3) total-vm:8123456kB",
    "MemoryError",
    "assert 137 == 0  # oom-kill",
    "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization`",
];

const SAYS_LOST: [&str; 8] = [
    "httpx.ConnectError: [Errno 111] Connection refused",
    "openai.APIConnectionError: Connection error.",
    "ConnectionResetError: [Errno 104] Connection reset by peer",
    "requests.exceptions.ConnectionError: ('Connection aborted.', RemoteDisconnected('Remote end closed connection without response'))",
    "AssertionError: assert 'connection refused' == 'service unavailable'",
    "openai.InternalServerError: Error code: 503 - {'error': {'message': 'no instances found for endpoint'}}",
    "assert 503 == 200",
    "aiohttp.client_exceptions.ClientConnectorError: Cannot connect to host frontend:8000 ssl:default [Connect call failed ('10.231.0.6', 8000)]",
];

/// What a case says that lost a service under it.
const LOST: [&str; 8] = [
    SAYS_LOST[0],
    SAYS_LOST[1],
    SAYS_LOST[2],
    SAYS_LOST[3],
    SAYS_LOST[5],
    SAYS_LOST[6],
    SAYS_LOST[7],
    "httpx.RemoteProtocolError: peer closed connection without sending complete message body (incomplete chunked read)",
];

const PLAIN: [&str; 8] = [
    "assert 7 == 8",
    "AssertionError: the greeting is not fine",
    "assert 'length' == 'stop'",
    "KeyError: 'usage'",
    "assert [1, 2] == [2, 1]",
    "TypeError: 'NoneType' object is not subscriptable",
    "json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)",
    "assertion `left == right` failed: sum; left: 3; right: 4",
];

const CRASHES: [&[&str]; 7] = [
    &[
        "Traceback (most recent call last):",
        "  File \"/opt/dynamo/main.py\", line 88, in worker",
        "    run()",
        "ValueError: unknown variant `x`",
    ],
    &[
        "thread 'tokio-runtime-worker' panicked at lib/runtime/src/pipeline.rs:214:17:",
        "called `Option::unwrap()` on a `None` value",
        "note: run with `RUST_BACKTRACE=1`",
    ],
    &[
        "panic: runtime error: invalid memory address or nil pointer dereference",
        "[signal SIGSEGV: segmentation violation]",
        "goroutine 41 [running]:",
        "main.main()",
    ],
    &[
        "Fatal Python error: Segmentation fault",
        "Current thread 0x00007f2a (most recent call first):",
        "  File \"/opt/vllm/engine.py\", line 9 in step",
    ],
    &[
        "ERROR 11-21 [core.py:632] EngineCore encountered a fatal error.",
        "Traceback (most recent call last):",
        "RuntimeError: CUDA error: an illegal memory access was encountered",
    ],
    &[
        "[2026-11-21 14:30:35 TP0] Scheduler hit an exception: Traceback (most recent call last):",
        "IndexError: list index out of range",
        "Killed",
    ],
    &[
        "terminate called after throwing an instance of 'std::bad_alloc'",
        "  what():  std::bad_alloc",
        "Aborted (core dumped)",
    ],
];

const CRASHES_LAST: [&str; 3] =
    ["Killed", "thread 'main' panicked at src/main.rs:4:5:", "Out of memory: Killed process 1 (worker)"];

const SERVICES: [&str; 5] = ["nats", "etcd", "worker-0", "worker-1", "frontend"];
const PROFILES: [&str; 3] = ["mocker", "vllm-agg", "mocker-file"];

/// A run, and the dice that make it.
struct Maker {
    dice: Dice,
    tape: Tape,
    plants: Vec<Plant>,
    /// Which case of the suite comes next.
    next: usize,
}

impl Maker {
    fn new(seed: u64, number: u64) -> Self {
        let mut dice = Dice(seed.wrapping_mul(1_000_003).wrapping_add(number));
        let tape = Tape::new(dice.of(&PROFILES));
        let mut maker = Self { dice, tape, plants: Vec::new(), next: 0 };
        for _ in 0..maker.dice.below(3) {
            maker.green();
        }
        maker
    }

    fn done(self) -> Recorded {
        Recorded { events: self.tape.events, plants: self.plants }
    }

    fn fault(&mut self, kind: &'static str, subject: Subject, cause: Cause) {
        self.plants.push(Plant { kind, subject, expected: Expected::Fault(cause) });
    }

    fn of_the_code(&mut self, kind: &'static str, subject: Subject) {
        self.plants.push(Plant { kind, subject, expected: Expected::OfTheCode });
    }

    fn id(&mut self) -> String {
        self.next += 1;
        let file =
            self.dice.of(&["tests/e2e/test_chat.py", "tests/test_router.py", "tests/fault/test_workers.py"]);
        format!("{file}::test_{}[{}]", self.next, self.dice.of(&["tcp", "nats", "connection refused", "oom"]))
    }

    fn begin(&mut self) -> String {
        let id = self.id();
        self.tape.begin(&id);
        let ms = 10 + self.dice.next() % 2000;
        self.tape.wait(ms);
        id
    }

    fn green(&mut self) {
        let id = self.begin();
        self.tape.end(&id, Outcome::Passed, "", "");
    }

    fn red(&mut self, id: &str, message: &str) -> Subject {
        let file = id.split("::").next().unwrap();
        let details = format!(">       assert client.ask()\nE       {message}\n\n{file}:40: Error");
        self.tape.red(id, Outcome::Failed, message, &details)
    }

    /// Lines of a healthy service, and these at their end.
    fn log(&mut self, last: &[&'static str]) -> Vec<&'static str> {
        let mut lines: Vec<&str> =
            (0..self.dice.below(20)).map(|_| NOISE[self.dice.below(NOISE.len())]).collect();
        lines.extend(last);
        lines
    }

    fn windows(&mut self, service: &str, last: &[&'static str]) {
        let other = self.log(&[]);
        self.tape.logged("etcd", &other);
        let lines = self.log(last);
        self.tape.logged(service, &lines);
    }
}

/// Runs with a thousand failures.
pub fn corpus(seed: u64) -> Vec<Recorded> {
    let mut records = Vec::new();
    for number in 0..100 {
        let mut maker = Maker::new(seed, number);
        let kind = usize::try_from(number).unwrap() % FAULTS.len();
        FAULTS[kind](&mut maker);
        assert_eq!(maker.plants.len(), 1);
        records.push(maker.done());
    }
    let (mut left, mut number) = (900_usize, 100_u64);
    while left > 0 {
        let mut maker = Maker::new(seed, number);
        let kinds = FAILURES.len();
        FAILURES[usize::try_from(number).unwrap() % kinds](&mut maker);
        maker.plants.truncate(left);
        left -= maker.plants.len();
        number += 1;
        records.push(maker.done());
    }
    records
}

type Make = fn(&mut Maker);

/// What can break around the product.
const FAULTS: [Make; 22] = [
    memory_of_a_service,
    memory_under_a_case,
    killed_from_outside,
    killed_under_a_case,
    memory_of_the_tests,
    memory_of_the_tests_under_a_case,
    memory_at_bring_up,
    engine_lost,
    engine_unwatched,
    engine_lost_under_a_case,
    engine_disk_full,
    engine_missing,
    full_disk_of_the_tests,
    full_disk_of_a_service,
    full_disk_of_the_tool,
    record_unwritable,
    halted_service,
    paused_service,
    image_missing,
    image_missing_at_bring_up,
    no_range,
    overlapping_range,
];

fn death_of(maker: &mut Maker, code: i64, memory: bool, log: &[&'static str]) -> Subject {
    let service = maker.dice.of(&SERVICES);
    maker.tape.died(service, code, memory);
    end_of_lane(maker, service, code, memory, log)
}

fn end_of_lane(maker: &mut Maker, service: &str, code: i64, memory: bool, log: &[&'static str]) -> Subject {
    let how =
        if memory { "was killed for lack of memory".to_owned() } else { format!("ended with code {code}") };
    let lines = maker.log(log);
    maker.tape.lane_failed(&format!("`{service}` {how}"), true, &lines)
}

fn memory_of_a_service(maker: &mut Maker) {
    maker.begin();
    let log = maker.dice.of(&[&[][..], &["INFO allocating 512 blocks"][..], CRASHES[4]]);
    let code = [137, 1][maker.dice.below(2)];
    let lane = death_of(maker, code, true, log);
    maker.fault("service out of memory", lane, Cause::Infrastructure);
}

fn memory_under_a_case(maker: &mut Maker) {
    under_a_case(maker, "case under a service out of memory", (137, true));
}

fn killed_from_outside(maker: &mut Maker) {
    maker.begin();
    let code = [137, 143][maker.dice.below(2)];
    let log = maker.dice.of(&[&[][..], &["INFO received SIGTERM, shutting down"][..]]);
    let lane = death_of(maker, code, false, log);
    maker.fault("service killed from outside", lane, Cause::Infrastructure);
}

fn killed_under_a_case(maker: &mut Maker) {
    under_a_case(maker, "case under a service killed from outside", (137, false));
}

/// A case notices the end of a service before the engine tells of it, or after.
fn under_a_case(maker: &mut Maker, kind: &'static str, (code, memory): (i64, bool)) {
    let id = maker.begin();
    let service = maker.dice.of(&SERVICES);
    let message = maker.dice.of(&LOST);
    let told_first = maker.dice.below(2) == 0;
    if told_first {
        maker.tape.died(service, code, memory);
        let ms = maker.dice.next() % 400;
        maker.tape.wait(ms);
    }
    let case = maker.red(&id, message);
    if !told_first {
        let ms = maker.dice.next() % 900;
        maker.tape.wait(ms);
        maker.tape.died(service, code, memory);
    }
    end_of_lane(maker, service, code, memory, &[]);
    maker.fault(kind, case, Cause::Infrastructure);
}

fn memory_of_the_tests(maker: &mut Maker) {
    maker.begin();
    let log = maker.log(&["tests/test_big.py .....", "Killed"]);
    let lane = maker.tape.lane_failed("the lane's container ran out of its 512MiB of memory", true, &log);
    maker.fault("tests out of memory", lane, Cause::Infrastructure);
}

fn memory_of_the_tests_under_a_case(maker: &mut Maker) {
    let id = maker.begin();
    let message = "it was running when the lane's container ran out of its 512MiB of memory";
    let case = maker.tape.red(&id, Outcome::Error, message, "");
    maker.tape.lane_failed("the lane's container ran out of its 512MiB of memory", true, &[]);
    maker.fault("case under tests out of memory", case, Cause::Infrastructure);
}

fn memory_at_bring_up(maker: &mut Maker) {
    maker.tape = Tape::bare("vllm-agg");
    maker.tape.died("worker-0", 137, true);
    let cause = StackFailureCause::Exited { exit_code: 137, oom_killed: true };
    let log = maker.log(&["Loading safetensors checkpoint shards:  50% Completed | 1/2"]);
    let stack = maker.tape.stack_failed(Some("worker-0"), cause, &log);
    maker.fault("service out of memory at bring-up", stack, Cause::Infrastructure);
}

const ENGINE_LOST: [&str; 4] = [
    "the container engine was lost while asked to create a container: connection refused (os error 111)",
    "the container engine was lost while asked to attach to a container: broken pipe (os error 32)",
    "the container engine did not answer in time when asked to start `lane-e2e`",
    "the container engine's answer could not be read when asked to inspect `lane-e2e`: unexpected end of file",
];

fn engine_lost(maker: &mut Maker) {
    let message = maker.dice.of(&ENGINE_LOST);
    let lane = maker.tape.lane_failed(message, true, &[]);
    maker.fault("engine lost", lane, Cause::Infrastructure);
}

fn engine_unwatched(maker: &mut Maker) {
    maker.begin();
    let message = "the container engine does not watch the stack any more: its events ended";
    let lane = maker.tape.lane_failed(message, true, &[]);
    maker.fault("engine watches no more", lane, Cause::Infrastructure);
}

fn engine_lost_under_a_case(maker: &mut Maker) {
    let id = maker.begin();
    let message = "testbed_pytest.control.ControlError: cannot stop `worker-1`: the container engine was lost while asked to stop a container: broken pipe";
    let case = maker.red(&id, message);
    maker.tape.wait(300);
    maker.tape.lane_failed(
        "the container engine does not watch the stack any more: connection reset by peer",
        true,
        &[],
    );
    maker.fault("case under a lost engine", case, Cause::Infrastructure);
}

fn engine_disk_full(maker: &mut Maker) {
    let message = "the container engine's disk is full, it could not create a container: mkdir /var/lib/docker/overlay2/x: no space left on device";
    let lane = maker.tape.lane_failed(message, true, &[]);
    maker.fault("engine's disk full", lane, Cause::Host);
}

fn engine_missing(maker: &mut Maker) {
    maker.tape = Tape::bare("mocker");
    let message = maker.dice.of(&[
        "no container engine answers at `unix:///var/run/docker.sock`: there is no such socket",
        "no permission to use the container engine at `unix:///var/run/docker.sock`",
    ]);
    maker.tape.warned(message);
    let run = maker.tape.finish(ExitCode::Environment);
    maker.fault("no engine", run, Cause::Host);
}

fn full_disk_of_the_tests(maker: &mut Maker) {
    let id = maker.begin();
    maker.tape.found(None, Finding::DiskFull { path: "/tmp".to_owned(), total_bytes: 64 << 20 });
    let message = maker.dice.of(&[
        "OSError: [Errno 28] No space left on device",
        "sqlite3.OperationalError: database or disk is full",
        "called `Result::unwrap()` on an `Err` value: Os { code: 28, kind: StorageFull, message: \"No space left on device\" }",
    ]);
    let case = maker.red(&id, message);
    maker.fault("tests' disk full", case, Cause::Infrastructure);
}

fn full_disk_of_a_service(maker: &mut Maker) {
    let id = maker.begin();
    maker.windows("nats", &[SAYS_FULL[5]]);
    maker.tape.found(Some("nats"), Finding::DiskFull { path: "/data".to_owned(), total_bytes: 1 << 20 });
    let message =
        maker.dice.of(&["nats.errors.TimeoutError: nats: timeout", SAYS_FULL[4], "assert None is not None"]);
    let case = maker.red(&id, message);
    maker.fault("service's disk full", case, Cause::Infrastructure);
}

fn full_disk_of_the_tool(maker: &mut Maker) {
    maker.begin();
    maker.tape.found(None, Finding::DiskFull { path: "/data".to_owned(), total_bytes: 64 << 20 });
    let message =
        "pytest had an internal error: OSError: [Errno 28] No space left on device: '/data/cache/pytest/v'";
    let lane = maker.tape.lane_failed(
        message,
        false,
        &["INTERNALERROR> OSError: [Errno 28] No space left on device"],
    );
    maker.fault("tool's disk full", lane, Cause::Infrastructure);
}

fn record_unwritable(maker: &mut Maker) {
    maker.tape = Tape::bare("mocker");
    maker.tape.warned(
        "cannot write `/home/x/.testbed/runs/1/manifest.json`: No space left on device (os error 28)",
    );
    let run = maker.tape.finish(ExitCode::Environment);
    maker.fault("record cannot be written", run, Cause::Host);
}

const SLOW: [&str; 3] = [
    "Failed: Timeout (>10.0s) from pytest-timeout.",
    "openai.APITimeoutError: Request timed out.",
    "httpx.ReadTimeout: timed out",
];

fn halted_service(maker: &mut Maker) {
    halted(maker, "service halted by a signal", "T");
}

fn paused_service(maker: &mut Maker) {
    halted(maker, "service paused from outside", "paused");
}

fn halted(maker: &mut Maker, kind: &'static str, state: &str) {
    let id = maker.begin();
    maker.tape.wait(10_000);
    let service = maker.dice.of(&SERVICES);
    maker.tape.found(Some(service), Finding::Halted { state: state.to_owned() });
    let at = maker.dice.below(SLOW.len());
    let outcome = if at == 0 { Outcome::TimedOut } else { Outcome::Failed };
    let case = maker.tape.red(&id, outcome, SLOW[at], "");
    maker.fault(kind, case, Cause::Infrastructure);
}

fn image_missing(maker: &mut Maker) {
    maker.tape = Tape::bare("mocker");
    let message = maker.dice.of(&[
        "image `nats` cannot be had: the container engine refused to pull `x/nats`: manifest unknown",
        "image `dynamo` is not here: the container engine has no `testbed/dynamo:5f1d0c9e7a2b`",
    ]);
    maker.tape.warned(message);
    let run = maker.tape.finish(ExitCode::Environment);
    maker.fault("image missing", run, Cause::Infrastructure);
}

fn image_missing_at_bring_up(maker: &mut Maker) {
    maker.tape = Tape::bare("mocker");
    let message =
        "the container engine refused to create `nats`: No such image: testbed/nats:5f1d0c9e7a2b".to_owned();
    let stack = maker.tape.stack_failed(Some("nats"), StackFailureCause::Daemon { message }, &[]);
    maker.fault("image missing at bring-up", stack, Cause::Infrastructure);
}

fn no_range(maker: &mut Maker) {
    maker.tape = Tape::bare("mocker");
    let message = "no address range is free for stack `mocker` in 10.231.0.0/16";
    maker.tape.warned(message);
    let lane = maker.tape.lane_failed(message, true, &[]);
    maker.fault("no address range", lane, Cause::Infrastructure);
}

fn overlapping_range(maker: &mut Maker) {
    maker.tape = Tape::bare("mocker");
    let message = "the container engine refused to create a network: Pool overlaps with other one on this address space".to_owned();
    let stack = maker.tape.stack_failed(None, StackFailureCause::Daemon { message }, &[]);
    maker.fault("address range overlaps", stack, Cause::Infrastructure);
}

/// How tests and the product fail.
const FAILURES: [Make; 26] = [
    plain_assertions,
    plain_assertions,
    says_full,
    says_memory,
    says_lost,
    full_in_a_log,
    memory_in_a_log,
    lost_what_it_stopped,
    lost_while_another_stack_broke,
    before_a_service_ran_out_of_memory,
    beside_a_service_out_of_memory,
    beside_a_full_disk,
    slow_by_itself,
    slow_beside_another_stacks_halt,
    failed_beside_a_halt,
    service_crashes,
    service_ends,
    service_kills_itself,
    under_a_crash,
    crash_at_bring_up,
    never_ready,
    tool_crashes,
    tool_speaks_of_the_engine,
    case_speaks_as_the_runner,
    collection,
    warned_of_an_image,
];

fn plain_assertions(maker: &mut Maker) {
    for _ in 0..=maker.dice.below(4) {
        let id = maker.begin();
        maker.windows("worker-0", &[]);
        let message = maker.dice.of(&PLAIN);
        let case = maker.red(&id, message);
        maker.of_the_code("assertion", case);
    }
}

fn says(maker: &mut Maker, kind: &'static str, texts: &[&'static str]) {
    for _ in 0..=maker.dice.below(2) {
        let id = maker.begin();
        let last = maker.dice.of(texts);
        maker.windows("worker-0", &[last]);
        let message = maker.dice.of(texts);
        let outcome = [Outcome::Failed, Outcome::Error][maker.dice.below(2)];
        let case = maker.tape.red(&id, outcome, message, &format!("E   {message}\na.py:3: Error"));
        maker.of_the_code(kind, case);
    }
}

fn says_full(maker: &mut Maker) {
    says(maker, "speaks of a full disk", &SAYS_FULL);
}

fn says_memory(maker: &mut Maker) {
    says(maker, "speaks of memory", &SAYS_MEMORY);
}

fn says_lost(maker: &mut Maker) {
    says(maker, "speaks of a lost connection", &SAYS_LOST);
}

fn logged(maker: &mut Maker, kind: &'static str, line: &'static str) {
    let id = maker.begin();
    maker.windows("worker-1", &[line]);
    let message = maker.dice.of(&PLAIN);
    let case = maker.red(&id, message);
    maker.of_the_code(kind, case);
}

fn full_in_a_log(maker: &mut Maker) {
    let line = maker.dice.of(&SAYS_FULL);
    logged(maker, "a log speaks of a full disk", line);
}

fn memory_in_a_log(maker: &mut Maker) {
    let line = maker.dice.of(&SAYS_MEMORY);
    logged(maker, "a log speaks of memory", line);
}

fn lost_what_it_stopped(maker: &mut Maker) {
    let id = maker.begin();
    let code = [137, 143, 0][maker.dice.below(3)];
    let memory = maker.dice.below(4) == 0;
    maker.tape.exited("worker-1", code, memory, true);
    maker.tape.wait(700);
    let message = maker.dice.of(&LOST);
    let case = maker.red(&id, message);
    maker.of_the_code("lost a service that it had stopped", case);
}

fn lost_while_another_stack_broke(maker: &mut Maker) {
    let id = maker.begin();
    let own = maker.tape.lane.clone();
    maker.tape.lane.profile = Some("another".to_owned());
    maker.tape.died("worker-0", 137, true);
    maker.tape.lane = own;
    let message = maker.dice.of(&LOST);
    let case = maker.red(&id, message);
    maker.of_the_code("another stack broke", case);
}

fn before_a_service_ran_out_of_memory(maker: &mut Maker) {
    let id = maker.begin();
    let message = maker.dice.of(&SAYS_LOST);
    let case = maker.red(&id, message);
    let ms = 5_000 + maker.dice.next() % 60_000;
    maker.tape.wait(ms);
    death_of(maker, 137, true, &[]);
    maker.of_the_code("long before a service ran out of memory", case);
}

fn beside_a_service_out_of_memory(maker: &mut Maker) {
    let id = maker.begin();
    maker.tape.died("worker-1", 137, true);
    let message = maker.dice.of(&PLAIN);
    let case = maker.red(&id, message);
    end_of_lane(maker, "worker-1", 137, true, &[]);
    maker.of_the_code("beside a service out of memory", case);
}

fn beside_a_full_disk(maker: &mut Maker) {
    let id = maker.begin();
    maker.tape.found(None, Finding::DiskFull { path: "/tmp".to_owned(), total_bytes: 1 << 20 });
    let message = maker.dice.of(&PLAIN);
    let case = maker.red(&id, message);
    maker.of_the_code("beside a full disk", case);
}

fn slow_by_itself(maker: &mut Maker) {
    let id = maker.begin();
    maker.tape.wait(10_000);
    maker.windows("frontend", &["WARN no worker answered for 10 s"]);
    let at = maker.dice.below(SLOW.len());
    let outcome = if at == 0 { Outcome::TimedOut } else { Outcome::Failed };
    let case = maker.tape.red(&id, outcome, SLOW[at], "");
    maker.of_the_code("slow by itself", case);
}

fn slow_beside_another_stacks_halt(maker: &mut Maker) {
    let id = maker.begin();
    let own = maker.tape.lane.clone();
    maker.tape.lane.profile = Some("another".to_owned());
    maker.tape.found(Some("worker-0"), Finding::Halted { state: "T".to_owned() });
    maker.tape.lane = own;
    let case = maker.tape.red(&id, Outcome::TimedOut, SLOW[0], "");
    maker.of_the_code("another stack was halted", case);
}

fn failed_beside_a_halt(maker: &mut Maker) {
    let id = maker.begin();
    maker.tape.found(Some("worker-0"), Finding::Halted { state: "T".to_owned() });
    let message = maker.dice.of(&PLAIN);
    let case = maker.red(&id, message);
    maker.of_the_code("beside a halted service", case);
}

fn service_crashes(maker: &mut Maker) {
    maker.begin();
    let at = maker.dice.below(CRASHES.len());
    let code = [1, 101, 2, 139, 1, 137, 134][at];
    let lane = death_of(maker, code, false, CRASHES[at]);
    maker.of_the_code("service crashes", lane);
}

fn service_ends(maker: &mut Maker) {
    maker.begin();
    let code = [0, 1, 3, 139, 134, 132, 255][maker.dice.below(7)];
    let last = maker.dice.of(&SAYS_FULL);
    let lane = death_of(maker, code, false, &[last]);
    maker.of_the_code("service ends", lane);
}

fn service_kills_itself(maker: &mut Maker) {
    maker.begin();
    let at = maker.dice.below(CRASHES.len());
    let code = [137, 143][maker.dice.below(2)];
    let lane = death_of(maker, code, false, CRASHES[at]);
    maker.of_the_code("service kills itself after a crash", lane);
}

fn under_a_crash(maker: &mut Maker) {
    let id = maker.begin();
    maker.tape.died("worker-0", 1, false);
    let message = maker.dice.of(&LOST);
    let case = maker.red(&id, message);
    let at = maker.dice.below(CRASHES.len());
    let lane = end_of_lane(maker, "worker-0", 1, false, CRASHES[at]);
    maker.of_the_code("case under a crash", case);
    maker.of_the_code("lane under a crash", lane);
}

fn crash_at_bring_up(maker: &mut Maker) {
    maker.tape = Tape::bare("mocker");
    let at = maker.dice.below(CRASHES.len());
    let cause = StackFailureCause::Exited { exit_code: 1, oom_killed: false };
    let log = maker.log(CRASHES[at]);
    let stack = maker.tape.stack_failed(Some("worker-0"), cause, &log);
    maker.of_the_code("crash at bring-up", stack);
    let lane =
        maker.tape.lane_failed("stack `mocker` did not come up: `worker-0` ended with code 1", true, &[]);
    maker.of_the_code("lane of a crash at bring-up", lane);
}

fn never_ready(maker: &mut Maker) {
    maker.tape = Tape::bare("mocker");
    let cause =
        StackFailureCause::TimedOut { after_ms: 90_000, waiting_for: "probe of `frontend`".to_owned() };
    let last = maker.dice.of(&SAYS_LOST);
    let stack = maker.tape.stack_failed(Some("frontend"), cause, &[last]);
    maker.of_the_code("never ready", stack);
}

fn tool_crashes(maker: &mut Maker) {
    let id = maker.begin();
    let message = maker.dice.of(&[
        "pytest was ended by signal 11",
        "pytest was killed by signal 9, perhaps for lack of memory",
        "the suite's time of 600 s ran out",
        "nextest ended with exit code 104",
        "pytest refused its arguments or configuration",
    ]);
    let case = maker.tape.red(&id, Outcome::Error, &format!("it was running when {message}"), "");
    let last = maker.dice.of(&SAYS_MEMORY);
    let lane = maker.tape.lane_failed(message, false, &[last]);
    maker.of_the_code("case under a tool's crash", case);
    maker.of_the_code("tool crashes", lane);
}

fn tool_speaks_of_the_engine(maker: &mut Maker) {
    let words = maker.dice.of(&ENGINE_LOST);
    let lane = maker.tape.lane_failed(&format!("pytest had an internal error: {words}"), false, &[words]);
    maker.of_the_code("tool speaks of the engine", lane);
}

fn case_speaks_as_the_runner(maker: &mut Maker) {
    let texts = adversarial();
    let id = maker.begin();
    let message = maker.dice.of(&texts);
    let outcome = [Outcome::Failed, Outcome::Error, Outcome::TimedOut][maker.dice.below(3)];
    let case = maker.tape.red(&id, outcome, message, "");
    maker.of_the_code("speaks as the runner", case);
}

fn collection(maker: &mut Maker) {
    let (id, message) = [
        ("tests/test_a.py", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("tests/test_a.py", "OSError: [Errno 28] No space left on device"),
        ("tests/test_a.py::test_a", "fixture 'no_such_fixture' not found"),
        ("tests/test_a.py::test_a", "it was planned, and its tool did not collect it"),
    ][maker.dice.below(4)];
    let case = maker.tape.red(id, Outcome::Error, message, "");
    maker.of_the_code("collection", case);
}

fn warned_of_an_image(maker: &mut Maker) {
    maker.tape.warned("image `nats` cannot be had: connection refused");
    let id = maker.begin();
    let message = maker.dice.of(&SAYS_LOST);
    let case = maker.red(&id, message);
    maker.tape.finish(ExitCode::TestFailed);
    maker.of_the_code("a run that warned of an image", case);
}
