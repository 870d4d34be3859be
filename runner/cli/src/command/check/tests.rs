//! What is told of a small project, in each format, and what is mended.

use std::collections::BTreeMap;
use std::fs;

use jiff::civil::date;
use testbed_model::catalog::{Announced, Catalog, Gathering};
use testbed_model::check::{Feature, Finding, Level};
use testbed_model::project;
use testbed_model::selection::Mark;
use testbed_report::Style;

use super::mend::{mend, mended};
use super::{Subject, texts};
use crate::args::FindingsFormat;

const PROJECT: &str = r#"[project]
name = "p"

[[suite]]
name = "unit"
kind = "pytest"
type = "unit"
paths = ["t"]

[[suite]]
name = "e2e"
kind = "pytest"
type = "unit"
paths = ["e"]

[markers]
required = ["tier"]
groups.tier = ["pre_merge", "nightly"]
groups.component = ["router"]
aliases = { premerge = "pre_merge" }

[[quarantine]]
cases = ["t/test_a.py::*"]
ticket = "DYN-1"
until = "2026-11-19"
"#;

const TEXT: &str =
    "import pytest\n\n@pytest.mark.premerge\ndef test_1(): ...\n\n@pytest.mark.premerge\ndef test_2(): ...\n";

fn case(id: &str, line: u32, marks: &[&str]) -> Announced {
    Announced {
        id: id.to_owned(),
        file: id.split("::").next().map(str::to_owned),
        line: Some(line),
        marks: marks.iter().map(|name| Mark { name: (*name).to_owned(), ..Mark::default() }).collect(),
        ..Announced::default()
    }
}

/// A project whose second suite could not be collected.
fn subject(suites: &[String]) -> Subject<'_> {
    let mut gathering = Gathering::default();
    for (id, line, marks) in [
        ("t/test_a.py::test_1", 3, ["premerge"].as_slice()),
        ("t/test_a.py::test_2", 6, &["premerge"]),
        ("t/test_b.py::test_3", 1, &[]),
        ("t/test_c.py::test_4", 12, &["nightly", "\u{1b}[2Jodd"]),
        ("t/test_d.py::test_5", 9, &[]),
    ] {
        gathering.add(case(id, line, marks));
    }
    Subject {
        durations: BTreeMap::new(),
        project: project::parse("testbed.toml", PROJECT).unwrap(),
        catalog: Catalog {
            suites: BTreeMap::from([("unit".to_owned(), gathering.finish())]),
            uncollected: BTreeMap::from([("e2e".to_owned(), "the image `tests` is not here".to_owned())]),
        },
        texts: BTreeMap::from([("t/test_a.py".to_owned(), TEXT.to_owned())]),
        features: vec![Feature { name: "Router".to_owned(), file: "lib/Cargo.toml".to_owned(), line: 7 }],
        today: date(2026, 11, 20),
        suites,
        is_asked: true,
    }
}

fn told(subject: &Subject<'_>, format: FindingsFormat, style: Style) -> String {
    subject.told(&subject.findings(), format, &style).unwrap()
}

#[test]
fn a_person_reads_findings_by_file_and_each_hint_once() {
    insta::assert_snapshot!(told(&subject(&[]), FindingsFormat::Text, Style::plain(110)));
}

#[test]
fn colours_change_nothing_but_colours() {
    let style = Style { colours: true, ..Style::plain(110) };
    let coloured = told(&subject(&[]), FindingsFormat::Text, style);
    assert!(coloured.contains('\u{1b}'));
    let plain = told(&subject(&[]), FindingsFormat::Text, Style::plain(110));
    assert_eq!(console::strip_ansi_codes(&coloured), plain);
    for format in [FindingsFormat::Json, FindingsFormat::Sarif] {
        assert!(!told(&subject(&[]), format, style).contains('\u{1b}'));
    }
}

