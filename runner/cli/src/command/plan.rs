//! `testbed plan`: what a run would do, and why, without starting anything.

use std::fmt::Write as _;

use testbed_model::exit_code::ExitCode;
use testbed_model::plan::{Environment, Plan};
use testbed_model::profile::Origin;

use crate::args::PlanArgs;
use crate::failure::{Bug, Failure, OutputError};
use crate::preparation::Preparation;
use crate::settings::Settings;

/// Prints the plan, its canonical JSON, or each value with its origin.
pub async fn plan(settings: &Settings, args: &PlanArgs) -> Result<ExitCode, Failure> {
    let preparation = Preparation::read(settings, &args.choice.profiles).await?;
    if args.explain {
        super::print(&preparation.environments.iter().map(explained).collect::<String>())?;
        return Ok(ExitCode::Passed);
    }
    let plan = preparation.plan(args.tier, &args.choice)?;
    if args.json {
        let bytes = plan.canonical_json().map_err(|error| OutputError(error.into()))?;
        super::print(&format!("{}\n", String::from_utf8_lossy(&bytes)))?;
    } else {
        super::print(&readable(&plan)?)?;
    }
    Ok(if plan.lanes.is_empty() { ExitCode::NothingSelected } else { ExitCode::Passed })
}

/// Stacks, lanes and what is left out, for a person.
fn readable(plan: &Plan) -> Result<String, Failure> {
    let id = plan.id().map_err(|error| Bug(error.to_string()))?;
    let mut out = format!("plan {} of tier {} for project {}\n", id.0, plan.tier, plan.project);
    if !plan.stacks.is_empty() {
        out.push_str("\nstacks\n");
    }
    for stack in &plan.stacks {
        let services: Vec<&str> = stack.services.keys().map(String::as_str).collect();
        let facts: Vec<String> = stack.facts.iter().map(|(key, value)| format!("{key} {value}")).collect();
        let _ = writeln!(out, "  {:<16} {}", stack.profile, services.join(", "));
        let _ = writeln!(out, "  {:<16} {}", "", facts.join(", "));
    }
    if !plan.lanes.is_empty() {
        out.push_str("\nlanes\n");
    }
    for lane in &plan.lanes {
        let what = lane.expression.clone().unwrap_or_else(|| "everything".to_owned());
        let _ = writeln!(out, "  {:<28} {:<12} {what}", lane.id.to_string(), lane.test_type.name());
    }
    if !plan.skipped.is_empty() {
        out.push_str("\nnot run\n");
    }
    for skipped in &plan.skipped {
        let _ = writeln!(out, "  {:<28} {}", skipped.lane.to_string(), skipped.reason);
    }
    if !plan.images.is_empty() {
        out.push_str("\nimages\n");
    }
    for (name, reference) in &plan.images {
        let _ = writeln!(out, "  {name:<16} {reference}");
    }
    Ok(out)
}

/// Every value of a profile with the place that it comes from, and what it replaced.
fn explained(environment: &Environment) -> String {
    let rows = environment.profile.explain();
    let width = rows.iter().map(|row| row.key.len()).max().unwrap_or_default();
    let mut out = format!("profile {}\n", environment.profile.name);
    for row in &rows {
        let _ = write!(out, "  {:<width$}  {}  # {}", row.key, row.value, place(&row.origin));
        if let Some((value, origin)) = row.replaced.first() {
            let _ = write!(out, ", over {value} of {}", place(origin));
        }
        out.push('\n');
    }
    out.push('\n');
    out
}

fn place(origin: &Origin) -> String {
    match origin {
        Origin::File(place) => format!("{}:{}", place.file, place.line),
        Origin::CommandLine => "command line".to_owned(),
    }
}
