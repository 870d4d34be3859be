//! Suites of cases with a known fate, and what a run must make of them.

use serde_json::Value;
use testbed_model::case::{Counts, Outcome};
use testbed_model::exit_code::ExitCode;

use crate::ground::Ground;

/// What becomes of a case.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    Passes,
    Prints(&'static str),
    Fails(&'static str),
    FailsInSetup(&'static str),
    TakesTooLong,
    IsSkipped(&'static str),
    FailsAsExpected,
    PassesAtSecond,
}

impl Fate {
    /// What comes before the case, its body, and how it must end.
    fn code(self) -> (String, String, Outcome) {
        let plain = |body: &str, outcome| (String::new(), body.to_owned(), outcome);
        match self {
            Self::Passes => plain("pass", Outcome::Passed),
            Self::Prints(text) => plain(&format!("print({text:?})"), Outcome::Passed),
            Self::Fails(text) => plain(&format!("assert 1 + 1 == 3, {text:?}"), Outcome::Failed),
            Self::FailsInSetup(text) => {
                (format!("@pytest.mark.usefixtures({text:?})\n"), "pass".to_owned(), Outcome::Error)
            }
            Self::TakesTooLong => {
                ("@pytest.mark.timeout(1)\n".to_owned(), "time.sleep(60)".to_owned(), Outcome::TimedOut)
            }
            Self::IsSkipped(reason) => plain(&format!("pytest.skip({reason:?})"), Outcome::Skipped),
            Self::FailsAsExpected => {
                ("@pytest.mark.xfail\n".to_owned(), "assert False".to_owned(), Outcome::ExpectedFailure)
            }
            Self::PassesAtSecond => (
                "@pytest.mark.flaky(reruns=1)\n".to_owned(),
                "ATTEMPTS.append(1)\n    assert len(ATTEMPTS) == 2".to_owned(),
                Outcome::Passed,
            ),
        }
    }
}

/// A suite of cases, which are named by their position.
pub struct Suite<'f>(pub &'f [Fate]);

impl Suite<'_> {
    /// Its text.
    pub fn text(&self) -> String {
        let mut text = "import time\n\nimport pytest\n\nATTEMPTS = []\n".to_owned();
        for (number, fate) in self.0.iter().enumerate() {
            let (before, body, _) = fate.code();
            text += &format!("\n\n{before}def test_{number}():\n    {body}\n");
        }
        text
    }

    /// How each case must end, in order.
    fn outcomes(&self) -> Vec<Outcome> {
        self.0.iter().map(|fate| fate.code().2).collect()
    }

    /// The counts that a run of it must have.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for outcome in self.outcomes() {
            match outcome {
                Outcome::Passed => counts.passed += 1,
                Outcome::Failed => counts.failed += 1,
                Outcome::Error => counts.errors += 1,
                Outcome::TimedOut => counts.timed_out += 1,
                Outcome::Skipped => counts.skipped += 1,
                Outcome::ExpectedFailure => counts.expected_failures += 1,
                Outcome::Interrupted => counts.interrupted += 1,
            }
        }
        let second = |fate: &&Fate| matches!(fate, Fate::PassesAtSecond);
        counts.flaky = u32::try_from(self.0.iter().filter(second).count()).unwrap();
        counts
    }
}

