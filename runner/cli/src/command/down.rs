//! `testbed down`: removes stacks that `up --detach` left standing.

use std::collections::BTreeMap;

use testbed_engine::docker::Daemon;
use testbed_engine::stack;
use testbed_model::exit_code::ExitCode;
use testbed_model::hint::Hint;
use testbed_model::id::{RunId, label};
use testbed_model::nearest::did_you_mean;

use crate::args::DownArgs;
use crate::failure::Failure;

/// Nothing that stands has that name.
#[derive(Debug, thiserror::Error)]
#[error("no detached stack has the run id or profile `{which}`")]
struct NotStanding {
    which: String,
    known: String,
}

impl Hint for NotStanding {
    fn hint(&self) -> Option<String> {
        Some(self.known.clone())
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }
}

/// Tears down what stands, or the part of it that is named.
pub async fn down(args: &DownArgs) -> Result<ExitCode, Failure> {
    let daemon = Daemon::connect().await?;
    let standing = standing(&daemon).await?;
    let mut out = String::new();
    for (run, profile) in &standing {
        if args.which.as_ref().is_none_or(|which| which == run.as_str() || which == profile) {
            stack::remove_run(&daemon, run).await?;
            out.push_str(&format!("stack {profile} of run {run} is gone\n"));
        }
    }
    match &args.which {
        Some(which) if out.is_empty() => {
            let names: Vec<&str> =
                standing.iter().flat_map(|(run, profile)| [run.as_str(), profile.as_str()]).collect();
            Err(NotStanding { which: which.clone(), known: did_you_mean(which, names) }.into())
        }
        _ => {
            super::print(if out.is_empty() { "no detached stack stands\n" } else { &out })?;
            Ok(ExitCode::Passed)
        }
    }
}

/// Detached stacks: run and profile.
async fn standing(daemon: &Daemon) -> Result<BTreeMap<RunId, String>, Failure> {
    let owned = daemon.list_owned().await?;
    let mut standing = BTreeMap::new();
    for network in owned.networks {
        let run = network.labels.get(label::RUN).and_then(|run| run.parse::<RunId>().ok());
        let profile = network.labels.get(label::PROFILE);
        if let (Some(run), Some(profile), true) =
            (run, profile, network.labels.contains_key(label::KEEP_UNTIL))
        {
            standing.insert(run, profile.clone());
        }
    }
    Ok(standing)
}
