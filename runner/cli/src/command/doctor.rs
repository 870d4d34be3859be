//! `testbed doctor`: what is in force here, and what each profile lacks.

use testbed_engine::docker::Daemon;
use testbed_engine::host::{facts, offer};
use testbed_model::doctor::{self, Configuration, Finding, ProfileState, Trouble};
use testbed_model::exit_code::ExitCode;
use testbed_model::hint::Hint;
use testbed_model::nearest::did_you_mean;

use crate::args::DoctorArgs;
use crate::failure::Failure;
use crate::preparation::Preparation;
use crate::settings::Settings;

/// A profile that is asked for is none.
#[derive(Debug, thiserror::Error)]
#[error("there is no profile `{name}`")]
struct NoProfile {
    name: String,
    known: String,
}

impl Hint for NoProfile {
    fn hint(&self) -> Option<String> {
        Some(self.known.clone())
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }
}

/// Says what was found. Where a required profile cannot run here, the exit code is that of a broken environment.
pub async fn doctor(settings: &Settings, args: &DoctorArgs) -> Result<ExitCode, Failure> {
    let finding = find(settings).await?;
    for name in &args.require {
        if !finding.profiles.iter().any(|profile| profile.name == *name) {
            let known = finding.profiles.iter().map(|profile| profile.name.as_str()).collect::<Vec<_>>();
            return Err(NoProfile { name: name.clone(), known: did_you_mean(name, known) }.into());
        }
    }
    if args.json {
        super::print_json(&finding)?;
    } else {
        super::print(&testbed_report::doctor::told(&finding, &settings.output))?;
    }
    let lacks = |profile: &ProfileState| profile.trouble.is_some() && args.require.contains(&profile.name);
    let lacking = finding.profiles.iter().any(lacks);
    Ok(if lacking { ExitCode::Environment } else { ExitCode::Passed })
}

async fn find(settings: &Settings) -> Result<Finding, Failure> {
    let mut preparation = Preparation::read(settings, &[]).await?;
    // A simulated host has the clock that its file speaks of.
    if preparation.facts.simulated.is_none() && preparation.facts.host.clock_synchronised.is_none() {
        preparation.facts.host.clock_synchronised = offer::clock_synchronised().await;
    }
    let engine = if preparation.has_other_engine() { None } else { meet(&mut preparation).await };
    Ok(Finding {
        schema: doctor::SCHEMA,
        configuration: Configuration {
            root: settings.root.display().to_string(),
            origin: settings.origin,
            revision: facts::revision(&settings.root).await,
        },
        project: settings.project.display().to_string(),
        warnings: doctor::warnings(&preparation.facts),
        profiles: doctor::profiles(&preparation.environments, &preparation.facts, engine.as_ref()),
        facts: preparation.facts,
        engine,
    })
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
