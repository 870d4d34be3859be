//! A store keeps what the model says, whatever came first; and is left alone where it cannot be understood.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;
use rusqlite::Connection;
use testbed_model::case::Outcome;
use testbed_model::exit_code::ExitCode;
use testbed_model::hint::Hint as _;
use testbed_model::history::{History, PastResult, PastRun, Rule, RunKey, Source, Subject};
use testbed_model::record::EnvironmentId;
use testbed_model::selection::CasePattern;

use super::write::outcome;
use super::{Added, Given, HistoryError, HistoryStore, Merged, read};

const HOUR_MS: i64 = 3_600_000;

fn fresh() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state").join("history.sqlite");
    (folder, path)
}

fn result(case: &str, letter: char) -> PastResult {
    let (outcome, executions, failures) = match letter {
        '.' => (Outcome::Passed, 1, 0),
        'F' => (Outcome::Failed, 1, 1),
        'r' => (Outcome::Passed, 2, 1),
        _ => (Outcome::Skipped, 0, 0),
    };
    PastResult {
        subject: Subject { case: case.to_owned(), lane: "unit".to_owned() },
        environment: Some(EnvironmentId("e1".to_owned())),
        outcome,
        executions,
        failures,
        duration_ms: 100,
    }
}

/// A run an hour after the one before.
fn run(number: i64, results: Vec<PastResult>) -> PastRun {
    PastRun {
        key: RunKey(format!("run-{number:03}")),
        started: Timestamp::from_millisecond(1_795_000_000_000 + number * HOUR_MS).unwrap(),
        source: Source::Record,
        finished: true,
        share: false,
        exit_code: Some(ExitCode::Passed),
        revision: Some(format!("rev{number}")),
        replaces: BTreeSet::new(),
        results,
    }
    .normal()
}

/// A store with one run a column of letters: each text is one case's.
fn filled(path: &Path, cases: &[(&str, &str)]) -> HistoryStore {
    let mut store = HistoryStore::open(path).unwrap();
    let longest = cases.iter().map(|(_, letters)| letters.len()).max().unwrap_or_default();
    for number in 0..longest {
        let of = |(case, letters): &(&str, &str)| Some(result(case, letters.chars().nth(number)?));
        store.add(&run(i64::try_from(number).unwrap(), cases.iter().filter_map(of).collect())).unwrap();
    }
    store
}

/// All that a store holds, as the model says it.
fn contents(store: &HistoryStore) -> (BTreeMap<RunKey, PastRun>, BTreeSet<RunKey>) {
    let db = &store.connection;
    let mut runs = BTreeMap::new();
    let mut heads =
        db.prepare("SELECT id, key, started, source, finished, share, revision FROM runs").unwrap();
    let mut rows = heads.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let id: i64 = row.get(0).unwrap();
        let keys = |sql: &str| -> BTreeSet<RunKey> {
            let mut keys = db.prepare(sql).unwrap();
            keys.query_map([id], |row| Ok(RunKey(row.get(0)?))).unwrap().map(Result::unwrap).collect()
        };
        let mut results = db
            .prepare(
                "SELECT subjects.name, lane, environments.name, outcome, executions, failures, duration
                 FROM results JOIN subjects ON subjects.id = subject
                 LEFT JOIN environments ON environments.id = environment WHERE run = ?",
            )
            .unwrap();
        let results = results.query_map([id], |row| {
            Ok(PastResult {
                subject: Subject { case: row.get(0)?, lane: row.get(1)? },
                environment: row.get::<_, Option<String>>(2)?.map(EnvironmentId),
                outcome: outcome(row.get(3)?),
                executions: row.get(4)?,
                failures: row.get(5)?,
                duration_ms: u64::try_from(row.get::<_, i64>(6)?).unwrap(),
            })
        });
        let run = PastRun {
            key: RunKey(row.get(1).unwrap()),
            started: Timestamp::from_millisecond(row.get(2).unwrap()).unwrap(),
            source: if row.get::<_, i64>(3).unwrap() == 0 { Source::Junit } else { Source::Record },
            finished: row.get(4).unwrap(),
            share: row.get(5).unwrap(),
            exit_code: None,
            revision: row.get(6).unwrap(),
            replaces: keys("SELECT key FROM shares WHERE run = ?"),
            results: results.unwrap().map(Result::unwrap).collect(),
        };
        runs.insert(run.key.clone(), run.normal());
    }
    let mut replaced = db.prepare("SELECT key FROM replaced").unwrap();
    let replaced =
        replaced.query_map([], |row| Ok(RunKey(row.get(0)?))).unwrap().map(Result::unwrap).collect();
    (runs, replaced)
}

