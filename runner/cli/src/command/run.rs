//! `testbed run`: resolve, plan, do, tell.

use testbed_engine::docker::Daemon;
use testbed_engine::durations;
use testbed_engine::exec::rounds::Repeat;
use testbed_engine::stack;
use testbed_model::exit_code::ExitCode;
use testbed_model::plan::{Plan, SkipGroup, SkipReason};
use testbed_model::tier::Tier;

use crate::args::{Keep, RunArgs};
use crate::budgeting::Forecast;
use crate::collection::{self, Ask};
use crate::failure::Failure;
use crate::keeping;
use crate::performing::{self, Manner, Performed};
use crate::plan_file;
use crate::preparation::{Decided, Preparation};
use crate::run_session::missing_tools;
use crate::settings::Settings;
use crate::standing;
use crate::telling::Show;

/// Runs a tier.
pub async fn run(settings: &Settings, args: &RunArgs) -> Result<ExitCode, Failure> {
    let clock = performing::clock();
    if let Some(run) = &args.within {
        // Known at once, and before any tool is asked for its cases.
        standing::all_of(&stack::standing(&Daemon::connect().await?).await?, run)?;
    }
    let (preparation, decided) = decide(settings, args).await?;
    let keep_until = match args.keep {
        Keep::Never => None,
        Keep::OnFailure => Some(keeping::until("--keep-for", &args.keep_for)?),
    };
    let manner = Manner {
        show: if args.json { Show::Json } else { Show::Progress },
        missing: missing_tools(args.yes),
        enforce_budget: args.enforce_budget,
        learn: !is_share(&decided.plan, args),
        keep_until,
        sampling: !args.no_samples,
        within: args.within.clone(),
        repeat: repeat(args),
    };
    let Performed { code, failure, .. } =
        performing::perform(settings, preparation, decided, manner, clock).await?;
    match failure {
        Some(failure) if code != ExitCode::Interrupted => Err(failure),
        _ => Ok(code),
    }
}

/// What is to be done: what the plan file says, or what the question amounts to once its cases are known.
async fn decide(settings: &Settings, args: &RunArgs) -> Result<(Preparation, Decided), Failure> {
    if let Some(file) = &args.plan {
        let plan = plan_file::read(file)?;
        let preparation = Preparation::read(settings, &[]).await?;
        plan_file::check_images(&plan, &preparation.images)?;
        let budgets = preparation.project().await?.budgets;
        let durations = durations::read(&settings.state);
        let forecast = Forecast::of(&plan, &budgets, &durations, preparation.facts.cores);
        let remarks = forecast.warning().into_iter().collect();
        return Ok((preparation, Decided { plan, remarks, forecast, budgets }));
    }
    let tier = args.tier.unwrap_or(Tier::Premerge);
    let preparation = Preparation::read(settings, &args.choice.profiles).await?;
    let question = preparation.question(tier, &args.choice).await?;
    let catalog = collection::catalog(settings, &question, Ask::Tools(missing_tools(args.yes))).await?;
    let mut decided = question.plan(&catalog)?;
    decided.remarks.extend(collection::remarks(&catalog));
    drop(question);
    Ok((preparation, decided))
}

/// How often cases are executed. Looking for a red one ends with it, with a signal, or after so many rounds.
fn repeat(args: &RunArgs) -> Repeat {
    match (args.repeat, args.until_fail) {
        (times, true) => Repeat::UntilRed(times.unwrap_or(u32::MAX)),
        (Some(times), false) if times > 1 => Repeat::Times(times),
        _ => Repeat::Once,
    }
}

/// Whether the run is one share of several. Cases are dealt out by how long they took before, so what one share has learned must
/// not change what the next one is dealt: a case that moves from one to the other would be executed twice, or never.
fn is_share(plan: &Plan, args: &RunArgs) -> bool {
    let is_of_other = |group: &SkipGroup| matches!(group.reason, SkipReason::OtherShard { .. });
    args.choice.shard.is_some() || plan.skips.iter().any(is_of_other)
}
