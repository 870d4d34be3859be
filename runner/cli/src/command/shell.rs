//! `testbed shell`: a look into a stack that was left standing, from inside one of its services.

use std::io::Write as _;

use futures_util::StreamExt as _;
use testbed_engine::docker::{Attached, ContainerId, Daemon, Execution, StdStream};
use testbed_engine::host::terminal::{self, Raw, Resizes};
use testbed_engine::stack::{self, Standing};
use testbed_model::exit_code::ExitCode;
use testbed_model::hint::Hint;
use testbed_model::nearest::did_you_mean;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::args::ShellArgs;
use crate::failure::{Failure, OutputError};
use crate::standing;

/// The service that has Python, and a way to all others.
const USUAL_SERVICE: &str = "frontend";
/// What the daemon's runtime ends with where a program is not in the container.
const NO_PROGRAM: [i64; 2] = [126, 127];

/// A stack that stands has no such place to look from.
#[derive(Debug, thiserror::Error)]
enum NoPlace {
    /// The stack has no such service.
    #[error("stack `{stack}` has no service `{service}` that stands")]
    Service { stack: String, service: String, known: String },
    /// The service's image has no such program.
    #[error("service `{service}` has no program `{program}`")]
    Program { service: String, program: String },
}

impl Hint for NoPlace {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Service { known, .. } => known.clone(),
            Self::Program { .. } => {
                format!(
                    "small images have none; `testbed shell RUN {USUAL_SERVICE}` reaches the other services"
                )
            }
        })
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }
}

/// Executes a shell, or another command, in a service of a stack that stands.
pub async fn shell(args: &ShellArgs) -> Result<ExitCode, Failure> {
    let daemon = Daemon::connect().await?;
    let all = stack::standing(&daemon).await?;
    let stack = standing::one_of(&all, &args.run, args.profile.as_deref())?;
    let (service, container) = service_of(stack, args.service.as_deref())?;
    let command = if args.command.is_empty() { vec!["sh".to_owned()] } else { args.command.clone() };
    let code = execute(&daemon, container, &command).await?;
    if NO_PROGRAM.contains(&code) {
        let program = command.into_iter().next().unwrap_or_default();
        return Err(NoPlace::Program { service: service.to_owned(), program }.into());
    }
    Ok(if code == 0 { ExitCode::Passed } else { ExitCode::TestFailed })
}

fn service_of<'s>(stack: &'s Standing, named: Option<&str>) -> Result<(&'s str, &'s ContainerId), NoPlace> {
    let usual = || stack.services.get_key_value(USUAL_SERVICE).or_else(|| stack.services.first_key_value());
    let found = named.map_or_else(usual, |name| stack.services.get_key_value(name));
    found.map(|(service, id)| (service.as_str(), id)).ok_or_else(|| {
        let service = named.unwrap_or(USUAL_SERVICE);
        let known = did_you_mean(service, stack.services.keys().map(String::as_str).collect::<Vec<_>>());
        NoPlace::Service { stack: stack.profile.clone(), service: service.to_owned(), known }
    })
}

/// Executes a command with this process's input and output, and gives its exit code.
async fn execute(daemon: &Daemon, container: &ContainerId, command: &[String]) -> Result<i64, Failure> {
    let screen = if terminal::is_there() { terminal::size() } else { None };
    let execution = daemon.execute(container, command, screen).await?;
    let id = execution.id().to_owned();
    let Execution { attached: Attached { input, mut output }, .. } = execution;
    let raw = screen.and_then(|_| Raw::begin().ok());
    let feeding = tokio::spawn(feed(input));
    let mut resizes = Resizes::listen().map_err(OutputError)?;
    loop {
        tokio::select! {
            () = resizes.next() => if let (Some(_), Some(size)) = (screen, terminal::size()) {
                daemon.resize(&id, size).await?;
            },
            chunk = output.next() => match chunk {
                Some(chunk) => show(&chunk?)?,
                None => break,
            },
        }
    }
    feeding.abort();
    drop(raw);
    Ok(daemon.exit_code_of(&id).await?.unwrap_or(0))
}

/// Passes standard input on until it ends.
async fn feed(mut input: std::pin::Pin<Box<dyn tokio::io::AsyncWrite + Send>>) {
    let mut keys = tokio::io::stdin();
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = keys.read(&mut buffer).await {
        let Some(bytes) = buffer.get(..count) else { return };
        if input.write_all(bytes).await.is_err() || input.flush().await.is_err() {
            return;
        }
    }
    let _ = input.shutdown().await;
}

fn show((stream, bytes): &(StdStream, bytes::Bytes)) -> Result<(), Failure> {
    match stream {
        StdStream::Stdout => super::print_bytes(bytes),
        StdStream::Stderr => {
            // Where standard error is closed, nobody is left to tell.
            let _ = std::io::stderr().lock().write_all(bytes);
            Ok(())
        }
    }
}
