//! The decision: which suites run where, in which order, and why the rest does not.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use super::deal::{keep_share, name_files};
use super::distribute::Distribution;
use super::judge::{Candidate, Judge, Seat, Step};
use super::names::{check_choice, check_names, check_patterns, find};
use super::verdict::{SkipGroup, SkipReason, Verdict};
use super::{Choice, Environment, Plan, PlanError, SCHEMA, SkippedLane, equip, plan_stack, tier_expression};
use crate::budget::Durations;
use crate::catalog::{Catalog, SuiteCatalog};
use crate::changes::Impact;
use crate::facts::Facts;
use crate::lane::{Lane, LaneId, LaneTimeouts, SuiteKind};
use crate::models::Models;
use crate::profile::{BASE, Resolved};
use crate::project::{LaneRule, Project, Suite, Vocabulary};
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
    /// The models that profiles and cases may name.
    pub models: &'a Models,
    /// Facts of this host.
    pub facts: &'a Facts,
    /// What the command line narrows the tier to.
    pub choice: &'a Choice,
    /// The cases of the suites, as far as they are known. A suite that is not in it is planned as a whole.
    pub catalog: &'a Catalog,
    /// What markers mean in this project.
    pub vocabulary: &'a Vocabulary,
    /// The day, which decides what is quarantined.
    pub today: Date,
    /// What a change of files concerns, where only that is asked for.
    pub impact: Option<&'a Impact>,
    /// How long cases take, which decides how shards are dealt out.
    pub durations: &'a Durations,
}

/// Decides what a tier's run does. A share of a tier carries the plan of the whole with it.
pub fn plan(inputs: &Inputs<'_>) -> Result<Plan, PlanError> {
    let plan = decide(inputs)?;
    if inputs.choice.shard.is_none() {
        return Ok(plan);
    }
    let choice = Choice { shard: None, ..inputs.choice.clone() };
    let whole = decide(&Inputs { choice: &choice, ..*inputs })?;
    Ok(Plan { whole: Some(Box::new(whole)), ..plan })
}

fn decide(inputs: &Inputs<'_>) -> Result<Plan, PlanError> {
    check_choice(inputs)?;
    check_patterns(inputs)?;
    check_names(inputs)?;
    let mut decision = Decision::new(inputs);
    let mut suites: Vec<&Suite> = inputs.project.suites.iter().collect();
    suites.sort_by_key(|suite| rank(suite));
    let environments = ordered(inputs.environments);
    for suite in &suites {
        let considered = decision.consider(suite, &environments)?;
        decision.settle(suite, considered);
    }
    Ok(decision.finish())
}

/// Why a case is in the plan or not: each rule that was asked, with its answer. None for a case that no catalog has.
pub fn explain(inputs: &Inputs<'_>, case: &str) -> Result<Vec<Explained>, PlanError> {
    let mut decision = Decision::new(inputs);
    let environments = ordered(inputs.environments);
    let mut explained = Vec::new();
    for suite in &inputs.project.suites {
        let Some(known) = inputs.catalog.suites.get(&suite.name) else { continue };
        let mut rows = known.cases.iter().enumerate();
        let Some((at, row)) = rows.find(|(_, row)| row.id == case) else { continue };
        let considered = decision.consider(suite, &environments)?;
        let mut steps = Vec::new();
        let verdict = if let Some((rule, reason)) = &considered.whole {
            steps.push(Step { rule, finding: reason.to_string() });
            Verdict::Skip(reason.clone())
        } else {
            let judge = Judge::new(inputs, suite, known, &considered.candidates, &considered.absent);
            judge.verdict(at, &known.entry(row), Some(&mut steps))
        };
        explained.push(Explained { suite: suite.name.clone(), steps, verdict });
    }
    Ok(explained)
}

