//! Bring-ups told as sequences of what happened and what is to be done.

mod blame;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use testbed_model::event::{Event, StackFailure, StackFailureCause};
use testbed_model::stack::{Condition, Healthcheck, Limits, Probe, Ready, Service, Stack, StackTimeouts};

use super::{Action, Bringup, Input, Target};
use crate::docker::{ExitInfo, Health};

const STARTED: Condition = Condition::ServiceStarted;
const HEALTHY: Condition = Condition::ServiceHealthy;
const COMPLETED: Condition = Condition::ServiceCompletedSuccessfully;

pub fn service(name: &str, probe: Option<Probe>, depends_on: &[(&str, Condition)]) -> Service {
    Service {
        name: name.to_owned(),
        image: "image".to_owned(),
        image_reference: "image:1".to_owned(),
        entrypoint: None,
        command: None,
        environment: BTreeMap::new(),
        working_dir: None,
        user: "10001:10001".to_owned(),
        mounts: Vec::new(),
        tmpfs: BTreeMap::new(),
        depends_on: depends_on.iter().map(|(name, condition)| ((*name).to_owned(), *condition)).collect(),
        healthcheck: None,
        probe,
        limits: Limits { memory_bytes: 1, nano_cpus: 1, pids: 1 },
        devices: Vec::new(),
        cpu_shares: None,
        shm_size: None,
        ulimits: BTreeMap::new(),
        cap_add: BTreeSet::new(),
        cap_drop: BTreeSet::new(),
        read_only: true,
        no_new_privileges: true,
        init: false,
        labels: BTreeMap::new(),
        aliases: BTreeSet::new(),
        stop_grace_ms: 10_000,
    }
}

const TCP: Probe = Probe::Tcp { port: 80 };

pub fn stack(services: impl IntoIterator<Item = Service>, ready: &str) -> Stack {
    Stack {
        profile: "p".to_owned(),
        source: "compose/p.yaml".to_owned(),
        services: services.into_iter().map(|service| (service.name.clone(), service)).collect(),
        volumes: BTreeSet::new(),
        ready: Ready {
            service: ready.to_owned(),
            probe: Probe::Chat { port: 8000, model: "tiny".to_owned() },
        },
        facts: BTreeMap::new(),
        timeouts: StackTimeouts { ready_ms: 60_000, stop_ms: 10_000 },
        egress: false,
        gpu_need: None,
    }
}

/// NATS and etcd, probed; a frontend that is asked; a worker. Both of the latter wait for the former to be started.
fn dynamo(condition: Condition) -> Stack {
    let depends_on = [("nats", condition), ("etcd", condition)];
    stack(
        [
            service("nats", Some(TCP), &[]),
            service("etcd", Some(TCP), &[]),
            service("frontend", Some(TCP), &depends_on),
            service("worker", Some(TCP), &depends_on),
        ],
        "frontend",
    )
}

/// A bring-up, and what it wants done.
struct Script {
    machine: Bringup,
    now_ms: u64,
    wanted: Vec<Action>,
}

impl Script {
    /// With as many starts at a time as there are services.
    fn new(stack: &Stack) -> Self {
        Self::with(stack, usize::MAX)
    }

    fn with(stack: &Stack, parallel: usize) -> Self {
        let mut script = Self::without_agent(stack, parallel);
        script.tell(Input::AgentCreated).tell(Input::AgentStarted);
        script
    }

    fn without_agent(stack: &Stack, parallel: usize) -> Self {
        let machine = Bringup::new(stack, parallel);
        let wanted = machine.begin();
        Self { machine, now_ms: 0, wanted }
    }

    fn tell(&mut self, input: Input) -> &mut Self {
        self.now_ms += 1;
        let actions = self.machine.step(self.now_ms, input);
        self.wanted.extend(actions);
        self
    }

    fn network(&mut self) -> &mut Self {
        self.tell(Input::NetworkCreated)
    }

    fn created(&mut self, services: &[&str]) -> &mut Self {
        for service in services {
            self.tell(Input::Created { service: (*service).to_owned() });
        }
        self
    }

    fn started(&mut self, services: &[&str]) -> &mut Self {
        for service in services {
            self.tell(Input::Started { service: (*service).to_owned(), container: format!("c-{service}") });
        }
        self
    }

    fn proven(&mut self, services: &[&str]) -> &mut Self {
        for service in services {
            let target = Target::Service((*service).to_owned());
            self.tell(Input::Succeeded { target, answer: "200".to_owned() });
        }
        self
    }

    fn chat(&mut self) -> &mut Self {
        self.tell(Input::Succeeded { target: Target::Stack, answer: "200".to_owned() })
    }

