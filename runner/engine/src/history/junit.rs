//! JUnit reports as runs: Testbed's own, pytest's, nextest's, and what others write.
//!
//! A report of Testbed's is the run that it names. Any other is a run of its own, known by the hash of its bytes, so that importing it
//! again changes nothing. Cases get the ids that Testbed's own suites have, where they can be told from the report alone.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;

use jiff::Timestamp;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use testbed_model::case::Outcome;
use testbed_model::exit_code::ExitCode;
use testbed_model::history::{PastResult, PastRun, RunKey, Source, Subject};
use testbed_model::record::EnvironmentId;

use super::error::HistoryError;
use super::import::Given;

/// Types of skips that stand for cases and lanes that were never executed, in Testbed's own reports.
const NOT_RUN: [&str; 2] = ["not run", "not planned"];
/// How nextest calls its reports.
const NEXTEST: &str = "nextest-run";
/// How a time is written.
const STAMP: &str = "timestamp=\"";

/// Reads a report.
pub(super) fn read(path: &Path, bytes: &[u8], given: &Given) -> Result<PastRun, HistoryError> {
    let refused = |message: String| HistoryError::Junit { path: path.to_owned(), message };
    let text = std::str::from_utf8(bytes).map_err(|error| refused(error.to_string()))?;
    let report = Report::deserialize_from_str(&strict(text)).map_err(|error| refused(reasons(&error)))?;
    let own = report.test_suites.iter().find_map(|suite| property(suite, "testbed.run"));
    let hash: String = blake3::hash(bytes).to_hex().chars().take(16).collect();
    let code = report.test_suites.iter().find_map(|suite| property(suite, "testbed.exit_code"));
    let number = code.and_then(|code| code.parse::<u8>().ok());
    let exit_code = ExitCode::ALL.into_iter().find(|code| Some(code.number()) == number);
    let broken = exit_code == Some(ExitCode::Environment);
    let results = report.test_suites.iter().flat_map(|suite| {
        let reader = Reader { report: &report, suite, given, own: own.is_some(), broken };
        suite.test_cases.iter().filter_map(move |case| reader.result(case))
    });
    Ok(PastRun {
        key: RunKey(own.map_or_else(|| format!("junit-{hash}"), str::to_owned)),
        started: started(&report)
            .or(given.at)
            .ok_or_else(|| HistoryError::Undated { path: path.to_owned() })?,
        source: Source::Junit,
        finished: true,
        share: false,
        exit_code,
        revision: given.revision.clone(),
        replaces: BTreeSet::new(),
        results: results.collect(),
    }
    .normal())
}

/// The report in the form that the reader takes: a lone suite gets its root, and a time without an offset, as pytest wrote it for
/// years, counts as UTC.
fn strict(text: &str) -> Cow<'_, str> {
    let mut out = Cow::Borrowed(text);
    if !text.contains("<testsuites")
        && let Some(at) = text.find("<testsuite")
    {
        let (head, tail) = text.split_at(at);
        out = Cow::Owned(format!("{head}<testsuites name=\"\">{tail}</testsuites>"));
    }
    if !out.contains(STAMP) {
        return out;
    }
    let mut parts = out.split(STAMP);
    let mut dated = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (time, rest) = part.split_once('"').unwrap_or((part, ""));
        let clock = time.split_once('T').map_or("", |(_, clock)| clock);
        let mark = if clock.is_empty() || clock.contains(['Z', 'z', '+', '-']) { "" } else { "Z" };
        dated.push_str(&format!("{STAMP}{time}{mark}\"{rest}"));
    }
    Cow::Owned(dated)
}

/// An error with what it came from.
fn reasons(error: &dyn std::error::Error) -> String {
    let mut out = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        out = format!("{out}: {source}");
        next = source.source();
    }
    out
}

fn started(report: &Report) -> Option<Timestamp> {
    let of_suites = report.test_suites.iter().filter_map(|suite| suite.timestamp);
    let earliest = report.timestamp.or_else(|| of_suites.min())?;
    Timestamp::from_millisecond(earliest.timestamp_millis()).ok()
}

fn property<'s>(suite: &'s TestSuite, name: &str) -> Option<&'s str> {
    suite.properties.iter().find(|it| it.name.as_str() == name).map(|it| it.value.as_str())
}

/// Reads the cases of one suite.
#[derive(Clone, Copy)]
struct Reader<'r> {
    report: &'r Report,
    suite: &'r TestSuite,
    given: &'r Given,
    /// Whether Testbed wrote it.
    own: bool,
    /// Whether the run's environment broke.
    broken: bool,
}

