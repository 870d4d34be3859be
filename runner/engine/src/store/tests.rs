//! A run's folder, whole, cut, and where it cannot be.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use testbed_model::case::{Case, CaseResult, Counts, Outcome};
use testbed_model::event::{Event, LogWindow, Stamped};
use testbed_model::exit_code::ExitCode;
use testbed_model::facts::Facts;
use testbed_model::hint::Hint as _;
use testbed_model::id::RunId;
use testbed_model::lane::LaneId;
use testbed_model::plan::Plan;
use testbed_model::record::Manifest;
use testbed_model::tier::Tier;

use super::{Store, StoreError, case_log_name, name};

fn run() -> RunId {
    "20261121-143005-a1b2c3".parse().unwrap()
}

fn plan() -> Plan {
    Plan {
        schema: 1,
        tier: Tier::Premerge,
        project: "x".to_owned(),
        images: BTreeMap::new(),
        stacks: Vec::new(),
        lanes: Vec::new(),
        skipped: Vec::new(),
        skips: Vec::new(),
    }
}

fn manifest(exit_code: Option<ExitCode>) -> Manifest {
    Manifest {
        schema: 1,
        run: run(),
        testbed: "0.1.0".to_owned(),
        arguments: vec!["testbed".to_owned()],
        tier: Some(Tier::Premerge),
        plan: None,
        images: BTreeMap::new(),
        facts: Facts::default(),
        seed: 0,
        started: jiff::Timestamp::UNIX_EPOCH,
        finished: None,
        counts: None,
        exit_code,
    }
}

fn lane() -> LaneId {
    LaneId { suite: "e2e".to_owned(), part: None, profile: Some("mocker".to_owned()) }
}

fn stamped(seq: u64, event: Event) -> Stamped {
    Stamped { seq, at: jiff::Timestamp::UNIX_EPOCH, elapsed_us: seq * 1000, event }
}

fn finished(id: &str, output: &str) -> Event {
    Event::CaseFinished {
        lane: lane(),
        result: CaseResult {
            case: Case {
                id: id.to_owned(),
                file: Some("a.py".to_owned()),
                line: Some(3),
                markers: Vec::new(),
            },
            outcome: Outcome::Failed,
            duration_ms: 1234,
            attempts: 2,
            message: Some("assert 1 == 2".to_owned()),
            details: Some("def test():\n".to_owned()),
            output: output.to_owned(),
        },
        service_logs: vec![LogWindow {
            service: "worker-0".to_owned(),
            lines: vec!["a line".to_owned()],
            omitted: 4,
        }],
    }
}

fn create(state: &Path) -> Result<Store, StoreError> {
    Store::create(state, &run(), Some(&plan()), &manifest(None))
}

#[test]
fn a_record_reads_back_as_it_was_written() {
    let state = tempfile::tempdir().unwrap();
    let mut store = create(state.path()).unwrap();
    let events = [
        stamped(0, Event::CaseStarted { lane: lane(), case: "a".to_owned() }),
        stamped(1, finished("a", "out\n")),
        stamped(
            2,
            Event::LaneFinished { lane: lane(), counts: Counts::default(), took_ms: 9, failure: None },
        ),
    ];
    for event in &events {
        store.append(event).unwrap();
    }
    store.finish(&manifest(Some(ExitCode::TestFailed))).unwrap();
    let record = Store::open(&state.path().join("latest")).unwrap();
    assert_eq!((record.events.as_slice(), record.damaged), (&events[..], 0));
    assert_eq!(record.manifest.exit_code, Some(ExitCode::TestFailed));
    assert_eq!(record.plan, Some(plan()));
    assert_eq!(fs::read_to_string(state.path().join(".gitignore")).unwrap(), "*\n");
}

#[test]
fn a_journal_cut_anywhere_gives_all_whole_lines() {
    let state = tempfile::tempdir().unwrap();
    let mut store = create(state.path()).unwrap();
    for seq in 0..4 {
        store.append(&stamped(seq, finished("a", "out"))).unwrap();
    }
    let path = store.folder().join("events.jsonl");
    let whole = fs::read(&path).unwrap();
    for cut in 0..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let record = Store::open(store.folder()).unwrap();
        // A last line that lacks only its end is whole.
        let expected = whole.iter().take(cut + 1).filter(|byte| **byte == b'\n').count();
        assert_eq!(record.events.len(), expected, "cut at {cut}");
        assert!(record.damaged <= 1 && record.manifest.finished.is_none());
    }
}

