//! The verbs, one a file.

mod bundle;
mod check;
mod ci;
mod doctor;
mod down;
mod gc;
mod history;
mod images;
mod list;
mod merge;
mod models;
mod plan;
mod report;
mod repro;
mod run;
mod schema;
mod shell;
mod up;

use std::io::Write as _;

use testbed_model::exit_code::ExitCode;
use testbed_report::style::Tone;

use crate::args::{AgentRole, Cli, Command};
use crate::failure::{Failure, OutputError};
use crate::settings::Settings;
use crate::usage;

/// Does what the command line asks for.
pub async fn dispatch(cli: Cli) -> Result<ExitCode, Failure> {
    let common = cli.common;
    match cli.command {
        None => run::run(&Settings::resolve(&common)?, &cli.run).await,
        Some(Command::Run(args)) => run::run(&Settings::resolve(&common)?, &args).await,
        Some(Command::Plan(args)) => plan::plan(&Settings::resolve(&common)?, &args).await,
        Some(Command::List(args)) => list::list(&Settings::resolve(&common)?, &args).await,
        Some(Command::Check(args)) => check::check(&Settings::resolve(&common)?, &args).await,
        Some(Command::Up(args)) => up::up(&Settings::resolve(&common)?, &args).await,
        Some(Command::Down(args)) => down::down(&args).await,
        Some(Command::Shell(args)) => shell::shell(&args).await,
        Some(Command::Images(args)) => images::images(&Settings::resolve(&common)?, &args).await,
        Some(Command::Models(args)) => models::models(&Settings::resolve(&common)?, &args).await,
        Some(Command::Report(args)) => report::report(&Settings::resolve(&common)?, &args),
        // It holds two runs, the recorded one and its own.
        Some(Command::Repro(args)) => Box::pin(repro::repro(&Settings::resolve(&common)?, &args)).await,
        Some(Command::Bundle(args)) => bundle::bundle(&Settings::resolve(&common)?, &args).await,
        Some(Command::Merge(args)) => merge::merge(&Settings::resolve(&common)?, &args),
        Some(Command::History(args)) => history::history(&Settings::resolve(&common)?, &args).await,
        Some(Command::Doctor(args)) => doctor::doctor(&Settings::resolve(&common)?, &args).await,
        Some(Command::Ci(args)) => ci::ci(&Settings::resolve(&common)?, &args).await,
        Some(Command::Gc) => gc::gc().await,
        Some(Command::Schema(args)) => schema::schema(&args),
        Some(Command::Completions { shell }) => {
            print(&usage::completions(shell))?;
            Ok(ExitCode::Passed)
        }
        Some(Command::Agent { role }) => Ok(agent(role).await),
    }
}

/// Inside a container: the agent says everything by its protocol, and ends with 0, or 1 where it could not even begin.
async fn agent(role: AgentRole) -> ExitCode {
    let code = match role {
        AgentRole::Watch { arguments } => testbed_engine::agent::watch::main(arguments).await,
        AgentRole::Execute => testbed_engine::agent::execute::main().await,
        AgentRole::Devices => testbed_engine::agent::devices::main(),
        AgentRole::Gpus { library } => testbed_engine::host::gpu::answer(library.as_deref()),
    };
    if code == 0 { ExitCode::Passed } else { ExitCode::TestFailed }
}

/// Writes what was asked for to standard output. A reader that has seen enough, such as `head`, is no error.
fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(|error| OutputError(error).into()),
    }
}

/// Says on standard error what a person should know, and keeps nobody from reading standard output.
pub fn remark(settings: &Settings, remarks: &[String]) {
    for remark in remarks {
        let label = settings.screen.style.paint(Tone::Warn, "warning:");
        // Where standard error is closed, nobody is left to tell.
        let _ = writeln!(std::io::stderr(), "{label} {remark}");
    }
}

/// A value as JSON for programs, indented and with a line end.
fn pretty(value: &impl serde::Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| OutputError(error.into()))?;
    Ok(text + "\n")
}

/// Prints a value as JSON for programs.
fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    print(&pretty(value)?)
}
