//! The list of Rust tests, as nextest tells it in JSON.

use std::collections::BTreeMap;

use serde::Deserialize;
use testbed_model::catalog::{Announced, ToolWord};
use testbed_model::lane::Lane;
use testbed_model::selection::Mark;

use super::{Arguments, NEXTEST};
use crate::exec::job::{OnFailure, Output, Step};

/// Lists everything, and then, where the suite has a filter, what that lets through.
pub fn steps(lane: &Lane, folder: &str, common: &[String]) -> Vec<Step> {
    let arguments = Arguments::of(lane);
    let step = |kind: Kind, filter: Option<&String>| {
        let mut argv = vec![NEXTEST.to_owned(), "nextest".to_owned(), "list".to_owned()];
        argv.extend(common.iter().cloned());
        // Indented, because an agent cuts what is longer than a line is.
        argv.push("--message-format=json-pretty".to_owned());
        argv.extend(arguments.of_both.iter().cloned());
        match filter {
            Some(filter) => argv.extend(["-E".to_owned(), filter.clone()]),
            None => argv.push("--ignore-default-filter".to_owned()),
        }
        let id = format!("{} {folder}", kind.word());
        Step { id, argv, output: Output::Split, on_failure: OnFailure::Stop, ..Step::default() }
    };
    let everything = "all()".to_owned();
    let filter = lane.expression.as_ref().unwrap_or(&everything);
    vec![step(Kind::All, None), step(Kind::OfSuite, Some(filter))]
}

/// What a list holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Every test there is.
    All,
    /// Those that the suite's and the project's own filters let through.
    OfSuite,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::OfSuite => "suite",
        }
    }

    /// What the step of that id lists.
    pub fn of_step(id: &str) -> Option<Self> {
        let word = id.split(' ').next()?;
        [Self::All, Self::OfSuite].into_iter().find(|kind| kind.word() == word)
    }
}

