//! `testbed gc`: removes what dead runs left behind.

use testbed_engine::docker::Daemon;
use testbed_engine::stack;
use testbed_model::exit_code::ExitCode;
use testbed_model::hint::Hint;

use crate::failure::Failure;

/// The daemon holds on to something.
#[derive(Debug, thiserror::Error)]
#[error("of dead runs these are left: {}: {words}", names.join(", "))]
struct Stuck {
    names: Vec<String>,
    words: String,
}

impl Hint for Stuck {
    fn hint(&self) -> Option<String> {
        Some("restarting the daemon makes it let go; no run is kept from working by what is left".into())
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Environment
    }
}

/// Sweeps, and says what went.
pub async fn gc() -> Result<ExitCode, Failure> {
    let daemon = Daemon::connect().await?;
    let swept = stack::gc(&daemon).await?;
    let mut text = String::new();
    for (kind, names) in
        [("container", &swept.containers), ("network", &swept.networks), ("volume", &swept.volumes)]
    {
        for name in names {
            text.push_str(&format!("removed {kind} {name}\n"));
        }
    }
    if text.is_empty() && swept.stuck.is_empty() {
        text.push_str("nothing to remove\n");
    }
    if swept.kept > 0 {
        text.push_str(&format!(
            "kept {} objects of runs that are alive, kept or of another host\n",
            swept.kept
        ));
    }
    super::print(&text)?;
    let Some((_, words)) = swept.stuck.first().cloned() else { return Ok(ExitCode::Passed) };
    let names = swept.stuck.into_iter().map(|(name, _)| format!("`{name}`")).collect();
    Err(Stuck { names, words }.into())
}
