//! Lanes: one suite executed in one environment.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::stack::Millis;
use crate::tier::TestType;

/// A lane's name: the suite, the part of it that a lane of the project file lets through, and the profile whose stack it runs
/// against: `lint`, `e2e@mocker`, `tests/cpu-parallel@mocker`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LaneId {
    /// Suite.
    pub suite: String,
    /// The lane of the project file, where it divides the suite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// Profile, for a suite that needs a stack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
}

impl fmt::Display for LaneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.suite)?;
        if let Some(part) = &self.part {
            write!(f, "/{part}")?;
        }
        match &self.profile {
            Some(profile) => write!(f, "@{profile}"),
            None => Ok(()),
        }
    }
}

/// The tool that collects and executes a suite's cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SuiteKind {
    /// pytest, with Testbed's plugin.
    Pytest,
    /// Rust tests, through cargo-nextest.
    Cargo,
    /// Hooks of pre-commit; each hook is a case.
    PreCommit,
}

/// How a project is used to execute its tool, where that differs from Testbed's own way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Habits {
    /// pytest: the interpreter, by its name on PATH or its path in the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub python: Option<String>,
    /// pytest: the working folder, below the project's root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// The user of the tool, as `uid:gid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

impl Habits {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// One suite, in one environment, with all that decides what is executed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lane {
    /// Name.
    pub id: LaneId,
    /// Tool.
    pub kind: SuiteKind,
    /// Nature of the tests.
    #[serde(rename = "type")]
    pub test_type: TestType,
    /// Image's name in the lock.
    pub image: String,
    /// The reference that the daemon knows.
    pub image_reference: String,
    /// Files or folders below the project's root.
    pub paths: Vec<String>,
    /// pytest: the marker expression; cargo: the nextest filter; pre-commit: unused.
    pub expression: Option<String>,
    /// pytest: the keyword expression that the user asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyword: Option<String>,
    /// Exactly the cases that are to be executed, where the catalog was known; otherwise what the tool collects by path and
    /// expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cases: Option<Cases>,
    /// Environment of the tool.
    pub environment: BTreeMap<String, String>,
    /// Further arguments of the tool.
    pub arguments: Vec<String>,
    /// How the tool is executed, where the project says so.
    #[serde(default, skip_serializing_if = "Habits::is_empty")]
    pub habits: Habits,
    /// Parallel workers of the tool; one is sequential.
    pub workers: u32,
    /// Facts of stacks that come earlier in the plan: a case that one of them already satisfies is executed there, not here.
    pub covered_by: Vec<BTreeMap<String, String>>,
    /// Facts of stacks that come later in the plan: a case that this stack does not satisfy and one of them does is executed
    /// there, so it is not a skip here.
    pub covered_later: Vec<BTreeMap<String, String>>,
    /// Time for one case and for the whole lane.
    pub timeouts: LaneTimeouts,
    /// Memory and processor of the executor's container.
    pub limits: crate::stack::Limits,
    /// Models that the executor's container is given: those of the profile, and those that cases name by the marker `model`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<crate::stack::Mount>,
}

/// The cases of a lane.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cases {
    /// Their ids, in the order of the catalog.
    pub ids: Vec<String>,
    /// Whether these are all that the tool itself would execute of the suite.
    pub whole: bool,
    /// pytest: the files to collect, where that is less than the lane's paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// pytest: files that could not be collected. The suite's first lane tries them again, for they make the suite red.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub broken: Vec<String>,
    /// Cases that were asked for and are withheld, told by the suite's first lane.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<Withheld>,
}

/// A case that was asked for and is not executed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withheld {
    /// Its id.
    pub id: String,
    /// Why, in a sentence.
    pub reason: String,
}

/// How long a lane may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneTimeouts {
    /// One case.
    pub case_ms: Millis,
    /// All of them.
    pub suite_ms: Millis,
}
