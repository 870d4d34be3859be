//! Stacks that come up, live and go down in the real daemon.

use std::collections::BTreeMap;
use std::time::Duration;

use libtest_mimic::Trial;
use testbed_engine::docker::NetworkSpec;
use testbed_engine::host::identity::ProcessIdentity;
use testbed_engine::host::network::route_table;
use testbed_engine::stack::{self, ControlOp, Owner, StackError, StackHealth};
use testbed_model::event::Event;
use testbed_model::id::label;
use testbed_model::stack::{Condition, Healthcheck, Mount};
use tokio_util::sync::CancellationToken;

use crate::site::{PLAYER, PORT, Site, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("the_daemon_says_who_it_is", the_daemon_says_who_it_is),
        trial("a_stack_comes_up_serves_and_goes_down", a_stack_comes_up_serves_and_goes_down),
        trial("services_are_hardened_and_limited", services_are_hardened_and_limited),
        trial("a_volume_is_shared_writable_and_gone_in_the_end", a_volume_is_shared),
        trial("conditions_of_depends_on_hold", conditions_of_depends_on_hold),
        trial("logs_are_whole_and_in_order_also_over_a_restart", logs_are_whole_and_in_order),
        trial("services_are_controlled_and_keep_their_address", services_are_controlled),
        trial("a_stack_with_a_paused_service_goes_down", a_stack_with_a_paused_service_goes_down),
        trial("an_unasked_end_breaks_the_stack", an_unasked_end_breaks_the_stack),
        trial("two_stacks_of_one_run_live_side_by_side", two_stacks_live_side_by_side),
        trial("a_taken_address_range_is_left_for_another", a_taken_address_range_is_left),
        trial("a_cancelled_bring_up_leaves_nothing", a_cancelled_bring_up_leaves_nothing),
        trial("gc_removes_what_a_dead_run_left_and_no_other", gc_removes_what_a_dead_run_left),
    ]
}

async fn the_daemon_says_who_it_is(site: &mut Site) {
    let facts = site.daemon.facts().await.unwrap();
    assert!(["Docker", "Podman"].contains(&facts.name.as_str()), "{facts:?}");
    assert!(!facts.version.is_empty() && facts.api_version.starts_with("1."), "{facts:?}");
    assert!(!facts.storage_driver.is_empty() && !facts.cgroup_version.is_empty(), "{facts:?}");
}

async fn a_stack_comes_up_serves_and_goes_down(site: &mut Site) {
    let live = site.up(&site.plain_stack()).await.unwrap();
    assert_eq!(site.left().await.len(), 3, "the service, the agent, the network");
    assert_eq!(*live.health().borrow(), StackHealth::Serving);
    live.down().await.unwrap();
    assert_eq!(site.left().await, Vec::<String>::new());
    let heard = site.heard();
    assert!(matches!(heard.first(), Some(Event::StackStarting { .. })), "{heard:?}");
    assert!(heard.iter().any(|event| matches!(event, Event::StackReady { .. })), "{heard:?}");
    assert!(matches!(heard.last(), Some(Event::StackStopped { .. })), "{heard:?}");
}

async fn services_are_hardened_and_limited(site: &mut Site) {
    let mut hardened = site.player("hardened", &["status"]);
    hardened.tmpfs.insert("/tmp".to_owned(), "size=1m".to_owned());
    let mut stack = site.plain_stack();
    let web = stack.services.get_mut("web").unwrap();
    web.depends_on = BTreeMap::from([("hardened".to_owned(), Condition::ServiceCompletedSuccessfully)]);
    stack.services.insert("hardened".to_owned(), hardened);
    let live = site.up(&stack).await.unwrap();
    live.down().await.unwrap();
    let said = site.logged("hardened");
    for line in [
        "Uid: 10001 10001 10001 10001",
        "Gid: 10001 10001 10001 10001",
        "CapEff: 0000000000000000",
        "CapBnd: 0000000000000000",
        "NoNewPrivs: 1",
        "Seccomp: 2",
        "write /file: false",
        "write /tmp/file: true",
        "write /data/file: false",
        "threads limited: true",
    ] {
        assert!(said.iter().any(|said| said == line), "{line} is not in {said:?}");
    }
}

