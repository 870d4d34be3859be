//! Which models a stack and its lanes are given.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::SuiteCatalog;
use crate::lane::Lane;
use crate::models::{FOLDER, MOUNT, ModelContent, Models};
use crate::profile::Resolved;
use crate::selection::Mark;
use crate::span::Fault;
use crate::stack::{Mount, Stack};

/// The marker by which a case says that it needs a model.
const MARKER: &str = "model";

/// The models of a profile by their own names, in the order in which it names them.
pub(super) fn of_profile(profile: &Resolved, models: &Models) -> Result<Vec<String>, Fault> {
    let names = profile.models.value.iter().map(|written| {
        models.find(written).map(|model| model.name.clone()).ok_or_else(|| {
            let message = format!("`models` names `{written}`, which {} does not have", crate::models::FILE);
            profile.fault(&profile.models.origin, message).with_nearest(written, models.names())
        })
    });
    names.collect()
}

/// What a service mounts: where it has the folder of models, each model of the profile by itself. A profile that names none leaves
/// the folder as it is.
pub(super) fn mounts(written: &[Mount], names: &[String]) -> Vec<Mount> {
    let is_folder = |mount: &Mount| matches!(mount, Mount::Bind { source, target, .. } if source == FOLDER && target == MOUNT);
    let each = |mount: &Mount| {
        if is_folder(mount) && !names.is_empty() {
            names.iter().map(model).collect()
        } else {
            vec![mount.clone()]
        }
    };
    written.iter().flat_map(each).collect()
}

fn model(name: &String) -> Mount {
    Mount::Model { model: name.clone(), target: format!("{MOUNT}/{name}") }
}

/// The models that markers name, as they are written there.
pub(super) fn of_marks(marks: &[Mark]) -> impl Iterator<Item = &str> {
    let of_model = marks.iter().filter(|mark| mark.name == MARKER);
    of_model
        .flat_map(|mark| mark.args.iter().chain(mark.kwargs.get("name")))
        .filter_map(|value| value.as_str())
}

/// Gives a lane the models of its profile and of its cases.
pub(super) fn lane(lane: &mut Lane, of_profile: &[String], suite: Option<&SuiteCatalog>, models: &Models) {
    let mut names: BTreeSet<String> = of_profile.iter().cloned().collect();
    if let (Some(suite), Some(cases)) = (suite, &lane.cases) {
        let wanted: Vec<Vec<&str>> = suite.marks.iter().map(|marks| of_marks(marks).collect()).collect();
        if wanted.iter().any(|wanted| !wanted.is_empty()) {
            let ids: BTreeSet<&str> = cases.ids.iter().map(String::as_str).collect();
            for row in suite.cases.iter().filter(|row| ids.contains(row.id.as_str())) {
                let wanted = usize::try_from(row.marks).ok().and_then(|at| wanted.get(at));
                let known = wanted.into_iter().flatten().filter_map(|name| models.find(name));
                names.extend(known.map(|model| model.name.clone()));
            }
        }
    }
    lane.mounts = names.iter().map(model).collect();
}

/// What the models are that stacks and lanes mount.
pub(super) fn contents<'p>(
    stacks: &'p [Stack],
    lanes: &'p [Lane],
    models: &Models,
) -> BTreeMap<String, ModelContent> {
    let names = mounted(stacks, lanes).filter_map(|name| models.find(name));
    names.map(|model| (model.name.clone(), model.content().unwrap_or_else(ModelContent::unknown))).collect()
}

/// The models that stacks and lanes mount, some of them more than once.
pub(super) fn mounted<'p>(stacks: &'p [Stack], lanes: &'p [Lane]) -> impl Iterator<Item = &'p str> {
    let of_services =
        stacks.iter().flat_map(|stack| stack.services.values()).flat_map(|service| &service.mounts);
    of_services.chain(lanes.iter().flat_map(|lane| &lane.mounts)).filter_map(Mount::model)
}
