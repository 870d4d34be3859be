//! Doing what the plan says: images first, then stacks and lanes side by side.

use std::sync::Arc;

use testbed_engine::exec::executor::{Executor, RunContext};
use testbed_engine::exec::place::PlaceContext;
use testbed_engine::schedule::{self, Capacity, RunOutcome};
use testbed_engine::stack;
use testbed_engine::store::RunFolder;
use testbed_model::event::Event;
use testbed_model::plan::{Places, Plan, placed};
use testbed_model::record::Manifest;

use crate::failure::Failure;
use crate::mounts;
use crate::performing::Manner;
use crate::preparation::Preparation;
use crate::recording::{self, SEED};
use crate::run_session::{AGENT_IMAGE, RunSession, agent_binary};
use crate::settings::Settings;
use crate::standing;

/// Executes a plan. When it returns, nothing that it made is left in the daemon.
pub async fn execute(
    settings: &Settings,
    preparation: &Preparation,
    (plan, places): (&Plan, &Places),
    session: &RunSession,
    manner: &Manner,
    manifest: &mut Manifest,
    folder: &RunFolder,
) -> Result<RunOutcome, Failure> {
    // The plan's bytes are the same on every machine; only what is executed knows where this one keeps its files.
    let here = placed(plan, places, preparation.facts.cores);
    let (agent_binary, plugin) = (agent_binary()?, settings.root.join("suites/plugin"));
    mounts::check_stacks(&here.stacks, &agent_binary)?;
    mounts::check_lanes(&here.lanes, &agent_binary, &plugin)?;
    session.sweep().await?;
    let standing = match &manner.within {
        Some(run) => {
            let needed: Vec<&str> = here.stacks.iter().map(|stack| stack.profile.as_str()).collect();
            standing::usable(&stack::standing(&session.daemon).await?, run, &needed)?
        }
        None => Vec::new(),
    };
    let mut names: Vec<String> = plan.images.keys().cloned().collect();
    if !plan.stacks.is_empty() {
        names.push(AGENT_IMAGE.to_owned());
    }
    let provided = session.images(&preparation.images, &names, manner.missing).await?;
    recording::resolve(manifest, settings, plan, &provided, folder).await?;
    for environment in &manifest.environments {
        for lane in &environment.lanes {
            let (lane, environment) = (lane.clone(), environment.id.clone());
            session.events.emit(Event::EnvironmentResolved { lane, environment });
        }
    }
    let place = PlaceContext {
        run: session.run.clone(),
        project: settings.project.clone(),
        state: settings.state.clone(),
        plugin,
        agent_binary,
        seed: SEED,
    };
    let context = RunContext {
        place,
        stacks: session.stack_context(preparation, manner.sampling, manner.keep_until)?,
        standing,
        repeat: manner.repeat,
    };
    let executor = Executor::new(session.daemon.clone(), session.events.clone(), context)?;
    let facts = &preparation.facts;
    let capacity = Capacity::of_host(facts.cores, facts.memory_bytes, facts.gpus);
    Ok(schedule::run(&here, Arc::new(executor), capacity, &session.events, &session.cancel).await)
}