    fn answered(&mut self, target: Target, answer: &str) -> &mut Self {
        self.tell(Input::Answered { target, answer: answer.to_owned() })
    }

    fn exited(&mut self, service: &str, code: i64) -> &mut Self {
        let exit = ExitInfo { code, oom_killed: code == 137 };
        self.tell(Input::Exited { service: service.to_owned(), exit })
    }

    fn time_is_over(&mut self) -> &mut Self {
        self.now_ms = self.machine.deadline_ms();
        self.tell(Input::Tick)
    }

    /// What was wanted since the last asking.
    fn take(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.wanted)
    }

    fn starts(&mut self) -> Vec<String> {
        let starts = self.take().into_iter().filter_map(|action| match action {
            Action::Start { service } => Some(service),
            _ => None,
        });
        starts.collect()
    }

    fn failure(&mut self) -> StackFailure {
        let failures: Vec<_> = self
            .take()
            .into_iter()
            .filter_map(|action| match action {
                Action::Fail(failure) => Some(failure),
                _ => None,
            })
            .collect();
        assert_eq!(failures.len(), 1, "exactly one failure");
        failures.into_iter().next().unwrap()
    }

    fn is_finished(&mut self) -> bool {
        self.take().contains(&Action::Finish)
    }
}

fn probes(actions: &[Action]) -> Vec<&Target> {
    let probes = actions.iter().filter_map(|action| match action {
        Action::Probe { target, .. } => Some(target),
        _ => None,
    });
    probes.collect()
}

#[test]
fn everything_is_created_at_once_dependencies_first_and_the_guest_after_its_host() {
    let mut script = Script::without_agent(&dynamo(STARTED), 2);
    let created = |script: &mut Script| -> Vec<String> {
        let actions = script.take().into_iter();
        let creations = actions.filter_map(|action| match action {
            Action::Create { service } => Some(service),
            _ => None,
        });
        creations.collect()
    };
    assert_eq!(created(&mut script), ["nats", "frontend", "worker"]);
    assert_eq!(created(script.tell(Input::AgentCreated)), ["etcd"]);
}

#[test]
fn the_agent_starts_first_and_then_its_guest() {
    let mut script = Script::without_agent(&dynamo(STARTED), 2);
    script.network().created(&["etcd", "nats", "frontend", "worker"]);
    assert_eq!(agent_starts(&mut script), 0, "it is not there yet");
    let actions = script.tell(Input::AgentCreated).take();
    assert!(actions.contains(&Action::StartAgent), "{actions:?}");
    let mut script = Script::without_agent(&dynamo(STARTED), 2);
    script.network().created(&["etcd", "nats"]).tell(Input::AgentCreated);
    assert_eq!(script.starts(), ["nats"], "the agent counts as one of two, and its guest waits for it");
    assert_eq!(script.tell(Input::AgentStarted).starts(), ["etcd"]);
}

#[test]
fn nothing_starts_before_the_network_is_there() {
    let mut script = Script::new(&dynamo(STARTED));
    assert!(script.created(&["nats", "etcd"]).starts().is_empty());
    assert_eq!(script.network().starts(), ["etcd", "nats"]);
}

#[test]
fn nothing_starts_before_its_container_is_there() {
    let mut script = Script::new(&dynamo(STARTED));
    assert!(script.network().starts().is_empty());
    assert_eq!(script.created(&["nats"]).starts(), ["nats"]);
}

#[test]
fn a_started_dependency_is_enough_where_the_file_says_started() {
    let mut script = Script::new(&dynamo(STARTED));
    script.network().created(&["nats", "etcd", "frontend", "worker"]).take();
    assert!(script.started(&["nats"]).starts().is_empty());
    assert_eq!(script.started(&["etcd"]).starts(), ["frontend", "worker"]);
}

#[test]
fn a_healthy_dependency_is_waited_for_where_the_file_says_healthy() {
    let mut script = Script::new(&dynamo(HEALTHY));
    script.network().created(&["nats", "etcd", "frontend", "worker"]).started(&["nats", "etcd"]);
    script.take();
    assert!(script.proven(&["nats"]).starts().is_empty());
    assert_eq!(script.proven(&["etcd"]).starts(), ["frontend", "worker"]);
}

#[test]
fn a_service_is_probed_as_soon_as_it_runs_and_the_stack_with_the_service_that_is_asked() {
    let mut script = Script::new(&dynamo(STARTED));
    script.network().created(&["nats", "etcd", "frontend", "worker"]).take();
    let actions = script.started(&["nats", "etcd"]).take();
    assert_eq!(probes(&actions), [&Target::Service("nats".to_owned()), &Target::Service("etcd".to_owned())]);
    let actions = script.started(&["worker", "frontend"]).take();
    assert_eq!(
        probes(&actions),
        [&Target::Service("worker".to_owned()), &Target::Service("frontend".to_owned()), &Target::Stack]
    );
}

