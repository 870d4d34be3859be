//! The environment of a lane: all that can decide a result besides the code under test and the choice of cases, in named
//! parts, and one hash over them.
//!
//! Two runs whose environments have one id differ in nothing that Testbed controls; where the ids differ, the parts say in
//! what. The host's kernel and driver take part by their series, not by their patch level: a laptop and a runner of one
//! distribution are to have one id.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::RecordedImage;
use crate::facts::Facts;
use crate::lane::{Lane, LaneId};
use crate::plan::Plan;
use crate::stack::{Mount, Stack};

/// The hash of an environment: BLAKE3 over its parts, the first 16 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EnvironmentId(pub String);

impl fmt::Display for EnvironmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The environment of one or more lanes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedEnvironment {
    /// Its id.
    pub id: EnvironmentId,
    /// The lanes that had it, in the plan's order.
    pub lanes: Vec<LaneId>,
    /// What it is made of: `image dynamo`, `service frontend`, `files models`, `kernel`, ... to a value or a hash.
    pub parts: BTreeMap<String, String>,
}

/// What decides besides the plan.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// Images by their names in the lock, with content ids.
    pub images: &'a BTreeMap<String, RecordedImage>,
    /// What bind mounts hold: the source as the plan has it to a hash of the contents.
    pub files: &'a BTreeMap<String, String>,
    /// Host.
    pub facts: &'a Facts,
    /// Testbed's version.
    pub testbed: &'a str,
    /// Seed.
    pub seed: u64,
}

/// The sources of bind mounts of a plan's stacks, whose contents decide results.
pub fn mounted(plan: &Plan) -> BTreeSet<String> {
    plan.stacks.iter().flat_map(sources).cloned().collect()
}

/// The environments of a plan's lanes, in the order of their first lanes.
pub fn environments(plan: &Plan, around: Surroundings<'_>) -> Vec<RecordedEnvironment> {
    let mut out: Vec<RecordedEnvironment> = Vec::new();
    for lane in &plan.lanes {
        let parts = parts(plan, lane, around);
        let id = id(&parts);
        match out.iter_mut().find(|known| known.id == id) {
            Some(known) => known.lanes.push(lane.id.clone()),
            None => out.push(RecordedEnvironment { id, lanes: vec![lane.id.clone()], parts }),
        }
    }
    out
}

fn parts(plan: &Plan, lane: &Lane, around: Surroundings<'_>) -> BTreeMap<String, String> {
    let facts = around.facts;
    let mut parts = BTreeMap::from([
        ("architecture".to_owned(), facts.architecture.clone()),
        ("kernel".to_owned(), series(&facts.kernel)),
        ("seed".to_owned(), around.seed.to_string()),
        ("testbed".to_owned(), around.testbed.to_owned()),
        ("tool".to_owned(), tool(lane)),
    ]);
    if let Some(flake) = &facts.flake {
        parts.insert("flake revision".to_owned(), flake.revision.clone());
        parts.insert("flake lock".to_owned(), flake.lock.clone());
    }
    let mut image = |name: &str, reference: &str| {
        let content = around.images.get(name).map_or(reference, |image| &image.id);
        parts.insert(format!("image {name}"), content.to_owned());
    };
    image(&lane.image, &lane.image_reference);
    let stack = lane.id.profile.as_deref().and_then(|profile| plan.stack(profile));
    for service in stack.iter().flat_map(|stack| stack.services.values()) {
        image(&service.image, &service.image_reference);
    }
    let of_services =
        stack.iter().flat_map(|stack| stack.services.values()).flat_map(|service| &service.mounts);
    for name in of_services.chain(&lane.mounts).filter_map(Mount::model) {
        let content = plan.models.get(name).map_or("unknown", |content| content.0.as_str());
        parts.insert(format!("model {name}"), content.to_owned());
    }
    if let Some(stack) = stack {
        parts.insert("profile".to_owned(), stack.profile.clone());
        // GPUs decide the results of a lane only where its stack has some.
        if let (Some(_), Some(accelerators)) = (&stack.gpu_need, &facts.accelerators) {
            let kinds: BTreeSet<&str> = accelerators.gpus.iter().map(|gpu| gpu.name.as_str()).collect();
            parts.insert("driver".to_owned(), series(&accelerators.driver));
            parts.insert("gpu".to_owned(), kinds.into_iter().collect::<Vec<_>>().join(", "));
        }
        for (name, service) in &stack.services {
            parts.insert(format!("service {name}"), hash(service));
        }
        parts.insert("stack".to_owned(), hash(&Stack { services: BTreeMap::new(), ..stack.clone() }));
        for source in sources(stack) {
            let content = around.files.get(source).map_or("unknown", String::as_str);
            parts.insert(format!("files {source}"), content.to_owned());
        }
    }
    parts
}

/// How the lane's tool is executed, without which cases it is given.
fn tool(lane: &Lane) -> String {
    let Lane { kind, test_type, environment, arguments, habits, workers, timeouts, limits, .. } = lane;
    hash(&(kind, test_type, environment, arguments, habits, workers, timeouts, limits))
}

fn sources(stack: &Stack) -> impl Iterator<Item = &String> {
    stack.services.values().flat_map(|service| &service.mounts).filter_map(|mount| match mount {
        Mount::Bind { source, .. } => Some(source),
        Mount::Model { .. } | Mount::Volume { .. } => None,
    })
}

/// `6.18` of `6.18.35+deb13-amd64`.
fn series(version: &str) -> String {
    version.split(['.', '-', '+']).take(2).collect::<Vec<_>>().join(".")
}

fn id(parts: &BTreeMap<String, String>) -> EnvironmentId {
    EnvironmentId(hash(parts))
}

/// The first 16 hexadecimal digits of the hash of a value's JSON, whose maps are all ordered.
fn hash(value: &impl Serialize) -> String {
    // A value of the plan always has a JSON form: it came from one, or goes into one.
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    blake3::hash(&bytes).to_hex().chars().take(16).collect()
}

#[cfg(test)]
mod tests;
