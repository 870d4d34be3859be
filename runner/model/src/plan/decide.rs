//! The decision: which suites run where, in which order, and why the rest does not.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use super::{Choice, Environment, Plan, PlanError, SCHEMA, SkippedLane, plan_stack, tier_expression};
use crate::facts::Facts;
use crate::lane::{Lane, LaneId, LaneTimeouts, SuiteKind};
use crate::profile::{BASE, ProfileError, Resolved};
use crate::project::{Project, Suite};
use crate::selection::Expression;
use crate::stack::{Limits, Stack};
use crate::tier::{TestType, Tier};

/// Why a profile takes no part when the command line names some, and not this one.
const OTHERS_ARE_NAMED: &str = "`--profile` names others";

/// All that a plan depends on.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The tier.
    pub tier: Tier,
    /// The project under test.
    pub project: &'a Project,
    /// The base layer, resolved by itself: limits and times of suites that need no stack.
    pub base: &'a Resolved,
    /// The environments to choose from. With `--profile`, those that are named suffice.
    pub environments: &'a [Environment],
    /// The names of all profiles that exist, for suites and choices that name one.
    pub profiles: &'a BTreeSet<String>,
    /// The lock's references by image name.
    pub images: &'a BTreeMap<String, String>,
    /// Facts of this host.
    pub facts: &'a Facts,
    /// What the command line narrows the tier to.
    pub choice: &'a Choice,
}

/// Decides what a tier's run does.
pub fn plan(inputs: &Inputs<'_>) -> Result<Plan, PlanError> {
    check_choice(inputs)?;
    check_patterns(inputs)?;
    let mut decision = Decision { inputs, skipped: Vec::new(), lanes: Vec::new(), stacks: BTreeMap::new() };
    let mut suites: Vec<&Suite> = inputs.project.suites.iter().collect();
    suites.sort_by_key(|suite| rank(suite));
    let environments = ordered(inputs.environments);
    for suite in &suites {
        decision.decide_suite(suite, &environments)?;
    }
    Ok(decision.finish())
}

/// The environment of a single stack: the one that is named, or else the lowest in order that serves a tier and can run
/// here. `profiles` are the names of all profiles that exist.
pub fn choose<'e>(
    environments: &'e [Environment],
    named: Option<&str>,
    profiles: &BTreeSet<String>,
    facts: &Facts,
) -> Result<&'e Environment, PlanError> {
    if let Some(name) = named {
        return find(environments, name, profiles, facts);
    }
    let candidates: Vec<&Environment> = ordered(environments)
        .into_iter()
        .filter(|environment| !environment.profile.tiers.value.is_empty())
        .collect();
    let fits = candidates.iter().find(|environment| environment.unmet(facts).is_none());
    fits.copied().ok_or_else(|| {
        let reasons = candidates.iter().filter_map(|environment| {
            Some(format!("`{}`: {}", environment.profile.name, environment.unmet(facts)?))
        });
        PlanError::NothingFits { reasons: reasons.collect() }
    })
}

/// The environment of a name that was given on the command line, if it can run here.
fn find<'e>(
    environments: &'e [Environment],
    name: &str,
    profiles: &BTreeSet<String>,
    facts: &Facts,
) -> Result<&'e Environment, PlanError> {
    match environments.iter().find(|environment| environment.profile.name == name) {
        Some(environment) => match environment.unmet(facts) {
            None => Ok(environment),
            Some(reason) => Err(PlanError::Unmet { profile: name.to_owned(), reason }),
        },
        None if name == BASE => Err(PlanError::NoStack { profile: name.to_owned() }),
        None => Err(ProfileError::unknown(name, profiles.iter().map(String::as_str)).into()),
    }
}

/// Lint first, for it is fast and needs nothing; then what needs no stack; then ever larger parts of the product.
fn rank(suite: &Suite) -> (bool, u8) {
    let by_type = match (suite.test_type, suite.kind) {
        (TestType::Lint, _) => 0,
        (TestType::Unit, SuiteKind::Cargo) => 2,
        (TestType::Unit, _) => 1,
        (TestType::Integration, _) => 3,
        (TestType::E2e, _) => 4,
        (TestType::Benchmark, _) => 5,
        (TestType::Stress, _) => 6,
        (TestType::Security, _) => 7,
        (TestType::FaultTolerance, _) => 8,
    };
    (suite.needs_stack(), by_type)
}