#[test]
fn no_more_start_at_a_time_than_allowed_and_what_others_wait_for_comes_first() {
    let mut planned = dynamo(STARTED);
    planned.services.insert("a".to_owned(), service("a", Some(TCP), &[("nats", STARTED)]));
    let mut script = Script::with(&planned, 2);
    script.network().created(&["a", "worker", "frontend", "nats", "etcd"]);
    assert_eq!(script.starts(), ["nats", "etcd"]);
    assert_eq!(script.started(&["nats"]).starts(), ["a"]);
    assert_eq!(script.started(&["etcd"]).starts(), ["frontend"]);
    assert_eq!(script.started(&["frontend"]).starts(), ["worker"]);
}

fn agent_starts(script: &mut Script) -> usize {
    script.take().iter().filter(|action| **action == Action::StartAgent).count()
}

fn all_started(stack: &Stack) -> Script {
    let mut script = Script::new(stack);
    let names: Vec<&str> = stack.services.keys().map(String::as_str).collect();
    script.network().created(&names).started(&names);
    script.take();
    script
}

#[test]
fn the_stack_serves_when_every_probe_and_the_ready_probe_succeeded_in_any_order() {
    let mut script = all_started(&dynamo(STARTED));
    assert!(!script.proven(&["nats", "etcd", "frontend", "worker"]).is_finished());
    assert!(script.chat().is_finished());
    let mut script = all_started(&dynamo(STARTED));
    assert!(!script.chat().is_finished());
    assert!(!script.proven(&["worker", "nats", "etcd"]).is_finished());
    assert!(script.proven(&["frontend"]).is_finished());
}

#[test]
fn a_service_without_a_probe_or_check_is_ready_when_it_runs() {
    let none = Healthcheck { test: vec!["NONE".to_owned()], ..check() };
    let unchecked = Service { healthcheck: Some(none), ..service("a", None, &[]) };
    let mut script = Script::new(&stack([unchecked, service("b", None, &[("a", HEALTHY)])], "b"));
    script.network().created(&["a", "b"]).started(&["a", "b"]);
    assert!(script.chat().is_finished());
}

fn check() -> Healthcheck {
    Healthcheck {
        test: vec!["CMD".to_owned(), "true".to_owned()],
        interval_ms: 1000,
        timeout_ms: 1000,
        retries: 3,
        start_period_ms: 0,
    }
}

fn health(service: &str, health: Health) -> Input {
    Input::Health { service: service.to_owned(), health }
}

#[test]
fn the_daemons_health_check_decides_where_there_is_no_probe() {
    let checked = || Service { healthcheck: Some(check()), ..service("a", None, &[]) };
    let mut script = all_started(&stack([checked()], "a"));
    script.chat();
    assert!(!script.tell(health("a", Health::Starting)).is_finished());
    assert!(script.tell(health("a", Health::Healthy)).is_finished());
    let mut script = all_started(&stack([checked()], "a"));
    let failure = script.tell(health("a", Health::Unhealthy)).failure();
    assert_eq!((failure.service.as_deref(), failure.cause), (Some("a"), StackFailureCause::Unhealthy));
}

#[test]
fn a_probe_outweighs_the_daemons_health_check() {
    let both = Service { healthcheck: Some(check()), ..service("a", Some(TCP), &[]) };
    let mut script = all_started(&stack([both], "a"));
    script.chat();
    assert!(!script.tell(health("a", Health::Healthy)).is_finished());
    assert!(!script.tell(health("a", Health::Unhealthy)).is_finished());
    assert!(script.proven(&["a"]).is_finished());
}

#[test]
fn a_task_that_completes_lets_its_dependents_start() {
    let services = [service("init", Some(TCP), &[]), service("a", Some(TCP), &[("init", COMPLETED)])];
    let mut script = Script::new(&stack(services, "a"));
    script.network().created(&["init", "a"]);
    let actions = script.started(&["init"]).take();
    assert!(probes(&actions).is_empty(), "a task is not probed, it is waited for");
    assert_eq!(script.exited("init", 0).starts(), ["a"]);
    script.started(&["a"]).proven(&["a"]).chat();
    assert!(script.is_finished());
}

#[test]
fn a_tick_before_the_deadline_changes_nothing() {
    let mut script = all_started(&dynamo(STARTED));
    assert!(script.tell(Input::Tick).take().is_empty());
}

