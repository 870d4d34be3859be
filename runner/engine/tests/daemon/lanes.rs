//! Lanes in the real daemon: what a tool finds in its container, and everything that can end it early.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use testbed_engine::exec::drive::{Drive, LaneEnd};
use testbed_engine::exec::executor::{Executor, RunContext};
use testbed_engine::exec::job::{EventPipe, Step};
use testbed_engine::exec::place::PlaceContext;
use testbed_engine::exec::pytest::Pytest;
use testbed_engine::exec::rounds::Repeat;
use testbed_engine::exec::site::{Assembly, Site as ExecSite, StackSite, WORK};
use testbed_engine::host::files::Identity;
use testbed_engine::schedule::{self, Capacity};
use testbed_engine::stack::{AGENT_PATH, LiveStack};
use testbed_model::case::Outcome;
use testbed_model::event::Event;
use testbed_model::lane::{Habits, Lane, LaneId, LaneTimeouts, SuiteKind};
use testbed_model::plan::Plan;
use testbed_model::stack::Limits;
use testbed_model::tier::{TestType, Tier};
use tokio_util::sync::CancellationToken;

use crate::plan;
use crate::site::{Site, owner, trial};

const STRANGER: Identity = Identity { uid: 10001, gid: 10001 };

pub fn trials() -> Vec<Trial> {
    vec![
        trial("a_tool_finds_a_writable_copy_in_a_closed_container", a_tool_finds_a_writable_copy),
        trial("cases_are_told_as_they_happen", cases_are_told_as_they_happen),
        trial("a_cancelled_lane_loses_no_case_and_leaves_nothing", a_cancelled_lane_loses_no_case),
        trial("a_lane_whose_time_runs_out_is_ended", a_lane_whose_time_runs_out_is_ended),
        trial("a_crash_is_an_error_of_the_case_that_ran", a_crash_is_an_error),
        trial("a_lane_that_eats_its_memory_is_said_to_have", a_lane_that_eats_its_memory),
        trial("a_case_controls_its_stack", a_case_controls_its_stack),
        trial("a_stack_that_breaks_ends_its_lane_at_once", a_stack_that_breaks_ends_its_lane),
        trial("a_project_that_only_root_may_read_is_copied", a_project_that_only_root_may_read),
    ]
}

/// A lane with a project of one file.
struct Bench {
    lane: Lane,
    project: tempfile::TempDir,
}

/// What became of a lane.
struct Ended {
    end: LaneEnd,
    cases: Vec<(String, Outcome, String)>,
    output: Vec<String>,
}

impl Bench {
    fn new(profile: Option<&str>) -> Self {
        let project = tempfile::tempdir().unwrap();
        fs::set_permissions(project.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(project.path().join("deep")).unwrap();
        fs::write(project.path().join("deep/file"), "content").unwrap();
        let lane = Lane {
            id: LaneId { suite: "suite".to_owned(), part: None, profile: profile.map(str::to_owned) },
            kind: SuiteKind::Pytest,
            test_type: TestType::E2e,
            image: "nothing".to_owned(),
            image_reference: String::new(),
            paths: Vec::new(),
            expression: None,
            keyword: None,
            cases: None,
            environment: [("WORD".to_owned(), "given".to_owned())].into(),
            arguments: Vec::new(),
            habits: Habits::default(),
            workers: 1,
            covered_by: Vec::new(),
            covered_later: Vec::new(),
            timeouts: LaneTimeouts { case_ms: 30_000, suite_ms: 30_000 },
            limits: Limits { memory_bytes: 256 << 20, nano_cpus: 1_000_000_000, pids: 64 },
            mounts: Vec::new(),
        };
        Self { lane, project }
    }

    /// Has the player act as the lane's tool.
    async fn run(&self, site: &mut Site, acts: &[&str]) -> Ended {
        self.run_with(site, acts, None, &CancellationToken::new()).await
    }

    async fn run_with(
        &self,
        site: &mut Site,
        acts: &[&str],
        stack: Option<&LiveStack>,
        cancel: &CancellationToken,
    ) -> Ended {
        let lane = Lane { image_reference: site.image().to_owned(), ..self.lane.clone() };
        let exec_site = ExecSite {
            run: site.context.run.clone(),
            owner: owner(),
            user: STRANGER,
            agent: text(&site.context.agent_binary),
            plugin: String::new(),
            root: text(self.project.path()),
            project: text(self.project.path()),
            files: vec!["deep/file".to_owned()],
            seed: 0,
        };
        let seat = stack.map(|live| live.seat().unwrap());
        let stack_site = seat.as_ref().zip(stack).map(|(seat, live)| StackSite {
            stack: live.plan().clone(),
            network: seat.network.clone(),
            names: seat.extra_hosts.clone(),
            dns: seat.dns.clone(),
        });
        let mut assembly = Assembly::new(&lane, &exec_site, stack_site.as_ref(), WORK);
        assembly.job.control = stack.map(|_| "/data/control.sock".to_owned());
        let argv = [AGENT_PATH, "play", "act"].into_iter().chain(acts.iter().copied());
        assembly.job.steps.push(Step {
            id: "pytest".to_owned(),
            argv: argv.map(str::to_owned).collect(),
            events: EventPipe::Open,
            ..Step::default()
        });
        let before = site.heard().len();
        let (daemon, events) = (site.daemon.clone(), site.events.clone());
        let drive = Drive { daemon: &daemon, events: &events, lane: &lane, stack, cancel, rounds: None };
        let end = drive.run(&assembly, Box::new(Pytest::default())).await;
        let heard = site.heard().get(before..).unwrap_or_default();
        let cases = heard.iter().filter_map(|event| match event {
            Event::CaseFinished { result, .. } => {
                Some((result.case.id.clone(), result.outcome, result.message.clone().unwrap_or_default()))
            }
            _ => None,
        });
        let output = heard.iter().filter_map(|event| match event {
            Event::LaneOutput { line, .. } => Some(line.clone()),
            _ => None,
        });
        Ended { end, cases: cases.collect(), output: output.collect() }
    }
}

impl Ended {
    fn outcomes(&self) -> Vec<(&str, Outcome)> {
        self.cases.iter().map(|(id, outcome, _)| (id.as_str(), *outcome)).collect()
    }

