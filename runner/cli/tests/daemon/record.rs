//! A green run and the record that it leaves.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;
use testbed_model::exit_code::ExitCode;

use crate::cases::{Fate, Suite, counts};
use crate::ground::Ground;
use crate::running::Running;

/// Events that have files of their own and are not in the journal.
const LINES: [&str; 3] = ["service_log", "lane_output", "sampled"];

/// Every file of a folder, but Testbed's own, with its content.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                if !path.ends_with(".testbed") {
                    open.push(path);
                }
            } else {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found
}

#[test]
fn a_green_run_leaves_a_whole_record_and_an_untouched_project() {
    let suite = Suite(&[
        Fate::Passes,
        Fate::Prints("kept with its case"),
        Fate::IsSkipped("for a reason"),
        Fate::FailsAsExpected,
    ]);
    // A case can write where it is, and nothing of that reaches the project.
    let text = format!("{}\n\ndef test_writes():\n    open(\"left-behind\", \"w\").close()\n", suite.text());
    let ground = Ground::small(&text).with("project/some folder/größe: ü.txt", "a file with a hard name");
    let before = files(&ground.project());
    let plan = ground.testbed(["plan", "--json"]).out;
    let run = ground.run();
    assert_eq!(run.code, ExitCode::Passed, "{}", run.err);
    assert_eq!(run.err, "", "events are all that a program gets");
    run.left_nothing();
    assert_eq!(files(&ground.project()), before, "the project is changed");

    // The plan is the one that `plan` prints.
    assert_eq!(ground.record("plan.json").trim_end(), plan.trim_end());

    // The events are numbered without a gap, and the journal holds them but for lines of logs.
    let numbers: Vec<u64> = run.events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>());
    let unsummed = |line: &str| {
        let mut event: Value = serde_json::from_str(line).unwrap();
        assert!(event.as_object_mut().unwrap().remove("crc32").is_some(), "{line}");
        event
    };
    let journal: Vec<Value> = ground.record("events.jsonl").lines().map(unsummed).collect();
    let kept: Vec<Value> =
        run.events.iter().filter(|event| LINES.iter().all(|name| event["event"] != *name)).cloned().collect();
    assert_eq!(journal, kept);

    let id = run.run_id();
    let manifest: Value = serde_json::from_str(&ground.record("manifest.json")).unwrap();
    assert_eq!((&manifest["run"], &manifest["exit_code"]), (&id.into(), &"passed".into()));
    assert_eq!(manifest["counts"], run.only("run_finished")["counts"]);
    assert_eq!(counts(&manifest["counts"]).passed, suite.counts().passed + 1);
    assert!(manifest["finished"].as_str() > manifest["started"].as_str());
    for image in ["agent", "nats", "tests"] {
        let recorded = &manifest["images"][image];
        assert!(recorded["id"].as_str().unwrap().starts_with("sha256:"), "{image}: {recorded}");
    }
    assert_eq!(manifest["arguments"].as_array().unwrap()[1..], ["premerge", "--json"]);

    // A log for the service, one for the case that printed, one for the tool.
    assert!(ground.record("services/small/nats.log").contains("Server is ready"));
    assert!(ground.record("lanes/cases@small.log").contains("passed"));
    let cases = files(&ground.project().join(".testbed/latest/cases"));
    let printed = cases.iter().find(|(name, _)| name.contains("test_1")).unwrap();
    assert!(String::from_utf8_lossy(printed.1).contains("kept with its case"));
    let junit = ground.record("junit.xml");
    for part in [" tests=\"5\"", " failures=\"0\"", " errors=\"0\"", " skipped=\"2\""] {
        assert!(junit.contains(part), "no `{part}`: {junit}");
    }

    // `latest` points to it, relative, so that the folder can be moved.
    let latest = ground.project().join(".testbed/latest");
    assert_eq!(fs::read_link(&latest).unwrap(), Path::new("runs").join(id));

    // The next run has a folder of its own, and `latest` moves on.
    let next = ground.run();
    assert_ne!(next.run_id(), id);
    assert_eq!(fs::read_link(&latest).unwrap(), Path::new("runs").join(next.run_id()));
    assert_eq!(fs::read_dir(ground.project().join(".testbed/runs")).unwrap().count(), 2);
}

#[test]
fn the_summary_is_for_people_and_goes_to_standard_error() {
    let ground = Ground::small(&Suite(&[Fate::Passes, Fate::IsSkipped("no reason at all")]).text());
    let ended = ground.testbed(["premerge"]);
    assert_eq!((ended.code(), ended.out.as_str()), (ExitCode::Passed, ""), "{}", ended.err);
    let folder = fs::canonicalize(ground.project().join(".testbed/latest")).unwrap();
    let parts = ["PASSED", "1 skipped", "no reason at all", folder.to_str().unwrap(), "all that ran passed"];
    for part in parts {
        assert!(ended.err.contains(part), "no `{part}`:\n{}", ended.err);
    }
    assert!(!ended.err.contains('\u{1b}'), "no colours where there is no terminal");
}

#[test]
fn github_actions_gets_annotations_and_a_summary_without_being_asked() {
    let ground = Ground::small(&Suite(&[Fate::Passes, Fate::Fails("wrong answer")]).text());
    let summary = ground.path().join("summary.md");
    fs::write(&summary, "of an earlier step\n").unwrap();
    let mut command = ground.command(["premerge", "--json"]);
    command.env("GITHUB_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", &summary);
    let run = Running::start(&mut command).end();
    assert_eq!(run.code, ExitCode::TestFailed, "{}", run.err);
    let annotation = run.err.lines().find(|line| line.starts_with("::error ")).unwrap();
    assert!(annotation.contains("file=tests/test_small.py,line="), "{annotation}");
    assert!(annotation.contains("wrong answer"), "{annotation}");
    let text = fs::read_to_string(summary).unwrap();
    assert!(text.starts_with("of an earlier step\n") && text.contains("wrong answer"), "{text}");
    // What it was given is what the record gives at any time later.
    assert!(text.ends_with(&ground.testbed(["report", "--format", "markdown"]).out));
}
