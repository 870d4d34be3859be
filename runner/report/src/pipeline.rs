//! A pipeline as CI systems want it written, one a file. Each job calls the command that a laptop calls; what differs between
//! machines, the runner finds out there.

pub mod github;
pub mod gitlab;

use testbed_model::pipeline::{Occasion, Pipeline};

/// Where the runner keeps what it can make again, and what a run leaves.
const CACHE: &str = ".testbed/cache";
const RECORDS: &str = ".testbed/runs";

/// The first lines of a file: where it comes from, and what it was decided from.
fn head(pipeline: &Pipeline, system: &str) -> String {
    let list = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    format!(
        "# Made by `testbed ci {system} --flake {flake}` from tiers, profiles and budgets: change those, and make it again.\n\
         # `testbed ci {system} --check FILE` says whether it is up to date.\n\
         # Profiles without a GPU: {plain}. Profiles on GPUs: {accelerated}.\n\n",
        flake = pipeline.flake,
        plain = list(&pipeline.plain),
        accelerated = list(&pipeline.accelerated),
    )
}

/// The tier of an occasion by name; every pipeline has one for each.
fn tier_of(pipeline: &Pipeline, occasion: Occasion) -> &'static str {
    pipeline.tier(occasion).map_or("premerge", |tier| tier.name())
}
