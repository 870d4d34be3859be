//! What a record is good for when its run is long over: reports, the whole of several shares, and the same once more elsewhere.

use std::fs;
use std::path::Path;
use std::process::Command;

use testbed_model::exit_code::ExitCode;

use crate::catalog::project;

const CASES: &str = "import pytest\n\n\ndef test_a():\n    print('said')\n\n\ndef test_b():\n    assert 1 == 2\n\n\n@pytest.mark.skip(reason='not yet')\ndef test_c():\n    pass\n";

fn git(folder: &Path, arguments: &[&str]) {
    let fixed = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"];
    let ended = Command::new("git").args(fixed).args(arguments).current_dir(folder).output().unwrap();
    assert!(ended.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ended.stderr));
}

#[test]
fn every_report_is_made_again_from_the_record_alone() {
    let ground = project(&[("test_a.py", CASES)]);
    let run = ground.testbed(["premerge"]);
    assert_eq!(run.code(), ExitCode::TestFailed, "{}", run.err);
    let report = |format: &str| {
        let ended = ground.testbed(["report", "--format", format]);
        assert_eq!((ended.code(), ended.err.as_str()), (ExitCode::Passed, ""), "{format}");
        ended.out
    };
    assert_eq!(report("junit"), ground.record("junit.xml"));
    assert_eq!(report("html"), ground.record("report.html"));
    assert!(run.err.contains("/report.html\n"), "{}", run.err);
    let trace: serde_json::Value = serde_json::from_str(&report("trace")).unwrap();
    assert!(
        trace["traceEvents"].as_array().unwrap().iter().any(|event| event["args"]["outcome"] == "failed")
    );
    assert!(run.err.ends_with(&report("summary")), "{}\n---\n{}", run.err, report("summary"));
    assert!(report("markdown").contains("assert 1 == 2"));
    assert!(report("github").contains("::error file=tests/test_a.py,line="));
    let document: serde_json::Value = serde_json::from_str(&report("json")).unwrap();
    assert_eq!(document["lanes"][0]["cases"].as_array().unwrap().len(), 3);
    assert_eq!(document["lanes"][0]["environment"].as_str().map(str::len), Some(16));
    let events = report("events");
    assert_eq!(events.lines().count(), ground.record("events.jsonl").lines().count());
    for format in ["junit", "summary", "markdown", "github", "json", "events", "log", "html", "trace"] {
        assert_eq!(report(format), report(format), "{format}");
    }
    let file = ground.path().join("report.md").display().to_string();
    let ended = ground.testbed(["report", "latest", "--format", "markdown", "-o", &file]);
    assert_eq!((ended.code(), ended.out.as_str()), (ExitCode::Passed, ""));
    assert_eq!(fs::read_to_string(&file).unwrap(), report("markdown"));

    // A journal that was cut tells what it still knows, and that it was cut.
    let journal = ground.project().join(".testbed/latest/events.jsonl");
    let whole = fs::read(&journal).unwrap();
    let end = whole.windows(13).position(|part| part == b"case_finished").unwrap();
    let line = end + whole[end..].iter().position(|byte| *byte == b'\n').unwrap();
    fs::write(&journal, &whole[..line + 20]).unwrap();
    let ended = ground.testbed(["report", "--format", "json"]);
    assert_eq!(ended.code(), ExitCode::Passed);
    assert!(ended.err.contains("1 line of the journal of `latest` cannot be read"), "{}", ended.err);
    let document: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(document["verdict"], "UNFINISHED");
    assert_eq!(document["lanes"][0]["cases"].as_array().unwrap().len(), 1);
    let ended = ground.testbed(["report", "no-such-run"]);
    assert_eq!(ended.code(), ExitCode::Usage);
    assert!(ended.err.contains("there is no run `no-such-run`"), "{}", ended.err);
}

