//! `testbed repro`: the same code, environment and cases once more, and whether they ended the same.

use std::collections::BTreeMap;
use std::path::PathBuf;

use testbed_engine::exec::rounds::Repeat;
use testbed_engine::host::{checkout, patch};
use testbed_engine::store;
use testbed_model::event::Event;
use testbed_model::exit_code::ExitCode;
use testbed_model::hint::Hint;
use testbed_model::nearest::nearest;
use testbed_model::plan::{Kept, Plan, narrowed};
use testbed_model::record::Record;
use testbed_model::record::compare::{Comparison, compare};
use testbed_model::selection::CasePattern;
use testbed_report::style::Tone;

use crate::args::ReproArgs;
use crate::bundling::{self, Found};
use crate::command::images::import_quietly;
use crate::failure::{Failure, OutputError};
use crate::performing::{self, Manner};
use crate::plan_file;
use crate::preparation::{Decided, Preparation};
use crate::run_session::missing_tools;
use crate::settings::Settings;
use crate::telling::Show;

/// A record cannot be reproduced.
#[derive(Debug, thiserror::Error)]
enum ReproError {
    #[error("the run `{run}` has no plan")]
    NoPlan { run: String },
    #[error("the run `{run}` has no case `{case}`")]
    NoCase { run: String, case: String, nearest: Option<String> },
    #[error("no case of the run `{run}` was red")]
    NothingRed { run: String },
}

impl Hint for ReproError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoPlan { .. } => "only what `testbed run` left can be run again".to_owned(),
            Self::NoCase { nearest: Some(nearest), .. } => format!("did you mean `{nearest}`?"),
            Self::NoCase { run, .. } => format!("`testbed report {run} --format json` names them"),
            Self::NothingRed { .. } => "leave `--failed` out to run all of its cases".to_owned(),
        })
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            Self::NothingRed { .. } => ExitCode::NothingSelected,
            _ => ExitCode::Usage,
        }
    }
}

/// Runs a record again. The exit code is the new run's; the comparison says whether it is the old one's too.
pub async fn repro(settings: &Settings, args: &ReproArgs) -> Result<ExitCode, Failure> {
    let found = bundling::find(settings, &args.run)?;
    let record = &found.record;
    let plan = chosen(record, args)?;
    let (place, remarks) =
        if args.here { (settings.clone(), Vec::new()) } else { code(settings, &found).await? };
    super::remark(settings, &remarks);
    let preparation = Preparation::read(&place, &[]).await?;
    plan_file::check_images(&plan, &preparation.images)?;
    if let Some(images) = &found.images() {
        import_quietly(settings, &preparation.images, images).await?;
    }
    super::remark(settings, &profiles_that_differ(&preparation, &plan));
    let cases: usize =
        plan.lanes.iter().filter_map(|lane| lane.cases.as_ref()).map(|its| its.ids.len()).sum();
    let asked = plan.clone();
    let decided = Decided::bare(plan);
    let manner = Manner {
        show: Show::Progress,
        missing: missing_tools(args.yes),
        enforce_budget: false,
        learn: false,
        keep_until: None,
        within: None,
        sampling: true,
        repeat: Repeat::Once,
    };
    let performed = performing::perform(&place, preparation, decided, manner, performing::clock()).await?;
    let again = store::open(&performed.folder)?;
    tell(settings, args, &compare(&as_asked(record, &again, asked), &again), cases)?;
    match performed.failure {
        Some(failure) if performed.code != ExitCode::Interrupted => Err(failure),
        _ => Ok(performed.code),
    }
}

/// The record as far as it was asked about: that a part of its cases was asked for, by another command, is no difference.
fn as_asked(record: &Record, again: &Record, plan: Plan) -> Record {
    let mut asked = record.clone();
    asked.manifest.arguments.clone_from(&again.manifest.arguments);
    asked.plan = Some(plan);
    asked
}

