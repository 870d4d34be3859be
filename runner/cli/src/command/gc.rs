//! `testbed gc`: removes what dead runs left behind.

use testbed_engine::docker::Daemon;
use testbed_engine::stack;
use testbed_model::exit_code::ExitCode;

use crate::failure::Failure;

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
    if text.is_empty() {
        text.push_str("nothing to remove\n");
    }
    if swept.kept > 0 {
        text.push_str(&format!(
            "kept {} objects of runs that are alive, kept or of another host\n",
            swept.kept
        ));
    }
    super::print(&text)?;
    Ok(ExitCode::Passed)
}
