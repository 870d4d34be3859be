//! Programs that are measured: each in a process group of its own, ended and waited for whatever happens here.
#![allow(
    clippy::disallowed_methods,
    reason = "a program is measured from its very start, without a door in between"
)]

use std::ffi::OsStr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::error::BenchError;

/// How long a program may take to end after it was asked to, its own clearing up included.
const GRACE: Duration = Duration::from_secs(40);

/// How many of a program's last lines explain its end.
const LAST_LINES: usize = 12;

/// A program that runs. When it is dropped, it is asked to end, and waited for in the background.
#[derive(Debug)]
pub struct Running {
    name: String,
    child: Option<Child>,
    group: Option<Pid>,
    said: Option<JoinHandle<Vec<String>>>,
    endings: TaskTracker,
}

/// A program to be started.
#[derive(Debug)]
pub struct Program {
    name: String,
    command: Command,
}

impl Program {
    /// A program with its arguments.
    pub fn new<A: AsRef<OsStr>>(program: &Path, arguments: impl IntoIterator<Item = A>) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).process_group(0).stdin(Stdio::null()).stderr(Stdio::piped());
        let file = program.file_name().unwrap_or(program.as_os_str());
        let first = command.as_std().get_args().take(3).map(OsStr::to_string_lossy);
        let words: Vec<_> = std::iter::once(file.to_string_lossy()).chain(first).collect();
        Self { name: words.join(" "), command }
    }

    /// Starts in this folder.
    #[must_use]
    pub fn in_folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Sets variables.
    #[must_use]
    pub fn with(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.command.envs(variables);
        self
    }

    /// Starts it and gives the lines of its standard output.
    pub fn start(
        mut self,
        endings: &TaskTracker,
    ) -> Result<(Running, Lines<BufReader<ChildStdout>>), BenchError> {
        self.command.stdout(Stdio::piped());
        let mut running = self.spawn(endings)?;
        let output = running.child.as_mut().and_then(|child| child.stdout.take());
        let output = output.ok_or_else(|| BenchError::Host {
            doing: format!("read what `{}` prints", running.name),
            source: std::io::ErrorKind::BrokenPipe.into(),
        })?;
        Ok((running, BufReader::new(output).lines()))
    }

    /// Runs it to its end, which must be a good one, and gives what it printed.
    pub async fn output(self, endings: &TaskTracker) -> Result<String, BenchError> {
        let (running, mut lines) = self.start(endings)?;
        let mut text = String::new();
        while let Ok(Some(line)) = lines.next_line().await {
            text.push_str(&line);
            text.push('\n');
        }
        running.succeed().await?;
        Ok(text)
    }

    fn spawn(mut self, endings: &TaskTracker) -> Result<Running, BenchError> {
        let mut child = self.command.spawn().map_err(BenchError::host(format!("start `{}`", self.name)))?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let said = child.stderr.take().map(|stderr| tokio::spawn(last_lines(stderr)));
        Ok(Running { name: self.name, child: Some(child), group, said, endings: endings.clone() })
    }
}

impl Running {
    /// Process id; none once it has been waited for.
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// Asks it to end, as Ctrl-C does.
    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// Waits for its end, whatever that is, and gives its last lines with it.
    pub async fn end(mut self) -> Result<(ExitStatus, Vec<String>), BenchError> {
        let doing = format!("wait for `{}`", self.name);
        let child = self.child.as_mut().ok_or_else(|| BenchError::Host {
            doing: doing.clone(),
            source: std::io::ErrorKind::NotFound.into(),
        })?;
        let status = child.wait().await.map_err(BenchError::host(doing))?;
        self.child = None;
        let said = match self.said.take() {
            Some(said) => said.await.unwrap_or_default(),
            None => Vec::new(),
        };
        Ok((status, said))
    }

    /// Waits for its end, which must be a good one.
    pub async fn succeed(self) -> Result<(), BenchError> {
        let program = self.name.clone();
        let (status, said) = self.end().await?;
        if status.success() {
            Ok(())
        } else {
            Err(BenchError::Program { program, ended: status.to_string(), said })
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group.filter(|_| self.child.is_some()) {
            // A group that is gone has ended, which is what was wanted.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signal(Signal::TERM);
        let (Some(mut child), group) = (self.child.take(), self.group) else { return };
        self.endings.spawn(async move {
            if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
                let _ = group.map(|group| kill_process_group(group, Signal::KILL));
                let _ = child.wait().await;
            }
        });
    }
}

async fn last_lines(output: impl AsyncRead + Unpin) -> Vec<String> {
    let mut last = std::collections::VecDeque::new();
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        last.push_back(line);
        if last.len() > LAST_LINES {
            last.pop_front();
        }
    }
    last.into()
}
