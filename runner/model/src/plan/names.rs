//! What the command line and the project file name must exist.

use std::collections::BTreeSet;

use super::{Environment, Inputs, PlanError};
use crate::facts::Facts;
use crate::profile::{BASE, ProfileError, base_of};
use crate::project::Suite;

/// The environment of a name that was given on the command line, if it can run here.
pub(super) fn find<'e>(
    environments: &'e [Environment],
    name: &str,
    profiles: &BTreeSet<String>,
    facts: &Facts,
) -> Result<&'e Environment, PlanError> {
    match environments.iter().find(|environment| environment.profile.name == name) {
        Some(environment) => {
            let Some(reason) = environment.unmet(facts) else { return Ok(environment) };
            let mut mends: Vec<String> =
                environment.lacks(facts).into_iter().filter_map(|it| it.mend).collect();
            // What mends several lacks is said once.
            mends.dedup();
            Err(PlanError::Unmet { profile: name.to_owned(), reason, mends })
        }
        None if environments.iter().any(|known| base_of(&known.profile.name) == name) => {
            let combinations = environments.iter().map(|known| known.profile.name.clone());
            let combinations = combinations.filter(|known| base_of(known) == name).collect();
            Err(PlanError::Matrix { profile: name.to_owned(), combinations })
        }
        None if name == BASE => Err(PlanError::NoStack { profile: name.to_owned() }),
        None => Err(ProfileError::unknown(name, profiles.iter().map(String::as_str)).into()),
    }
}

/// What the command line names must exist, and be able to run here.
pub(super) fn check_choice(inputs: &Inputs<'_>) -> Result<(), PlanError> {
    for name in &inputs.choice.suites {
        if inputs.project.suite(name).is_none() {
            let known = inputs.project.suites.iter().map(|suite| suite.name.as_str());
            return Err(PlanError::unknown_suite(name, known));
        }
    }
    for name in &inputs.choice.lanes {
        if !inputs.project.lanes.iter().any(|lane| lane.name == *name) {
            let known = inputs.project.lanes.iter().map(|lane| lane.name.as_str());
            return Err(PlanError::unknown_lane(name, known));
        }
    }
    for name in &inputs.choice.profiles {
        find(inputs.environments, name, inputs.profiles, inputs.facts)?;
    }
    Ok(())
}

/// A marker that `-m` asks for must be known to somebody, as pytest itself wants it: to a case, to the project's
/// declarations, or to the vocabulary. Where cases are not known, their tool will tell.
pub(super) fn check_names(inputs: &Inputs<'_>) -> Result<(), PlanError> {
    let Some(expression) = &inputs.choice.markers else { return Ok(()) };
    let asked = |suite: &&Suite| {
        let choice = inputs.choice;
        choice.suites.is_empty() || choice.suites.contains(&suite.name)
    };
    let mut known: BTreeSet<&str> = inputs.vocabulary.names().collect();
    for suite in inputs.project.suites.iter().filter(asked) {
        let Some(catalog) = inputs.catalog.suites.get(&suite.name) else { return Ok(()) };
        known.extend(catalog.marks.iter().flatten().map(|mark| mark.name.as_str()));
        known.extend(catalog.declared.keys().map(String::as_str));
    }
    match expression.names().into_iter().find(|name| !known.contains(name.text.as_str())) {
        None => Ok(()),
        Some(name) => Err(PlanError::unknown_marker(name, expression.source(), known)),
    }
}

/// A profile that a suite names must exist; a pattern may fit none.
pub(super) fn check_patterns(inputs: &Inputs<'_>) -> Result<(), PlanError> {
    for suite in &inputs.project.suites {
        for pattern in suite.profiles.iter().filter(|pattern| pattern.is_name()) {
            if !inputs.profiles.iter().any(|name| pattern.matches(name)) {
                let message =
                    format!("the suite `{}` names the unknown profile `{}`", suite.name, pattern.text);
                let known = inputs.profiles.iter().map(String::as_str).filter(|name| *name != BASE);
                return Err(inputs
                    .project
                    .fault(pattern.mark, message)
                    .with_nearest(&pattern.text, known)
                    .into());
            }
        }
    }
    Ok(())
}