/// Counts of an event or a manifest.
pub fn counts(value: &Value) -> Counts {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn every_fate_of_a_case_is_told_counted_and_kept() {
    let suite = Suite(&[
        Fate::Passes,
        Fate::Prints("a word to keep"),
        Fate::Fails("sums are wrong here"),
        Fate::FailsInSetup("no_such_fixture"),
        Fate::TakesTooLong,
        Fate::IsSkipped("not today"),
        Fate::FailsAsExpected,
        Fate::PassesAtSecond,
    ]);
    let ground = Ground::small(&suite.text());
    let run = ground.run();
    assert_eq!(run.code, ExitCode::TestFailed, "{}", run.err);

    let told: Vec<Outcome> = run
        .named("case_finished")
        .map(|event| serde_json::from_value(event["outcome"].clone()).unwrap())
        .collect();
    assert_eq!(told, suite.outcomes());
    assert_eq!(counts(&run.only("run_finished")["counts"]), suite.counts());
    let manifest: Value = serde_json::from_str(&ground.record("manifest.json")).unwrap();
    assert_eq!(counts(&manifest["counts"]), suite.counts());

    let junit = ground.record("junit.xml");
    for (attribute, number) in [("tests", 8), ("failures", 2), ("errors", 1), ("skipped", 2)] {
        // In the head of the whole and in the one of the suite.
        let times = junit.matches(&format!(" {attribute}=\"{number}\"")).count();
        assert_eq!(times, 2, "`{attribute}` is not `{number}`:\n{junit}");
    }
    assert_eq!(junit.matches("<skipped").count(), 2, "{junit}");

    let message = |number: usize| run.named("case_finished").nth(number).unwrap()["message"].to_string();
    assert!(message(2).contains("sums are wrong here"), "{}", message(2));
    assert!(message(3).contains("no_such_fixture"), "{}", message(3));
    assert!(message(5).contains("not today"), "{}", message(5));
    run.left_nothing();
}

#[test]
fn a_red_case_is_told_with_its_assertion_and_what_its_services_said_meanwhile() {
    let suite = "import socket\n\n\n\
        def test_before():\n    \
            with socket.create_connection((\"nats\", 4222)) as nats:\n        \
                assert nats.recv(4096).startswith(b\"INFO \")\n\n\n\
        def test_red():\n    \
            with socket.create_connection((\"nats\", 4222)) as nats:\n        \
                nats.recv(4096)\n        \
                nats.sendall(b\"CONNECT {\\\"name\\\":\\\"the red one\\\"}\\r\\nNONSENSE\\r\\n\")\n        \
                assert nats.recv(4096) == b\"fine\", \"the greeting is not fine\"\n";
    let ground = Ground::small(suite);
    let ended = ground.testbed(["premerge"]);
    assert_eq!(ended.code(), ExitCode::TestFailed, "{}", ended.err);
    for part in
        ["the greeting is not fine", "test_small.py::test_red", "1 passed", "log of nats", "parser ERROR"]
    {
        assert!(ended.err.contains(part), "no `{part}`:\n{}", ended.err);
    }

    // The record has the same, and only what the service said while the case was executed.
    let events: Vec<Value> =
        ground.record("events.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let red = events.iter().find(|event| event["outcome"] == "failed").unwrap();
    let window = red["service_logs"].as_array().unwrap();
    assert_eq!(window.len(), 1, "{window:?}");
    assert_eq!(window[0]["service"], "nats");
    let said = window[0]["lines"].to_string();
    assert!(said.contains("parser ERROR") && said.contains("the red one"), "{said}");
    assert!(!said.contains("Server is ready"), "that was before the case: {said}");
    let log = ground.record("services/small/nats.log");
    assert!(
        log.contains("Server is ready") && log.matches("Client connection created").count() == 2,
        "{log}"
    );
}

#[test]
fn a_suite_of_which_nothing_belongs_to_the_tier_has_a_code_of_its_own() {
    let suite = "import pytest\n\n\n@pytest.mark.nightly\ndef test_later():\n    pass\n";
    let run = Ground::small(suite).run();
    assert_eq!(run.code, ExitCode::NothingSelected, "{}", run.err);
    assert_eq!(counts(&run.only("run_finished")["counts"]), Counts::default());
    run.left_nothing();
}

#[test]
fn a_tier_without_a_lane_starts_nothing() {
    let project = crate::site::SMALL_PROJECT.replace("type = \"e2e\"", "type = \"e2e\"\ntier = \"nightly\"");
    let ground = Ground::small("").with("project/testbed.toml", &project);
    let run = ground.run();
    assert_eq!(run.code, ExitCode::NothingSelected, "{}", run.err);
    assert_eq!(run.named("stack_starting").count() + run.named("lane_started").count(), 0);
    let skipped = run.only("run_started")["skipped"].to_string();
    assert!(skipped.contains("nightly"), "{skipped}");
}

#[test]
fn a_suite_that_cannot_be_collected_is_red_and_says_why() {
    let ground = Ground::small("import no_such_module\n");
    let ended = ground.testbed(["premerge"]);
    assert_eq!(ended.code(), ExitCode::TestFailed, "{}", ended.err);
    assert!(ended.err.contains("no_such_module"), "{}", ended.err);
}

#[test]
fn expressions_choose_the_same_cases_as_in_pytest() {
    let text = "import pytest\n\n\n@pytest.mark.router\ndef test_chat():\n    pass\n\n\n\
                @pytest.mark.router\ndef test_models():\n    pass\n\n\ndef test_chat_again():\n    pass\n";
    let ground = Ground::small(text);
    let run = ground.start(["premerge", "--json", "-m", "router", "-k", "CHAT"]).end();
    assert_eq!(run.code, ExitCode::Passed);
    let finished = run.named("case_finished");
    let ids: Vec<&str> = finished.map(|event| event["case"]["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["tests/test_small.py::test_chat"]);
    let none = ground.start(["premerge", "--json", "-m", "router", "-k", "nothing"]).end();
    assert_eq!(none.code, ExitCode::NothingSelected);
    run.left_nothing();
}