/// A list as nextest prints it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct List {
    rust_suites: BTreeMap<String, Binary>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Binary {
    #[serde(rename = "package-name")]
    package: String,
    #[serde(rename = "binary-id")]
    id: String,
    #[serde(rename = "binary-name")]
    name: String,
    kind: String,
    #[serde(default)]
    testcases: BTreeMap<String, Test>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Test {
    #[serde(default)]
    ignored: bool,
    filter_match: Match,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
enum Match {
    Matches,
    Mismatch {
        #[serde(default)]
        reason: String,
    },
    #[serde(other)]
    Other,
}

/// The cases of a suite from its two lists: all of them, each with what nextest says of executing it.
pub fn cases(lane: &Lane, all: &List, of_suite: &List) -> Vec<Announced> {
    let mut cases = Vec::new();
    for (id, binary) in &all.rust_suites {
        let chosen = of_suite.rust_suites.get(id);
        for (name, test) in &binary.testcases {
            let here = chosen.and_then(|binary| binary.testcases.get(name));
            cases.push(Announced {
                id: format!("{} {name}", binary.id),
                marks: marks(lane, binary),
                keywords: keywords(binary, name),
                said: said(test, here),
                ..Announced::default()
            });
        }
    }
    cases
}

fn said(test: &Test, here: Option<&Test>) -> Option<ToolWord> {
    match here.map(|test| &test.filter_match) {
        Some(Match::Matches) => None,
        Some(Match::Mismatch { reason }) if test.ignored && reason == "ignored" => Some(ToolWord::Ignored),
        _ => Some(ToolWord::NotOfSuite),
    }
}

/// What a Rust test says of itself in the vocabulary of markers: the suite's type, its package, and the features that it
/// was compiled with.
fn marks(lane: &Lane, binary: &Binary) -> Vec<Mark> {
    let mut names = vec![lane.test_type.name().to_owned(), binary.package.clone()];
    names.extend(features(&lane.arguments));
    names.dedup();
    names.into_iter().map(|name| Mark { name, ..Mark::default() }).collect()
}

/// The features that a suite's arguments switch on.
fn features(arguments: &[String]) -> Vec<String> {
    let mut features = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let value = match argument.as_str() {
            "--features" | "-F" => rest.next().map(String::as_str),
            other => other.strip_prefix("--features="),
        };
        let names = value.unwrap_or_default().split([',', ' ']).filter(|name| !name.is_empty());
        features.extend(names.map(str::to_owned));
    }
    features
}

/// What `-k` looks in besides the test's own name: its modules, its binary and what kind that is.
fn keywords(binary: &Binary, test: &str) -> Vec<String> {
    let module = test.rsplit_once("::").map_or("", |(module, _)| module);
    let all = [binary.id.as_str(), &binary.name, &binary.kind, module];
    all.into_iter().filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use testbed_model::catalog::ToolWord;
    use testbed_model::lane::SuiteKind;

    use super::{Kind, List, cases, steps};
    use crate::exec::site::tests::lane;

    fn list(tests: &serde_json::Value) -> List {
        let binary = json!({
            "package-name": "krate", "binary-id": "krate::it", "binary-name": "it", "kind": "test", "testcases": tests,
        });
        serde_json::from_value(json!({ "rust-suites": { "krate::it": binary } })).unwrap()
    }

    #[test]
    fn every_test_is_a_case_with_what_nextest_says_of_it() {
        let mut lane = lane(SuiteKind::Cargo, "rust", None);
        lane.arguments = ["--features", "testing-etcd,full", "-F=x"].map(str::to_owned).into();
        let matches = json!({ "ignored": false, "filter-match": { "status": "matches" } });
        let all = list(&json!({ "m::a": matches, "b": matches, "c": matches }));
        let ignored =
            json!({ "ignored": true, "filter-match": { "status": "mismatch", "reason": "ignored" } });
        let other =
            json!({ "ignored": false, "filter-match": { "status": "mismatch", "reason": "expression" } });
        let mut all = all;
        all.rust_suites.get_mut("krate::it").unwrap().testcases.get_mut("b").unwrap().ignored = true;
        let of_suite = list(&json!({ "m::a": matches, "b": ignored, "c": other }));
        let cases = cases(&lane, &all, &of_suite);
        let told: Vec<_> = cases.iter().map(|case| (case.id.as_str(), case.said)).collect();
        assert_eq!(
            told,
            [
                ("krate::it b", Some(ToolWord::Ignored)),
                ("krate::it c", Some(ToolWord::NotOfSuite)),
                ("krate::it m::a", None),
            ]
        );
        let marks: Vec<&str> = cases[0].marks.iter().map(|mark| mark.name.as_str()).collect();
        assert_eq!(marks, ["e2e", "krate", "testing-etcd", "full"]);
        assert_eq!(cases[2].keywords, ["krate::it", "it", "test", "m"]);
    }

    #[test]
    fn a_binary_that_the_filter_rules_out_is_not_lost() {
        let lane = lane(SuiteKind::Cargo, "rust", None);
        let all = list(&json!({ "a": { "filter-match": { "status": "matches" } } }));
        let none = serde_json::from_value(json!({ "rust-suites": {} })).unwrap();
        assert_eq!(cases(&lane, &all, &none)[0].said, Some(ToolWord::NotOfSuite));
    }

    #[test]
    fn both_lists_are_asked_for_and_told_apart() {
        let mut lane = lane(SuiteKind::Cargo, "rust", None);
        lane.expression = Some("test(x)".to_owned());
        let steps = steps(&lane, "lib", &[]);
        let kinds: Vec<Option<Kind>> = steps.iter().map(|step| Kind::of_step(&step.id)).collect();
        assert_eq!(kinds, [Some(Kind::All), Some(Kind::OfSuite)]);
        assert!(steps[1].argv.ends_with(&["-E".to_owned(), "test(x)".to_owned()]));
        assert_eq!(Kind::of_step("run lib"), None);
    }
}
