//! `testbed`: ask, plan, do, tell, and end with a documented exit code.

mod actions;
mod args;
mod budgeting;
mod bundling;
mod collection;
mod command;
mod embedded;
mod equipping;
mod execution;
mod failure;
mod keeping;
mod mounts;
mod performing;
mod plan_file;
mod preparation;
mod recording;
mod reporting;
mod run_session;
mod settings;
mod simulation;
mod standing;
mod telling;
mod usage;

use std::process::ExitCode as ProcessExitCode;

use testbed_model::exit_code::ExitCode;

use crate::args::ColorChoice;
use crate::failure::{Bug, Failure};
use crate::settings::Screen;
use crate::usage::Asked;

fn main() -> ProcessExitCode {
    let (color, result) = match usage::parse(std::env::args_os()) {
        Ok(Asked::Do(cli)) => (cli.common.color, block_on(command::dispatch(*cli))),
        Ok(Asked::Shown(code)) => (ColorChoice::Auto, Ok(code)),
        Err(failure) => (ColorChoice::Auto, Err(failure)),
    };
    let code = result.unwrap_or_else(|failure| {
        failure.tell(&Screen::of_stderr(color).style);
        failure.exit_code()
    });
    ProcessExitCode::from(code.number())
}

/// Two workers: one for what the daemon says, one for what has to be done about it.
fn block_on(work: impl Future<Output = Result<ExitCode, Failure>>) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Bug(format!("cannot start the runtime: {error}")))?;
    let result = runtime.block_on(work);
    // A thread that still waits for standard input would hold the process back.
    runtime.shutdown_background();
    result
}
