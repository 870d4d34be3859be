//! The project file `testbed.toml`: which suites a project under test has, and where each can run.

pub mod detect;
pub mod preset;
mod quarantine;
mod read;
mod rules;
pub mod schema;

use std::collections::BTreeMap;

use globset::GlobMatcher;

use crate::document::{Document, Mark};
use crate::image::ImageName;
use crate::lane::{Habits, SuiteKind};
use crate::profile::base_of;
use crate::span::Fault;
use crate::stack::Millis;
use crate::tier::{TestType, Tier};

pub use quarantine::{NewQuarantine, QuarantineError, add_quarantine};
pub use rules::{
    Budgets, ChangeEffect, ChangeRule, ChangeRules, ChangedFiles, FilePattern, LaneRule, Naming, Quarantine,
    Vocabulary,
};

/// The tools of suites, by the names that files have for them.
pub const KINDS: [(&str, SuiteKind); 3] =
    [("pytest", SuiteKind::Pytest), ("cargo", SuiteKind::Cargo), ("pre-commit", SuiteKind::PreCommit)];

/// A project under test.
#[derive(Clone, Debug)]
pub struct Project {
    /// Its name.
    pub name: String,
    /// Images of its own, in the order of the file.
    pub images: Vec<OwnImage>,
    /// Its suites, in the order of the file.
    pub suites: Vec<Suite>,
    /// The markers that its cases carry.
    pub vocabulary: Vocabulary,
    /// Parts of suites that are executed by themselves, in the order of the file.
    pub lanes: Vec<LaneRule>,
    /// How long things may take.
    pub budgets: Budgets,
    /// What a change of files concerns.
    pub changes: ChangeRules,
    /// How its test files are called.
    pub naming: Naming,
    /// Cases that are not executed for a while, in the order of the file.
    pub quarantines: Vec<Quarantine>,
    /// What it was recognised from, where it has no project file.
    pub detected: Option<String>,
    document: Document,
}

/// One suite as declared.
#[derive(Clone, Debug)]
pub struct Suite {
    /// Its name, unique in the project.
    pub name: String,
    /// The tool that collects and executes it.
    pub kind: SuiteKind,
    /// The nature of its tests.
    pub test_type: TestType,
    /// The earliest tier that holds it.
    pub tier: Tier,
    /// Files or folders below the project's root.
    pub paths: Vec<String>,
    /// The profiles whose stacks it can run against; none when it needs no stack.
    pub profiles: Vec<ProfilePattern>,
    /// pytest: a marker expression on top of the tier's; cargo: a nextest filter.
    pub expression: Option<String>,
    /// Further arguments of the tool.
    pub arguments: Vec<String>,
    /// Environment of the tool.
    pub environment: BTreeMap<String, String>,
    /// How the tool is executed, where the project says so.
    pub habits: Habits,
    /// Parallel workers of the tool.
    pub workers: u32,
    /// Image that the tool runs in: one of the lock, or of the project's own.
    pub image: String,
    /// Where the image is named, or else the suite.
    pub image_mark: Mark,
    /// Time for one case, over the profile's.
    pub case_ms: Option<Millis>,
    /// Time for the whole suite, over the profile's.
    pub suite_ms: Option<Millis>,
}

/// An image of the lock with dependencies of the project's own on top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnImage {
    /// Its name.
    pub name: ImageName,
    /// Where it is named.
    pub mark: Mark,
    /// The image of the lock that it starts from.
    pub base: String,
    /// Where that is named, or else the image.
    pub base_mark: Mark,
    /// Requirement files below the project's root, each with where it is named.
    pub requirements: Vec<(String, Mark)>,
    /// Debian packages.
    pub packages: Vec<String>,
    /// Where they are named, or else the image.
    pub packages_mark: Mark,
}

/// A profile's name, or a pattern such as `mocker*`.
#[derive(Clone, Debug)]
pub struct ProfilePattern {
    /// As written.
    pub text: String,
    /// Where.
    pub mark: Mark,
    matcher: GlobMatcher,
}

/// A project file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct ProjectError(#[from] pub Fault);

crate::hint::of_fault!(ProjectError);

/// Reads a project file; `file` is its name for messages.
pub fn parse(file: &str, text: &str) -> Result<Project, ProjectError> {
    let document = crate::document::from_toml(file, text)?;
    Ok(read::project(document)?)
}

impl Project {
    fn nothing(document: Document) -> Self {
        Self {
            name: String::new(),
            images: Vec::new(),
            suites: Vec::new(),
            vocabulary: Vocabulary::default(),
            lanes: Vec::new(),
            budgets: Budgets::default(),
            changes: ChangeRules::default(),
            naming: Naming::default(),
            quarantines: Vec::new(),
            detected: None,
            document,
        }
    }

    /// The suite of a name.
    pub fn suite(&self, name: &str) -> Option<&Suite> {
        self.suites.iter().find(|suite| suite.name == name)
    }

    /// A fault at a position in the project file.
    pub fn fault(&self, mark: Mark, message: impl Into<String>) -> Fault {
        self.document.fault(mark, message)
    }
}

impl Suite {
    /// Whether the suite needs a stack.
    pub fn needs_stack(&self) -> bool {
        !self.profiles.is_empty()
    }

    /// Whether the suite can run against a profile's stack.
    pub fn can_run_in(&self, profile: &str) -> bool {
        self.profiles.iter().any(|pattern| pattern.matches(profile))
    }
}

impl ProfilePattern {
    /// Whether a profile's name fits; a combination's fits where its profile's own does.
    pub fn matches(&self, profile: &str) -> bool {
        self.matcher.is_match(profile) || self.matcher.is_match(base_of(profile))
    }

    /// Whether it is a single name rather than a pattern.
    pub fn is_name(&self) -> bool {
        !self.text.contains(['*', '?', '[', '{'])
    }
}

#[cfg(test)]
mod tests;
