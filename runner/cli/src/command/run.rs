//! `testbed run`: resolve, plan, do, tell.

use testbed_engine::docker::Daemon;
use testbed_engine::durations;
use testbed_engine::events::Events;
use testbed_engine::host::clock::Clock;
use testbed_engine::schedule::RunOutcome;
use testbed_engine::store::Store;
use testbed_model::event::Event;
use testbed_model::exit_code::ExitCode;
use testbed_model::lane::LaneId;
use testbed_model::plan::{Plan, SkipGroup, SkipReason};
use testbed_model::record::Manifest;
use testbed_model::tier::Tier;
use testbed_model::verdict;

use crate::args::RunArgs;
use crate::budgeting::{self, Forecast};
use crate::collection::{self, Ask};
use crate::execution;
use crate::failure::{Bug, Failure};
use crate::plan_file;
use crate::preparation::{Decided, Preparation};
use crate::recording;
use crate::run_session::{RunSession, missing_tools};
use crate::settings::Settings;
use crate::telling::{Show, Telling};

/// Runs a tier.
pub async fn run(settings: &Settings, args: &RunArgs) -> Result<ExitCode, Failure> {
    let clock = Clock::start();
    let (mut preparation, decided) = decide(settings, args).await?;
    let Decided { plan, remarks, budgets, .. } = decided;
    let tier = plan.tier;
    let daemon = Daemon::connect().await?;
    preparation.facts.daemon = Some(daemon.facts().await?);
    let (events, receiver) = Events::channel(clock);
    let session = RunSession::begin(daemon, events)?;
    let mut manifest = recording::manifest(&session.run, &plan, preparation.facts.clone())?;
    let store = Store::create(&settings.state, &session.run, Some(&plan), &manifest)?;
    let started = started(&session, &plan, &manifest, &store);
    let show = if args.json { Show::Json } else { Show::Progress };
    let telling = Telling::begin(receiver, show, settings.screen, Some(store), session.cancel.clone());
    session.events.emit(started);
    for message in remarks {
        session.events.emit(Event::Warning { message, hint: None });
    }

    let missing = missing_tools(args.yes);
    let result = execution::execute(settings, &preparation, &plan, &session, missing, &mut manifest).await;
    let (outcome, failure) = match result {
        Ok(outcome) => (outcome, None),
        Err(failure) => (RunOutcome::default(), Some(failure)),
    };
    let overruns = budgeting::overruns(&plan, &budgets, clock.elapsed_ms(), &outcome.took);
    for message in budgeting::messages(&overruns) {
        session.events.emit(Event::Warning { message, hint: None });
    }
    let code = match exit_code(&outcome, failure.as_ref(), session.is_interrupted()) {
        ExitCode::Passed if args.enforce_budget && !overruns.is_empty() => ExitCode::BudgetExceeded,
        code => code,
    };
    if !is_share(&plan, args) {
        learn(settings, &plan, &outcome);
    }
    if let Some(failure) = &failure {
        session.events.emit(failure.event());
    }
    let took_ms = clock.elapsed_ms();
    let run = session.run.clone();
    session.events.emit(Event::RunFinished { run, counts: outcome.counts, exit_code: code, took_ms });
    session.end();

    let mut told = telling.end().await.map_err(|error| Bug(error.to_string()))?;
    if let Some(unwritten) = told.unwritten.take() {
        return Err(unwritten.into());
    }
    told.warn_of_silenced(&settings.screen.style);
    recording::complete(&mut told, &mut manifest, outcome.counts, code)?;
    recording::summarize(&told, show, settings.screen, tier)?;
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

/// Whether the run is one share of several. Cases are dealt out by how long they took before, so what one share has learned must
/// not change what the next one is dealt: a case that moves from one to the other would be executed twice, or never.
fn is_share(plan: &Plan, args: &RunArgs) -> bool {
    let is_of_other = |group: &SkipGroup| matches!(group.reason, SkipReason::OtherShard { .. });
    args.choice.shard.is_some() || plan.skips.iter().any(is_of_other)
}

/// Keeps how long cases took, for the next plan. That it cannot be kept is no failure of this run.
fn learn(settings: &Settings, plan: &Plan, outcome: &RunOutcome) {
    let lessons = budgeting::lessons(plan, &outcome.took);
    let _ = durations::learn(&settings.state, lessons.iter().map(|(case, millis)| (case.as_str(), *millis)));
}

/// The first event: what is going to happen.
fn started(session: &RunSession, plan: &Plan, manifest: &Manifest, store: &Store) -> Event {
    Event::RunStarted {
        run: session.run.clone(),
        tier: Some(plan.tier),
        plan: manifest.plan.clone(),
        profiles: plan.stacks.iter().map(|stack| stack.profile.clone()).collect(),
        lanes: plan.lanes.iter().map(|lane| lane.id.clone()).collect::<Vec<LaneId>>(),
        skipped: plan.skipped.clone(),
        folder: recording::folder(store),
    }
}

/// A failure has a code of its own; an interrupt outranks it, for what was interrupted may well fail.
fn exit_code(outcome: &RunOutcome, failure: Option<&Failure>, interrupted: bool) -> ExitCode {
    match failure {
        _ if interrupted => ExitCode::Interrupted,
        Some(failure) => failure.exit_code(),
        None => verdict::exit_code(&outcome.counts, outcome.damage),
    }
}