#[test]
fn shares_put_together_are_the_record_of_the_whole() {
    let ground = project(&[("test_a.py", CASES), ("test_d.py", "def test_d():\n    pass\n")]);
    let mut runs = Vec::new();
    for shard in ["1/2", "2/2"] {
        let run = ground.start(["premerge", "--json", "--shard", shard]).end();
        runs.push(run.run_id().to_owned());
    }
    let [first, second] = [runs[0].as_str(), runs[1].as_str()];
    let alone = ground.testbed(["merge", first]);
    assert_eq!(alone.code(), ExitCode::Usage);
    assert!(alone.err.contains("one record is no whole"), "{}", alone.err);
    let merged = ground.testbed(["merge", second, first]);
    assert_eq!(merged.code(), ExitCode::TestFailed, "{}{}", merged.err, merged.out);
    assert!(merged.out.contains("1 of 3 cases red"), "{}", merged.out);
    let junit = ground.record("junit.xml");
    for part in [" tests=\"4\"", " failures=\"1\"", " skipped=\"1\""] {
        assert!(junit.contains(part), "no `{part}`: {junit}");
    }
    let plan = ground.testbed(["plan", "premerge", "--json"]).out;
    assert_eq!(ground.record("plan.json").trim_end(), plan.trim_end());
}

#[test]
fn a_failure_of_uncommitted_code_is_reproduced_from_a_bundle_in_another_clone() {
    let ground =
        project(&[("test_a.py", "def test_a():\n    pass\n"), ("test_b.py", "def test_b():\n    pass\n")]);
    git(&ground.project(), &["init", "-q"]);
    git(&ground.project(), &["add", "-A"]);
    git(&ground.project(), &["commit", "-q", "-m", "one"]);
    let ground = ground.with("project/tests/test_b.py", "def test_b():\n    assert 'here' == 'there'\n");
    let run = ground.testbed(["premerge"]);
    assert_eq!(run.code(), ExitCode::TestFailed, "{}", run.err);
    let bundle = ground.path().join("b.tar.zst").display().to_string();
    let ended = ground.testbed(["bundle", "latest", "-o", &bundle]);
    assert_eq!(ended.code(), ExitCode::Passed, "{}", ended.err);

    let other = project(&[]);
    fs::remove_dir_all(other.project()).unwrap();
    let from = ground.project().display().to_string();
    git(&other.path(), &["clone", "-q", &from, "project"]);
    let again = other.testbed(["repro", &bundle, "--failed"]);
    assert_eq!(again.code(), ExitCode::TestFailed, "{}{}", again.err, again.out);
    assert!(again.err.contains("the code here is not the recorded one"), "{}", again.err);
    assert!(again.out.contains("SAME VERDICT  1 of 1 cases ended as recorded"), "{}", again.out);
    assert!(!other.project().join("tests/test_b.py").metadata().unwrap().is_symlink());
    assert!(fs::read_to_string(other.project().join("tests/test_b.py")).unwrap().contains("pass"));

    // The code as it is here is another one, and the comparison says so.
    let here = other.testbed(["repro", &bundle, "--failed", "--here"]);
    assert_eq!(here.code(), ExitCode::Passed, "{}", here.err);
    assert!(here.out.contains("ANOTHER VERDICT") && here.out.contains("uncommitted"), "{}", here.out);

    let none = other.testbed(["repro", &bundle, "tests/test_x.py"]);
    assert_eq!(none.code(), ExitCode::Usage);
    assert!(none.err.contains("has no case `tests/test_x.py`"), "{}", none.err);
    let bytes = fs::read(&bundle).unwrap();
    fs::write(&bundle, &bytes[..bytes.len() / 2]).unwrap();
    let torn = other.testbed(["repro", &bundle]);
    assert_eq!(torn.code(), ExitCode::Usage);
    assert!(torn.err.contains("is no whole bundle"), "{}", torn.err);
}

#[test]
fn what_differs_between_a_green_and_a_red_run_is_told() {
    let ground = project(&[("test_a.py", "def test_a():\n    pass\n")]);
    let green = ground.start(["premerge", "--json"]).end().run_id().to_owned();
    let ground = ground.with("project/tests/test_a.py", "def test_a():\n    assert 3 == 4\n");
    let red = ground.start(["premerge", "--json"]).end().run_id().to_owned();
    let ended = ground.testbed(["report", "--compare", &green, &red]);
    assert_eq!(ended.code(), ExitCode::Passed, "{}", ended.err);
    for part in
        ["PASSED", "FAILED", "the lanes' environments are the same", "the same plan", "failed: assert 3 == 4"]
    {
        assert!(ended.out.contains(part), "no `{part}`:\n{}", ended.out);
    }
}