/// The recorded plan, or the part of it that is asked for.
fn chosen(record: &Record, args: &ReproArgs) -> Result<Plan, Failure> {
    let run = record.manifest.run.to_string();
    let Some(plan) = &record.plan else { return Err(ReproError::NoPlan { run }.into()) };
    let mut known: BTreeMap<String, bool> = BTreeMap::new();
    let mut kept = Kept::new();
    let patterns: Vec<CasePattern> = args.cases.iter().map(|text| CasePattern::new(text)).collect();
    for stamped in &record.events {
        let Event::CaseFinished { lane, result, .. } = &stamped.event else { continue };
        let case = &result.case;
        let fits = patterns.iter().any(|pattern| pattern.matches(&case.id));
        let wanted = if args.failed { result.outcome.is_red() } else { fits || patterns.is_empty() };
        let red = known.entry(case.id.clone()).or_default();
        *red |= result.outcome.is_red();
        if wanted {
            kept.entry(lane.clone()).or_default().push((case.id.clone(), case.file.clone()));
        }
    }
    for (pattern, case) in patterns.iter().zip(&args.cases) {
        if !known.keys().any(|id| pattern.matches(id)) {
            let nearest = nearest(case, known.keys().map(String::as_str)).map(str::to_owned);
            return Err(ReproError::NoCase { run, case: case.clone(), nearest }.into());
        }
    }
    if args.failed && kept.is_empty() {
        return Err(ReproError::NothingRed { run }.into());
    }
    // Without a choice it is the plan itself, with its own id.
    Ok(if args.failed || !patterns.is_empty() { narrowed(plan, &kept) } else { plan.clone() })
}

/// Where the recorded code is: here, where this checkout has nothing else, or in a checkout of its own.
async fn code(settings: &Settings, found: &Found) -> Result<(Settings, Vec<String>), Failure> {
    let manifest = &found.record.manifest;
    let here = || settings.clone();
    let Some(recorded) = manifest.facts.revision.as_deref() else {
        return Ok((
            here(),
            vec!["the record names no revision, so the code is taken as it is here".to_owned()],
        ));
    };
    let revision = recorded.trim_end_matches("-dirty");
    let kept = manifest.changes.as_ref().and_then(|changes| changes.file.as_ref());
    let patch = kept.map(|file| found.folder.join(file));
    if patch.is_none() && recorded.ends_with("-dirty") {
        let told = "its uncommitted changes were not kept, so the code is taken as it is here".to_owned();
        return Ok((here(), vec![told]));
    }
    let Some(top) = checkout::top(&settings.project).await else {
        return Ok((
            here(),
            vec!["this project is in no checkout, so the code is taken as it is here".to_owned()],
        ));
    };
    let own = Preparation::read(settings, &[]).await?.facts.revision.unwrap_or_default();
    let own_patch = patch::uncommitted(&settings.project).await.and_then(|patch| patch.bytes);
    let its_patch = kept.and_then(|file| store::part(&found.folder, file));
    if own.trim_end_matches("-dirty") == revision && own_patch == its_patch {
        return Ok((here(), Vec::new()));
    }
    let into = settings.state.join("checkouts").join(revision.get(..12).unwrap_or(revision));
    checkout::make(&top, revision, patch.as_deref(), &into).await?;
    let changed = if patch.is_some() { " with the recorded changes" } else { "" };
    let remark = format!(
        "the code here is not the recorded one: running revision {revision}{changed}, in {}",
        into.display()
    );
    let moved = |folder: &PathBuf| match folder.strip_prefix(&top) {
        Ok(below) => into.join(below),
        Err(_) => folder.clone(),
    };
    let (project, root) = (moved(&settings.project), moved(&settings.root));
    Ok((Settings { root, project, ..settings.clone() }, vec![remark]))
}

/// Profiles that say something else here than in the record. The recorded stack is the one that comes up.
fn profiles_that_differ(preparation: &Preparation, plan: &Plan) -> Vec<String> {
    let differs = |stack: &&testbed_model::stack::Stack| {
        preparation.stack(&stack.profile).map_or(true, |here| here != **stack)
    };
    let told = |stack: &testbed_model::stack::Stack| {
        format!("the profile `{}` says something else here; its stack comes up as recorded", stack.profile)
    };
    plan.stacks.iter().filter(differs).map(told).collect()
}

/// The comparison, and what it amounts to.
fn tell(settings: &Settings, args: &ReproArgs, comparison: &Comparison, cases: usize) -> Result<(), Failure> {
    if args.json {
        return super::print_json(comparison);
    }
    let style = &settings.output;
    let mut out = Vec::new();
    testbed_report::comparison::write(comparison, style, &mut out).map_err(OutputError)?;
    super::print(&format!("\n{}", String::from_utf8_lossy(&out)))?;
    let (same, other) = (comparison.unchanged, comparison.outcomes.len());
    let (tone, word) = if other == 0 && same >= cases && same > 0 {
        (Tone::Good, "SAME VERDICT")
    } else {
        (Tone::Warn, "ANOTHER VERDICT")
    };
    let missing = cases.saturating_sub(same + other);
    let missing = if missing > 0 { format!(", {missing} without a result") } else { String::new() };
    let environment =
        if comparison.same_environment { "in the same environment" } else { "in another environment" };
    let word = style.badge(tone, word);
    super::print(&format!("\n{word} {same} of {cases} cases ended as recorded{missing}, {environment}\n"))
}
