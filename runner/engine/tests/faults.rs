//! What happens to a stack when the daemon misbehaves, shown with a fake one: whatever goes wrong is said in its words, and
//! nothing is left.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test that can not go on fails, and its players stand outside of the house"
)]

#[path = "faults/fake.rs"]
mod fake;
#[path = "fixture/plan.rs"]
mod plan;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use axum::http::Method;
use fake::{Behaviour, FakeDaemon, Fault, Script, What};
use testbed_engine::docker::{Daemon, DaemonError};
use testbed_engine::events::Events;
use testbed_engine::host::clock::Clock;
use testbed_engine::host::identity::ProcessIdentity;
use testbed_engine::image::{Images, Update};
use testbed_engine::stack::{
    ControlOp, GpuPool, LiveStack, Owner, StackContext, StackError, StackHealth, Subnet, gc, up,
};
use testbed_model::event::{Event, StackFailure, StackFailureCause, Stamped};
use testbed_model::facts::Facts;
use testbed_model::hint::Hint;
use testbed_model::id::{RunId, label};
use testbed_model::stack::{Condition, DeviceReservation, Healthcheck, Mount, Stack};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

/// A service, one that waits for it to be healthy, and a shared volume.
fn planned() -> Stack {
    let mut first = plan::service("first", "image/first:1");
    first.mounts = vec![shared()];
    let mut second = plan::service("second", "image/second:1");
    second.mounts = vec![shared()];
    second.depends_on = BTreeMap::from([("first".to_owned(), Condition::ServiceHealthy)]);
    let mut stack = plan::stack([first, second], "second");
    stack.volumes = ["shared".to_owned()].into();
    stack
}

fn shared() -> Mount {
    Mount::Volume { volume: "shared".to_owned(), target: "/shared".to_owned(), read_only: false }
}

fn run_id() -> RunId {
    "20261121-143005-a1b2c3".parse().unwrap()
}

struct Bench {
    fake: FakeDaemon,
    daemon: Daemon,
    events: Events,
    emitted: UnboundedReceiver<Stamped>,
    context: StackContext,
}

impl Bench {
    async fn new(script: Script) -> Self {
        let fake = FakeDaemon::start(script);
        let daemon = Daemon::connect_to(&fake.address()).await.unwrap();
        let (events, emitted) = Events::channel(Clock::start());
        let context = StackContext {
            run: run_id(),
            agent_image: "image/agent:1".to_owned(),
            agent_binary: PathBuf::from("/opt/testbed"),
            range: Subnet::DEFAULT_RANGE,
            sampling: false,
            keep_until: None,
            gpus: GpuPool::new(Facts::default()),
        };
        Self { fake, daemon, events, emitted, context }
    }

    async fn up(&self, stack: &Stack) -> Result<LiveStack, StackError> {
        let never = CancellationToken::new();
        up(&self.daemon, stack, &self.context, &self.events, &never).await
    }

    /// The failure of a bring-up that leaves nothing behind.
    async fn failure(&self, stack: &Stack) -> (StackFailure, StackError) {
        let error = self.up(stack).await.expect_err("it can not come up");
        assert_eq!(self.fake.left(), Vec::<String>::new());
        match &error {
            StackError::Failed { failure, .. } => ((**failure).clone(), error),
            other => panic!("{other:?}"),
        }
    }

    fn told(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.emitted.try_recv().ok()).map(|stamped| stamped.event).collect()
    }
}

fn fault(method: Method, path: &'static str, times: usize, what: What) -> Script {
    Script { faults: vec![Fault { request: (method, path), times, what }], ..Script::default() }
}

fn behaviour(service: &str, behaviour: Behaviour) -> Script {
    Script { services: [(service.to_owned(), behaviour)].into(), ..Script::default() }
}

