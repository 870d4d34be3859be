//! Environments that break: before they serve, while cases are executed, and when an image is not to be had.

use testbed_model::exit_code::ExitCode;

use crate::engine;
use crate::ground::Ground;
use crate::site::Site;

/// A case that waits for its end, which comes from outside.
const WAITING: &str = "import time\n\n\ndef test_waits():\n    time.sleep(120)\n";

#[test]
fn a_broken_worker_ends_the_run_within_ten_seconds_of_its_death_and_is_named() {
    let ground = Ground::mocker("def test_never_executed():\n    pass\n", |stack| {
        stack.replace("--engine-type=${MOCKER_ENGINE:-vllm}", "--engine-type=no-such-engine")
    });
    let started = engine::now();
    let run = ground.run();
    assert_eq!(run.code, ExitCode::Environment, "{}", run.err);
    let worker = run.only("stack_failed")["failure"]["service"].as_str().unwrap().to_owned();
    assert!(worker.starts_with("worker-"), "{worker}");
    let died = engine::died(run.run_id(), &worker, started);
    let took = run.at - died;
    assert!(took < 10.0, "{took:.1} s from the death of `{worker}` to the end");
    assert_eq!(run.named("case_started").count(), 0);
    run.left_nothing();

    // The same for people.
    let ended = ground.testbed(["premerge"]);
    assert_eq!(ended.code(), ExitCode::Environment);
    for part in ["`worker-", "ended with exit code 1", "ValueError", "unknown variant `no-such-engine`"] {
        assert!(ended.err.contains(part), "no `{part}`:\n{}", ended.err);
    }
    // Both workers are broken, and this time the other one may have been first.
    let logs = ["worker-0", "worker-1"].map(|worker| ground.record(&format!("services/mocker/{worker}.log")));
    assert!(logs.concat().contains("unknown variant `no-such-engine`"), "{logs:?}");

    // And for whoever only brings the stack up.
    let ended = ground.testbed(["up", "mocker", "--once"]);
    assert_eq!(ended.code(), ExitCode::Environment);
    for part in ["error: ", "`worker-", "code 1", "unknown variant `no-such-engine`"] {
        assert!(ended.err.contains(part), "no `{part}`:\n{}", ended.err);
    }
}

#[test]
fn a_service_that_dies_under_a_case_is_the_environments_failure() {
    let ground = Ground::small(WAITING);
    let mut run = ground.start(["premerge", "--json"]);
    let id = run.run_id();
    run.until_event("case_started").unwrap();
    let started = engine::now() - 1.0;
    engine::kill(&engine::container(&id, "nats"));
    let run = run.end();
    assert_eq!(run.code, ExitCode::Environment, "{}", run.err);
    let took = run.at - engine::died(&id, "nats", started);
    assert!(took < 10.0, "{took:.1} s from the death to the end");
    let exited = run.only("service_exited");
    assert_eq!((&exited["service"], &exited["exit_code"]), (&"nats".into(), &137.into()));
    assert_eq!(exited["expected"], false);
    let failure = &run.only("lane_finished")["failure"];
    assert_eq!(failure["environment"], true, "{failure}");
    assert!(failure["message"].as_str().unwrap().contains("nats"), "{failure}");
    run.left_nothing();
}

#[test]
fn a_stack_that_never_serves_says_what_it_last_heard() {
    let profile = format!("{}[timeouts]\nready = \"3s\"\n", crate::site::SMALL_PROFILE);
    let stack = crate::site::SMALL_STACK.replace("/healthz", "/no-such-page");
    let ground = Ground::small("def test_x():\n    pass\n")
        .with("config/envs/small.toml", &profile)
        .with("config/compose/small.yaml", &stack);
    let ended = ground.testbed(["premerge"]);
    assert_eq!(ended.code(), ExitCode::Environment, "{}", ended.err);
    for part in ["nats", "404", "timeouts.ready"] {
        assert!(ended.err.contains(part), "no `{part}`:\n{}", ended.err);
    }
}

#[test]
fn a_command_that_the_image_does_not_have_is_named() {
    let stack = crate::site::SMALL_STACK.replace("command:", "entrypoint: [/no/such/program]\n    command:");
    let ground = Ground::small("").with("config/compose/small.yaml", &stack);
    let ended = ground.testbed(["up", "small", "--once"]);
    assert_eq!(ended.code(), ExitCode::Environment, "{}", ended.err);
    assert!(ended.err.contains("`nats`") && ended.err.contains("/no/such/program"), "{}", ended.err);
}

#[test]
fn an_image_that_cannot_be_had_names_itself_the_registry_and_the_way_out() {
    let site = Site::small().with_link("suites/plugin", "suites/plugin");
    for arguments in [&["premerge"][..], &["up", "small", "--once"], &["images", "build", "nats"]] {
        let mut command = site.command(arguments);
        command
            .env_remove("DOCKER_HOST")
            .envs(std::env::var("DOCKER_HOST").map(|host| ("DOCKER_HOST", host)));
        let ended = site.ended(&mut command);
        assert_eq!(ended.code(), ExitCode::Environment, "{}", ended.err);
        for part in ["error: image `", "127.0.0.1:1/", "hint: ", "testbed images import"] {
            assert!(ended.err.contains(part), "{arguments:?}, no `{part}`:\n{}", ended.err);
        }
    }
}
