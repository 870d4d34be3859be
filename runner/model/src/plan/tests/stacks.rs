//! What holds for the containers of a stack, and what is refused.

use std::collections::BTreeSet;

use super::{World, shown};
use crate::plan::{Places, Plan, PlanError, placed, plan_stack, rooted};
use crate::stack::{Mount, Stack};
use crate::tier::Tier;

#[test]
fn the_stack_of_the_default_profile_is_as_reviewed() {
    let world = World::new();
    let environment = world.environment("mocker").unwrap();
    let stack = plan_stack(&environment, &world.images, &world.models).unwrap();
    insta::assert_json_snapshot!(stack);
}

#[test]
fn every_container_is_hardened() {
    let plan = World::new().plan(Tier::Release, &[], &[]).unwrap();
    assert_eq!(plan.stacks.len(), 5);
    for stack in &plan.stacks {
        assert!(!stack.egress);
        for service in stack.services.values() {
            assert_eq!(service.user, "10001:10001");
            assert!(service.read_only && service.no_new_privileges && service.cap_add.is_empty());
            assert_eq!(service.cap_drop, ["ALL".to_owned()].into());
            assert!(service.tmpfs.contains_key("/tmp"));
            assert!(
                service.limits.memory_bytes > 0 && service.limits.nano_cpus > 0 && service.limits.pids > 0
            );
            let no_write = |mount: &Mount| !matches!(mount, Mount::Bind { read_only: false, .. });
            assert!(service.mounts.iter().all(no_write));
        }
    }
}

const PLAIN: &str =
    "x-testbed: {ready: {tcp: {service: a, port: 80}}}\nservices:\n  a:\n    image: testbed/nats\n";

fn plain(service_keys: &str, profile: &str) -> World {
    World::new().stack("compose/plain.yaml", &format!("{PLAIN}{service_keys}")).profile(
        "mocker-plain",
        &format!("order = 1\nstack = \"compose/plain.yaml\"\ntiers = [\"premerge\"]\n{profile}"),
    )
}