/// One lane for each suite that the tier and the choice let through, as its tool is asked for the suite's cases: without a
/// stack, and in the base layer's limits.
pub fn collectable(inputs: &Inputs<'_>) -> Result<Vec<Lane>, PlanError> {
    check_choice(inputs)?;
    let decision = Decision::new(inputs);
    let asked = &inputs.choice.suites;
    let takes_part =
        |suite: &&Suite| suite.tier <= inputs.tier && (asked.is_empty() || asked.contains(&suite.name));
    let suites = inputs.project.suites.iter().filter(takes_part);
    suites.map(|suite| decision.lane(suite, inputs.base, None, None)).collect()
}

/// Why one case of a suite is executed or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// Its suite.
    pub suite: String,
    /// The rules that were asked, in order.
    pub steps: Vec<Step>,
    /// What they amount to.
    pub verdict: Verdict,
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

/// Where a suite could be executed, before its cases are looked at.
#[derive(Debug, Default)]
struct Considered {
    /// Lanes that could take its cases.
    lanes: Vec<Lane>,
    /// The same, as cases see them.
    candidates: Vec<Candidate>,
    /// Why profiles take no part, a phrase each.
    absent: Vec<String>,
    /// The rule and the reason that leave the suite out as a whole.
    whole: Option<(&'static str, SkipReason)>,
}

impl Considered {
    fn add(&mut self, lane: Lane, seat: Seat) {
        self.candidates.push(Candidate { lane: lane.id.clone(), seat });
        self.lanes.push(lane);
    }
}

fn expression_of(rule: Option<&LaneRule>) -> Option<Expression> {
    rule.and_then(|rule| rule.expression.clone())
}

struct Decision<'i, 'a> {
    inputs: &'i Inputs<'a>,
    lanes: Vec<Lane>,
    skipped: Vec<SkippedLane>,
    skips: Vec<SkipGroup>,
    stacks: BTreeMap<String, Stack>,
}

impl<'i, 'a> Decision<'i, 'a> {
    fn new(inputs: &'i Inputs<'a>) -> Self {
        Self { inputs, lanes: Vec::new(), skipped: Vec::new(), skips: Vec::new(), stacks: BTreeMap::new() }
    }

    /// The lanes of the project file that divide a suite, as far as the tier has come; one without a rule where none does. What
    /// is no expression of pytest's cannot be asked of another tool when nobody knows the cases.
    fn rules(&self, suite: &Suite) -> Vec<Option<&'i LaneRule>> {
        let of_suite = |rule: &&LaneRule| rule.suite == suite.name;
        let mut rules = self.inputs.project.lanes.iter().filter(of_suite).peekable();
        let divisible = suite.kind == SuiteKind::Pytest || self.known(suite).is_some();
        if rules.peek().is_none() || !divisible {
            return vec![None];
        }
        let asked = &self.inputs.choice.lanes;
        let takes_part = |rule: &&LaneRule| {
            rule.tier.is_none_or(|tier| tier <= self.inputs.tier)
                && (asked.is_empty() || asked.contains(&rule.name))
        };
        rules.filter(takes_part).map(Some).collect()
    }

