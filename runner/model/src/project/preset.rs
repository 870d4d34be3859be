//! Presets: what is built in for a well-known project, as a project file that the same reader reads.

use std::sync::LazyLock;

use super::{ChangeEffect, Project, ProjectError, Vocabulary, parse};
use crate::document::{Item, Mark};
use crate::span::Fault;

const DYNAMO: &str = include_str!("presets/dynamo.toml");

/// Every preset by its name.
pub const PRESETS: [&str; 1] = ["dynamo"];

static READ: LazyLock<Result<Project, ProjectError>> = LazyLock::new(|| {
    let mut project = parse("<preset dynamo>", DYNAMO)?;
    project.changes.built_in = true;
    Ok(project)
});

/// The preset for NVIDIA Dynamo: its suites, markers, lanes, budgets and filters.
pub fn dynamo() -> Result<Project, ProjectError> {
    READ.clone()
}

impl Vocabulary {
    /// The markers of Dynamo's tests, which hold where a project file says nothing of markers.
    pub fn dynamo() -> Self {
        READ.as_ref().map(|project| project.vocabulary.clone()).unwrap_or_default()
    }
}

/// The preset that a key names. Every place in it is the place of that key, which is what the user can change.
pub(super) fn of_item(item: &Item<'_>) -> Result<Project, Fault> {
    item.word(&PRESETS.map(|name| (name, ())))?;
    let mut project = dynamo().map_err(|ProjectError(fault)| fault)?;
    project.move_to(item.mark());
    Ok(project)
}

impl Project {
    /// Leaves out lanes and rules of suites that there are none of.
    pub(super) fn forget_unknown_suites(&mut self) {
        let is_known = |name: &str| self.suites.iter().any(|suite| suite.name == name);
        self.lanes.retain(|lane| is_known(&lane.suite));
        self.changes.rules.retain_mut(|rule| match &mut rule.effect {
            ChangeEffect::Suites(names) => {
                names.retain(|name| is_known(name));
                !names.is_empty()
            }
            ChangeEffect::Everything | ChangeEffect::Nothing | ChangeEffect::Cases(_) => true,
        });
    }

    fn move_to(&mut self, mark: Mark) {
        for suite in &mut self.suites {
            suite.image_mark = mark;
            for pattern in &mut suite.profiles {
                pattern.mark = mark;
            }
        }
        self.lanes.iter_mut().for_each(|lane| lane.mark = mark);
        self.changes.rules.iter_mut().for_each(|rule| rule.mark = mark);
        self.quarantines.iter_mut().for_each(|quarantine| quarantine.mark = mark);
    }
}