async fn a_volume_is_shared(site: &mut Site) {
    let shared =
        || Mount::Volume { volume: "shared".to_owned(), target: "/shared".to_owned(), read_only: false };
    let mut writer = site.player("writer", &["write", "/shared/file", "hello"]);
    writer.mounts.push(shared());
    let mut reader = site.player("reader", &["read", "/shared/file"]);
    reader.mounts.push(shared());
    reader.depends_on = BTreeMap::from([("writer".to_owned(), Condition::ServiceCompletedSuccessfully)]);
    let mut stack = site.plain_stack();
    let web = stack.services.get_mut("web").unwrap();
    // Keeps the volume in use between the writer's end and the reader's start.
    web.mounts.push(shared());
    writer.depends_on = BTreeMap::from([("web".to_owned(), Condition::ServiceStarted)]);
    let mut last = site.server("last");
    last.depends_on = BTreeMap::from([("reader".to_owned(), Condition::ServiceCompletedSuccessfully)]);
    for service in [writer, reader, last] {
        stack.services.insert(service.name.clone(), service);
    }
    stack.volumes.insert("shared".to_owned());
    let live = site.up(&stack).await.unwrap();
    live.down().await.unwrap();
    assert_eq!(site.logged("reader"), ["hello"]);
    assert_eq!(site.left().await, Vec::<String>::new());
}

async fn conditions_of_depends_on_hold(site: &mut Site) {
    let mut checked = site.player("checked", &["serve"]);
    checked.probe = None;
    checked.tmpfs.insert("/tmp".to_owned(), String::new());
    checked.healthcheck = Some(Healthcheck {
        test: ["CMD", PLAYER, "play", "check"].map(str::to_owned).to_vec(),
        interval_ms: 300,
        timeout_ms: 5_000,
        retries: 10,
        start_period_ms: 0,
    });
    let mut second = site.server("second");
    second.depends_on = BTreeMap::from([("checked".to_owned(), Condition::ServiceHealthy)]);
    let mut stack = site.plain_stack();
    let web = stack.services.get_mut("web").unwrap();
    web.depends_on = BTreeMap::from([("second".to_owned(), Condition::ServiceHealthy)]);
    for service in [checked, second] {
        stack.services.insert(service.name.clone(), service);
    }
    let live = site.up(&stack).await.unwrap();
    live.down().await.unwrap();
    let order: Vec<String> = site
        .heard()
        .iter()
        .filter_map(|event| match event {
            Event::ServiceStarted { service, .. } => Some(format!("{service} started")),
            Event::ServiceReady { service, .. } => Some(format!("{service} ready")),
            _ => None,
        })
        .collect();
    let expected =
        ["checked started", "checked ready", "second started", "second ready", "web started", "web ready"];
    assert_eq!(order, expected);
}

async fn logs_are_whole_and_in_order(site: &mut Site) {
    let mut stack = site.plain_stack();
    let web = stack.services.get_mut("web").unwrap();
    web.command = Some(["serve", "0", "2000"].map(str::to_owned).to_vec());
    let mut long = site.player("long", &["long-line"]);
    long.probe = None;
    stack.services.insert("long".to_owned(), long);
    let web = stack.services.get_mut("web").unwrap();
    web.depends_on = BTreeMap::from([("long".to_owned(), Condition::ServiceCompletedSuccessfully)]);
    let live = site.up(&stack).await.unwrap();
    live.control(ControlOp::Restart, "web").await.unwrap();
    live.down().await.unwrap();
    let once = || (0..2000).map(|n| format!("line {n}")).chain(["serving".to_owned()]);
    let lines = site.logged("web");
    let expected: Vec<String> = once().chain(["asked to end".to_owned()]).chain(once()).collect();
    // The second start may have been cut short by the teardown, never the first.
    assert!(lines.len() >= 2002, "{}", lines.len());
    assert_eq!(lines, expected[..lines.len()]);
    let mut long = site.logged("long");
    long.sort_unstable_by_key(String::len);
    assert_eq!(long.iter().map(String::len).collect::<Vec<_>>(), [8, 10, 100_000]);
    assert_eq!(long[..2], ["an error", "unfinished"]);
}

