//! A plan that is decided becomes a run: a session, a record, stacks and lanes, what is told of them, and an orderly end.

use std::path::PathBuf;

use testbed_engine::docker::Daemon;
use testbed_engine::durations;
use testbed_engine::events::Events;
use testbed_engine::exec::rounds::Repeat;
use testbed_engine::host::clock::Clock;
use testbed_engine::image::MissingTools;
use testbed_engine::schedule::RunOutcome;
use testbed_engine::store::Store;
use testbed_model::event::Event;
use testbed_model::exit_code::ExitCode;
use testbed_model::lane::LaneId;
use testbed_model::plan::Plan;
use testbed_model::project::Budgets;
use testbed_model::record::Manifest;
use testbed_model::verdict;

use crate::actions;
use crate::budgeting;
use crate::command;
use crate::equipping;
use crate::execution;
use crate::failure::{Bug, Failure};
use crate::preparation::{Decided, Preparation};
use crate::recording;
use crate::run_session::RunSession;
use crate::settings::Settings;
use crate::telling::{Show, Telling};

/// How a run is performed, besides what its plan says.
#[derive(Clone, Debug)]
pub struct Manner {
    /// How events are shown.
    pub show: Show,
    /// What becomes of missing host packages.
    pub missing: MissingTools,
    /// Whether a run over its budget ends with a code of its own.
    pub enforce_budget: bool,
    /// Whether how long cases took is kept for the next plan.
    pub learn: bool,
    /// Until when stacks with red cases stay; none if they go like the others.
    pub keep_until: Option<jiff::Timestamp>,
    /// The run whose stacks stand and are used, if any.
    pub within: Option<String>,
    /// Whether services are measured while their stack serves.
    pub sampling: bool,
    /// How often cases are executed.
    pub repeat: Repeat,
}

/// What a run came to.
pub struct Performed {
    /// Its exit code.
    pub code: ExitCode,
    /// What ended it early.
    pub failure: Option<Failure>,
    /// Where its record lies.
    pub folder: PathBuf,
}

/// The clock of a run that begins now: deciding is part of it.
pub fn clock() -> Clock {
    Clock::start()
}

/// Performs a plan.
pub async fn perform(
    settings: &Settings,
    mut preparation: Preparation,
    decided: Decided,
    manner: Manner,
    clock: Clock,
) -> Result<Performed, Failure> {
    let Decided { plan, remarks, budgets, .. } = decided;
    // A model that is not here is told before anything else is asked for.
    let equipment = equipping::of_plan(settings, &preparation.library, &plan).await?;
    let daemon = Daemon::connect().await?;
    preparation.meet(daemon.facts().await?);
    let (events, receiver) = Events::channel(clock);
    let session = RunSession::begin(daemon, events)?;
    let mut manifest = recording::manifest(&session.run, &plan, &budgets, preparation.facts.clone())?;
    let store = Store::create(&settings.state, &session.run, Some(&plan), &manifest)?;
    let started = started(&session, &plan, &manifest, &store);
    let folder = store.folder().clone();
    let telling = Telling::begin(receiver, manner.show, settings.screen, Some(store), session.cancel.clone());
    session.events.emit(started);
    for message in remarks {
        session.events.emit(Event::Warning { message, hint: None });
    }

    let unheard = recording::check_history(settings);
    let may_remember = unheard.is_none();
    if let Some(warning) = unheard {
        session.events.emit(warning);
    }

    let result = execution::execute(
        settings,
        &preparation,
        (&plan, &equipment.places),
        &session,
        &manner,
        &mut manifest,
        &folder,
    )
    .await;
    let (mut outcome, failure) = match result {
        Ok(outcome) => (outcome, None),
        Err(failure) => (RunOutcome::default(), Some(failure)),
    };
    outcome.damage = session.events.diagnoses().weigh(outcome.damage);
    // Who executes cases again and again asks for more time than any budget has.
    let budgets = if manner.repeat == Repeat::Once { budgets } else { Budgets::default() };
    let overruns = budgeting::overruns(&plan, &budgets, clock.elapsed_ms(), &outcome.took);
    for message in budgeting::messages(&overruns) {
        session.events.emit(Event::Warning { message, hint: None });
    }
    let code = match exit_code(&outcome, failure.as_ref(), session.is_interrupted()) {
        ExitCode::Passed if manner.enforce_budget && !overruns.is_empty() => ExitCode::BudgetExceeded,
        code => code,
    };
    if manner.learn {
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
    if may_remember
        && let Err(error) = recording::remember(settings, &recording::past_run(&told.story, &manifest, &plan))
    {
        command::remark(settings, &[format!("this run is not added to the history: {error}")]);
    }
    recording::summarize(&told, manner.show, settings.screen)?;
    actions::tell(&told.story);
    Ok(Performed { code, failure, folder: folder.path().to_owned() })
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
        left_out: plan.left_out(),
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
