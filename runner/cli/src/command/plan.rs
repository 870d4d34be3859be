//! `testbed plan`: what a run would do, and why, without starting anything.

use std::fmt::Write as _;

use testbed_model::catalog::{Catalog, FindingKind};
use testbed_model::exit_code::ExitCode;
use testbed_model::hint::Hint;
use testbed_model::nearest::nearest;
use testbed_model::plan::{Environment, Explained, Plan, Verdict, diff};
use testbed_model::profile::Origin;

use crate::args::PlanArgs;
use crate::budgeting::Forecast;
use crate::collection::{self, Ask};
use crate::equipping;
use crate::failure::{Bug, Failure, OutputError};
use crate::plan_file;
use crate::preparation::{Decided, Preparation, Question};
use crate::settings::Settings;

/// Prints the plan, its canonical JSON, each value with its origin, or why a case is in it.
pub async fn plan(settings: &Settings, args: &PlanArgs) -> Result<ExitCode, Failure> {
    if let [before, after] = args.diff.as_slice() {
        return compare(&plan_file::read(before)?, &plan_file::read(after)?, args.json);
    }
    let preparation = Preparation::read(settings, &args.choice.profiles).await?;
    if args.explain.as_deref() == Some("") {
        super::print(&preparation.environments.iter().map(explained).collect::<String>())?;
        return Ok(ExitCode::Passed);
    }
    let question = preparation.question(args.tier, &args.choice).await?;
    let ask = if args.no_collect { Ask::Nobody } else { Ask::WhoIsHere };
    let catalog = collection::catalog(settings, &question, ask).await?;
    if let Some(case) = &args.explain {
        super::print(&why(&question, &catalog, case)?)?;
        return Ok(ExitCode::Passed);
    }
    let Decided { plan, remarks, forecast, .. } = question.plan(&catalog)?;
    super::remark(settings, &remarks);
    // The plan is the same on every machine; that this one could not perform it yet is no part of it.
    super::remark(settings, &equipping::remarks(question.library(), &plan));
    if args.json {
        let bytes = plan.canonical_json().map_err(|error| OutputError(error.into()))?;
        super::print(&format!("{}\n", String::from_utf8_lossy(&bytes)))?;
    } else {
        super::print(&(readable(&plan, &forecast)? + &not_collected(&catalog)))?;
    }
    Ok(if plan.lanes.is_empty() { ExitCode::NothingSelected } else { ExitCode::Passed })
}

/// What differs between two plans. That they differ is an answer and no failure.
fn compare(before: &Plan, after: &Plan, json: bool) -> Result<ExitCode, Failure> {
    let difference = diff(before, after);
    if json {
        super::print_json(&difference)?;
    } else if difference.is_empty() {
        super::print("the plans say the same\n")?;
    } else {
        super::print(&difference.readable())?;
    }
    Ok(ExitCode::Passed)
}

/// No suite has a case of that id.
#[derive(Debug, thiserror::Error)]
#[error("no suite has a case `{case}`")]
struct NoSuchCase {
    case: String,
    hint: String,
}

impl Hint for NoSuchCase {
    fn hint(&self) -> Option<String> {
        Some(self.hint.clone())
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }
}

/// The rules that a case met, and what they amount to.
fn why(question: &Question<'_>, catalog: &Catalog, case: &str) -> Result<String, Failure> {
    let explained = question.explain(catalog, case)?;
    if explained.is_empty() {
        let known = catalog.suites.values().flat_map(|known| &known.cases).map(|row| row.id.as_str());
        let hint = match nearest(case, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "`testbed list` shows the cases that there are".to_owned(),
        };
        return Err(NoSuchCase { case: case.to_owned(), hint }.into());
    }
    let mut out = format!("{case}\n");
    for Explained { suite, steps, verdict } in explained {
        let end = match verdict {
            Verdict::Run(lanes) => {
                format!("run in {}", lanes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
            }
            Verdict::Skip(reason) => format!("skip: {reason}"),
        };
        let _ = writeln!(out, "  suite {suite}");
        for step in steps {
            let _ = writeln!(out, "    {:<10} {}", step.rule, step.finding);
        }
        let _ = writeln!(out, "    {end}");
    }
    Ok(out)
}

fn not_collected(catalog: &Catalog) -> String {
    let mut out = String::new();
    for (suite, reason) in &catalog.uncollected {
        let _ = writeln!(out, "  {suite:<28} {reason}");
    }
    for (suite, known) in &catalog.suites {
        for finding in known.findings.iter().filter(|finding| finding.kind == FindingKind::Error) {
            let _ = writeln!(out, "  {suite:<28} {}: {}", finding.file, finding.message);
        }
    }
    if out.is_empty() { out } else { format!("\nnot collected\n{out}") }
}

/// Stacks, lanes and what is left out, for a person.
fn readable(plan: &Plan, forecast: &Forecast) -> Result<String, Failure> {
    let id = plan.id().map_err(|error| Bug(error.to_string()))?;
    let mut out = format!("plan {} of tier {} for project {}\n", id.0, plan.tier, plan.project);
    let _ = writeln!(out, "{}", forecast.line());
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
        let what = match &lane.cases {
            Some(cases) => format!("{:>5} cases", cases.ids.len()),
            None => lane.expression.clone().unwrap_or_else(|| "everything".to_owned()),
        };
        let _ = writeln!(out, "  {:<28} {:<12} {what}", lane.id.to_string(), lane.test_type.name());
    }
    if !plan.skipped.is_empty() {
        out.push_str("\nnot run\n");
    }
    for skipped in &plan.skipped {
        let _ = writeln!(out, "  {:<28} {}", skipped.lane.to_string(), skipped.reason);
    }
    if !plan.skips.is_empty() {
        out.push_str("\ncases not run\n");
    }
    for group in &plan.skips {
        let _ = writeln!(out, "  {:<28} {:>5}  {}", group.suite, group.cases.len(), group.reason);
    }
    if !plan.models.is_empty() {
        out.push_str("\nmodels\n");
    }
    for (name, content) in &plan.models {
        let _ = writeln!(out, "  {name:<16} {content}");
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