    fn failure(&self) -> (&str, bool) {
        self.end
            .failure
            .as_ref()
            .map_or(("", false), |failure| (failure.message.as_str(), failure.environment))
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

const COLLECTED: &str = r#"tell {"event":"collected","cases":[{"id":"a"},{"id":"b"}],"deselected":0}"#;
const START_A: &str = r#"tell {"event":"started","id":"a"}"#;
const PASS_A: &str = r#"tell {"event":"finished","id":"a","outcome":"passed","duration_s":0.1}"#;

async fn a_tool_finds_a_writable_copy(site: &mut Site) {
    let ended = Bench::new(None).run(site, &["look"]).await;
    let expected = [
        "uid 10001 gid 10001, capabilities 0000000000000000, new privileges refused",
        "in /work: content",
        "write /work/new: yes",
        "write /work/deep/file: yes",
        "write /tmp/new: yes",
        "write /data/new: yes",
        "write /mnt/project/new: no",
        "write /new: no",
        "interfaces: lo",
        "HOME=/data HOSTNAME=tests LANG=C.UTF-8 PYTHONHASHSEED=0 TMPDIR=/tmp TZ=UTC WORD=given",
        "not set: CARGO_HOME USERPROFILE DOCKER_HOST",
    ];
    assert_eq!(ended.output, expected);
}

async fn cases_are_told_as_they_happen(site: &mut Site) {
    let clock = Instant::now();
    let bench = Bench::new(None);
    let acts = [COLLECTED, START_A, PASS_A, "wait 1500"];
    let running = bench.run(site, &acts);
    let ended = running.await;
    assert!(clock.elapsed() >= Duration::from_millis(1500));
    let outcomes = [("a", Outcome::Passed), ("b", Outcome::Skipped)];
    assert_eq!(ended.outcomes(), outcomes);
    assert_eq!(ended.failure(), ("", false));
    let told =
        site.when(|event| matches!(event, Event::CaseFinished { result, .. } if result.case.id == "a"));
    let end = site.when(|event| matches!(event, Event::CaseFinished { result, .. } if result.case.id == "b"));
    assert!(end - told > 1_200_000, "`a` was told {} us before the tool's end", end - told);
}

async fn a_cancelled_lane_loses_no_case(site: &mut Site) {
    let cancel = CancellationToken::new();
    let soon = cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        soon.cancel();
    });
    let bench = Bench::new(None);
    let clock = Instant::now();
    let ended = bench.run_with(site, &[COLLECTED, START_A, "wait 30000"], None, &cancel).await;
    assert!(clock.elapsed() < Duration::from_secs(8), "{:?}", clock.elapsed());
    assert_eq!(ended.outcomes(), [("a", Outcome::Interrupted), ("b", Outcome::Skipped)]);
    assert_eq!(site.left().await, Vec::<String>::new());
}

async fn a_lane_whose_time_runs_out_is_ended(site: &mut Site) {
    let mut bench = Bench::new(None);
    bench.lane.timeouts.suite_ms = 1500;
    let ended = bench.run(site, &[COLLECTED, START_A, "stubborn", "wait 30000"]).await;
    assert_eq!(ended.outcomes(), [("a", Outcome::TimedOut), ("b", Outcome::Skipped)]);
    assert_eq!(ended.failure(), ("the suite's time of 1500 ms ran out", false));
}

async fn a_crash_is_an_error(site: &mut Site) {
    let ended = Bench::new(None).run(site, &[COLLECTED, START_A, "print last words", "crash"]).await;
    assert_eq!(ended.outcomes(), [("a", Outcome::Error), ("b", Outcome::Skipped)]);
    assert_eq!(ended.cases[0].2, "it was running when pytest was ended by signal 6");
    assert_eq!(ended.failure(), ("pytest was ended by signal 6", false));
    assert!(ended.end.failure.unwrap().log.contains(&"last words".to_owned()));
}

async fn a_lane_that_eats_its_memory(site: &mut Site) {
    let mut bench = Bench::new(None);
    bench.lane.limits.memory_bytes = 64 << 20;
    let ended = bench.run(site, &[COLLECTED, START_A, "eat"]).await;
    assert_eq!(ended.outcomes()[0], ("a", Outcome::Error));
    assert_eq!(ended.failure(), ("the lane's container ran out of its 64MiB of memory", true));
}

async fn a_case_controls_its_stack(site: &mut Site) {
    let live = site.up(&plan::stack([site.server("web"), site.server("other")], "web")).await.unwrap();
    let bench = Bench::new(Some("mini"));
    let acts = [
        "reach web",
        r#"ask {"op":"stop","service":"other"}"#,
        r#"ask {"op":"start","service":"other"}"#,
        r#"ask {"op":"stop","service":"nobody"}"#,
        r#"ask {"op":"melt","service":"web"}"#,
    ];
    let ended = bench.run_with(site, &acts, Some(&live), &CancellationToken::new()).await;
    assert_eq!(ended.output[0], "web answers");
    assert_eq!(ended.output[1..3], [r#"{"ok":true}"#, r#"{"ok":true}"#]);
    assert!(ended.output[3].contains("has no service `nobody`"), "{}", ended.output[3]);
    assert!(ended.output[4].contains("unknown operation `melt`"), "{}", ended.output[4]);
    assert_eq!(ended.end.broken_stack, None);
    live.down().await.unwrap();
}

async fn a_stack_that_breaks_ends_its_lane(site: &mut Site) {
    let mortal = site.player("mortal", &["act", "mortal"]);
    let live = site.up(&plan::stack([site.server("web"), mortal], "web")).await.unwrap();
    let bench = Bench::new(Some("mini"));
    let acts = [COLLECTED, START_A, "stubborn", "slay mortal", "wait 30000"];
    let ended = bench.run_with(site, &acts, Some(&live), &CancellationToken::new()).await;
    assert_eq!(ended.outcomes(), [("a", Outcome::Interrupted), ("b", Outcome::Skipped)]);
    // With a code of its own, so it is the product that failed, and not what is around it.
    assert_eq!(ended.failure(), ("`mortal` ended with code 7", false));
    assert_eq!(ended.end.broken_stack.as_deref(), Some("`mortal` ended with code 7"));
    assert_eq!(ended.end.failure.unwrap().log, ["slain"]);
    let died = site.when(|event| matches!(event, Event::ServiceExited { .. }));
    let told = site.when(|event| matches!(event, Event::CaseFinished { .. }));
    assert!(told.saturating_sub(died) < 2_000_000, "{} us after the death", told.saturating_sub(died));
    live.down().await.unwrap();
}

/// The whole way: schedule, executor, container; with a folder that is closed to the container's user.
async fn a_project_that_only_root_may_read(site: &mut Site) {
    let bench = Bench::new(None);
    fs::set_permissions(bench.project.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let state = bench.project.path().join(".testbed");
    let place = PlaceContext {
        run: site.context.run.clone(),
        project: bench.project.path().to_owned(),
        state: state.clone(),
        plugin: PathBuf::from("/tmp"),
        agent_binary: site.context.agent_binary.clone(),
        seed: 0,
    };
    let context =
        RunContext { place, stacks: site.context.clone(), standing: Vec::new(), repeat: Repeat::Once };
    let executor = Executor::new(site.daemon.clone(), site.events.clone(), context).unwrap();
    let lane = Lane { image_reference: site.image().to_owned(), ..bench.lane.clone() };
    let plan = Plan {
        schema: 1,
        tier: Tier::Premerge,
        project: "x".to_owned(),
        images: [].into(),
        stacks: Vec::new(),
        lanes: vec![lane],
        skipped: Vec::new(),
        skips: Vec::new(),
        models: [].into(),
        whole: None,
    };
    let capacity = Capacity::of_host(2, 8 << 30, 0);
    let cancel = CancellationToken::new();
    let outcome = schedule::run(&plan, Arc::new(executor), capacity, &site.events.clone(), &cancel).await;
    let failures: Vec<String> = site
        .heard()
        .iter()
        .filter_map(|event| match event {
            Event::LaneFinished { failure: Some(failure), .. } => Some(failure.message.clone()),
            _ => None,
        })
        .collect();
    // The image holds nothing; that the tool was looked for shows that the copy had succeeded.
    assert!(failures[0].starts_with("the suite's image has no `python3`"), "{failures:?}");
    assert!(outcome.damage.environment, "an image without Python is no red test");
    if Identity::own().is_root() {
        assert_eq!(fs::read_dir(state.join("cache")).unwrap().count(), 0, "the copy goes with the run");
    }
}
