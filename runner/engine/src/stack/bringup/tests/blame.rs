//! Who is to blame when a bring-up fails, and with which words.

use testbed_model::event::StackFailureCause;

use super::{COMPLETED, HEALTHY, Input, STARTED, Script, TCP, Target, all_started, dynamo, service, stack};

#[test]
fn a_task_that_fails_is_to_blame_for_who_waits_for_it() {
    let services = [service("init", None, &[]), service("a", Some(TCP), &[("init", COMPLETED)])];
    let mut script = Script::new(&stack(services, "a"));
    let failure = script.network().created(&["init", "a"]).started(&["init"]).exited("init", 3).failure();
    assert_eq!(failure.cause, StackFailureCause::Exited { exit_code: 3, oom_killed: false });
    assert_eq!(failure.chain, ["a", "init"]);
}

#[test]
fn a_death_ends_the_bring_up_at_once_with_what_was_heard_last() {
    let mut script = all_started(&dynamo(STARTED));
    script.answered(Target::Service("worker".to_owned()), "503 not ready");
    let failure = script.exited("worker", 137).failure();
    assert_eq!(failure.service.as_deref(), Some("worker"));
    assert_eq!(failure.cause, StackFailureCause::Exited { exit_code: 137, oom_killed: true });
    assert_eq!(failure.last_answer.as_deref(), Some("503 not ready"));
    assert_eq!(failure.chain, ["worker"]);
}

#[test]
fn an_exit_with_code_zero_is_a_death_too() {
    let failure = all_started(&dynamo(STARTED)).exited("worker", 0).failure();
    assert_eq!(failure.cause, StackFailureCause::Exited { exit_code: 0, oom_killed: false });
}

#[test]
fn a_dead_dependency_names_who_waits_for_it() {
    let failure = all_started(&dynamo(HEALTHY)).exited("etcd", 1).failure();
    assert_eq!(failure.chain, ["frontend", "etcd"]);
}

#[test]
fn the_chain_goes_through_every_link() {
    let services = [
        service("a", Some(TCP), &[("b", HEALTHY)]),
        service("b", Some(TCP), &[("c", HEALTHY)]),
        service("c", Some(TCP), &[]),
        service("z", Some(TCP), &[]),
    ];
    let planned = stack(services, "z");
    let mut script = Script::new(&planned);
    script.network().created(&["a", "b", "c", "z"]).started(&["c"]);
    assert_eq!(script.exited("c", 1).failure().chain, ["a", "b", "c"]);
}

#[test]
fn a_death_before_the_start_was_answered_waits_for_the_daemons_words() {
    let mut script = Script::new(&dynamo(STARTED));
    script.network().created(&["nats", "etcd", "frontend", "worker"]);
    script.take();
    assert!(script.exited("nats", 127).take().is_empty());
    let refused = Input::Refused {
        service: Some("nats".to_owned()),
        message: "exec: \"/nope\": no such file or directory".to_owned(),
    };
    let failure = script.tell(refused).failure();
    assert!(matches!(failure.cause, StackFailureCause::Daemon { message } if message.contains("/nope")));
    let mut script = Script::new(&dynamo(STARTED));
    script.network().created(&["nats"]).exited("nats", 2);
    let failure = script.started(&["nats"]).failure();
    assert_eq!(failure.cause, StackFailureCause::Exited { exit_code: 2, oom_killed: false });
}

#[test]
fn when_the_time_is_over_the_silent_dependency_is_blamed_and_not_who_waits() {
    let mut script = Script::new(&dynamo(HEALTHY));
    script.network().created(&["nats", "etcd", "frontend", "worker"]).started(&["nats", "etcd"]);
    script.proven(&["nats"]).answered(Target::Service("etcd".to_owned()), "connection refused");
    let failure = script.time_is_over().failure();
    assert_eq!(failure.service.as_deref(), Some("etcd"));
    assert_eq!(failure.last_answer.as_deref(), Some("connection refused"));
    assert_eq!(failure.chain, ["frontend", "etcd"]);
    let waiting_for = "probe of `etcd`".to_owned();
    assert_eq!(failure.cause, StackFailureCause::TimedOut { after_ms: 60_000, waiting_for });
}

#[test]
fn when_the_time_is_over_a_silent_worker_is_blamed_before_the_frontend() {
    let mut script = all_started(&dynamo(STARTED));
    script.proven(&["nats", "etcd"]);
    script.answered(Target::Stack, "404 model not found");
    assert_eq!(script.time_is_over().failure().service.as_deref(), Some("worker"));
}

#[test]
fn when_only_the_ready_probe_is_missing_it_says_so_with_its_last_answer() {
    let mut script = all_started(&dynamo(STARTED));
    script.proven(&["nats", "etcd", "frontend", "worker"]);
    let failure = script.answered(Target::Stack, "503 no instances").time_is_over().failure();
    assert_eq!(failure.service.as_deref(), Some("frontend"));
    assert_eq!(failure.last_answer.as_deref(), Some("503 no instances"));
    let waiting_for = "a chat completion through `frontend`".to_owned();
    assert_eq!(failure.cause, StackFailureCause::TimedOut { after_ms: 60_000, waiting_for });
}

#[test]
fn a_daemon_that_does_not_answer_is_what_was_waited_for() {
    let waited_for = |script: &mut Script| match script.time_is_over().failure().cause {
        StackFailureCause::TimedOut { waiting_for, .. } => waiting_for,
        other => panic!("{other:?}"),
    };
    let mut script = Script::new(&dynamo(STARTED));
    script.created(&["nats", "etcd", "frontend", "worker"]);
    assert_eq!(waited_for(&mut script), "the daemon to create the network");
    let mut script = Script::new(&dynamo(STARTED));
    script.network().created(&["nats", "frontend", "worker"]).started(&["nats"]).proven(&["nats"]);
    assert_eq!(waited_for(&mut script), "the daemon to create `etcd`");
    let mut script = Script::new(&dynamo(STARTED));
    script.network().created(&["nats", "etcd", "frontend", "worker"]).started(&["nats"]).proven(&["nats"]);
    assert_eq!(waited_for(&mut script), "the daemon to start `etcd`");
}
