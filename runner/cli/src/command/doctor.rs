//! `testbed doctor`: what is in force here, and what each profile lacks.

use testbed_engine::docker::Daemon;
use testbed_engine::host::facts;
use testbed_model::doctor::{self, Configuration, Finding, ProfileState, Trouble};
use testbed_model::exit_code::ExitCode;
use testbed_model::hint::Hint;
use testbed_model::nearest::did_you_mean;
use testbed_report::quantity::bytes;
use testbed_report::style::{Style, Tone};

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
        super::print(&told(&finding, &settings.output))?;
    }
    let lacks = |profile: &ProfileState| profile.trouble.is_some() && args.require.contains(&profile.name);
    let lacking = finding.profiles.iter().any(lacks);
    Ok(if lacking { ExitCode::Environment } else { ExitCode::Passed })
}

async fn find(settings: &Settings) -> Result<Finding, Failure> {
    let mut preparation = Preparation::read(settings, &[]).await?;
    let asked = match Daemon::connect().await {
        Ok(daemon) => daemon.facts().await,
        Err(error) => Err(error),
    };
    let engine = match asked {
        Ok(facts) => {
            preparation.facts.daemon = Some(facts);
            None
        }
        Err(error) => Some(Trouble { message: error.to_string(), hint: error.hint() }),
    };
    Ok(Finding {
        schema: doctor::SCHEMA,
        configuration: Configuration {
            root: settings.root.display().to_string(),
            origin: settings.origin,
            revision: facts::revision(&settings.root).await,
        },
        project: settings.project.display().to_string(),
        profiles: doctor::profiles(&preparation.environments, &preparation.facts, engine.as_ref()),
        facts: preparation.facts,
        engine,
    })
}

fn told(finding: &Finding, style: &Style) -> String {
    let mut text = String::new();
    let mut row = |label: &str, value: String| {
        text += &format!("{}{value}\n", style.paint(Tone::Step, &format!("{label:<15}")));
    };
    let Finding { configuration, facts, .. } = finding;
    row("configuration", format!("{}, {}", configuration.root, configuration.origin.words()));
    if let Some(revision) = &configuration.revision {
        row("", format!("revision {revision}"));
    }
    if let Some(flake) = &facts.flake {
        row("flake", format!("revision {}, lock {}", flake.revision, flake.lock));
    }
    row("project", finding.project.clone());
    if let Some(revision) = &facts.revision {
        row("", format!("revision {revision}"));
    }
    let memory = bytes(facts.memory_bytes);
    row("host", format!("{} cores, {memory}, GPUs: {}, {}", facts.cores, facts.gpus, facts.architecture));
    row("kernel", facts.kernel.clone());
    match (&facts.daemon, &finding.engine) {
        (Some(daemon), _) => {
            let what = format!("{} {}, API {}", daemon.name, daemon.version, daemon.api_version);
            row("engine", format!("{what}, {}, cgroup {}", daemon.storage_driver, daemon.cgroup_version));
        }
        (None, Some(trouble)) => {
            row("engine", style.paint(Tone::Bad, &trouble.message));
            if let Some(hint) = &trouble.hint {
                row("", format!("hint: {hint}"));
            }
        }
        (None, None) => {}
    }
    let tools: Vec<String> = facts
        .tools
        .iter()
        .filter(|(name, _)| *name != "testbed")
        .map(|(_, version)| version.clone())
        .collect();
    let own = facts.tools.get("testbed").map_or("", String::as_str);
    row("tools", std::iter::once(format!("testbed {own}")).chain(tools).collect::<Vec<_>>().join(", "));
    text.push('\n');
    let width = finding.profiles.iter().map(|profile| profile.name.len()).max().unwrap_or(0);
    for profile in &finding.profiles {
        let (tone, word) = match &profile.trouble {
            None => (Tone::Good, "can run here".to_owned()),
            // The engine's trouble stands above, once.
            Some(trouble) if finding.engine.as_ref() == Some(trouble) => {
                (Tone::Bad, "needs the engine".to_owned())
            }
            Some(trouble) => (Tone::Warn, trouble.message.clone()),
        };
        text += &format!("{:<width$}  {}\n", profile.name, style.paint(tone, &word));
    }
    text
}