prop_compose! {
    /// Runs of few keys, so that tellings of one run meet.
    fn past_run()(
        key in 0_i64..5,
        started in 0_i64..3,
        junit in any::<bool>(),
        finished in any::<bool>(),
        replaces in proptest::collection::btree_set(0_i64..5, 0..2),
        results in proptest::collection::vec(("[abc]", "[.Fr-]"), 0..5),
    ) -> PastRun {
        let letter = |letter: &str| letter.chars().next().unwrap();
        let results = results.iter().map(|(case, text)| result(case, letter(text))).collect();
        PastRun {
            key: RunKey(format!("run-{key:03}")),
            source: if junit { Source::Junit } else { Source::Record },
            finished,
            exit_code: None,
            replaces: replaces.iter().filter(|it| **it != key).map(|it| RunKey(format!("run-{it:03}"))).collect(),
            ..run(started, results)
        }
    }
}

fn stored(path: &Path, runs: &[PastRun]) -> HistoryStore {
    let mut store = HistoryStore::open(path).unwrap();
    for run in runs {
        store.add(run).unwrap();
    }
    store
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn two_stores_merge_in_any_order_and_any_number_of_times_as_the_model_says(
        a in proptest::collection::vec(past_run(), 0..6),
        b in proptest::collection::vec(past_run(), 0..6),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let mut expected = History::default();
        a.iter().chain(&b).for_each(|run| expected.add(run.clone()));
        let expected = (expected.runs().clone(), expected.replaced().clone());

        prop_assert_eq!(&contents(&stored(&path("both"), &[a.clone(), b.clone()].concat())), &expected);
        let (mut left, mut right) = (stored(&path("a"), &a), stored(&path("b"), &b));
        let before = contents(&right);
        left.merge(&path("b")).unwrap();
        prop_assert_eq!(&contents(&right), &before, "the other one stays as it is");
        right.merge(&path("a")).unwrap();
        prop_assert_eq!(&contents(&left), &expected);
        prop_assert_eq!(&contents(&right), &expected);
        left.merge(&path("b")).unwrap();
        left.merge(&path("a")).unwrap();
        prop_assert_eq!(&contents(&left), &expected);
        let all = CasePattern::new("");
        prop_assert_eq!(left.standings(&all).unwrap(), right.standings(&all).unwrap());
        prop_assert_eq!(left.overview().unwrap(), right.overview().unwrap());
        prop_assert_eq!(left.durations().unwrap(), right.durations().unwrap());
    }
}

#[test]
fn a_run_that_is_added_twice_changes_nothing_and_a_better_telling_takes_its_place() {
    let (_folder, path) = fresh();
    let mut store = HistoryStore::open(&path).unwrap();
    let whole = run(1, vec![result("a", '.'), result("b", 'F')]);
    let killed = PastRun { finished: false, results: vec![result("a", '.')], ..whole.clone() };
    let report = PastRun { source: Source::Junit, ..whole.clone() };
    assert_eq!(store.add(&killed).unwrap(), Added::New);
    assert_eq!(store.add(&report).unwrap(), Added::Known);
    assert_eq!(store.add(&whole).unwrap(), Added::Better);
    assert_eq!(store.add(&whole).unwrap(), Added::Known);
    assert_eq!(store.add(&killed).unwrap(), Added::Known);
    let overview = store.overview().unwrap();
    assert_eq!((overview.runs, overview.cases), (1, 2));
}

