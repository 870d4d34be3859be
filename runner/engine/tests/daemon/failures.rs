//! Stacks that do not come up in the real daemon: what is said, and that nothing is left.

use std::collections::BTreeMap;

use libtest_mimic::Trial;
use testbed_engine::host::clock::Clock;
use testbed_model::event::{Event, StackFailureCause};
use testbed_model::hint::Hint;
use testbed_model::stack::{Condition, DeviceReservation, Mount, Probe};

use crate::site::{PORT, Site, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("a_service_that_dies_is_named_with_code_log_and_chain", a_service_that_dies),
        trial("a_service_that_dies_at_once_is_named_all_the_same", a_service_that_dies_at_once),
        trial("a_service_without_memory_is_said_to_lack_it", a_service_without_memory),
        trial("a_silent_service_runs_into_the_timeout", a_silent_service),
        trial("an_image_that_is_not_there_is_named_with_the_way_out", an_image_that_is_not_there),
        trial("a_command_that_is_not_there_is_named", a_command_that_is_not_there),
        trial("a_mount_that_is_not_there_is_named", a_mount_that_is_not_there),
        trial("a_device_that_is_not_there_is_named", a_device_that_is_not_there),
    ]
}

async fn a_service_that_dies(site: &mut Site) {
    let mut stack = site.plain_stack();
    stack.services.insert("mortal".to_owned(), site.player("mortal", &["die", "300", "7"]));
    let web = stack.services.get_mut("web").unwrap();
    web.depends_on = BTreeMap::from([("mortal".to_owned(), Condition::ServiceHealthy)]);
    let clock = Clock::start();
    let (failure, error) = site.failure(&stack).await;
    assert!(clock.elapsed_ms() < 10_000, "no timeout was waited for");
    assert_eq!(failure.service.as_deref(), Some("mortal"));
    assert_eq!(failure.cause, StackFailureCause::Exited { exit_code: 7, oom_killed: false });
    assert_eq!(failure.last_answer.as_deref(), Some("connection refused"));
    assert_eq!(failure.chain, ["web", "mortal"]);
    let mut log = failure.log;
    log.sort_unstable();
    assert_eq!(log, ["about to end", "with code 7"]);
    assert_eq!(error.to_string(), "stack `plain` did not come up: `mortal` ended with code 7");
    assert!(site.heard().iter().any(|event| matches!(event, Event::StackFailed { .. })));
}

async fn a_service_that_dies_at_once(site: &mut Site) {
    let mut stack = site.plain_stack();
    stack.services.insert("mortal".to_owned(), site.player("mortal", &["die", "0", "0"]));
    let (failure, _) = site.failure(&stack).await;
    assert_eq!(failure.service.as_deref(), Some("mortal"));
    assert_eq!(failure.cause, StackFailureCause::Exited { exit_code: 0, oom_killed: false });
    assert_eq!(failure.log.len(), 2, "{failure:?}");
}

async fn a_service_without_memory(site: &mut Site) {
    let mut stack = site.plain_stack();
    stack.services.insert("hungry".to_owned(), site.player("hungry", &["eat"]));
    let (failure, error) = site.failure(&stack).await;
    assert_eq!(failure.service.as_deref(), Some("hungry"));
    assert_eq!(failure.cause, StackFailureCause::Exited { exit_code: 137, oom_killed: true });
    assert_eq!(failure.log, ["eating"]);
    assert!(error.hint().unwrap().contains("memory limit of `hungry`"));
}

async fn a_silent_service(site: &mut Site) {
    let mut stack = site.plain_stack();
    stack.timeouts.ready_ms = 2_500;
    let web = stack.services.get_mut("web").unwrap();
    web.probe = Some(Probe::Http { port: PORT, path: "/".to_owned(), contains: Some("nonsense".to_owned()) });
    let (failure, _) = site.failure(&stack).await;
    assert_eq!(failure.service.as_deref(), Some("web"));
    let waiting_for = "probe of `web`".to_owned();
    assert_eq!(failure.cause, StackFailureCause::TimedOut { after_ms: 2_500, waiting_for });
    assert!(failure.last_answer.unwrap().ends_with("without `nonsense`"));
    assert_eq!(failure.log, ["serving"]);
}

async fn an_image_that_is_not_there(site: &mut Site) {
    let mut stack = site.plain_stack();
    "testbed-tests/no-such-image:1".clone_into(&mut stack.services.get_mut("web").unwrap().image_reference);
    let (failure, error) = site.failure(&stack).await;
    assert_eq!(failure.service.as_deref(), Some("web"));
    assert!(error.to_string().contains("`testbed-tests/no-such-image:1`"), "{error}");
    assert!(error.hint().unwrap().contains("testbed images build"));
}

async fn a_command_that_is_not_there(site: &mut Site) {
    let mut stack = site.plain_stack();
    stack.services.get_mut("web").unwrap().entrypoint = Some(vec!["/no/such/command".to_owned()]);
    let (failure, error) = site.failure(&stack).await;
    assert_eq!(failure.service.as_deref(), Some("web"));
    assert!(error.to_string().contains("/no/such/command"), "{error}");
}

async fn a_mount_that_is_not_there(site: &mut Site) {
    let mut stack = site.plain_stack();
    stack.services.get_mut("web").unwrap().mounts.push(Mount::Bind {
        source: "/no/such/folder".to_owned(),
        target: "/models".to_owned(),
        read_only: true,
    });
    let (failure, error) = site.failure(&stack).await;
    assert_eq!(failure.service.as_deref(), Some("web"));
    assert!(error.to_string().contains("/no/such/folder"), "{error}");
}

async fn a_device_that_is_not_there(site: &mut Site) {
    // Facts say that there is one; the daemon, which is real, knows nothing of it.
    site.simulate_gpu();
    let mut stack = site.plain_stack();
    stack.services.get_mut("web").unwrap().devices.push(DeviceReservation {
        driver: Some("nvidia".to_owned()),
        count: Some(1),
        device_ids: Vec::new(),
        capabilities: vec!["gpu".to_owned()],
        options: BTreeMap::new(),
    });
    let (failure, error) = site.failure(&stack).await;
    assert_eq!(failure.service.as_deref(), Some("web"));
    assert!(error.hint().unwrap().contains("profile without GPU"), "{error}");
}