#[test]
fn after_the_end_nothing_is_wanted_any_more() {
    let mut script = all_started(&dynamo(STARTED));
    script.exited("etcd", 1).failure();
    script.exited("worker", 1).chat().time_is_over();
    assert!(script.take().is_empty());
}

#[test]
fn what_happens_is_said() {
    let mut script = Script::new(&stack([service("a", Some(TCP), &[])], "a"));
    script.network().created(&["a"]).started(&["a"]);
    script.answered(Target::Service("a".to_owned()), "connection refused").proven(&["a"]).chat();
    let said: Vec<String> = script
        .take()
        .into_iter()
        .filter_map(|action| match action {
            Action::Emit(event) => Some(serde_json::to_string(&event).unwrap()),
            _ => None,
        })
        .collect();
    insta::assert_snapshot!(said.join("\n"), @r#"
    {"event":"stack_starting","stack":"p","services":["a"]}
    {"event":"service_starting","stack":"p","service":"a"}
    {"event":"service_started","stack":"p","service":"a","container":"c-a"}
    {"event":"probe_answered","stack":"p","service":"a","answer":"connection refused"}
    {"event":"service_ready","stack":"p","service":"a"}
    {"event":"probe_answered","stack":"p","service":"a","answer":"200"}
    "#);
    assert!(!said.is_empty());
    let _: Event = serde_json::from_str(&said[0]).unwrap();
}

fn any_input() -> impl Strategy<Value = Input> {
    let name = || {
        proptest::sample::select(vec!["nats", "etcd", "frontend", "worker", "stranger"])
            .prop_map(str::to_owned)
    };
    let target = prop_oneof![Just(Target::Stack), name().prop_map(Target::Service)];
    prop_oneof![
        Just(Input::NetworkCreated),
        Just(Input::AgentCreated),
        Just(Input::AgentStarted),
        name().prop_map(|service| Input::Created { service }),
        name().prop_map(|service| Input::Started { service, container: "c".to_owned() }),
        target.prop_map(|target| Input::Succeeded { target, answer: "200".to_owned() }),
        (name(), 0_i64..3).prop_map(|(service, code)| Input::Exited {
            service,
            exit: ExitInfo { code, oom_killed: false }
        }),
        Just(Input::Tick),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_a_service_starts_at_most_once_and_there_is_one_end(
        inputs in proptest::collection::vec(any_input(), 0..60),
        condition in proptest::sample::select(vec![STARTED, HEALTHY, COMPLETED]),
        parallel in 1_usize..4,
    ) {
        let planned = dynamo(condition);
        let mut script = Script::without_agent(&planned, parallel);
        for input in inputs {
            script.tell(input);
        }
        script.time_is_over();
        let actions = script.take();
        let ends = actions.iter().filter(|action| matches!(action, Action::Finish | Action::Fail(_))).count();
        prop_assert_eq!(ends, 1);
        prop_assert!(matches!(actions.last(), Some(Action::Finish | Action::Fail(_))));
        for name in planned.services.keys() {
            let starts = actions.iter().filter(|a| matches!(a, Action::Start { service } if service == name));
            prop_assert!(starts.count() <= 1);
        }
        prop_assert!(actions.iter().filter(|action| **action == Action::StartAgent).count() <= 1);
    }

    #[test]
    fn in_a_world_where_all_goes_well_every_stack_comes_up(
        condition in proptest::sample::select(vec![STARTED, HEALTHY]),
        parallel in 1_usize..5,
        picks in proptest::collection::vec(0_usize..100, 200),
    ) {
        let planned = dynamo(condition);
        let mut script = Script::without_agent(&planned, parallel);
        let mut due = vec![Input::NetworkCreated, Input::AgentCreated];
        let mut agent = false;
        let mut asked = Vec::new();
        for pick in picks {
            for action in script.take() {
                match action {
                    Action::Create { service } => due.push(Input::Created { service }),
                    Action::Start { service } => due.push(Input::Started { service, container: "c".to_owned() }),
                    Action::StartAgent => due.push(Input::AgentStarted),
                    Action::Probe { target, .. } => asked.push(target),
                    Action::Emit(_) => {}
                    Action::Finish => return Ok(()),
                    Action::Fail(failure) => prop_assert!(false, "{failure:?}"),
                }
            }
            // The agent answers for what it was asked, once it runs.
            if agent {
                let answer = || "200".to_owned();
                due.extend(asked.drain(..).map(|target| Input::Succeeded { target, answer: answer() }));
            }
            prop_assert!(!due.is_empty(), "nothing will happen any more");
            let input = due.swap_remove(pick % due.len());
            agent |= input == Input::AgentStarted;
            script.tell(input);
        }
        prop_assert!(script.is_finished());
    }
}
