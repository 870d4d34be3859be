//! What a project says of its cases beyond its suites: marker vocabulary, lanes, budgets, changes, names, quarantine.

use std::collections::BTreeMap;

use globset::GlobMatcher;
use jiff::civil::Date;

use crate::document::Mark as Position;
use crate::lane::SuiteKind;
use crate::selection::Expression;
use crate::stack::Millis;
use crate::tier::{TestType, Tier};

/// The markers that cases of a project carry, in groups such as `tier` and `hardware`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vocabulary {
    /// Group to its markers, each with its meaning (which may be empty).
    pub groups: BTreeMap<String, BTreeMap<String, String>>,
    /// Groups of which each case needs a marker of its own.
    pub required: Vec<String>,
    /// Group to the marker that a case without one of the group counts as having.
    pub defaults: BTreeMap<String, String>,
    /// Another spelling to the marker that it means.
    pub aliases: BTreeMap<String, String>,
}

impl Vocabulary {
    /// Every marker that it knows, in every spelling.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let members = self.groups.values().flat_map(BTreeMap::keys);
        members.chain(self.aliases.keys()).chain(self.aliases.values()).map(String::as_str)
    }
}

/// A part of a suite that is executed by itself: what a lane of CI lets through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneRule {
    /// Name, unique in the project.
    pub name: String,
    /// The suite that it is a part of.
    pub suite: String,
    /// The cases that it lets through; every case of the suite without one.
    pub expression: Option<Expression>,
    /// The earliest tier that holds it; the suite's without one.
    pub tier: Option<Tier>,
    /// Parallel workers of the tool, over the suite's.
    pub workers: Option<u32>,
    /// Where it is declared.
    pub mark: Position,
}

/// How long tiers, suites and cases may take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Budgets {
    /// A whole tier.
    pub tiers: BTreeMap<Tier, Millis>,
    /// A whole suite, by the type of its tests.
    pub suites: BTreeMap<TestType, Millis>,
    /// One case, by the type of the suite's tests and its tool, in microseconds.
    pub cases_us: BTreeMap<(TestType, SuiteKind), u64>,
}

/// What a change of files means for the selection.
#[derive(Clone, Debug, Default)]
pub struct ChangeRules {
    /// A file in the format of dorny/paths-filter, relative to the project's root: `.github/filters.yaml`.
    pub filters: Option<String>,
    /// Cases that every selection by changes keeps.
    pub always: Option<Expression>,
    /// Rules, of which every one that fits a changed file counts.
    pub rules: Vec<ChangeRule>,
    /// Whether they are a preset's. It serves many revisions of a project, and not every one has all keys of the filters file.
    pub built_in: bool,
}

/// One rule: these files concern these cases.
#[derive(Clone, Debug)]
pub struct ChangeRule {
    /// Which files.
    pub files: ChangedFiles,
    /// Which cases.
    pub effect: ChangeEffect,
    /// Where it is declared.
    pub mark: Position,
}

/// Which changed files a rule is about.
#[derive(Clone, Debug)]
pub enum ChangedFiles {
    /// Those that fit one of these patterns, relative to the project's root; `**` crosses folders.
    Patterns(Vec<FilePattern>),
    /// Those that a key of the filters file covers.
    Filter(String),
}

/// A pattern as written, with its matcher.
#[derive(Clone, Debug)]
pub struct FilePattern {
    /// As written.
    pub text: String,
    /// Its matcher: in a pattern of files `*` stays within a folder; in one of case ids it crosses everything, for a parameter
    /// may hold `/`.
    pub matcher: GlobMatcher,
}

/// Which cases a change concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeEffect {
    /// Every case of the tier.
    Everything,
    /// None: documentation and the like.
    Nothing,
    /// The cases of some suites.
    Suites(Vec<String>),
    /// The cases that an expression selects.
    Cases(Expression),
}

/// How test files are to be called: `test_<component>_<flow>.py`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Naming {
    /// Patterns, of which a test file's name must fit one. `<component>`, `<type>`, `<backend>`, `<tier>`, `<hardware>` stand for
    /// a marker of that group, `<flow>` for any words joined by `_`.
    pub patterns: Vec<String>,
    /// Files that are left alone, as patterns of paths.
    pub exempt: Vec<String>,
}

/// Cases that are not executed for a while, because somebody is mending them.
#[derive(Clone, Debug)]
pub struct Quarantine {
    /// Patterns of case ids, such as `tests/router/test_kv.py::*`.
    pub cases: Vec<FilePattern>,
    /// The ticket that tells why.
    pub ticket: String,
    /// The last day on which it holds.
    pub until: Date,
    /// Who mends the cases.
    pub owner: Option<String>,
    /// Why, in a sentence.
    pub reason: Option<String>,
    /// Where it is declared.
    pub mark: Position,
}

impl Naming {
    /// The placeholder that stands for any words.
    pub const FLOW: &str = "flow";
    /// Every placeholder that a pattern can hold, without its brackets.
    pub const PLACEHOLDERS: [&str; 6] = ["component", "type", "backend", "tier", "hardware", Self::FLOW];
}
