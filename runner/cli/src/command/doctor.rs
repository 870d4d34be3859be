//! `testbed doctor`: what is in force here, and what each profile lacks.

use std::collections::BTreeMap;

use testbed_engine::docker::Daemon;
use testbed_engine::host::{facts, offer};
use testbed_engine::models::Presence;
use testbed_model::doctor::{self, AbsentModel, Configuration, Finding, ProfileState, Trouble};
use testbed_model::exit_code::ExitCode;
use testbed_model::hint::Hint;
use testbed_model::models::Source;

use crate::args::DoctorArgs;
use crate::failure::Failure;
use crate::preparation::Preparation;
use crate::settings::Settings;

/// Says what was found. Where a required profile cannot run here, the exit code is that of a broken environment.
pub async fn doctor(settings: &Settings, args: &DoctorArgs) -> Result<ExitCode, Failure> {
    let mut preparation = Preparation::read(settings, &[]).await?;
    let required = preparation.include(&args.require)?;
    let finding = find(settings, preparation).await;
    if args.json {
        super::print_json(&finding)?;
    } else {
        super::print(&testbed_report::doctor::told(&finding, &settings.output))?;
    }
    let lacks = |profile: &ProfileState| !profile.is_ready() && required.contains(&profile.name);
    let lacking = finding.profiles.iter().any(lacks);
    Ok(if lacking { ExitCode::Environment } else { ExitCode::Passed })
}

async fn find(settings: &Settings, mut preparation: Preparation) -> Finding {
    // A simulated host has the clock that its file speaks of.
    if preparation.facts.simulated.is_none() && preparation.facts.host.clock_synchronised.is_none() {
        preparation.facts.host.clock_synchronised = offer::clock_synchronised().await;
    }
    let absent = absent_models(&preparation);
    let engine = if preparation.has_other_engine() { None } else { meet(&mut preparation).await };
    Finding {
        schema: doctor::SCHEMA,
        configuration: Configuration {
            root: settings.root.display().to_string(),
            origin: settings.origin,
            revision: facts::revision(&settings.root).await,
        },
        project: settings.project.display().to_string(),
        warnings: doctor::warnings(&preparation.facts),
        profiles: doctor::profiles(&preparation.environments, &preparation.facts, engine.as_ref(), &absent),
        facts: preparation.facts,
        engine,
    }
}

/// Models that profiles need and that a person has to fetch, by the names that profiles give them.
fn absent_models(preparation: &Preparation) -> BTreeMap<String, AbsentModel> {
    let library = &preparation.library;
    let absent = |name: &String| {
        let model = library.models().find(name)?;
        let is_absent = !matches!(library.presence(model), Presence::Here(_));
        // What Testbed makes by itself is nothing that a person has to care for.
        let is_made = matches!(model.source, Source::Made { .. });
        let (own, command) = (model.name.clone(), model.way_here());
        (is_absent && !is_made).then(|| (name.clone(), AbsentModel { name: own, command }))
    };
    let environments = preparation.environments.iter();
    environments.flat_map(|environment| &environment.profile.models.value).filter_map(absent).collect()
}

/// Asks the engine, and gives the trouble with it.
async fn meet(preparation: &mut Preparation) -> Option<Trouble> {
    let asked = match Daemon::connect().await {
        Ok(daemon) => daemon.facts().await,
        Err(error) => Err(error),
    };
    match asked {
        Ok(facts) => {
            preparation.meet(facts);
            None
        }
        Err(error) => Some(Trouble { message: error.to_string(), hint: error.hint() }),
    }
}
