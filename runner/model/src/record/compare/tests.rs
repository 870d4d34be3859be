//! What two records have in common, and what not.

use std::collections::BTreeMap;

use super::{Changed, compare};
use crate::case::{Case, CaseResult, Outcome};
use crate::event::{Event, Stamped};
use crate::exit_code::ExitCode;
use crate::facts::Facts;
use crate::lane::LaneId;
use crate::plan::tests::premerge;
use crate::record::{EnvironmentId, Manifest, Record, RecordedChanges, RecordedEnvironment, SCHEMA};

fn lane(profile: &str) -> LaneId {
    LaneId { suite: "e2e".to_owned(), part: None, profile: Some(profile.to_owned()) }
}

fn record(outcomes: &[(&str, Outcome)]) -> Record {
    let event = |(seq, (id, outcome)): (u64, &(&str, Outcome))| {
        let case = Case { id: (*id).to_owned(), file: None, line: None, markers: Vec::new() };
        let message = outcome.is_red().then(|| "assert 1 == 2".to_owned());
        let result = CaseResult { duration_ms: 1, message, ..CaseResult::new(case, *outcome) };
        let event = Event::CaseFinished { lane: lane("mocker"), result, service_logs: Vec::new() };
        Stamped { seq, at: jiff::Timestamp::UNIX_EPOCH, elapsed_us: seq, event }
    };
    let parts = BTreeMap::from([("image nats".to_owned(), "sha256:1".to_owned())]);
    let environment = RecordedEnvironment {
        id: EnvironmentId("0123".to_owned()),
        lanes: vec![lane("mocker"), lane("mocker-file")],
        parts,
    };
    Record {
        manifest: Manifest {
            schema: SCHEMA,
            run: "20261121-143005-a1b2c3".parse().unwrap(),
            testbed: "0.1.0".to_owned(),
            arguments: ["testbed", "premerge"].map(str::to_owned).to_vec(),
            tier: None,
            plan: None,
            images: BTreeMap::new(),
            environments: vec![environment],
            facts: Facts { cores: 2, revision: Some("abc".to_owned()), ..Facts::default() },
            changes: None,
            seed: 0,
            budget_ms: None,
            shares: Vec::new(),
            started: jiff::Timestamp::UNIX_EPOCH,
            finished: None,
            counts: None,
            exit_code: Some(ExitCode::Passed),
        },
        plan: Some(premerge()),
        events: (0..).zip(outcomes).map(event).collect(),
        damaged: 0,
    }
}

#[test]
fn a_record_differs_from_itself_in_nothing() {
    let one = record(&[("a", Outcome::Passed), ("b", Outcome::Failed)]);
    let comparison = compare(&one, &one);
    assert!(comparison.is_empty() && comparison.same_environment, "{comparison:?}");
    assert_eq!(comparison.unchanged, 2);
}

#[test]
fn what_differs_is_told_by_part_with_the_lanes_that_it_is_of() {
    let before = record(&[("a", Outcome::Passed), ("b", Outcome::Passed), ("only", Outcome::Passed)]);
    let mut after = record(&[("a", Outcome::Failed), ("b", Outcome::Passed)]);
    let manifest = &mut after.manifest;
    manifest.exit_code = Some(ExitCode::TestFailed);
    manifest.environments[0].parts.insert("image nats".to_owned(), "sha256:2".to_owned());
    manifest.facts.cores = 4;
    manifest.facts.revision = None;
    manifest.changes = Some(RecordedChanges { file: None, bytes: 7, files: 1 });
    after.plan.as_mut().unwrap().stacks.remove(0);
    let comparison = compare(&before, &after);
    assert!(!comparison.is_empty() && !comparison.same_environment);
    let told: Vec<String> = comparison
        .environment
        .iter()
        .chain(&comparison.code)
        .map(|one| format!("{} [{}] {:?} {:?}", one.what, one.lanes.join(" "), one.before, one.after))
        .collect();
    insta::assert_snapshot!(told.join("\n"));
    assert!(comparison.settings.iter().all(|setting| setting.path.starts_with("stacks.mocker.")));
    assert!(!comparison.settings.is_empty());
    let changed = Changed {
        lane: lane("mocker"),
        case: "a".to_owned(),
        before: Outcome::Passed,
        after: Outcome::Failed,
        message: Some("assert 1 == 2".to_owned()),
    };
    assert_eq!((comparison.outcomes, comparison.unchanged), (vec![changed], 1));
}

#[test]
fn where_only_the_host_differs_the_environment_is_the_same() {
    let (before, mut after) = (record(&[]), record(&[]));
    after.manifest.facts.cores = 64;
    let comparison = compare(&before, &after);
    assert!(comparison.same_environment);
    assert_eq!(comparison.environment.len(), 1);
}