async fn services_are_controlled(site: &mut Site) {
    let mut stack = site.plain_stack();
    stack.services.insert("echo".to_owned(), site.player("echo", &["echo"]));
    let live = site.up(&stack).await.unwrap();
    let target = format!("{}:{PORT}", live.addresses()["echo"]);
    let role = ["tcp", target.as_str()];
    live.control(ControlOp::Kill, "echo").await.unwrap();
    assert!(site.ask_inside(&live, &role).await.starts_with("not reached"));
    live.control(ControlOp::Start, "echo").await.unwrap();
    // Somebody who serves says so first.
    site.until(|site| site.logged("echo").len() == 2).await;
    assert_eq!(site.ask_inside(&live, &role).await, "reached");
    live.control(ControlOp::Pause, "echo").await.unwrap();
    assert!(site.ask_inside(&live, &role).await.starts_with("not reached"));
    live.control(ControlOp::Unpause, "echo").await.unwrap();
    assert_eq!(site.ask_inside(&live, &role).await, "reached");
    live.control(ControlOp::Stop, "web").await.unwrap();
    assert!(site.logged("web").contains(&"asked to end".to_owned()), "it was asked before it was killed");
    live.control(ControlOp::Start, "web").await.unwrap();
    assert_eq!(*live.health().borrow(), StackHealth::Serving);
    let unknown = live.control(ControlOp::Stop, "nobody").await.unwrap_err();
    assert!(matches!(unknown, StackError::UnknownService { .. }));
    live.down().await.unwrap();
    let exits: Vec<(String, bool)> = site
        .heard()
        .iter()
        .filter_map(|event| match event {
            Event::ServiceExited { service, expected, .. } => Some((service.clone(), *expected)),
            _ => None,
        })
        .collect();
    assert_eq!(exits, [("echo".to_owned(), true), ("web".to_owned(), true)]);
}

async fn a_stack_with_a_paused_service_goes_down(site: &mut Site) {
    let live = site.up(&site.plain_stack()).await.unwrap();
    live.control(ControlOp::Pause, "web").await.unwrap();
    live.down().await.unwrap();
    assert_eq!(site.left().await, Vec::<String>::new());
}

async fn an_unasked_end_breaks_the_stack(site: &mut Site) {
    let mut stack = site.plain_stack();
    let mut mortal = site.player("mortal", &["die", "1500", "7"]);
    mortal.probe = None;
    stack.services.insert("mortal".to_owned(), mortal);
    let live = site.up(&stack).await.unwrap();
    let mut health = live.health();
    let broken = health.wait_for(|health| *health != StackHealth::Serving).await.unwrap().clone();
    let StackHealth::Broken(failure) = broken else { panic!("{broken:?}") };
    assert_eq!(failure.service.as_deref(), Some("mortal"));
    assert_eq!(failure.log.len(), 2, "{failure:?}");
    live.down().await.unwrap();
}

async fn two_stacks_live_side_by_side(site: &mut Site) {
    let first = site.plain_stack();
    let mut second = first.clone();
    "other".clone_into(&mut second.profile);
    let (first, second) = tokio::join!(site.up(&first), site.up(&second));
    let (first, second) = (first.unwrap(), second.unwrap());
    let web = |live: &stack::LiveStack| format!("{}:{PORT}", live.addresses()["web"]);
    assert_ne!(web(&first), web(&second));
    let across = site.ask_inside(&first, &["tcp", &web(&second)]).await;
    assert!(across.starts_with("not reached"), "{across}");
    first.down().await.unwrap();
    assert_eq!(site.left().await.len(), 3, "the other stack stays");
    second.down().await.unwrap();
}