fn ordered(environments: &[Environment]) -> Vec<&Environment> {
    let mut ordered: Vec<&Environment> = environments.iter().collect();
    ordered.sort_by(|a, b| {
        (a.profile.order.value, &a.profile.name).cmp(&(b.profile.order.value, &b.profile.name))
    });
    ordered
}

/// What the command line names must exist, and be able to run here.
fn check_choice(inputs: &Inputs<'_>) -> Result<(), PlanError> {
    for name in &inputs.choice.suites {
        if inputs.project.suite(name).is_none() {
            let known = inputs.project.suites.iter().map(|suite| suite.name.as_str());
            return Err(PlanError::unknown_suite(name, known));
        }
    }
    for name in &inputs.choice.profiles {
        find(inputs.environments, name, inputs.profiles, inputs.facts)?;
    }
    Ok(())
}

/// A profile that a suite names must exist; a pattern may fit none.
fn check_patterns(inputs: &Inputs<'_>) -> Result<(), PlanError> {
    for suite in &inputs.project.suites {
        for pattern in suite.profiles.iter().filter(|pattern| pattern.is_name()) {
            if !inputs.profiles.contains(&pattern.text) {
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

struct Decision<'i, 'a> {
    inputs: &'i Inputs<'a>,
    lanes: Vec<Lane>,
    skipped: Vec<SkippedLane>,
    stacks: BTreeMap<String, Stack>,
}

impl Decision<'_, '_> {
    fn decide_suite(&mut self, suite: &Suite, environments: &[&Environment]) -> Result<(), PlanError> {
        let choice = self.inputs.choice;
        if !choice.suites.is_empty() && !choice.suites.contains(&suite.name) {
            self.skip(suite, None, "`--suite` names others".to_owned());
        } else if let Some(flag) = choice.asks_pytest()
            && suite.kind != SuiteKind::Pytest
        {
            self.skip(suite, None, format!("`{flag}` chooses among the cases of pytest suites"));
        } else if suite.tier > self.inputs.tier {
            let (own, asked) = (suite.tier, self.inputs.tier);
            self.skip(suite, None, format!("it belongs to `{own}`, which comes after `{asked}`"));
        } else if suite.needs_stack() {
            self.decide_profiles(suite, environments)?;
        } else {
            let lane = self.lane(suite, self.inputs.base, None, Vec::new())?;
            self.lanes.push(lane);
        }
        Ok(())
    }

    /// A suite that needs a stack has one lane for each profile that takes part.
    fn decide_profiles(&mut self, suite: &Suite, environments: &[&Environment]) -> Result<(), PlanError> {
        let mut covered: Vec<BTreeMap<String, String>> = Vec::new();
        let mut mentioned = false;
        for environment in environments {
            let name = &environment.profile.name;
            let chosen = self.inputs.choice.profiles.contains(name);
            if !suite.can_run_in(name) {
                if chosen {
                    mentioned = true;
                    self.skip(suite, Some(name), "the suite cannot run in this profile".to_owned());
                }
                continue;
            }
            mentioned = true;
            if let Some(reason) = self.left_out(environment, chosen) {
                self.skip(suite, Some(name), reason);
                continue;
            }
            let facts = self.stack(environment)?.facts.clone();
            // A profile that was named is to be executed whole.
            let covered_by = if chosen { Vec::new() } else { covered.clone() };
            let lane = self.lane(suite, &environment.profile, Some(name), covered_by)?;
            if !chosen {
                let earlier = self.lanes.iter_mut().filter(|lane| lane.id.suite == suite.name);
                earlier.for_each(|lane| lane.covered_later.push(facts.clone()));
            }
            self.lanes.push(lane);
            covered.push(facts);
        }
        // With `--profile` the others are not even read, and are left out all the same.
        let is_read =
            |name: &String| environments.iter().any(|environment| environment.profile.name == *name);
        let profiles = self.inputs.profiles;
        for name in profiles.iter().filter(|name| *name != BASE && !is_read(name) && suite.can_run_in(name)) {
            mentioned = true;
            self.skip(suite, Some(name), OTHERS_ARE_NAMED.to_owned());
        }
        if !mentioned {
            self.skip(suite, None, "there is no profile that it can run in".to_owned());
        }
        Ok(())
    }

    /// Why a profile takes no part; none when it does.
    fn left_out(&self, environment: &Environment, chosen: bool) -> Option<String> {
        let profile = &environment.profile;
        if chosen {
            return None;
        }
        if !self.inputs.choice.profiles.is_empty() {
            return Some(OTHERS_ARE_NAMED.to_owned());
        }
        if !profile.serves(self.inputs.tier) {
            let asked = self.inputs.tier;
            return Some(match profile.tiers.value.first() {
                Some(first) => format!("the profile serves `{first}`, which comes after `{asked}`"),
                None => "the profile serves no tier; name it by `--profile`".to_owned(),
            });
        }
        environment.unmet(self.inputs.facts).map(|reason| format!("the profile cannot run here: {reason}"))
    }

    /// The profile's stack, planned once for all suites.
    fn stack(&mut self, environment: &Environment) -> Result<&Stack, PlanError> {
        match self.stacks.entry(environment.profile.name.clone()) {
            Entry::Occupied(planned) => Ok(planned.into_mut()),
            Entry::Vacant(place) => Ok(place.insert(plan_stack(environment, self.inputs.images)?)),
        }
    }

    fn lane(
        &self,
        suite: &Suite,
        profile: &Resolved,
        profile_name: Option<&String>,
        covered_by: Vec<BTreeMap<String, String>>,
    ) -> Result<Lane, PlanError> {
        let Some(reference) = self.inputs.images.get(&suite.image) else {
            let message = format!("the image `{}` is not in images/images.lock.json", suite.image);
            let fault = self.inputs.project.fault(suite.image_mark, message);
            let known = self.inputs.images.keys().map(String::as_str);
            return Err(fault.with_nearest(&suite.image, known).into());
        };
        let own = suite.expression.as_deref();
        let asked = |expression: &Option<Expression>| expression.as_ref().map(|it| it.source().to_owned());
        let asked_markers = asked(&self.inputs.choice.markers);
        Ok(Lane {
            id: LaneId { suite: suite.name.clone(), profile: profile_name.cloned() },
            kind: suite.kind,
            test_type: suite.test_type,
            image: suite.image.clone(),
            image_reference: reference.clone(),
            paths: suite.paths.clone(),
            expression: match suite.kind {
                SuiteKind::Pytest => {
                    let narrower = [own, asked_markers.as_deref()];
                    Some(tier_expression(self.inputs.tier, suite.tier, &narrower))
                }
                SuiteKind::Cargo | SuiteKind::PreCommit => own.map(str::to_owned),
            },
            keyword: asked(&self.inputs.choice.keyword),
            environment: suite.environment.clone(),
            arguments: suite.arguments.clone(),
            workers: suite.workers,
            covered_by,
            covered_later: Vec::new(),
            timeouts: LaneTimeouts {
                case_ms: suite.case_ms.unwrap_or(profile.timeouts.case.value),
                suite_ms: suite.suite_ms.unwrap_or(profile.timeouts.suite.value),
            },
            limits: Limits {
                memory_bytes: profile.executor.memory.value,
                nano_cpus: profile.executor.cpus.value,
                pids: profile.executor.pids.value,
            },
        })
    }

    fn skip(&mut self, suite: &Suite, profile: Option<&String>, reason: String) {
        let lane = LaneId { suite: suite.name.clone(), profile: profile.cloned() };
        self.skipped.push(SkippedLane { lane, reason });
    }

    /// Lanes without a stack first; then profile by profile, so that a stack can go when its last lane has ended.
    fn finish(mut self) -> Plan {
        let order: Vec<&str> =
            ordered(self.inputs.environments).iter().map(|e| e.profile.name.as_str()).collect();
        let position = |profile: &Option<String>| {
            profile.as_ref().map(|name| order.iter().position(|other| other == name))
        };
        // The sort is stable: within a profile, lanes stay in the order of their suites' ranks.
        self.lanes.sort_by_key(|lane| position(&lane.id.profile));
        let mut stacks: Vec<Stack> = self.stacks.into_values().collect();
        stacks.sort_by_key(|stack| position(&Some(stack.profile.clone())));
        let of_services = stacks
            .iter()
            .flat_map(|stack| stack.services.values())
            .map(|service| (service.image.clone(), service.image_reference.clone()));
        let of_lanes = self.lanes.iter().map(|lane| (lane.image.clone(), lane.image_reference.clone()));
        let images = of_services.chain(of_lanes).collect();
        Plan {
            schema: SCHEMA,
            tier: self.inputs.tier,
            project: self.inputs.project.name.clone(),
            images,
            stacks,
            lanes: self.lanes,
            skipped: self.skipped,
        }
    }
}