#[test]
fn trouble_is_found_the_worst_first() {
    let (_folder, path) = fresh();
    let store = filled(
        &path,
        &[
            ("steady", ".........."),
            ("flaky", "......F..."),
            ("broken", ".......FFF"),
            ("retried", ".........r"),
            ("bad", ".F.F.F.F.."),
            ("skipped", "----------"),
        ],
    );
    let told: Vec<(String, Rule)> =
        store.troubled().unwrap().into_iter().map(|it| (it.subject.case, it.rule)).collect();
    let expected = [
        ("broken", Rule::Regression),
        ("bad", Rule::Failing),
        ("flaky", Rule::Flaky),
        ("retried", Rule::Flaky),
    ];
    assert_eq!(told, expected.map(|(case, rule)| (case.to_owned(), rule)));
    let broken = &store.standings(&CasePattern::new("broken")).unwrap()[0];
    assert_eq!(broken.red_since.as_ref().unwrap().run, RunKey("run-007".to_owned()));
    assert_eq!(broken.red_since.as_ref().unwrap().revision.as_deref(), Some("rev7"));
    assert_eq!(broken.observations.len(), 10);
}

#[test]
fn slower_cases_are_found_and_usual_times_leave_shares_out() {
    let (_folder, path) = fresh();
    let mut store = HistoryStore::open(&path).unwrap();
    for number in 0..12 {
        let timed = |case: &str, ms: u64| PastResult { duration_ms: ms, ..result(case, '.') };
        let slow = if number < 7 { 1000 } else { 3000 };
        let mut run = run(number, vec![timed("slow", slow), timed("same", 700)]);
        if number == 11 {
            run.share = true;
            run.results = vec![timed("same", 90_000), timed("new", 5)];
        }
        store.add(&run).unwrap();
    }
    store.add(&run(12, vec![PastResult { duration_ms: 3000, ..result("slow", '.') }])).unwrap();
    let growers = store.growers(10).unwrap();
    assert_eq!(growers.len(), 1, "{growers:?}");
    assert_eq!(
        (growers[0].0.case.as_str(), growers[0].1.before_ms, growers[0].1.now_ms),
        ("slow", 1000, 3000)
    );
    let durations = store.durations().unwrap();
    assert_eq!(durations, BTreeMap::from([("same".to_owned(), 700), ("slow".to_owned(), 3000)]));
}

#[test]
fn a_store_that_is_damaged_foreign_or_newer_is_told_of_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.sqlite");
    let refusal = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let error =
            HistoryStore::open(&path).and_then(|mut store| store.add(&run(1, vec![result("a", '.')])));
        assert_eq!(fs::read(&path).unwrap(), bytes, "it was changed");
        error.unwrap_err()
    };
    let error = refusal(b"this is no database at all, but long enough to be looked at as one");
    assert!(matches!(error, HistoryError::Foreign { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("testbed history import .testbed/runs"));

    let other = folder.path().join("other.sqlite");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE x (y)").unwrap();
    assert!(matches!(refusal(&fs::read(&other).unwrap()), HistoryError::Foreign { .. }));

    let good = folder.path().join("good.sqlite");
    let letters = ".".repeat(40);
    drop(filled(&good, &[("a", &letters), ("b", &letters)]));
    let whole = fs::read(&good).unwrap();
    let mut torn = whole.clone();
    torn[4096..].fill(0x5a);
    assert!(matches!(refusal(&torn), HistoryError::Damaged { .. }), "{:?}", refusal(&torn));
    assert!(matches!(refusal(&whole[..4096]), HistoryError::Damaged { .. }));

    Connection::open(&good).unwrap().pragma_update(None, "user_version", 9).unwrap();
    let error = refusal(&fs::read(&good).unwrap());
    assert_eq!(
        error.to_string(),
        format!("the history `{}` has the format 9, and this version knows 1", path.display())
    );
    assert_eq!(error.exit_code(), ExitCode::Usage);
}

#[test]
fn a_store_that_another_process_holds_is_told_of_after_a_while() {
    let (_folder, path) = fresh();
    drop(filled(&path, &[("a", ".")]));
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut store = HistoryStore::open_patiently(&path, Duration::from_millis(50)).unwrap();
    let error = store.add(&run(2, vec![result("a", '.')])).unwrap_err();
    assert!(matches!(error, HistoryError::Busy { .. }), "{error:?}");
    assert_eq!(store.overview().unwrap().runs, 1, "who only asks need not wait");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(store.add(&run(2, vec![result("a", '.')])).unwrap(), Added::New);
}

#[test]
fn many_who_write_at_once_lose_nothing() {
    let (_folder, path) = fresh();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let path = &path;
            scope.spawn(move || {
                let mut store = HistoryStore::open(path).unwrap();
                assert_eq!(store.add(&run(number, vec![result("a", '.')])).unwrap(), Added::New);
            });
        }
    });
    assert_eq!(HistoryStore::open(&path).unwrap().overview().unwrap().runs, 8);
}

