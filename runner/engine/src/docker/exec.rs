//! A further command in a container that runs.

use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use bollard::query_parameters::ResizeExecOptionsBuilder;
use futures_util::StreamExt;

use super::Daemon;
use super::container::short;
use super::error::{self, DaemonError};
use super::spec::ContainerId;
use super::streams::{Attached, chunk};

/// The size of a screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScreenSize {
    /// Lines.
    pub rows: u16,
    /// Characters of a line.
    pub columns: u16,
}

/// A command that was started.
#[derive(Debug)]
pub struct Execution {
    id: String,
    /// Its input and output. With a screen, standard error is part of its output.
    pub attached: Attached,
}

impl Daemon {
    /// Starts a command in a container, as the container's user, with a screen of this size if there is one.
    pub async fn execute(
        &self,
        container: &ContainerId,
        command: &[String],
        screen: Option<ScreenSize>,
    ) -> Result<Execution, DaemonError> {
        let doing = format!("execute a command in container `{}`", short(container));
        let options = CreateExecOptions {
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(screen.is_some()),
            cmd: Some(command.to_vec()),
            env: screen.map(|_| vec!["TERM=xterm-256color".to_owned()]),
            ..CreateExecOptions::default()
        };
        let created = self.client.create_exec(&container.0, options).await;
        let id = created.map_err(|e| error::doing(doing.as_str(), &e))?.id;
        let how = StartExecOptions { tty: screen.is_some(), ..StartExecOptions::default() };
        let started = self.client.start_exec(&id, Some(how)).await;
        match started.map_err(|e| error::doing(doing.as_str(), &e))? {
            StartExecResults::Attached { input, output } => {
                let output = output.map(move |item| match item {
                    Ok(output) => Ok(chunk(output)),
                    Err(e) => Err(error::doing(doing.as_str(), &e)),
                });
                let execution = Execution { id, attached: Attached { input, output: output.boxed() } };
                if let Some(screen) = screen {
                    // A program that is quick is gone before; then no size matters.
                    let _ = self.resize(&execution.id, screen).await;
                }
                Ok(execution)
            }
            StartExecResults::Detached => {
                Err(DaemonError::Lost { doing, message: "it was started out of reach".to_owned() })
            }
        }
    }

    /// Tells a command that its screen has another size.
    pub async fn resize(&self, execution: &str, screen: ScreenSize) -> Result<(), DaemonError> {
        let options = ResizeExecOptionsBuilder::default().h(screen.rows.into()).w(screen.columns.into());
        let resized = self.client.resize_exec(execution, options.build()).await;
        resized.map_err(|e| error::doing("resize a screen", &e))
    }

    /// The exit code of a command that has ended; none while it runs.
    pub async fn exit_code_of(&self, execution: &str) -> Result<Option<i64>, DaemonError> {
        let inspected = self.client.inspect_exec(execution).await;
        let told = inspected.map_err(|e| error::doing("ask how a command ended", &e))?;
        Ok(told.exit_code.filter(|_| told.running != Some(true)))
    }
}

impl Execution {
    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }
}