impl Reader<'_> {
    fn result(self, case: &TestCase) -> Option<PastResult> {
        let (outcome, attempts) = self.ended(case)?;
        let rounds = self.rounds(case);
        let attempts = rounds.map_or(attempts, |(executed, _)| executed);
        let says = match outcome {
            Outcome::Skipped | Outcome::Interrupted => false,
            Outcome::Error => !self.broken,
            _ => true,
        };
        let executions = if says { attempts } else { 0 };
        Some(PastResult {
            subject: Subject { case: self.id(case)?, lane: self.lane() },
            environment: property(self.suite, "testbed.environment").map(|it| EnvironmentId(it.to_owned())),
            outcome,
            executions,
            failures: match rounds {
                Some((_, failed)) => failed.min(executions),
                None if outcome.is_red() => executions,
                None => executions.saturating_sub(1),
            },
            duration_ms: case.time.map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        })
    }

    /// How often Testbed executed a case, and how often it was red, where it was asked for more than one execution.
    fn rounds(self, case: &TestCase) -> Option<(u32, u32)> {
        let number = |name: &str| {
            let property = case.properties.iter().find(|it| it.name.as_str() == name)?;
            property.value.as_str().parse().ok()
        };
        Some((number("testbed.rounds")?, number("testbed.rounds_failed")?)).filter(|_| self.own)
    }

    fn lane(self) -> String {
        match &self.given.lane {
            Some(lane) => lane.clone(),
            // Each binary is a suite there.
            None if self.is_nextest() => "nextest".to_owned(),
            None => self.suite.name.as_str().to_owned(),
        }
    }

    fn is_nextest(self) -> bool {
        self.report.name.as_ref().is_some_and(|name| name.as_str() == NEXTEST)
    }

    /// The case's id, as Testbed's own suites have it. What stands for a lane or a stack is no case.
    fn id(self, case: &TestCase) -> Option<String> {
        let name = case.name.as_str();
        if self.own {
            return (!name.starts_with("[lane]") && !name.starts_with("[stack ")).then(|| name.to_owned());
        }
        let class = case.classname.as_ref().map_or("", |class| class.as_str());
        if self.is_nextest() {
            return Some(format!("{class} {name}"));
        }
        let file = case.extra.iter().find(|(key, _)| key.as_str() == "file").map(|(_, file)| file.as_str());
        let is_python = file.is_some_and(|file| Path::new(file).extension().is_some_and(|it| it == "py"))
            || self.suite.name.as_str() == "pytest";
        Some(match (is_python, class) {
            (true, class) => python_id(file, class, name),
            (false, "") => name.to_owned(),
            (false, class) => format!("{class}::{name}"),
        })
    }

    fn ended(self, case: &TestCase) -> Option<(Outcome, u32)> {
        let told = |ty: &Option<quick_junit::XmlString>| {
            let known = [Outcome::TimedOut, Outcome::ExpectedFailure, Outcome::Interrupted];
            let ty = ty.as_ref().map_or("", |ty| ty.as_str());
            known.into_iter().find(|outcome| self.own && outcome.word() == ty)
        };
        let tries = |earlier: usize| u32::try_from(earlier).unwrap_or(u32::MAX).saturating_add(1);
        Some(match &case.status {
            TestCaseStatus::Success { flaky_runs } => (Outcome::Passed, tries(flaky_runs.len())),
            TestCaseStatus::NonSuccess { kind, ty, reruns, .. } => {
                let plain = match kind {
                    NonSuccessKind::Failure => Outcome::Failed,
                    NonSuccessKind::Error => Outcome::Error,
                };
                (told(ty).unwrap_or(plain), tries(reruns.runs.len()))
            }
            TestCaseStatus::Skipped { ty, .. } => {
                let word = ty.as_ref().map_or("", |ty| ty.as_str());
                if self.own && NOT_RUN.contains(&word) {
                    return None;
                }
                let is_expected = word == "pytest.xfail" || told(ty) == Some(Outcome::ExpectedFailure);
                let outcome = if is_expected { Outcome::ExpectedFailure } else { Outcome::Skipped };
                (told(ty).unwrap_or(outcome), 1)
            }
        })
    }
}

/// pytest's own id of a case: `tests/test_a.py::TestB::test_c[d]` of the class `tests.test_a.TestB` and the name `test_c[d]`. Modules
/// are written small; a part that is not is a class.
fn python_id(file: Option<&str>, class: &str, name: &str) -> String {
    let parts: Vec<&str> = class.split('.').filter(|part| !part.is_empty()).collect();
    let is_class = |part: &&str| part.starts_with(|c: char| c.is_ascii_uppercase());
    let modules = parts.iter().position(is_class).unwrap_or(parts.len());
    let (modules, classes) = parts.split_at(modules);
    let file = match file {
        Some(file) => file.to_owned(),
        None if modules.is_empty() => String::new(),
        None => format!("{}.py", modules.join("/")),
    };
    let mut id: Vec<&str> = vec![&file];
    id.extend(classes);
    id.push(name);
    id.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("::")
}