#[test]
fn a_stack_that_asks_for_more_than_the_profile_allows_is_refused() {
    insta::assert_snapshot!(plain_refusal("    user: '0:0'\n", ""), @r#"
    compose/plain.yaml:5:11: the service `a` asks for `user: 0:0`, which the profile does not allow
    5 |     user: '0:0'
      |           ^
    hint: write `[hardening]` with `a = { user = "0:0" }` in envs/mocker-plain.toml
    "#);
    insta::assert_snapshot!(plain_refusal("    cap_add: [SYS_PTRACE, NET_ADMIN]\n", "hardening.a.cap_add = [\"SYS_PTRACE\"]\n"), @r#"
    compose/plain.yaml:5:27: the service `a` asks for `NET_ADMIN`, which the profile does not allow
    5 |     cap_add: [SYS_PTRACE, NET_ADMIN]
      |                           ^
    hint: write `[hardening]` with `a = { cap_add = ["NET_ADMIN"] }` in envs/mocker-plain.toml
    "#);
    for keys in
        ["    read_only: false\n", "    security_opt: ['no-new-privileges:false']\n", "    user: '10001:0'\n"]
    {
        assert!(plain_refusal(keys, "").contains("which the profile does not allow"), "{keys}");
    }
}

fn plain_refusal(service_keys: &str, profile: &str) -> String {
    shown(&plain_stack(service_keys, profile).unwrap_err())
}

fn plain_stack(service_keys: &str, profile: &str) -> Result<Stack, PlanError> {
    let world = plain(service_keys, profile);
    plan_stack(&world.environment("mocker-plain")?, &world.images, &world.models)
}

#[test]
fn a_profile_that_says_so_relaxes_one_service() {
    let profile = "[hardening.a]\nuser = \"0:0\"\nread_only = false\nno_new_privileges = false\ncap_add = [\"CAP_SYS_PTRACE\"]\n";
    let stack = plain_stack("  b: {image: testbed/etcd}\n", profile).unwrap();
    let (a, b) = (&stack.services["a"], &stack.services["b"]);
    assert_eq!((a.user.as_str(), a.read_only, a.no_new_privileges), ("0:0", false, false));
    assert_eq!(a.cap_add, ["SYS_PTRACE".to_owned()].into());
    assert_eq!((b.user.as_str(), b.read_only, b.no_new_privileges), ("10001:10001", true, true));
    assert!(b.cap_add.is_empty());
}

#[test]
fn limits_come_from_the_nearest_that_says_so() {
    let stack = plain_stack(
        "    mem_limit: 64m\n    cpus: 0.25\n",
        "[limits]\npids = 7\ncpus = 4\n[limits.services.a]\nmemory = \"128m\"\n",
    )
    .unwrap();
    let limits = stack.services["a"].limits;
    assert_eq!((limits.memory_bytes, limits.nano_cpus, limits.pids), (128 << 20, 250_000_000, 7));
}

#[test]
fn variables_environment_and_images_of_a_profile_reach_the_stack() {
    let stack = plain_stack(
        "    command: [\"${WHAT:-nothing}\"]\n    environment: {A: compose, B: compose}\n",
        "variables.WHAT = \"something\"\nenvironment.a.A = \"profile\"\nimages.nats = \"etcd\"\n",
    )
    .unwrap();
    let service = &stack.services["a"];
    assert_eq!(service.command.as_deref(), Some(["something".to_owned()].as_slice()));
    assert_eq!(
        (service.environment["A"].as_str(), service.environment["B"].as_str()),
        ("profile", "compose")
    );
    assert_eq!(
        (service.image.as_str(), service.image_reference.as_str()),
        ("etcd", "testbed/etcd:0123456789ab")
    );
}

#[test]
fn a_memory_file_system_at_tmp_is_everywhere_unless_something_else_is_there() {
    let tmpfs = |keys: &str| plain_stack(keys, "").unwrap().services["a"].tmpfs.clone();
    assert_eq!(tmpfs("")["/tmp"], "mode=1777");
    assert_eq!(tmpfs("    tmpfs: ['/tmp:size=1m']\n")["/tmp"], "size=1m");
    assert!(tmpfs("    volumes: ['t:/tmp']\nvolumes: {t: {}}\n").is_empty());
}

#[test]
fn only_volumes_that_are_used_are_made() {
    let stack = plain_stack("    volumes: ['t:/t']\nvolumes: {t: {}, unused: {}}\n", "").unwrap();
    assert_eq!(stack.volumes, ["t".to_owned()].into());
}

#[test]
fn compose_profiles_decide_which_services_take_part() {
    let services = "  b: {image: testbed/etcd, profiles: [extra]}\n";
    let names = |profile: &str| -> Vec<String> {
        plain_stack(services, profile).unwrap().services.into_keys().collect()
    };
    assert_eq!(names(""), ["a"]);
    assert_eq!(names("compose_profiles = [\"extra\"]\n"), ["a", "b"]);
    let message = plain_refusal(services, "compose_profiles = [\"extr\"]\n");
    assert!(
        message.contains("names `extr`, which no service") && message.contains("did you mean `extra`?"),
        "{message}"
    );
}

#[test]
fn names_in_a_profile_that_its_stack_does_not_have_are_refused() {
    insta::assert_snapshot!(plain_refusal("  front: {image: testbed/etcd}\n", "[environment.frnt]\nA = 1\n"), @"
    envs/mocker-plain.toml:5:1: `environment` names the service `frnt`, which `compose/plain.yaml` does not have
    5 | A = 1
      | ^
    hint: did you mean `front`?
    ");
    insta::assert_snapshot!(plain_refusal("    command: ['${WHAT:-x}']\n", "variables.WAHT = 1\n"), @"
    envs/mocker-plain.toml:4:11: `variables` sets `WAHT`, which `compose/plain.yaml` does not mention
    4 | variables.WAHT = 1
      |           ^
    hint: did you mean `WHAT`?
    ");
    insta::assert_snapshot!(plain_refusal("", "images.natz = \"etcd\"\n"), @r#"
    envs/mocker-plain.toml:4:8: `images` names `natz`, which no service of `compose/plain.yaml` uses
    4 | images.natz = "etcd"
      |        ^
    hint: did you mean `nats`?
    "#);
    for keys in ["limits.services.b.pids = 1\n", "hardening.b.read_only = false\n"] {
        assert!(plain_refusal("", keys).contains("names the service `b`"), "{keys}");
    }
}

#[test]
fn what_a_profile_inherits_may_be_meant_for_another_stack() {
    let world = plain("", "[environment.a]\nA = 1\n")
        .profile("child", "extends = \"mocker-plain\"\nstack = \"compose/mocker.yaml\"\n");
    assert!(world.environment("child").is_ok());
}

#[test]
fn an_image_that_the_lock_does_not_have_is_named() {
    let mut world = plain("", "images.nats = \"natsd\"\n");
    insta::assert_snapshot!(world.refusal(), @r#"
    envs/mocker-plain.toml:4:8: the image `natsd` is not in images/images.lock.json
    4 | images.nats = "natsd"
      |        ^
    hint: did you mean `nats`?
    "#);
    world = plain("", "");
    world.images.remove("nats");
    insta::assert_snapshot!(world.refusal(), @"
    compose/plain.yaml:4:12: the image `nats` is not in images/images.lock.json
    4 |     image: testbed/nats
      |            ^
    hint: known: `dynamo`, `etcd`, `tests`
    ");
    world = World::new();
    world.images.remove("tests");
    insta::assert_snapshot!(world.refusal(), @r#"
    testbed.toml:40:8: the image `tests` is neither in images/images.lock.json nor an `[[image]]` here
    40 | name = "lint"
       |        ^
    hint: known: `dynamo`, `etcd`, `nats`
    "#);
}

#[test]
fn a_stack_without_a_ready_probe_is_refused() {
    let world = plain("", "").stack("compose/plain.yaml", "services:\n  a: {image: testbed/nats}\n");
    insta::assert_snapshot!(world.refusal(), @"
    compose/plain.yaml:1:1: the stack does not say when it serves
    1 | services:
      | ^
    hint: add `x-testbed: {ready: {chat: {service: NAME, port: 8000, model: NAME}}}`
    ");
}

#[test]
fn bind_mounts_are_relative_in_a_plan_and_absolute_in_execution() {
    let world = World::new();
    let stack = plan_stack(&world.environment("mocker").unwrap(), &world.images, &world.models).unwrap();
    let sources = |stack: &Stack| -> BTreeSet<String> {
        let mounts = stack.services.values().flat_map(|service| service.mounts.iter());
        mounts
            .filter_map(|mount| match mount {
                Mount::Bind { source, .. } => Some(source.clone()),
                Mount::Model { .. } | Mount::Volume { .. } => None,
            })
            .collect()
    };
    let places = Places {
        root: "/srv/testbed/".to_owned(),
        models: [("tiny".to_owned(), "/var/models/tiny-1".to_owned())].into(),
    };
    assert_eq!(sources(&stack), BTreeSet::new(), "what a plan mounts of models has no place");
    assert_eq!(sources(&rooted(&stack, &places)), ["/var/models/tiny-1".to_owned()].into());
    let is_volume = |mount: &Mount| matches!(mount, Mount::Volume { .. });
    let written = stack.services.values().flat_map(|service| &service.mounts);
    assert!(
        written.clone().count() > 0
            && written.clone().all(|mount| mount.model() == Some("tiny") || is_volume(mount))
    );
    let plain = plain("    volumes: ['../images/recipes:/r:ro']\n", "");
    let stack =
        plan_stack(&plain.environment("mocker-plain").unwrap(), &plain.images, &plain.models).unwrap();
    assert_eq!(sources(&rooted(&stack, &places)), ["/srv/testbed/images/recipes".to_owned()].into());
}

#[test]
fn no_container_gets_more_cores_than_the_host_has() {
    let plan = World::new().plan(Tier::Premerge, &[], &[]).unwrap();
    let most = |plan: &Plan| {
        let services = plan.stacks.iter().flat_map(|stack| stack.services.values().map(|s| s.limits));
        services.chain(plan.lanes.iter().map(|lane| lane.limits)).map(|limits| limits.nano_cpus).max()
    };
    assert_eq!(most(&plan), Some(2_000_000_000));
    assert_eq!(most(&placed(&plan, &Places::default(), 1)), Some(1_000_000_000));
    assert_eq!(most(&placed(&plan, &Places::default(), 64)), Some(2_000_000_000));
    assert_eq!(most(&placed(&plan, &Places::default(), 0)), Some(2_000_000_000));
}
