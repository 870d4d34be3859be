//! The impact of changed files: the cases that they concern, each with the reason.
//!
//! Every changed file must be explained, by a rule that fits it, by the imports that lead from it to cases, or by the crate that
//! it lies in. A file that nothing explains may concern anything, so the whole tier runs. Selecting too much costs time;
//! selecting too little lets a broken change through, so every doubt ends in more cases:
//!
//! - all explanations of a file count, and `nothing` only explains, it takes no case away;
//! - a Python file in a crate's folder concerns the crate, and must be explained by something else besides;
//! - a Python file that was read but leads to no case (a plugin, say) explains nothing;
//! - hooks of pre-commit look at any file, so any change concerns them.

use std::collections::{BTreeMap, BTreeSet};

use super::reach::{Importers, Reached};
use super::{ChangedFile, Crates, Filters};
use crate::catalog::SuiteCatalog;
use crate::exit_code::ExitCode;
use crate::hint::Hint;
use crate::lane::SuiteKind;
use crate::nearest::did_you_mean;
use crate::project::{ChangeEffect, ChangeRule, ChangeRules, ChangedFiles};
use crate::selection::{Expression, Mark, Marks};

/// Files in the project's root that decide how everything is built, collected or executed. So do all files named `*.lock`
/// there.
const DECISIVE: [&str; 9] = [
    "testbed.toml",
    "conftest.py",
    "pyproject.toml",
    "pytest.ini",
    ".pytest.ini",
    "pytest.toml",
    "tox.ini",
    "setup.cfg",
    "rust-toolchain.toml",
];

/// A message names so many files, and counts the rest.
const NAMED: usize = 5;

/// All that an impact depends on.
#[derive(Clone, Copy, Debug)]
pub struct Changes<'a> {
    /// What the project says of changes.
    pub rules: &'a ChangeRules,
    /// The filters file that the rules refer to.
    pub filters: Option<&'a Filters>,
    /// The packages of the project.
    pub crates: &'a Crates,
    /// The suites whose cases are asked about.
    pub suites: &'a [Subject<'a>],
    /// What changed.
    pub files: &'a [ChangedFile],
}

/// A suite with its cases.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The suite's name.
    pub name: &'a str,
    /// Its tool.
    pub kind: SuiteKind,
    /// Its cases.
    pub catalog: &'a SuiteCatalog,
    /// The sets of markers that expressions are asked about, numbered like the catalog's own: those, or those with the project's
    /// aliases and defaults.
    pub marks: &'a [Vec<Mark>],
}

/// The cases that changed files concern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Impact {
    /// All of them.
    Everything {
        /// Why, for the user.
        why: String,
    },
    /// Suite to its cases, in the order of the catalog.
    Cases(BTreeMap<String, Vec<CaseImpact>>),
}

/// Whether a case is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaseImpact {
    /// It is.
    Affected {
        /// Why: "imports `components/router/x.py`, which changed".
        because: String,
    },
    /// It is not.
    NotAffected,
}

/// A rule that names a key which the filters file does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a rule for changes in line {line} names the filter `{name}`, which {trouble}")]
pub struct UnknownFilter {
    /// The name.
    pub name: String,
    /// The line of the rule in the project file.
    pub line: u32,
    trouble: &'static str,
    hint: String,
}

impl Hint for UnknownFilter {
    fn hint(&self) -> Option<String> {
        Some(self.hint.clone())
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }
}

/// Decides which cases a set of changed files concerns. The order of the files means nothing.
pub fn impact(changes: &Changes<'_>) -> Result<Impact, UnknownFilter> {
    check_filters(changes)?;
    let files: BTreeSet<&ChangedFile> = changes.files.iter().collect();
    if let Some(file) = files.iter().find(|file| is_decisive(&file.path)) {
        let why = format!("`{}` changed, which decides how all of them are executed", file.path);
        return Ok(Impact::Everything { why });
    }
    let mut survey = Survey::new(changes);
    let mut unexplained: Vec<&str> = Vec::new();
    for file in files {
        match survey.take(file) {
            Taken::Everything { why } => return Ok(Impact::Everything { why }),
            Taken::Unexplained => unexplained.push(&file.path),
            Taken::Explained => {}
        }
    }
    unexplained.dedup();
    if !unexplained.is_empty() {
        let why = format!("nothing says which cases {} {}", named(&unexplained), concern(unexplained.len()));
        return Ok(Impact::Everything { why });
    }
    Ok(Impact::Cases(survey.finish()))
}

