//! `testbed check`: what is wrong with a project's cases before any of them runs, as data.
//!
//! Each rule looks at the catalog and at what the project file says, and tells findings; cases of one file with the same trouble
//! are told once. Nothing is executed, and the day comes from outside.

mod feature;
mod fix;
mod github;
mod marker;
mod name;
mod quarantine;
mod run;
mod sarif;
mod vocabulary;

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, Entry, FindingKind, SuiteCatalog};
use crate::lane::SuiteKind;
use crate::project::{LaneRule, Naming, Quarantine, Suite, Vocabulary};
use crate::stack::Millis;

pub use feature::features;
pub use fix::{Edit, Fix, FixError, apply};
pub use github::annotations;
pub use sarif::sarif;

/// All that a check depends on.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The project file's name, for findings in it.
    pub project_file: &'a str,
    /// The project's suites.
    pub suites: &'a [Suite],
    /// Their cases. Of a suite that is not among them nothing is known, and nothing is said.
    pub catalog: &'a Catalog,
    /// The markers that the project knows.
    pub vocabulary: &'a Vocabulary,
    /// The lanes of CI.
    pub lanes: &'a [LaneRule],
    /// How test files are called.
    pub naming: &'a Naming,
    /// What is not executed for a while.
    pub quarantine: &'a [Quarantine],
    /// The day.
    pub today: Date,
    /// Case id to how long it took in earlier runs.
    pub durations: &'a BTreeMap<String, Millis>,
    /// The features of the project's crates.
    pub features: &'a [Feature],
    /// Test files to their texts, for fixes; a file that is missing here gets none.
    pub texts: &'a BTreeMap<String, String>,
}

/// A feature of a crate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    /// Its name.
    pub name: String,
    /// The `Cargo.toml` that declares it, relative to the project's root.
    pub file: String,
    /// The line there.
    pub line: u32,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule that found it.
    pub rule: Rule,
    /// How bad it is.
    pub level: Level,
    /// The suite, where it is about one.
    pub suite: Option<String>,
    /// The case, where it is about a single one.
    pub case: Option<String>,
    /// The file, relative to the project's root.
    pub file: Option<String>,
    /// The line, from one.
    pub line: Option<u32>,
    /// What, lower case, values in backticks, without final dot.
    pub message: String,
    /// The way out.
    pub hint: Option<String>,
    /// How to mend it without thinking, where that is possible.
    pub fix: Option<Fix>,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// A check with it fails.
    Error,
    /// It is told.
    Warning,
}

impl Level {
    /// The name, as in files and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// A file or suite cannot be collected.
    CollectionError,
    /// A case has no marker of a group of which each needs one.
    MissingMarkerGroup,
    /// A marker that nobody declared.
    UnknownMarker,
    /// A marker in an older spelling.
    AliasedSpelling,
    /// A case that no tier and no lane lets through.
    NeverRun,
    /// A case that may take long, or hang, without a limit.
    NoTimeout,
    /// A test file whose name fits no pattern.
    FileName,
    /// A feature of a crate that is spelled unlike the marker that it means.
    FeatureName,
    /// A quarantine whose last day is over.
    QuarantineExpired,
    /// A quarantine of cases that are not there.
    QuarantineMatchesNothing,
}

impl Rule {
    /// Every rule, in the order in which findings are told.
    pub const ALL: [Self; 10] = [
        Self::CollectionError,
        Self::MissingMarkerGroup,
        Self::UnknownMarker,
        Self::AliasedSpelling,
        Self::NeverRun,
        Self::NoTimeout,
        Self::FileName,
        Self::FeatureName,
        Self::QuarantineExpired,
        Self::QuarantineMatchesNothing,
    ];

    /// The name, as in files and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CollectionError => "collection-error",
            Self::MissingMarkerGroup => "missing-marker-group",
            Self::UnknownMarker => "unknown-marker",
            Self::AliasedSpelling => "aliased-spelling",
            Self::NeverRun => "never-run",
            Self::NoTimeout => "no-timeout",
            Self::FileName => "file-name",
            Self::FeatureName => "feature-name",
            Self::QuarantineExpired => "quarantine-expired",
            Self::QuarantineMatchesNothing => "quarantine-matches-nothing",
        }
    }

    /// What it looks for, in a sentence.
    pub const fn summary(self) -> &'static str {
        match self {
            Self::CollectionError => "Every file and suite can be collected.",
            Self::MissingMarkerGroup => "Every case has a marker of each required group.",
            Self::UnknownMarker => "Every marker is declared.",
            Self::AliasedSpelling => "Markers are written in their own spelling.",
            Self::NeverRun => "Every case is let through by some tier and lane.",
            Self::NoTimeout => "Cases that may take long have a timeout.",
            Self::FileName => "Test files are called by the project's patterns.",
            Self::FeatureName => "Features of crates are spelled like the markers that they mean.",
            Self::QuarantineExpired => "No quarantine outlives its last day.",
            Self::QuarantineMatchesNothing => "Every quarantine holds cases that are there.",
        }
    }

    /// How bad its findings are.
    pub const fn level(self) -> Level {
        match self {
            Self::CollectionError
            | Self::MissingMarkerGroup
            | Self::UnknownMarker
            | Self::NeverRun
            | Self::QuarantineExpired => Level::Error,
            Self::AliasedSpelling
            | Self::NoTimeout
            | Self::FileName
            | Self::FeatureName
            | Self::QuarantineMatchesNothing => Level::Warning,
        }
    }
}