    fn known(&self, suite: &Suite) -> Option<&'i SuiteCatalog> {
        self.inputs.catalog.suites.get(&suite.name)
    }

    /// Where a suite could be executed.
    fn consider(&mut self, suite: &Suite, environments: &[&Environment]) -> Result<Considered, PlanError> {
        let choice = self.inputs.choice;
        let mut considered = Considered::default();
        // Only pytest itself can be asked by markers and names when nobody knows the cases.
        let unknown = choice.asks_cases().filter(|flag| {
            self.known(suite).is_none() && (suite.kind != SuiteKind::Pytest || *flag == "--case")
        });
        if !choice.suites.is_empty() && !choice.suites.contains(&suite.name) {
            considered.whole = Some(("--suite", SkipReason::OtherSuite));
            self.skip(suite, None, SkipReason::OtherSuite.to_string());
        } else if let Some(flag) = unknown {
            self.skip(suite, None, format!("its cases are not known, and `{flag}` chooses among cases"));
        } else if suite.tier > self.inputs.tier {
            let (own, asked) = (suite.tier, self.inputs.tier);
            considered.whole = Some(("tier", SkipReason::OtherTier { tier: own }));
            self.skip(suite, None, format!("it belongs to `{own}`, which comes after `{asked}`"));
        } else if suite.needs_stack() {
            self.consider_profiles(suite, environments, &mut considered)?;
        } else {
            for rule in self.rules(suite) {
                let lane = self.lane(suite, self.inputs.base, None, rule)?;
                considered.add(lane, Seat { facts: None, whole: false, rule: expression_of(rule) });
            }
        }
        Ok(considered)
    }

    /// Gives the lanes of a suite their cases, where these are known.
    fn settle(&mut self, suite: &Suite, considered: Considered) {
        let Some(known) = self.known(suite) else {
            self.lanes.extend(considered.lanes);
            return;
        };
        let mut distribution = Distribution::new(suite, considered.lanes);
        if let Some((_, reason)) = &considered.whole {
            distribution.leave_out_all(known, reason);
        } else {
            let judge = Judge::new(self.inputs, suite, known, &considered.candidates, &considered.absent);
            distribution.judge_all(known, &judge);
            // Which of its cases a broken file would have had nobody knows; only `--case` names files.
            let cases = &self.inputs.choice.cases;
            distribution.try_broken(known, |file| {
                cases.is_empty() || cases.iter().any(|pattern| pattern.may_be_in(file))
            });
        }
        let (lanes, skipped, skips) = distribution.finish();
        self.lanes.extend(lanes);
        self.skipped.extend(skipped);
        self.skips.extend(skips);
    }

    /// A suite that needs a stack has one lane for each profile that takes part.
    fn consider_profiles(
        &mut self,
        suite: &Suite,
        environments: &[&Environment],
        considered: &mut Considered,
    ) -> Result<(), PlanError> {
        let mut covered: Vec<BTreeMap<String, String>> = Vec::new();
        let mut mentioned = false;
        for environment in environments {
            let name = &environment.profile.name;
            let chosen = self.inputs.choice.profiles.contains(name);
            if !suite.can_run_in(name) {
                if chosen {
                    mentioned = true;
                    let reason = "the suite cannot run in this profile";
                    considered.absent.push(format!("{name}: {reason}"));
                    self.skip(suite, Some(name), reason.to_owned());
                }
                continue;
            }
            mentioned = true;
            if let Some(reason) = self.left_out(environment, chosen) {
                considered.absent.push(format!("{name}: {reason}"));
                self.skip(suite, Some(name), reason);
                continue;
            }
            let facts = self.stack(environment)?.facts.clone();
            // A profile that was named is to be executed whole as well.
            let whole = chosen || environment.profile.is_whole();
            if !whole {
                considered.lanes.iter_mut().for_each(|lane| lane.covered_later.push(facts.clone()));
            }
            for rule in self.rules(suite) {
                let mut lane = self.lane(suite, &environment.profile, Some(name), rule)?;
                lane.covered_by = if whole { Vec::new() } else { covered.clone() };
                let seat = Seat { facts: Some(facts.clone()), whole, rule: expression_of(rule) };
                considered.add(lane, seat);
            }
            if !whole {
                covered.push(facts);
            }
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
            Entry::Vacant(place) => {
                Ok(place.insert(plan_stack(environment, self.inputs.images, self.inputs.models)?))
            }
        }
    }

    fn lane(
        &self,
        suite: &Suite,
        profile: &Resolved,
        profile_name: Option<&String>,
        rule: Option<&LaneRule>,
    ) -> Result<Lane, PlanError> {
        let Some(reference) = self.inputs.images.get(&suite.image) else {
            let image = &suite.image;
            let message =
                format!("the image `{image}` is neither in images/images.lock.json nor an `[[image]]` here");
            let fault = self.inputs.project.fault(suite.image_mark, message);
            let known = self.inputs.images.keys().map(String::as_str);
            return Err(fault.with_nearest(&suite.image, known).into());
        };
        let own = suite.expression.as_deref();
        let asked =
            |expression: &Option<Expression>| expression.as_ref().map(|it| it.in_pytests_words().to_owned());
        let asked_markers = asked(&self.inputs.choice.markers);
        Ok(Lane {
            id: LaneId {
                suite: suite.name.clone(),
                part: rule.map(|rule| rule.name.clone()),
                profile: profile_name.cloned(),
            },
            kind: suite.kind,
            test_type: suite.test_type,
            image: suite.image.clone(),
            image_reference: reference.clone(),
            paths: suite.paths.clone(),
            expression: match suite.kind {
                SuiteKind::Pytest => {
                    let of_rule =
                        rule.and_then(|rule| rule.expression.as_ref()).map(Expression::in_pytests_words);
                    let narrower = [own, of_rule, asked_markers.as_deref()];
                    Some(tier_expression(self.inputs.tier, suite.tier, &narrower))
                }
                SuiteKind::Cargo | SuiteKind::PreCommit => own.map(str::to_owned),
            },
            keyword: asked(&self.inputs.choice.keyword),
            cases: None,
            environment: suite.environment.clone(),
            arguments: suite.arguments.clone(),
            habits: suite.habits.clone(),
            workers: rule.and_then(|rule| rule.workers).unwrap_or(suite.workers),
            covered_by: Vec::new(),
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
            mounts: Vec::new(),
        })
    }

    /// Gives every lane the models of its profile and of its cases.
    fn equip_lanes(&mut self) {
        let (environments, models) = (self.inputs.environments, self.inputs.models);
        for lane in &mut self.lanes {
            let of = lane.id.profile.as_ref();
            let environment = environments.iter().find(|it| Some(&it.profile.name) == of);
            // A profile whose models are not known has no stack, and no lane.
            let names =
                environment.and_then(|it| equip::of_profile(&it.profile, models).ok()).unwrap_or_default();
            equip::lane(lane, &names, self.inputs.catalog.suites.get(&lane.id.suite), models);
        }
    }

    fn skip(&mut self, suite: &Suite, profile: Option<&String>, reason: String) {
        let lane = LaneId { suite: suite.name.clone(), part: None, profile: profile.cloned() };
        self.skipped.push(SkippedLane { lane, reason });
    }

    /// Lanes without a stack first; then profile by profile, so that a stack can go when its last lane has ended.
    fn finish(mut self) -> Plan {
        let shard = self.inputs.choice.shard;
        if let Some(shard) = shard {
            let lanes = std::mem::take(&mut self.lanes);
            let (kept, skipped, skips) = keep_share(lanes, shard, self.inputs.durations);
            self.lanes = kept;
            self.skipped.extend(skipped);
            self.skips.extend(skips);
        }
        name_files(&mut self.lanes, self.inputs.choice);
        self.equip_lanes();
        let order: Vec<&str> =
            ordered(self.inputs.environments).iter().map(|e| e.profile.name.as_str()).collect();
        let position = |profile: &Option<String>| {
            profile.as_ref().map(|name| order.iter().position(|other| other == name))
        };
        // The sort is stable: within a profile, lanes stay in the order of their suites' ranks.
        self.lanes.sort_by_key(|lane| position(&lane.id.profile));
        // A stack whose lanes all came to have no case is not brought up.
        let used =
            |stack: &Stack| self.lanes.iter().any(|lane| lane.id.profile.as_ref() == Some(&stack.profile));
        let mut stacks: Vec<Stack> = self.stacks.into_values().filter(used).collect();
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
            models: equip::contents(&stacks, &self.lanes, self.inputs.models),
            stacks,
            lanes: self.lanes,
            skipped: self.skipped,
            skips: self.skips,
            whole: None,
        }
    }
}