impl Impact {
    /// Whether it is all cases.
    pub fn is_everything(&self) -> bool {
        matches!(self, Self::Everything { .. })
    }

    /// Why a case is concerned, by its suite and its position in the catalog; nothing where it is not.
    pub fn because(&self, suite: &str, at: usize) -> Option<&str> {
        match self {
            Self::Everything { why } => Some(why),
            Self::Cases(suites) => match suites.get(suite)?.get(at)? {
                CaseImpact::Affected { because } => Some(because),
                CaseImpact::NotAffected => None,
            },
        }
    }
}

/// What became of a file.
enum Taken {
    Everything { why: String },
    Explained,
    Unexplained,
}

/// The suites with what was found out about their cases so far.
struct Survey<'a> {
    changes: &'a Changes<'a>,
    suites: Vec<Surveyed<'a>>,
}

struct Surveyed<'a> {
    subject: &'a Subject<'a>,
    importers: Importers<'a>,
    files: BTreeSet<&'a str>,
    cases: Vec<CaseImpact>,
}

impl<'a> Survey<'a> {
    fn new(changes: &'a Changes<'a>) -> Self {
        let suites = changes.suites.iter().map(Surveyed::new).collect();
        let mut survey = Self { changes, suites };
        if let Some(always) = &changes.rules.always {
            survey.affect_matching(always, "every selection by changes keeps it");
        }
        survey
    }

    /// Takes one changed file, by all that explains it.
    fn take(&mut self, file: &'a ChangedFile) -> Taken {
        let mut explained = false;
        for rule in &self.changes.rules.rules {
            let Some(fitting) = self.fitting(rule, file) else { continue };
            explained = true;
            let because = format!("`{}` changed, and {fitting} is for it", file.path);
            match &rule.effect {
                ChangeEffect::Everything => {
                    let why = format!("`{}` changed, and {fitting} is for all of them", file.path);
                    return Taken::Everything { why };
                }
                ChangeEffect::Nothing => {}
                ChangeEffect::Suites(names) => self.affect_suites(names, &because),
                ChangeEffect::Cases(expression) => self.affect_matching(expression, &because),
            }
        }
        explained |= self.take_by_imports(file);
        explained |= self.take_by_crates(file);
        for suite in self.suites.iter_mut().filter(|suite| suite.subject.kind == SuiteKind::PreCommit) {
            suite.affect(&format!("hooks look at every file, and `{}` changed", file.path), |_| true);
        }
        if explained { Taken::Explained } else { Taken::Unexplained }
    }

    /// The part of a rule that fits a file, in words.
    fn fitting(&self, rule: &ChangeRule, file: &ChangedFile) -> Option<String> {
        match &rule.files {
            ChangedFiles::Patterns(patterns) => {
                let pattern = patterns.iter().find(|pattern| pattern.matcher.is_match(&file.path))?;
                Some(format!("the rule for `{}`", pattern.text))
            }
            ChangedFiles::Filter(name) => {
                let covers = self.changes.filters?.covers(name, file)?;
                covers.then(|| format!("the rule for the filter `{name}`"))
            }
        }
    }

    fn take_by_imports(&mut self, file: &'a ChangedFile) -> bool {
        let mut explained = false;
        for suite in self.suites.iter_mut().filter(|suite| suite.subject.kind == SuiteKind::Pytest) {
            let reached: Reached<'a> = suite.importers.reached(&file.path, &suite.files);
            explained |= !reached.is_empty();
            suite.affect_reached(&reached);
        }
        explained
    }

    fn take_by_crates(&mut self, file: &ChangedFile) -> bool {
        let crates = self.changes.crates;
        let Some(folder) = crates.holding(&file.path) else { return false };
        let name = |folder: &str| crates.packages.get(folder).map_or("", |package| package.name.as_str());
        let own = name(folder);
        let dependents: BTreeSet<&str> = crates.dependents(folder).into_iter().map(name).collect();
        for suite in self.suites.iter_mut().filter(|suite| suite.subject.kind == SuiteKind::Cargo) {
            suite.affect_packages(&dependents, own, &file.path);
        }
        !is_python(&file.path)
    }

    fn affect_suites(&mut self, names: &[String], because: &str) {
        for suite in
            self.suites.iter_mut().filter(|suite| names.iter().any(|name| name == suite.subject.name))
        {
            suite.affect(because, |_| true);
        }
    }

