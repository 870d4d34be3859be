//! Faults of every kind on live stacks, each produced once for real: whose fault they are told to be, and the exit code.

use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use testbed_model::exit_code::ExitCode;

use crate::engine;
use crate::ground::Ground;
use crate::running::{Finished, Running};
use crate::site::{SMALL_PROFILE, repository};

/// A service that breaks when it is asked to.
const WORKER: &str = r#"
import http.server, os, socketserver, sys, threading

class Worker(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            getattr(self, "do_" + self.path.strip("/"))()
            code = 200
        except OSError as error:
            print(f"OSError: {error}", flush=True)
            code = 500
        self.send_response(code)
        self.end_headers()

    def do_ok(self):
        pass

    def do_eat(self):
        eaten = []
        while True:
            eaten.append(b"x" * (8 << 20))

    def do_fill(self):
        with open("/data/full", "wb") as file:
            while True:
                file.write(b"x" * 65536)
                file.flush()

    def do_crash(self):
        threading.Timer(0.2, os._exit, [1]).start()
        raise ValueError("the worker has a bug")

socketserver.ThreadingTCPServer.allow_reuse_address = True
print("serving", flush=True)
socketserver.ThreadingTCPServer(("0.0.0.0", 9000), Worker).serve_forever()
"#;

/// What every suite begins with.
const ASK: &str = "import time\nimport urllib.request\n\nimport pytest\n\n\n\
    def ask(path):\n    with urllib.request.urlopen(\"http://worker:9000/\" + path, timeout=30) as answer:\n        \
    return answer.status\n\n\n";

/// A case that asks the worker for as long as it answers.
const ASKS_ON: &str = "def test_asks_on():\n    while ask(\"ok\") == 200:\n        time.sleep(0.02)\n";

/// A stack with the worker, whose suite holds these cases; `profile` is added to its profile.
fn ground(cases: &str, profile: &str) -> Ground {
    let script: String = WORKER.lines().map(|line| format!("        {line}\n")).collect();
    let stack = format!(
        "x-testbed:\n  ready:\n    http: {{ service: worker, port: 9000, path: /ok }}\n  facts: {{ size: small }}\n\
         services:\n  worker:\n    image: testbed/tests\n    command:\n      - python3\n      - -c\n      - |\n{script}    \
         tmpfs: [\"/data:size=1m,mode=1777\"]\n    deploy: {{ resources: {{ limits: {{ memory: 96m }} }} }}\n"
    );
    Ground::bare()
        .with("project/testbed.toml", crate::site::SMALL_PROJECT)
        .with("config/envs/small.toml", &format!("{SMALL_PROFILE}{profile}"))
        .with("config/compose/small.yaml", &stack)
        .with("project/tests/test_small.py", &format!("{ASK}{cases}"))
}

/// What the record says of each failure: what failed, whose fault it is, and by which rule.
fn told(ground: &Ground) -> Vec<(String, String, String)> {
    let ended = ground.testbed(["report", "latest", "--format", "json"]);
    let document: Value = serde_json::from_str(&ended.out).unwrap_or_else(|e| panic!("{e}: {}", ended.err));
    let mut found = Vec::new();
    let mut take = |what: &str, of: &Value| {
        let diagnosis = &of["diagnosis"];
        if diagnosis.is_object() {
            assert!(!diagnosis["evidence"].as_array().unwrap().is_empty(), "{diagnosis}");
            let text = |key: &str| diagnosis[key].as_str().unwrap().to_owned();
            found.push((what.to_owned(), text("cause"), text("rule")));
        }
    };
    take("run", &document);
    for stack in document["stacks"].as_array().unwrap() {
        take("stack", stack);
    }
    for lane in document["lanes"].as_array().unwrap() {
        take("lane", lane);
        for case in lane["cases"].as_array().unwrap() {
            take(case["case"]["id"].as_str().unwrap().rsplit("::").next().unwrap(), case);
        }
    }
    found
}

/// Checks that every failure is of this cause, and one of them by this rule; the same is told to people and in JUnit.
fn all_are(run: &Finished, ground: &Ground, cause: &str, rule: &str, code: ExitCode) {
    let told = told(ground);
    assert_eq!(run.code, code, "{told:?}\n{}", run.err);
    assert!(told.iter().all(|(_, its, _)| its == cause), "not all {cause}: {told:?}");
    assert!(told.iter().any(|(_, _, its)| its == rule), "no {rule}: {told:?}");
    let junit = ground.record("junit.xml");
    assert!(junit.contains(&format!("name=\"testbed.cause\" value=\"{cause}\"")), "{junit}");
    assert!(junit.contains("name=\"testbed.evidence\""), "{junit}");
    let summary = ground.testbed(["report", "latest"]).out;
    assert!(summary.contains(&format!("cause  {cause}: ")), "{summary}");
    run.left_nothing();
}

#[test]
fn a_service_that_runs_out_of_memory_under_a_case_is_infrastructure() {
    let ground = ground("def test_eats():\n    assert ask(\"eat\") == 200\n", "");
    let run = ground.run();
    all_are(&run, &ground, "infrastructure", "service-out-of-memory", ExitCode::Environment);
}

#[test]
fn a_service_that_somebody_kills_is_infrastructure() {
    let ground = ground(ASKS_ON, "");
    let mut run = ground.start(["premerge", "--json"]);
    let id = run.run_id();
    run.until_event("case_started").unwrap();
    engine::kill(&engine::container(&id, "worker"));
    let run = run.end();
    all_are(&run, &ground, "infrastructure", "service-killed", ExitCode::Environment);
}

#[test]
fn a_service_that_crashes_by_itself_is_the_products_failure() {
    let ground = ground(&format!("def test_crashes():\n    assert ask(\"crash\")\n\n\n{ASKS_ON}"), "");
    let run = ground.run();
    all_are(&run, &ground, "product", "service-crashed", ExitCode::TestFailed);
}

#[test]
fn a_case_that_waits_for_a_halted_service_is_infrastructure() {
    let ground = ground(&format!("@pytest.mark.timeout(4)\n{ASKS_ON}"), "");
    let mut run = ground.start(["premerge", "--json"]);
    let id = run.run_id();
    run.until_event("case_started").unwrap();
    engine::signal(&engine::container(&id, "worker"), "SIGSTOP");
    let run = run.end();
    all_are(&run, &ground, "infrastructure", "service-halted", ExitCode::Environment);
}

#[test]
fn a_case_that_waits_for_a_service_that_only_thinks_is_the_products_failure() {
    let ground =
        ground("@pytest.mark.timeout(2)\ndef test_waits():\n    ask(\"ok\")\n    time.sleep(60)\n", "");
    let run = ground.run();
    all_are(&run, &ground, "product", "timeout", ExitCode::TestFailed);
}

#[test]
fn a_full_disk_of_the_tests_is_infrastructure_and_one_that_is_only_spoken_of_is_not() {
    let fill = "def test_fills(tmp_path):\n    with (tmp_path / \"x\").open(\"wb\") as file:\n        \
                while True:\n            file.write(b\"x\" * (1 << 20))\n";
    let little = "[limits.executor]\nmemory = \"256MiB\"\n";
    let filled = ground(fill, little);
    let run = filled.run();
    all_are(&run, &filled, "infrastructure", "disk-full", ExitCode::Environment);

    let spoken = "def test_speaks():\n    raise OSError(28, \"No space left on device\")\n";
    let speaks = ground(spoken, little);
    let run = speaks.run();
    all_are(&run, &speaks, "product", "assertion", ExitCode::TestFailed);
}

#[test]
fn a_full_disk_of_a_service_is_infrastructure_where_it_can_be_seen() {
    let ground = ground("def test_fills():\n    assert ask(\"fill\") == 200\n", "");
    let run = ground.run();
    if run.named("found").count() == 0 {
        eprintln!("skipped: the processes of containers cannot be looked at from here");
        return;
    }
    all_are(&run, &ground, "infrastructure", "disk-full", ExitCode::Environment);
}

#[test]
fn tests_that_run_out_of_memory_are_infrastructure() {
    let eat = "def test_eats():\n    eaten = []\n    while True:\n        eaten.append(b\"x\" * (8 << 20))\n";
    let ground = ground(eat, "[limits.executor]\nmemory = \"128MiB\"\n");
    let run = ground.run();
    all_are(&run, &ground, "infrastructure", "tests-out-of-memory", ExitCode::Environment);
}

#[test]
fn a_range_that_is_taken_is_infrastructure() {
    let range = "10.231.254.0/26";
    let first = Ground::small("");
    let mut up = first.command(["up", "small", "--detach", "--keep", "5m"]);
    assert!(up.env("TESTBED_SUBNETS", range).output().unwrap().status.success());
    let ground = ground("def test_x():\n    pass\n", "");
    let mut command = ground.command(["premerge", "--json"]);
    let run = Running::start(command.env("TESTBED_SUBNETS", range)).end();
    first.testbed(["down"]);
    all_are(&run, &ground, "infrastructure", "no-address-range", ExitCode::Environment);
}

#[test]
fn an_image_that_cannot_be_had_is_infrastructure() {
    let lock = std::fs::read_to_string(repository().join("images/images.lock.json")).unwrap();
    let nowhere = format!(
        "\"nats\": {{ \"pull\": {{ \"repository\": \"127.0.0.1:1/nats\", \"tag\": \"1\", \"digest\": \"sha256:{}\" }} }}",
        "1".repeat(64)
    );
    let lock = lock.replace(r#""nats": { "build": { "recipe": "recipes/nats.toml" } }"#, &nowhere);
    assert!(lock.contains(&nowhere));
    let ground = Ground::small("def test_x():\n    pass\n")
        .without("config/images")
        .with("config/images/images.lock.json", &lock)
        .with_link("config/images/packages.lock.json", "images/packages.lock.json")
        .with_link("config/images/files", "images/files")
        .with_link("config/images/recipes", "images/recipes")
        .with_link("config/images/requirements", "images/requirements");
    let run = ground.run();
    let told = told(&ground);
    assert_eq!(run.code, ExitCode::Environment, "{told:?}\n{}", run.err);
    let text = |text: &str| text.to_owned();
    assert_eq!(told, [(text("run"), text("infrastructure"), text("image-missing"))]);
}

/// The daemon behind a socket of our own, which can go away.
struct Detour {
    folder: tempfile::TempDir,
    streams: Arc<Mutex<Vec<UnixStream>>>,
}

impl Detour {
    /// None where the daemon has no socket of this host.
    fn new() -> Option<Self> {
        let address =
            std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
        let daemon = address.strip_prefix("unix://")?.to_owned();
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("engine.sock")).unwrap();
        let streams = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&streams);
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let Ok(far) = UnixStream::connect(&daemon) else { return };
                for (mut from, mut to) in [
                    (near.try_clone().unwrap(), far.try_clone().unwrap()),
                    (far.try_clone().unwrap(), near.try_clone().unwrap()),
                ] {
                    std::thread::spawn(move || {
                        let _ = std::io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Write);
                    });
                }
                kept.lock().unwrap().extend([near, far]);
            }
        });
        Some(Self { folder, streams })
    }

    fn address(&self) -> String {
        format!("unix://{}/engine.sock", self.folder.path().display())
    }

    /// From now on nobody answers.
    fn vanish(&self) {
        std::fs::remove_file(self.folder.path().join("engine.sock")).unwrap();
        for stream in self.streams.lock().unwrap().iter() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

#[test]
fn an_engine_that_is_lost_under_a_case_is_infrastructure() {
    let Some(detour) = Detour::new() else {
        eprintln!("skipped: the container engine is not of this host");
        return;
    };
    let ground = ground(ASKS_ON, "");
    let mut command = ground.command(["premerge", "--json"]);
    let mut run = Running::start(command.env("DOCKER_HOST", detour.address()));
    run.until_event("case_started").unwrap();
    detour.vanish();
    let run = run.end();
    let told = told(&ground);
    assert_eq!(run.code, ExitCode::Environment, "{told:?}\n{}", run.err);
    assert!(told.iter().all(|(_, cause, _)| cause == "infrastructure") && !told.is_empty(), "{told:?}");
    let rules = ["engine-lost", "agent-lost"];
    assert!(
        told.iter().any(|(_, _, rule)| rules.contains(&rule.as_str())),
        "{told:?}\n{:?}",
        run.events.last()
    );
    let gc = ground.testbed(["gc"]);
    assert_eq!(gc.code(), ExitCode::Passed, "{}", gc.err);
    run.left_nothing();
}