#[test]
fn where_there_is_none_nothing_is_made_by_asking_or_merging() {
    let (_folder, path) = fresh();
    assert!(HistoryStore::open_existing(&path).unwrap().is_none());
    assert!(!path.exists());
    let mut store = filled(&path, &[("a", "..")]);
    let error = store.merge(&path.with_file_name("other.sqlite")).unwrap_err();
    assert!(matches!(error, HistoryError::Missing { .. }));
    assert!(!path.with_file_name("other.sqlite").exists());
    assert_eq!(store.merge(&path).unwrap(), Merged { taken: 0, known: 2 }, "with itself");
}

fn junit(text: &str, given: &Given) -> Result<PastRun, HistoryError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("junit.xml");
    fs::write(&path, text).unwrap();
    read(&path, given).map(|mut runs| runs.remove(0))
}

fn lines(run: &PastRun) -> Vec<String> {
    let line = |it: &PastResult| {
        format!(
            "{} {} {} {}/{}",
            it.subject.lane,
            it.subject.case,
            it.outcome.word(),
            it.failures,
            it.executions
        )
    };
    run.results.iter().map(line).collect()
}

#[test]
fn pytests_report_becomes_a_run_with_pytests_own_ids() {
    let text = r#"<?xml version="1.0" encoding="utf-8"?><testsuites><testsuite name="pytest" errors="0" failures="1" skipped="2" tests="5" time="1.5" timestamp="2024-05-06T07:08:09.123456" hostname="ci">
<testcase classname="tests.router.test_kv" name="test_one[a.B-1]" time="0.25" />
<testcase classname="tests.router.test_kv.TestMany" name="test_two" time="0.5"><failure message="assert 1 == 2">def test_two():</failure></testcase>
<testcase classname="tests.test_top" name="test_skip" time="0"><skipped type="pytest.skip" message="no GPU">x</skipped></testcase>
<testcase classname="tests.test_top" name="test_xfail" time="0.1"><skipped type="pytest.xfail" message="known" /></testcase>
<testcase classname="test_flat" name="test_three" time="0.1" />
</testsuite></testsuites>"#;
    let read = junit(text, &Given::default()).unwrap();
    assert_eq!(
        lines(&read),
        [
            "pytest test_flat.py::test_three passed 0/1",
            "pytest tests/router/test_kv.py::TestMany::test_two failed 1/1",
            "pytest tests/router/test_kv.py::test_one[a.B-1] passed 0/1",
            "pytest tests/test_top.py::test_skip skipped 0/0",
            "pytest tests/test_top.py::test_xfail expected failure 0/1",
        ]
    );
    assert_eq!(read.started.to_string(), "2024-05-06T07:08:09.123Z");
    assert!(read.key.0.starts_with("junit-"), "{}", read.key);
    assert_eq!(read.results[0].duration_ms, 100);
    let given = Given { lane: Some("unit".to_owned()), ..Given::default() };
    assert!(lines(&junit(text, &given).unwrap())[0].starts_with("unit "));
}