    fn affect_matching(&mut self, expression: &Expression, because: &str) {
        for suite in &mut self.suites {
            // Asked once for each set of markers, of which thousands of cases share a few hundred.
            let holds: Vec<bool> =
                suite.subject.marks.iter().map(|set| expression.matches(&Marks(set))).collect();
            let without = expression.matches(&Marks(&[]));
            let rows = &suite.subject.catalog.cases;
            let of =
                |at: usize| rows.get(at).and_then(|row| holds.get(usize::try_from(row.marks).ok()?)).copied();
            suite.affect(because, |at| of(at).unwrap_or(without));
        }
    }

    fn finish(self) -> BTreeMap<String, Vec<CaseImpact>> {
        self.suites.into_iter().map(|suite| (suite.subject.name.to_owned(), suite.cases)).collect()
    }
}

impl<'a> Surveyed<'a> {
    fn new(subject: &'a Subject<'a>) -> Self {
        let catalog = subject.catalog;
        // A file that skips itself as a whole has no cases, and is understood all the same.
        let told = catalog.findings.iter().map(|finding| finding.file.as_str());
        Self {
            subject,
            importers: Importers::new(&catalog.imports),
            files: catalog.files.iter().map(String::as_str).chain(told).collect(),
            cases: vec![CaseImpact::NotAffected; catalog.cases.len()],
        }
    }

    /// Marks the cases, by number, for which `concerns` holds. The first reason stays.
    fn affect(&mut self, because: &str, concerns: impl Fn(usize) -> bool) {
        for (at, case) in self.cases.iter_mut().enumerate() {
            if *case == CaseImpact::NotAffected && concerns(at) {
                *case = CaseImpact::Affected { because: because.to_owned() };
            }
        }
    }

    fn affect_reached(&mut self, reached: &Reached<'_>) {
        if reached.is_empty() {
            return;
        }
        for (entry, case) in self.subject.catalog.entries().zip(&mut self.cases) {
            let why = entry.file.and_then(|file| reached.why(file));
            if let (Some(why), CaseImpact::NotAffected) = (why, &case) {
                *case = CaseImpact::Affected { because: why.to_owned() };
            }
        }
    }

    fn affect_packages(&mut self, dependents: &BTreeSet<&str>, own: &str, file: &str) {
        for (row, case) in self.subject.catalog.cases.iter().zip(&mut self.cases) {
            let package = package_of(&row.id);
            if *case == CaseImpact::NotAffected && dependents.contains(package) {
                let because = if package == own {
                    format!("`{file}` of its crate `{package}` changed")
                } else {
                    format!("its crate `{package}` depends on `{own}`, whose `{file}` changed")
                };
                *case = CaseImpact::Affected { because };
            }
        }
    }
}

/// The package of a cargo case, whose id starts with nextest's binary id: `package`, `package::binary` or
/// `package::bin/binary`, and then a space.
fn package_of(id: &str) -> &str {
    let binary = id.split(' ').next().unwrap_or(id);
    binary.split("::").next().unwrap_or(binary)
}

fn is_decisive(path: &str) -> bool {
    let at_root = !path.contains('/');
    at_root && (DECISIVE.contains(&path) || path.strip_suffix(".lock").is_some_and(|name| !name.is_empty()))
}

fn is_python(path: &str) -> bool {
    [".py", ".pyi"].iter().any(|end| path.ends_with(end))
}

/// A filter that is named in the project file must be there. One that only a preset names fits no file where it is not.
fn check_filters(changes: &Changes<'_>) -> Result<(), UnknownFilter> {
    if changes.rules.built_in {
        return Ok(());
    }
    for rule in &changes.rules.rules {
        let ChangedFiles::Filter(name) = &rule.files else { continue };
        let (trouble, hint) = match changes.filters {
            None => ("no file is there to hold", "name the file by `filters`".to_owned()),
            Some(filters) if filters.get(name).is_none() => {
                let names: Vec<&str> = filters.iter().map(|filter| filter.name.as_str()).collect();
                ("the filters file does not have", did_you_mean(name, names))
            }
            Some(_) => continue,
        };
        return Err(UnknownFilter { name: name.clone(), line: rule.mark.line, trouble, hint });
    }
    Ok(())
}

/// `a`, `b` and 3 more.
fn named(paths: &[&str]) -> String {
    let shown: Vec<String> = paths.iter().take(NAMED).map(|path| format!("`{path}`")).collect();
    match paths.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn concern(count: usize) -> &'static str {
    if count == 1 { "concerns" } else { "concern" }
}

#[cfg(test)]
mod tests;