#[test]
fn lines_of_services_and_tools_go_to_their_logs_and_a_case_has_its_own() {
    let state = tempfile::tempdir().unwrap();
    let mut store = create(state.path()).unwrap();
    let log = |line: &str| Event::ServiceLog {
        stack: "mocker".to_owned(),
        service: "worker-0".to_owned(),
        line: line.to_owned(),
    };
    store.append(&stamped(0, log("one"))).unwrap();
    store.append(&stamped(1, Event::LaneOutput { lane: lane(), line: "tool".to_owned() })).unwrap();
    store.append(&stamped(2, log("two"))).unwrap();
    store.append(&stamped(3, finished("suites/t.py::test_a[x/y]", "printed\n"))).unwrap();
    let read = |name: &str| fs::read_to_string(store.folder().join(name)).unwrap();
    assert_eq!(read("services/mocker/worker-0.log"), "00:00:00.000 one\n00:00:00.000 two\n");
    assert_eq!(read("lanes/e2e@mocker.log"), "00:00:00.000 tool\n");
    let case = case_log_name(&lane(), "suites/t.py::test_a[x/y]");
    insta::assert_snapshot!(read(&case));
    assert_eq!(Store::open(store.folder()).unwrap().events.len(), 1);
}

#[test]
fn names_of_files_stay_inside_and_apart() {
    assert_eq!(name("../../etc"), "..-..-etc");
    assert_eq!(name(".."), "_..");
    let of = |case: &str| case_log_name(&lane(), case);
    assert_ne!(of("a/b"), of("a-b"));
    assert!(of(&"x".repeat(5000)).len() < 160);
    assert!(of("../../x").starts_with("cases/e2e@mocker/"), "{}", of("../../x"));
    assert!(!of("../../x").contains("/.."));
}

#[test]
fn a_second_run_takes_over_latest_and_the_first_stays_readable() {
    let state = tempfile::tempdir().unwrap();
    let first = create(state.path()).unwrap().folder().to_owned();
    let other: RunId = "20261121-143006-000000".parse().unwrap();
    let second = Store::create(state.path(), &other, None, &manifest(None)).unwrap();
    let latest = state.path().join("latest").canonicalize().unwrap();
    assert_eq!(latest, second.folder().canonicalize().unwrap());
    assert!(Store::open(&first).unwrap().plan.is_some());
    assert!(Store::open(second.folder()).unwrap().plan.is_none());
}

#[test]
fn what_cannot_be_written_is_named_with_a_way_out() {
    let state = tempfile::tempdir().unwrap();
    fs::write(state.path().join("runs"), "in the way").unwrap();
    let error = create(state.path()).unwrap_err();
    assert!(error.to_string().starts_with("cannot write `"), "{error}");
    assert_eq!(error.exit_code(), ExitCode::Environment);
    let with = |kind: std::io::ErrorKind| StoreError::Write {
        path: state.path().join("runs/x/events.jsonl"),
        source: std::io::Error::from(kind),
    };
    assert!(with(std::io::ErrorKind::StorageFull).hint().unwrap().contains("free some space"));
    assert!(with(std::io::ErrorKind::ReadOnlyFilesystem).hint().unwrap().contains("writable"));
}

/// Root ignores modes, so this says something only for other users; root's case is the read-only file system.
#[test]
fn a_folder_without_permission_is_an_error_and_not_a_panic() {
    let state = tempfile::tempdir().unwrap();
    fs::set_permissions(state.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let result = create(state.path());
    fs::set_permissions(state.path(), fs::Permissions::from_mode(0o755)).unwrap();
    if !crate::host::files::Identity::own().is_root() {
        assert!(result.unwrap_err().hint().unwrap().contains("writable"));
    }
}

/// `/dev/full` is a disk that is always full.
#[test]
fn a_full_disk_is_an_error_with_a_way_out_and_earlier_results_stay_readable() {
    let state = tempfile::tempdir().unwrap();
    let mut store = create(state.path()).unwrap();
    store.append(&stamped(0, Event::CaseStarted { lane: lane(), case: "a".to_owned() })).unwrap();
    let lanes = store.folder().join("lanes");
    fs::create_dir(&lanes).unwrap();
    std::os::unix::fs::symlink("/dev/full", lanes.join("e2e@mocker.log")).unwrap();
    store.append(&stamped(1, Event::LaneOutput { lane: lane(), line: "x".to_owned() })).unwrap();
    let error =
        store.append(&stamped(2, Event::CaseStarted { lane: lane(), case: "b".to_owned() })).unwrap_err();
    assert!(error.hint().unwrap().contains("free some space"), "{error}");
    assert_eq!(Store::open(store.folder()).unwrap().events.len(), 1);
}

#[test]
fn something_that_is_no_record_is_said_to_be_none() {
    let folder = tempfile::tempdir().unwrap();
    let error = Store::open(folder.path()).unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Usage);
    fs::write(folder.path().join("manifest.json"), "{}").unwrap();
    let error = Store::open(folder.path()).unwrap_err();
    assert!(error.to_string().contains("is not a manifest of Testbed"), "{error}");
}