#[test]
fn nextests_report_becomes_a_run_with_the_ids_of_cargo_suites() {
    let text = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="nextest-run" tests="2" failures="0" errors="0" uuid="5a5b0c3e-0f5a-4c32-9d5e-0a58c5b0d0f6" timestamp="2024-05-06T07:08:09.123+02:00" time="0.4">
    <testsuite name="testbed-model" tests="2" disabled="0" errors="0" failures="0">
        <testcase name="tier::tests::tiers_nest" classname="testbed-model" timestamp="2024-05-06T07:08:09.123+02:00" time="0.004"></testcase>
        <testcase name="tier::tests::flaps" classname="testbed-model" timestamp="2024-05-06T07:08:09.123+02:00" time="0.1">
            <flakyFailure message="once" type="test failure">boom</flakyFailure>
        </testcase>
    </testsuite>
</testsuites>"#;
    let read = junit(text, &Given::default()).unwrap();
    assert_eq!(
        lines(&read),
        [
            "nextest testbed-model tier::tests::flaps passed 1/2",
            "nextest testbed-model tier::tests::tiers_nest passed 0/1"
        ]
    );
    assert_eq!(read.started.to_string(), "2024-05-06T05:08:09.123Z");
}

#[test]
fn a_report_of_testbeds_is_the_run_that_it_names() {
    let text = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="testbed premerge" tests="4" failures="1" errors="0" timestamp="2026-11-21T14:30:05.000Z" time="3">
  <testsuite name="e2e@mocker" tests="4" disabled="0" errors="0" failures="1">
    <properties>
      <property name="testbed.run" value="20261121-143005-a1b2c3"/>
      <property name="testbed.exit_code" value="1"/>
      <property name="testbed.environment" value="0123456789abcdef"/>
    </properties>
    <testcase name="t.py::a" classname="e2e@mocker" time="1.5"/>
    <testcase name="t.py::b" classname="e2e@mocker" time="1.0"><failure type="timed out" message="60 s">x</failure></testcase>
    <testcase name="t.py::c" classname="e2e@mocker"><skipped type="not run" message="not run: interrupted"/></testcase>
    <testcase name="[lane]" classname="e2e@mocker"><error type="tool" message="crashed">x</error></testcase>
  </testsuite>
</testsuites>"#;
    let read = junit(text, &Given::default()).unwrap();
    assert_eq!(read.key.0, "20261121-143005-a1b2c3");
    assert_eq!(lines(&read), ["e2e@mocker t.py::a passed 0/1", "e2e@mocker t.py::b timed out 1/1"]);
    assert_eq!(read.results[0].environment, Some(EnvironmentId("0123456789abcdef".to_owned())));
    assert_eq!(read.exit_code, Some(ExitCode::TestFailed));
}

#[test]
fn a_report_without_a_root_or_a_time_is_read_when_somebody_says_when_it_was() {
    let text = r#"<testsuite name="jest" tests="1"><testcase name="adds" classname="sum"/></testsuite>"#;
    let error = junit(text, &Given::default()).unwrap_err();
    assert!(matches!(error, HistoryError::Undated { .. }), "{error:?}");
    let given = Given { at: Some("2026-11-21T00:00:00Z".parse().unwrap()), ..Given::default() };
    let read = junit(text, &given).unwrap();
    assert_eq!(
        (lines(&read), read.key),
        (vec!["jest sum::adds passed 0/1".to_owned()], junit(text, &given).unwrap().key)
    );
}

#[test]
fn what_is_no_report_is_refused_with_its_reason() {
    for text in [
        "",
        "{}",
        "<html></html>",
        "<testsuites><testsuite",
        "<testsuites><testsuite name='x' tests='y'/></testsuites>",
    ] {
        let error = junit(text, &Given::default()).unwrap_err();
        assert!(
            matches!(error, HistoryError::Junit { .. } | HistoryError::Unknown { .. }),
            "{text}: {error:?}"
        );
        assert!(error.hint().is_some());
    }
    let error = read(Path::new("/nonexistent/x.xml"), &Given::default()).unwrap_err();
    assert!(matches!(error, HistoryError::Read { .. }));
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(read(folder.path(), &Given::default()), Err(HistoryError::Unknown { .. })));
}