async fn a_taken_address_range_is_left(site: &mut Site) {
    // The ranges of one run come in a fixed order: the first one is found out and taken.
    let stack = site.plain_stack();
    let live = site.up(&stack).await.unwrap();
    let base = u32::from(live.addresses()["web"]) & !63;
    live.down().await.unwrap();
    let name = format!("testbed-{}-taken", site.context.run);
    let labels = BTreeMap::from([(label::RUN.to_owned(), site.context.run.to_string())]);
    let subnet = format!("{}/26", std::net::Ipv4Addr::from(base));
    let spec = NetworkSpec { name: name.clone(), subnet, gateway: None, isolated: true, labels };
    site.daemon.create_network(&spec).await.unwrap();
    assert!(
        !route_table().unwrap().contains(&format!("{:08X}", base.swap_bytes())),
        "the host does not know it"
    );
    let live = site.up(&stack).await.unwrap();
    assert_ne!(u32::from(live.addresses()["web"]) & !63, base);
    live.down().await.unwrap();
    site.daemon.remove_network(&name).await.unwrap();
}

async fn a_cancelled_bring_up_leaves_nothing(site: &mut Site) {
    let stack = site.plain_stack();
    let mut cancelled = 0;
    for moment_ms in [0, 5, 20, 60, 100, 150, 220, 300, 450] {
        let cancel = CancellationToken::new();
        let coming = stack::up(&site.daemon, &stack, &site.context, &site.events, &cancel);
        let later = async {
            tokio::time::sleep(Duration::from_millis(moment_ms)).await;
            cancel.cancel();
        };
        match tokio::join!(coming, later).0 {
            Ok(live) => live.down().await.unwrap(),
            Err(StackError::Cancelled { .. }) => cancelled += 1,
            Err(other) => panic!("after {moment_ms} ms: {other:?}"),
        }
        assert_eq!(site.left().await, Vec::<String>::new(), "after {moment_ms} ms");
    }
    assert!(cancelled >= 3, "{cancelled}");
}

async fn gc_removes_what_a_dead_run_left(site: &mut Site) {
    let own = ProcessIdentity::own().unwrap();
    let dead = ProcessIdentity { start_ticks: own.start_ticks + 1, ..own.clone() };
    let owned_by = |owner: &ProcessIdentity| {
        BTreeMap::from([
            (label::RUN.to_owned(), site.context.run.to_string()),
            (label::OWNER.to_owned(), Owner::from(owner).to_string()),
        ])
    };
    let volume = |name: &str, owner| testbed_engine::docker::VolumeSpec {
        name: format!("testbed-{}-{name}", site.context.run),
        labels: owned_by(owner),
        size_bytes: 1 << 20,
    };
    site.daemon.create_volume(&volume("dead", &dead)).await.unwrap();
    site.daemon.create_volume(&volume("alive", &own)).await.unwrap();
    let name = format!("testbed-{}-dead", site.context.run);
    let subnet = "10.230.255.64/26".to_owned();
    let spec =
        NetworkSpec { name: name.clone(), subnet, gateway: None, isolated: true, labels: owned_by(&dead) };
    site.daemon.create_network(&spec).await.unwrap();
    let id = site.container(&["serve"], |spec| spec.labels = owned_by(&dead)).await;
    let swept = stack::gc(&site.daemon).await.unwrap();
    assert!(swept.networks.contains(&name), "{swept:?}");
    assert_eq!(site.left().await, [format!("testbed-{}-alive", site.context.run)]);
    assert!(site.daemon.state(&id).await.unwrap_err().is_not_found());
    site.daemon.remove_volume(&volume("alive", &own).name).await.unwrap();
}