fn message(failure: &StackFailure) -> &str {
    match &failure.cause {
        StackFailureCause::Daemon { message } => message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_stack_comes_up_and_goes_down_and_nothing_is_left() {
    let mut bench = Bench::new(Script::default()).await;
    let live = bench.up(&planned()).await.unwrap();
    assert_eq!(bench.fake.left().len(), 5, "two services, the agent, the network, the volume");
    live.down().await.unwrap();
    assert_eq!(bench.fake.left(), Vec::<String>::new());
    let told = bench.told();
    assert!(told.iter().any(|event| matches!(event, Event::StackReady { .. })), "{told:?}");
    assert!(matches!(told.last(), Some(Event::StackStopped { .. })), "{told:?}");
}

#[tokio::test]
async fn what_is_asked_of_the_daemon_is_what_the_plan_says() {
    let bench = Bench::new(Script::default()).await;
    let mut stack = planned();
    let second = stack.services.get_mut("second").unwrap();
    second.environment.insert("KEY".to_owned(), "value=1".to_owned());
    second.tmpfs.insert("/tmp".to_owned(), "size=64m".to_owned());
    second.ulimits.insert("nofile".to_owned(), (1024, 2048));
    second.shm_size = Some(1 << 26);
    second.init = true;
    second.cap_add.insert("NET_ADMIN".to_owned());
    second.aliases.insert("other".to_owned());
    second.labels.insert("mine".to_owned(), "yes".to_owned());
    second.command = Some(vec!["--serve".to_owned()]);
    second.mounts.push(Mount::Bind {
        source: "/srv/models".to_owned(),
        target: "/models".to_owned(),
        read_only: true,
    });
    second.devices.push(DeviceReservation {
        driver: Some("cdi".to_owned()),
        count: None,
        device_ids: vec!["nvidia.com/gpu=0".to_owned()],
        capabilities: Vec::new(),
        options: BTreeMap::new(),
    });
    second.healthcheck = Some(Healthcheck {
        test: vec!["CMD".to_owned(), "check".to_owned()],
        interval_ms: 1_000,
        timeout_ms: 2_000,
        retries: 3,
        start_period_ms: 500,
    });
    bench.up(&stack).await.unwrap().down().await.unwrap();
    let asked: Vec<_> = bench
        .fake
        .received()
        .into_iter()
        .filter(|request| request.path.contains("create"))
        .map(|request| (format!("{} {}", request.method, request.path), request.body))
        .collect::<BTreeMap<_, _>>()
        .into_iter()
        .collect();
    insta::with_settings!({ filters => vec![(r#""[^"]+:\d+:\d+\.\d+\.[0-9a-f]+""#, "\"OWNER\""), (r"10\.231\.\d+\.\d+", "ADDRESS")], sort_maps => true }, {
        insta::assert_json_snapshot!(asked);
    });
}

#[tokio::test]
async fn a_service_that_the_daemon_refuses_to_start_is_named_with_the_daemons_words() {
    let refusal = What::Refuse(500, "exec: \"/nope\": no such file or directory");
    let bench = Bench::new(fault(Method::POST, "first/start", 1, refusal)).await;
    let (failure, error) = bench.failure(&planned()).await;
    assert_eq!(failure.service.as_deref(), Some("first"));
    assert!(message(&failure).contains("exec: \"/nope\""), "{failure:?}");
    assert_eq!(failure.chain, ["second", "first"]);
    assert!(error.to_string().contains("/nope"), "{error}");
}

#[tokio::test]
async fn an_image_that_is_not_there_comes_with_the_way_out() {
    let refusal = What::Refuse(404, "No such image: image/first:1");
    let bench = Bench::new(fault(Method::POST, "plain-first", 1, refusal)).await;
    let (failure, error) = bench.failure(&planned()).await;
    assert!(message(&failure).contains("`image/first:1`"), "{failure:?}");
    assert!(error.hint().unwrap().contains("testbed images build"));
}

#[tokio::test]
async fn a_full_disk_is_named() {
    let refusal = What::Refuse(500, "mkdir /var/lib/x: no space left on device");
    let bench = Bench::new(fault(Method::POST, "plain-second", 1, refusal)).await;
    let (failure, error) = bench.failure(&planned()).await;
    assert!(message(&failure).contains("disk is full"), "{failure:?}");
    assert!(error.hint().unwrap().contains("free some space"));
}

#[tokio::test]
async fn an_answer_that_gets_lost_leaves_nothing_although_the_thing_was_made() {
    for (path, left) in
        [("plain-first", "a container"), ("networks/create", "the network"), ("volumes", "a volume")]
    {
        let bench = Bench::new(fault(Method::POST, path, 1, What::DropAnswer)).await;
        let (failure, _) = bench.failure(&planned()).await;
        assert!(message(&failure).contains("was lost"), "{left}: {failure:?}");
    }
}

#[tokio::test]
async fn a_request_that_is_cut_off_ends_the_bring_up() {
    for path in ["networks/create", "first/start", "attach", "plain.agent"] {
        let bench = Bench::new(fault(Method::POST, path, 1, What::Drop)).await;
        let (failure, error) = bench.failure(&planned()).await;
        assert!(message(&failure).contains("was lost"), "{path}: {failure:?}");
        assert!(error.hint().unwrap().contains("docker info"), "{path}");
    }
}

#[tokio::test]
async fn an_address_range_that_is_taken_is_left_for_another_one() {
    let overlap = What::Refuse(403, "Pool overlaps with other one on this address space");
    let mut bench = Bench::new(fault(Method::POST, "networks/create", 2, overlap)).await;
    bench.up(&planned()).await.unwrap().down().await.unwrap();
    assert_eq!(bench.fake.left(), Vec::<String>::new());
    let requests = bench.fake.received();
    let networks = requests.iter().filter(|request| request.path == "networks/create");
    let subnets: Vec<&str> =
        networks.map(|request| request.body["IPAM"]["Config"][0]["Subnet"].as_str().unwrap()).collect();
    assert_eq!(subnets.len(), 3);
    assert!(subnets[0] != subnets[1] && subnets[1] != subnets[2], "{subnets:?}");
    let told = bench.told();
    let starting = told.iter().filter(|event| matches!(event, Event::StackStarting { .. })).count();
    let stopping = told.iter().filter(|event| matches!(event, Event::StackStopping { .. })).count();
    assert_eq!((starting, stopping), (1, 1), "what is tried again is not said again");
}

#[tokio::test]
async fn when_every_range_is_taken_that_is_what_is_said() {
    let overlap = What::Refuse(403, "Pool overlaps with other one on this address space");
    let bench = Bench::new(fault(Method::POST, "networks/create", usize::MAX, overlap)).await;
    let error = bench.up(&planned()).await.expect_err("there is no network");
    assert!(matches!(error, StackError::NoSubnet { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("testbed gc"));
    assert_eq!(bench.fake.left(), Vec::<String>::new());
}

#[tokio::test]
async fn a_death_ends_the_bring_up_at_once_with_code_log_and_chain() {
    let dies = Behaviour {
        answer: Some("503 not ready"),
        exit: Some((Duration::from_millis(50), 137)),
        oom_killed: true,
        log: vec!["loading", "allocating"],
        gpus: None,
    };
    let mut bench = Bench::new(behaviour("first", dies)).await;
    let clock = Clock::start();
    let (failure, error) = bench.failure(&planned()).await;
    assert!(clock.elapsed_ms() < 5_000, "it did not wait for the timeout");
    assert_eq!(failure.cause, StackFailureCause::Exited { exit_code: 137, oom_killed: true });
    assert_eq!(failure.last_answer.as_deref(), Some("503 not ready"));
    assert_eq!(failure.log, ["loading", "allocating"]);
    assert_eq!(failure.chain, ["second", "first"]);
    assert_eq!(
        error.to_string(),
        "stack `plain` did not come up: `first` was killed for lack of memory, code 137"
    );
    let told = bench.told();
    let logged =
        |line: &str| told.iter().any(|e| matches!(e, Event::ServiceLog { line: l, .. } if l == line));
    assert!(logged("loading") && logged("allocating"), "{told:?}");
}

#[tokio::test]
async fn a_silent_service_runs_into_the_timeout_with_its_last_answer() {
    let silent = Behaviour { answer: Some("connection refused"), ..Behaviour::default() };
    let bench = Bench::new(behaviour("first", silent)).await;
    let mut stack = planned();
    stack.timeouts.ready_ms = 300;
    let (failure, error) = bench.failure(&stack).await;
    assert_eq!(failure.service.as_deref(), Some("first"));
    assert_eq!(
        error.to_string(),
        "stack `plain` did not come up: after 300ms it still waited for probe of `first`, which last said \
         `connection refused`"
    );
}

#[tokio::test]
async fn an_agent_that_ends_is_reported_as_such() {
    let dies = Behaviour { exit: Some((Duration::from_millis(20), 1)), ..Behaviour::default() };
    let mut script = behaviour("testbed.agent", dies);
    script.services.insert("first".to_owned(), Behaviour { answer: Some("503"), ..Behaviour::default() });
    let bench = Bench::new(script).await;
    let (failure, _) = bench.failure(&planned()).await;
    assert!(message(&failure).contains("watching agent ended"), "{failure:?}");
}

#[tokio::test]
async fn a_cancelled_bring_up_leaves_nothing_at_whatever_moment() {
    let mut cancelled = 0;
    for moment_ms in (0..120).step_by(4) {
        let bench = Bench::new(Script { latency: Duration::from_millis(7), ..Script::default() }).await;
        let cancel = CancellationToken::new();
        let later = cancel.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(moment_ms)).await;
            later.cancel();
        });
        match up(&bench.daemon, &planned(), &bench.context, &bench.events, &cancel).await {
            Ok(live) => live.down().await.unwrap(),
            Err(StackError::Cancelled { .. }) => cancelled += 1,
            Err(other) => panic!("after {moment_ms} ms: {other:?}"),
        }
        assert_eq!(bench.fake.left(), Vec::<String>::new(), "after {moment_ms} ms");
    }
    assert!(cancelled > 3, "only {cancelled} were cancelled in time");
}

#[tokio::test]
async fn a_dropped_bring_up_removes_itself() {
    let bench = Bench::new(Script { latency: Duration::from_millis(10), ..Script::default() }).await;
    let (stack, context) = (planned(), bench.context.clone());
    let (daemon, events) = (bench.daemon.clone(), bench.events.clone());
    let coming =
        tokio::spawn(async move { up(&daemon, &stack, &context, &events, &CancellationToken::new()).await });
    while bench.fake.left().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    coming.abort();
    assert!(coming.await.unwrap_err().is_cancelled(), "it was not up yet");
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        if bench.fake.left().is_empty() {
            return;
        }
    }
    panic!("left: {:?}", bench.fake.left());
}

#[tokio::test]
async fn a_daemon_that_vanishes_is_named_and_what_may_be_left_is_for_gc() {
    let silent = Behaviour { answer: Some("503"), ..Behaviour::default() };
    let mut bench = Bench::new(behaviour("first", silent)).await;
    let (stack, context) = (planned(), bench.context.clone());
    let (daemon, events) = (bench.daemon.clone(), bench.events.clone());
    let coming =
        tokio::spawn(async move { up(&daemon, &stack, &context, &events, &CancellationToken::new()).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    bench.fake.vanish();
    let error = coming.await.unwrap().expect_err("there is no daemon");
    assert!(matches!(error, StackError::Daemon(DaemonError::Lost { .. })), "{error:?}");
    assert!(error.hint().unwrap().contains("testbed gc"));
}

#[tokio::test]
async fn a_removal_that_meets_another_one_is_tried_again() {
    let busy = What::Refuse(409, "removal of container is already in progress");
    let bench = Bench::new(fault(Method::DELETE, "containers/first", 2, busy)).await;
    bench.up(&planned()).await.unwrap().down().await.unwrap();
    assert_eq!(bench.fake.left(), Vec::<String>::new());
}

#[tokio::test]
async fn what_can_not_be_removed_is_named() {
    let stuck = What::Refuse(500, "device or resource busy");
    let bench = Bench::new(fault(Method::DELETE, "containers/first", usize::MAX, stuck)).await;
    let live = bench.up(&planned()).await.unwrap();
    let error = live.down().await.expect_err("a container stays");
    let StackError::Left { left, .. } = &error else { panic!("{error:?}") };
    assert_eq!(left, &["testbed-20261121-143005-a1b2c3-plain-first".to_owned()]);
    assert!(error.to_string().contains("device or resource busy"), "{error}");
}

#[tokio::test]
async fn a_slow_daemon_is_waited_for() {
    let slow = What::Delay(Duration::from_millis(400));
    let bench = Bench::new(fault(Method::POST, "networks/create", 1, slow)).await;
    bench.up(&planned()).await.unwrap().down().await.unwrap();
    assert_eq!(bench.fake.left(), Vec::<String>::new());
}

#[tokio::test]
async fn a_death_after_readiness_breaks_the_stack_and_one_on_request_does_not() {
    let log = Behaviour { log: vec!["last words"], ..Behaviour::default() };
    let mut bench = Bench::new(behaviour("first", log)).await;
    let live = bench.up(&planned()).await.unwrap();
    let mut health = live.health();
    live.control(ControlOp::Kill, "second").await.unwrap();
    live.control(ControlOp::Start, "second").await.unwrap();
    assert_eq!(*health.borrow(), StackHealth::Serving);
    bench.fake.end("first", 1);
    let broken =
        tokio::time::timeout(Duration::from_secs(5), health.wait_for(|h| *h != StackHealth::Serving));
    let StackHealth::Broken(failure) = broken.await.unwrap().unwrap().clone() else { panic!("not broken") };
    assert_eq!(failure.service.as_deref(), Some("first"));
    assert_eq!(failure.cause, StackFailureCause::Exited { exit_code: 1, oom_killed: false });
    assert_eq!(failure.log, ["last words"]);
    let unknown = live.control(ControlOp::Stop, "third").await.expect_err("there is no such service");
    assert_eq!(unknown.to_string(), "stack `plain` has no service `third`");
    live.down().await.unwrap();
    let exits: Vec<(String, bool)> = bench
        .told()
        .into_iter()
        .filter_map(|event| match event {
            Event::ServiceExited { service, expected, .. } => Some((service, expected)),
            _ => None,
        })
        .collect();
    assert_eq!(exits, [("second".to_owned(), true), ("first".to_owned(), false)]);
}

#[tokio::test]
async fn gc_removes_what_the_dead_left_and_nothing_else() {
    let bench = Bench::new(Script::default()).await;
    let own = ProcessIdentity::own().unwrap();
    let dead = ProcessIdentity { start_ticks: own.start_ticks + 1, ..own.clone() };
    let elsewhere = ProcessIdentity { host: "elsewhere".to_owned(), ..dead.clone() };
    let labels = |owner: &ProcessIdentity| serde_json::json!({ label::RUN: run_id().to_string(), label::OWNER: Owner::from(owner).to_string() });
    for kind in ["container", "network", "volume"] {
        bench.fake.plant(kind, &format!("dead-{kind}"), &labels(&dead));
        bench.fake.plant(kind, &format!("alive-{kind}"), &labels(&own));
        bench.fake.plant(kind, &format!("elsewhere-{kind}"), &labels(&elsewhere));
        bench.fake.plant(kind, &format!("foreign-{kind}"), &serde_json::json!({ "other": "label" }));
    }
    let swept = gc(&bench.daemon).await.unwrap();
    assert_eq!(swept.containers, ["dead-container"]);
    assert_eq!(swept.networks, ["dead-network"]);
    assert_eq!(swept.volumes, ["dead-volume"]);
    assert_eq!(swept.kept, 6);
    let left = bench.fake.left();
    assert_eq!(left.len(), 9);
    assert!(!left.iter().any(|name| name.starts_with("dead")), "{left:?}");
}

#[tokio::test]
async fn what_the_daemon_does_not_let_go_is_told_and_the_rest_goes() {
    let stuck = What::Refuse(403, "network dead-network has active endpoints");
    let bench = Bench::new(fault(Method::DELETE, "networks/dead-network", usize::MAX, stuck)).await;
    let own = ProcessIdentity::own().unwrap();
    let dead = ProcessIdentity { start_ticks: own.start_ticks + 1, ..own };
    let labels =
        serde_json::json!({ label::RUN: run_id().to_string(), label::OWNER: Owner::from(&dead).to_string() });
    for kind in ["container", "network", "volume"] {
        bench.fake.plant(kind, &format!("dead-{kind}"), &labels);
    }
    let swept = gc(&bench.daemon).await.unwrap();
    assert_eq!(
        (swept.containers, swept.volumes),
        (vec!["dead-container".into()], vec!["dead-volume".into()])
    );
    let [(name, words)] = &swept.stuck[..] else { panic!("{:?}", swept.stuck) };
    assert_eq!(name, "dead-network");
    assert!(words.contains("has active endpoints"), "{words}");
    assert_eq!(bench.fake.left(), ["dead-network"]);
}

#[tokio::test]
async fn an_old_api_is_too_old() {
    let fake = FakeDaemon::start(Script { api: Some("1.38"), ..Script::default() });
    let error = Daemon::connect_to(&fake.address()).await.unwrap_err();
    assert!(matches!(&error, DaemonError::TooOld { has, .. } if has == "1.38"), "{error:?}");
    assert!(error.hint().unwrap().contains("upgrade"));
}

#[tokio::test]
async fn a_socket_that_is_not_there_is_a_missing_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("unix://{}/none.sock", folder.path().display());
    let error = Daemon::connect_to(&address).await.unwrap_err();
    assert!(matches!(error, DaemonError::NotThere { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("DOCKER_HOST"));
}

#[tokio::test]
async fn what_a_tag_stands_for_now_is_written_into_the_lock_and_nothing_else_changes() {
    let bench = Bench::new(Script::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("images.lock.json");
    let (old, new) = (format!("sha256:{}", "1".repeat(64)), format!("sha256:{}", "0".repeat(64)));
    let image = |digest: &str| {
        format!(r#"{{ "pull": {{ "repository": "r.example/a/b", "tag": "1.0", "digest": "{digest}" }} }}"#)
    };
    let text = format!("{{\n  \"schema\": 1,\n  \"images\": {{\n    \"b\": {}\n  }}\n}}\n", image(&old));
    std::fs::write(&path, &text).unwrap();
    let images = Images::open(folder.path(), folder.path()).unwrap();
    let cancel = CancellationToken::new();
    let seen = images.update(&bench.daemon, &[], Update::Look, &cancel).await.unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    let changed = images.update(&bench.daemon, &["b".to_owned()], Update::Write, &cancel).await.unwrap();
    assert_eq!(seen, changed);
    assert_eq!((changed[0].what.as_str(), changed[0].new.as_ref()), ("b 1.0", Some(&new)));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text.replace(&old, &new));
    let again = Images::open(folder.path(), folder.path()).unwrap();
    assert_eq!(again.update(&bench.daemon, &[], Update::Write, &cancel).await.unwrap(), []);

    let refusing =
        Bench::new(fault(Method::GET, "distribution", usize::MAX, What::Refuse(401, "unauthorized"))).await;
    let error = images.update(&refusing.daemon, &[], Update::Look, &cancel).await.unwrap_err();
    assert!(error.to_string().contains("ask the registry for `r.example/a/b:1.0`"), "{error}");
}