/// Finds what is wrong, by file, line and rule.
pub fn check(inputs: &Inputs<'_>) -> Vec<Finding> {
    let mut findings = uncollected(inputs);
    let mut settled = run::running(inputs);
    for suite in inputs.suites {
        let Some(catalog) = inputs.catalog.suites.get(&suite.name) else { continue };
        // Markers, names and timeouts are pytest's; a Rust test or a hook has none of its own.
        if suite.kind == SuiteKind::Pytest {
            marker::check(inputs, suite, catalog, &mut findings);
            run::check(inputs, suite, catalog, &mut settled, &mut findings);
            name::check_files(inputs, suite, catalog, &mut findings);
        }
    }
    name::check_features(inputs, &mut findings);
    quarantine::check(inputs, &mut findings);
    findings.sort_by(|a, b| {
        let key = |finding: &Finding| (finding.file.clone(), finding.line, finding.rule);
        key(a).cmp(&key(b)).then_with(|| (&a.message, &a.suite).cmp(&(&b.message, &b.suite)))
    });
    // A file that two suites collect has the same trouble in both.
    findings.dedup_by(|a, b| (a.rule, &a.file, a.line, &a.message) == (b.rule, &b.file, b.line, &b.message));
    findings
}

fn uncollected(inputs: &Inputs<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (suite, why) in &inputs.catalog.uncollected {
        let message = format!("the suite `{suite}` cannot be collected: {why}");
        findings.push(Finding::of(Rule::CollectionError, Some(suite), message));
    }
    for (suite, catalog) in &inputs.catalog.suites {
        for told in catalog.findings.iter().filter(|told| told.kind == FindingKind::Error) {
            let message = format!("`{}` cannot be collected: {}", told.file, told.message);
            findings.push(Finding {
                file: Some(told.file.clone()),
                ..Finding::of(Rule::CollectionError, Some(suite), message)
            });
        }
    }
    findings
}

impl Finding {
    /// A finding without a place.
    fn of(rule: Rule, suite: Option<&str>, message: String) -> Self {
        Self {
            rule,
            level: rule.level(),
            suite: suite.map(str::to_owned),
            case: None,
            file: None,
            line: None,
            message,
            hint: None,
            fix: None,
        }
    }

    /// A finding about cases of one file.
    fn of_group(rule: Rule, suite: &Suite, group: &Group<'_>, what: &str) -> Self {
        Self {
            case: group.single().map(|entry| entry.row.id.clone()),
            file: group.file.map(str::to_owned),
            line: group.cases.iter().filter_map(|entry| entry.row.line).min(),
            ..Self::of(rule, Some(&suite.name), format!("{} {what}", group.subject()))
        }
    }
}

/// Cases of one file with the same trouble.
#[derive(Debug)]
struct Group<'c> {
    file: Option<&'c str>,
    cases: Vec<Entry<'c>>,
}

impl<'c> Group<'c> {
    fn single(&self) -> Option<&Entry<'c>> {
        if let [single] = self.cases.as_slice() { Some(single) } else { None }
    }

    /// "`test_x`" or "3 cases".
    fn subject(&self) -> String {
        self.single().map_or_else(|| format!("{} cases", self.cases.len()), |one| format!("`{}`", one.name()))
    }

    /// The word that fits the number of cases.
    fn word(&self, one: &'static str, many: &'static str) -> &'static str {
        if self.cases.len() == 1 { one } else { many }
    }
}

/// The cases for which `trouble` says something, by file and by what it says.
fn grouped<'c, T: Ord>(
    catalog: &'c SuiteCatalog,
    mut trouble: impl FnMut(&Entry<'c>) -> Option<T>,
) -> BTreeMap<(Option<&'c str>, T), Group<'c>> {
    let mut groups: BTreeMap<(Option<&str>, T), Group<'_>> = BTreeMap::new();
    for entry in catalog.entries() {
        if let Some(what) = trouble(&entry) {
            let fresh = || Group { file: entry.file, cases: Vec::new() };
            groups.entry((entry.file, what)).or_insert_with(fresh).cases.push(entry);
        }
    }
    groups
}

/// `a`, `b` and `c`.
fn listed<'n>(names: impl IntoIterator<Item = &'n str>, last: &str) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        Some((tail, head)) if !head.is_empty() => format!("{} {last} {tail}", head.join(", ")),
        _ => names.concat(),
    }
}

#[cfg(test)]
mod tests;
