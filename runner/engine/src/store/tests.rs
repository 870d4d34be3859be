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
use testbed_model::record::sample::{Figures, MEMORY, Source};
use testbed_model::tier::Tier;

use super::{Store, StoreError, case_log_name, find, logs, name, open, runs, samples};

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
        models: BTreeMap::new(),
        whole: None,
    }
}

fn manifest(exit_code: Option<ExitCode>) -> Manifest {
    Manifest {
        schema: testbed_model::record::SCHEMA,
        run: run(),
        testbed: "0.1.0".to_owned(),
        arguments: vec!["testbed".to_owned()],
        tier: Some(Tier::Premerge),
        plan: None,
        images: BTreeMap::new(),
        environments: Vec::new(),
        facts: Facts::default(),
        changes: None,
        seed: 0,
        budget_ms: None,
        shares: Vec::new(),
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
            rounds: None,
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
    let record = open(&state.path().join("latest")).unwrap();
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
    let path = store.folder().path().join("events.jsonl");
    let whole = fs::read(&path).unwrap();
    for cut in 0..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let record = open(store.folder().path()).unwrap();
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
    let read = |name: &str| fs::read_to_string(store.folder().path().join(name)).unwrap();
    assert_eq!(
        read("services/mocker/worker-0.log"),
        "1970-01-01T00:00:00.000Z one\n1970-01-01T00:00:00.000Z two\n"
    );
    assert_eq!(read("lanes/e2e@mocker.log"), "1970-01-01T00:00:00.000Z tool\n");
    let case = case_log_name(&lane(), "suites/t.py::test_a[x/y]");
    insta::assert_snapshot!(read(&case));
    assert_eq!(open(store.folder().path()).unwrap().events.len(), 1);
    store.finish(&manifest(None)).unwrap();
    let read: Vec<String> = logs(store.folder().path())
        .into_iter()
        .map(|log| format!("{:?} {} {}", log.stack, log.name, log.lines.len()))
        .collect();
    assert_eq!(read, ["Some(\"mocker\") worker-0 2", "None e2e@mocker 1"]);
}

#[test]
fn a_record_written_again_is_the_same_record() {
    let state = tempfile::tempdir().unwrap();
    let mut store = create(state.path()).unwrap();
    store.append(&stamped(0, finished("a", "out\n"))).unwrap();
    let line = Event::LaneOutput { lane: lane(), line: "tool".to_owned() };
    store.append(&stamped(1, line)).unwrap();
    let sampled = Event::Sampled {
        stack: "mocker".to_owned(),
        service: "worker-0".to_owned(),
        source: Source::Container,
        figures: Figures::from([(MEMORY.to_owned(), 1024.5)]),
    };
    store.append(&stamped(2, sampled.clone())).unwrap();
    store.finish(&manifest(Some(ExitCode::TestFailed))).unwrap();
    let sampled = [stamped(2, sampled)];
    assert_eq!(samples(store.folder().path()), sampled);
    let (record, log) = (open(store.folder().path()).unwrap(), logs(store.folder().path()));
    let other = tempfile::tempdir().unwrap();
    let again = Store::create_from(other.path(), &record, &log, &sampled).unwrap();
    assert_eq!((open(again.path()).unwrap(), logs(again.path())), (record, log));
    assert_eq!(samples(again.path()), sampled);
    assert!(again.path().join(case_log_name(&lane(), "a")).is_file());
}

#[test]
fn a_run_is_found_by_path_by_latest_and_by_the_beginning_of_its_id() {
    let state = tempfile::tempdir().unwrap();
    let refusal = |name: &str| {
        let error = find(state.path(), name).unwrap_err();
        format!("{error}\nhint: {}", error.hint().unwrap())
    };
    insta::assert_snapshot!(refusal("latest"), @r"
    there is no run `latest`
    hint: nothing was run here yet: `testbed premerge` makes the first record
    ");
    let folder = create(state.path()).unwrap().folder().path().to_owned();
    for name in ["latest", "20261121-143005-a1b2c3", "20261121", &folder.to_string_lossy()] {
        assert_eq!(find(state.path(), name).unwrap().canonicalize().unwrap(), folder.canonicalize().unwrap());
    }
    let other: RunId = "20261121-143006-000000".parse().unwrap();
    Store::create(state.path(), &other, None, &manifest(None)).unwrap();
    assert_eq!(runs(state.path()), [run().as_str(), other.as_str()]);
    insta::assert_snapshot!(refusal("2026"), @r"
    there is no run `2026`: several begin so
    hint: the newest are `20261121-143006-000000`, `20261121-143005-a1b2c3`; `latest` is the last one
    ");
    insta::assert_snapshot!(refusal("../x"), @r"
    there is no run `../x`
    hint: the newest are `20261121-143006-000000`, `20261121-143005-a1b2c3`; `latest` is the last one
    ");
}

#[test]
fn a_record_of_another_format_is_refused_and_says_who_can_read_it() {
    let state = tempfile::tempdir().unwrap();
    let store = create(state.path()).unwrap();
    let path = store.folder().path().join("manifest.json");
    let text = fs::read_to_string(&path).unwrap();
    for (schema, expected) in
        [(1, "read it with the version of Testbed that wrote it;"), (99, "or a newer one")]
    {
        fs::write(&path, text.replace("\"schema\": 2", &format!("\"schema\": {schema}"))).unwrap();
        let error = open(store.folder().path()).unwrap_err();
        assert!(
            error.to_string().contains(&format!("has the format {schema}, and this version reads 2")),
            "{error}"
        );
        assert!(error.hint().unwrap().contains(expected), "{error:?}");
    }
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
    let first = create(state.path()).unwrap().folder().path().to_owned();
    let other: RunId = "20261121-143006-000000".parse().unwrap();
    let second = Store::create(state.path(), &other, None, &manifest(None)).unwrap();
    let latest = state.path().join("latest").canonicalize().unwrap();
    assert_eq!(latest, second.folder().path().canonicalize().unwrap());
    assert!(open(&first).unwrap().plan.is_some());
    assert!(open(second.folder().path()).unwrap().plan.is_none());
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
    let lanes = store.folder().path().join("lanes");
    fs::create_dir(&lanes).unwrap();
    std::os::unix::fs::symlink("/dev/full", lanes.join("e2e@mocker.log")).unwrap();
    store.append(&stamped(1, Event::LaneOutput { lane: lane(), line: "x".to_owned() })).unwrap();
    let error =
        store.append(&stamped(2, Event::CaseStarted { lane: lane(), case: "b".to_owned() })).unwrap_err();
    assert!(error.hint().unwrap().contains("free some space"), "{error}");
    assert_eq!(open(store.folder().path()).unwrap().events.len(), 1);
}

#[test]
fn something_that_is_no_record_is_said_to_be_none() {
    let folder = tempfile::tempdir().unwrap();
    let error = open(folder.path()).unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Usage);
    fs::write(folder.path().join("manifest.json"), "{}").unwrap();
    let error = open(folder.path()).unwrap_err();
    assert!(error.to_string().contains("is not a manifest of Testbed"), "{error}");
}
