//! `testbed down`: removes stacks that `up --detach` or `run --keep` left standing.

use testbed_engine::docker::Daemon;
use testbed_engine::stack::{self, Standing};
use testbed_model::exit_code::ExitCode;
use testbed_model::hint::Hint;
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
    let standing = stack::standing(&daemon).await?;
    let mut out = String::new();
    for Standing { run, profile, .. } in &standing {
        if args.which.as_ref().is_none_or(|which| which == run.as_str() || which == profile) {
            stack::remove_stack(&daemon, run, profile).await?;
            out.push_str(&format!("stack {profile} of run {run} is gone\n"));
        }
    }
    match &args.which {
        Some(which) if out.is_empty() => {
            let names: Vec<&str> =
                standing.iter().flat_map(|stack| [stack.run.as_str(), stack.profile.as_str()]).collect();
            Err(NotStanding { which: which.clone(), known: did_you_mean(which, names) }.into())
        }
        _ => {
            super::print(if out.is_empty() { "no detached stack stands\n" } else { &out })?;
            Ok(ExitCode::Passed)
        }
    }
}