#[test]
fn a_program_reads_every_finding_and_their_counts() {
    let subject = subject(&[]);
    let json: serde_json::Value =
        serde_json::from_str(&told(&subject, FindingsFormat::Json, Style::plain(110))).unwrap();
    let read: Vec<Finding> = serde_json::from_value(json["findings"].clone()).unwrap();
    assert_eq!(read, subject.findings());
    let count = |level: Level| read.iter().filter(|finding| finding.level == level).count();
    assert_eq!(
        (json["errors"].clone(), json["warnings"].clone()),
        (count(Level::Error).into(), count(Level::Warning).into())
    );
    let sarif: serde_json::Value =
        serde_json::from_str(&told(&subject, FindingsFormat::Sarif, Style::plain(110))).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    assert_eq!(sarif["runs"][0]["results"].as_array().unwrap().len(), read.len());
    assert_eq!(sarif["runs"][0]["tool"]["driver"]["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn annotations_follow_what_a_person_reads() {
    let subject = subject(&[]);
    let (text, github) = (
        told(&subject, FindingsFormat::Text, Style::plain(110)),
        told(&subject, FindingsFormat::Github, Style::plain(110)),
    );
    let annotations = github.strip_prefix(&text).unwrap();
    assert_eq!(annotations.lines().count(), subject.findings().len());
    assert!(annotations.lines().all(|line| line.starts_with("::error ") || line.starts_with("::warning ")));
}

#[test]
fn with_a_suite_only_its_findings_are_told() {
    let suites = ["unit".to_owned()];
    let mut subject = subject(&suites);
    // Nobody asks for the cases of the other suite.
    subject.catalog.uncollected.clear();
    let findings = subject.findings();
    assert!(!findings.is_empty());
    assert!(findings.iter().all(|finding| finding.suite.as_deref() == Some("unit")), "{findings:?}");
}

#[test]
fn what_nobody_was_to_be_asked_for_is_no_error() {
    let of_suite = |subject: &Subject<'_>| {
        let mut findings = subject.findings();
        findings.retain(|finding| finding.suite.as_deref() == Some("e2e"));
        findings.pop().unwrap().level
    };
    assert_eq!(of_suite(&subject(&[])), Level::Error);
    assert_eq!(of_suite(&Subject { is_asked: false, ..subject(&[]) }), Level::Warning);
}

#[test]
fn a_sound_project_says_how_much_was_looked_at() {
    let mut subject = subject(&[]);
    subject.catalog = Catalog::default();
    subject.project.quarantines.clear();
    subject.features.clear();
    insta::assert_snapshot!(told(&subject, FindingsFormat::Text, Style::plain(110)), @"nothing found in 0 cases of 0 suites");
}

#[test]
fn mending_replaces_every_older_spelling_and_leaves_the_other_findings() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("t")).unwrap();
    fs::write(root.path().join("t/test_a.py"), TEXT).unwrap();
    let mut subject = subject(&[]);
    subject.texts = texts::read(root.path(), ["t/test_a.py", "t/test_b.py"]);
    let before = subject.findings();
    let mut told = Vec::new();
    let style = Style::plain(110);
    let left = mend(root.path(), &subject.texts, before.clone(), &style, |text| told.push(text.to_owned()));
    let left = left.unwrap();
    insta::assert_snapshot!(told.join("\n"), @r"
    mended t/test_a.py: replace `premerge` by `pre_merge`
    hint: the cases of mended files are collected anew at the next call
    ");
    assert_eq!(left.len() + 1, before.len());
    assert!(left.iter().all(|finding| before.contains(finding) && finding.fix.is_none()));
    let text = fs::read_to_string(root.path().join("t/test_a.py")).unwrap();
    assert_eq!(text, TEXT.replace("premerge", "pre_merge"));
    // The text that was checked is not there any more.
    let failure = mend(root.path(), &subject.texts, before, &style, |text| panic!("{text}")).unwrap_err();
    let testbed_model::event::Event::Warning { message, hint } = failure.event() else {
        panic!("no message")
    };
    assert_eq!(message, "cannot mend `t/test_a.py`: it has changed meanwhile");
    assert_eq!(hint.as_deref(), Some("check again"));
    assert_eq!(fs::read_to_string(root.path().join("t/test_a.py")).unwrap(), text);
}

#[test]
fn two_suites_that_hold_a_file_mend_it_once() {
    let mut subject = subject(&[]);
    let known = subject.catalog.suites["unit"].clone();
    subject.catalog.suites.insert("e2e".to_owned(), known);
    let mended = mended(&subject.findings(), &subject.texts).unwrap();
    let file = &mended["t/test_a.py"];
    assert_eq!(file.text, TEXT.replace("premerge", "pre_merge"));
    assert_eq!(file.what.iter().collect::<Vec<_>>(), ["replace `premerge` by `pre_merge`"]);
}
