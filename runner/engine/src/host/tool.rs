//! Tools as the agent starts them inside a container, where it is the first process: each in a group of its own, its
//! output and its events through pipes, and every process that ends is reaped.
#![allow(clippy::disallowed_methods, reason = "this is the door that the lint sends everybody to")]

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use serde::{Deserialize, Serialize};
use tokio::net::unix::pipe::Receiver;
use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};

use super::process::Ended;

/// How a tool's two outputs reach the reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// Through one pipe, so that their order is the order of writing.
    #[default]
    Merged,
    /// Through two pipes, so that they can be told apart.
    Split,
}

/// What is to be started.
#[derive(Clone, Copy, Debug)]
pub struct ToolSpec<'a> {
    /// Program and arguments.
    pub argv: &'a [String],
    /// Environment, over the agent's own.
    pub environment: &'a BTreeMap<String, String>,
    /// Working folder.
    pub folder: &'a Path,
    /// How its output is read.
    pub output: Output,
    /// The variable that tells the tool the number of its events' descriptor, if it is to have one.
    pub events_variable: Option<&'a str>,
}

/// A tool that was started. Its process is not waited for here, but by the [`Reaper`].
#[derive(Debug)]
pub struct Tool {
    /// Process id, which is also its group's.
    pub pid: Pid,
    /// Standard output, and standard error with it where merged.
    pub stdout: Option<Receiver>,
    /// Standard error, where split.
    pub stderr: Option<Receiver>,
    /// What it writes to its events' descriptor.
    pub events: Option<Receiver>,
}

impl Tool {
    /// Starts a tool in a new process group, with nothing to read.
    pub fn start(spec: &ToolSpec<'_>) -> io::Result<Self> {
        let (program, args) = spec
            .argv
            .split_first()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "there is no program"))?;
        let mut command = Command::new(program);
        command.args(args).envs(spec.environment).current_dir(spec.folder).process_group(0);
        let (stdout, out) = pipe_with(PipeFlags::CLOEXEC)?;
        let (stderr, err) = match spec.output {
            Output::Merged => (None, out.try_clone()?),
            Output::Split => {
                let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
                (Some(reader), writer)
            }
        };
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        // The tool inherits the descriptor under the number that it has here; the variable tells which that is.
        let events = match spec.events_variable {
            None => None,
            Some(variable) => {
                let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
                fcntl_setfd(&writer, FdFlags::empty())?;
                command.env(variable, writer.as_raw_fd().to_string());
                Some((reader, writer))
            }
        };
        let child = command.spawn()?;
        let (events, event_writer) = events.unzip();
        // The readers see the end only when no writer is left on this side.
        drop((command, event_writer));
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        Ok(Self {
            pid: pid.ok_or_else(|| io::Error::other("the system gave no process id"))?,
            stdout: receiver(Some(stdout))?,
            stderr: receiver(stderr)?,
            events: receiver(events)?,
        })
    }

    /// Signals every process of the tool's group. A group that is gone is not an error.
    pub fn signal(&self, signal: Signal) {
        let _ = rustix::process::kill_process_group(self.pid, signal);
    }
}

fn receiver(fd: Option<OwnedFd>) -> io::Result<Option<Receiver>> {
    fd.map(Receiver::from_owned_fd).transpose()
}

/// Takes the exit status of processes that ended: as the first process of a container, of everybody's orphans too.
#[derive(Debug)]
pub struct Reaper {
    children: SignalStream,
    scope: Scope,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// The first process inherits every orphan.
    Everyone,
    /// Any other process may only wait for what it started itself, one by one.
    OneByOne,
}

impl Reaper {
    /// Begins to listen. Must exist before the first tool is started.
    pub fn listen() -> io::Result<Self> {
        let first = rustix::process::getpid() == Pid::INIT;
        let scope = if first { Scope::Everyone } else { Scope::OneByOne };
        Ok(Self { children: signal(SignalKind::child())?, scope })
    }

    /// Waits until the process has ended.
    pub async fn ended(&mut self, pid: Pid) -> io::Result<Ended> {
        loop {
            if let Some(ended) = self.reap(pid)? {
                return Ok(ended);
            }
            self.children.recv().await;
        }
    }

    fn reap(&self, pid: Pid) -> io::Result<Option<Ended>> {
        loop {
            let reaped = match self.scope {
                Scope::Everyone => rustix::process::wait(WaitOptions::NOHANG),
                Scope::OneByOne => rustix::process::waitpid(Some(pid), WaitOptions::NOHANG),
            };
            match reaped {
                Ok(None) => return Ok(None),
                Ok(Some((reaped, status))) if reaped == pid => return Ok(Some(ended(status))),
                Ok(Some(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn ended(status: WaitStatus) -> Ended {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Ended::Code(code),
        (None, signal) => Ended::Signal(signal.unwrap_or_default()),
    }
}
