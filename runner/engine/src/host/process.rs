//! Programs of the host: cargo, git, and what else a step needs that no library does.
#![allow(clippy::disallowed_methods, reason = "this is the door that the lint sends everybody to")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use super::lines::{LineSplitter, MAX_LINE};

/// How long a program may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(2);

/// The nice value of a program that lets everything else go first.
const LOW_PRIORITY: i32 = 15;

const BUFFER: usize = 16 * 1024;

/// A program with its arguments, place and changes to the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    argv: Vec<String>,
    folder: Option<PathBuf>,
    set: BTreeMap<String, String>,
    unset: Vec<String>,
    priority: Priority,
}

/// A program's claim to the processors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Priority {
    /// As this process's.
    #[default]
    Inherited,
    /// After everything else that wants to run.
    Low,
}

/// Where a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with a code.
    Code(i32),
    /// By a signal.
    Signal(i32),
}

/// A program's end and what it printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// How it ended.
    pub ended: Ended,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

/// A program could not be executed to its own end.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It is not there.
    #[error("`{program}` is not installed, or not on PATH")]
    NotFound {
        /// Program.
        program: String,
    },
    /// The system refused.
    #[error("cannot execute `{program}`: {source}")]
    Io {
        /// Program.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// The run was cancelled, and the program with it.
    #[error("`{program}` was cancelled")]
    Cancelled {
        /// Program.
        program: String,
    },
}

impl Program {
    /// A program by name (looked up on PATH) or path.
    pub fn new(program: impl Into<String>) -> Self {
        let (set, unset) = (BTreeMap::new(), Vec::new());
        Self { argv: vec![program.into()], folder: None, set, unset, priority: Priority::Inherited }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<T: Into<String>>(mut self, args: impl IntoIterator<Item = T>) -> Self {
        self.argv.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets the working folder.
    #[must_use]
    pub fn in_folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.set.insert(name.to_owned(), value.into());
        self
    }

    /// Removes inherited variables.
    #[must_use]
    pub fn without<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.unset.extend(names.into_iter().map(Into::into));
        self
    }

    /// Lets everything else go first: a compiler on all cores would otherwise hold up the containers beside it.
    #[must_use]
    pub fn at_low_priority(mut self) -> Self {
        self.priority = Priority::Low;
        self
    }

    /// The command as a person would type it.
    pub fn display(&self) -> String {
        self.argv.join(" ")
    }

    /// Executes it and keeps what it prints.
    pub async fn capture(&self, cancel: &CancellationToken) -> Result<Captured, ProcessError> {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let keep = |stream, bytes: &[u8]| match stream {
            Stream::Out => stdout.extend_from_slice(bytes),
            Stream::Err => stderr.extend_from_slice(bytes),
        };
        let ended = self.execute(keep, cancel).await?;
        Ok(Captured { ended, stdout, stderr })
    }

    /// Executes it and passes on each line as it comes.
    pub async fn follow(
        &self,
        mut on_line: impl FnMut(Stream, &str) + Send,
        cancel: &CancellationToken,
    ) -> Result<Ended, ProcessError> {
        let (mut out, mut err) = (LineSplitter::new(MAX_LINE), LineSplitter::new(MAX_LINE));
        let split = |stream, bytes: &[u8]| {
            for line in if stream == Stream::Out { out.push(bytes) } else { err.push(bytes) } {
                on_line(stream, &line);
            }
        };
        let ended = self.execute(split, cancel).await?;
        out.finish().iter().for_each(|line| on_line(Stream::Out, line));
        err.finish().iter().for_each(|line| on_line(Stream::Err, line));
        Ok(ended)
    }

    /// Executes it, keeps its standard output whole and passes on each line of its standard error as it comes: for tools
    /// that print one document and tell of their progress beside it.
    pub async fn progress(
        &self,
        mut on_line: impl FnMut(&str) + Send,
        cancel: &CancellationToken,
    ) -> Result<(Ended, Vec<u8>), ProcessError> {
        let (mut stdout, mut lines) = (Vec::new(), LineSplitter::new(MAX_LINE));
        let keep = |stream, bytes: &[u8]| match stream {
            Stream::Out => stdout.extend_from_slice(bytes),
            Stream::Err => lines.push(bytes).iter().for_each(|line| on_line(line)),
        };
        let ended = self.execute(keep, cancel).await?;
        lines.finish().iter().for_each(|line| on_line(line));
        Ok((ended, stdout))
    }

    /// Executes it, writes its standard output to a new file, and keeps its standard error.
    pub async fn write_to(
        &self,
        file: &Path,
        cancel: &CancellationToken,
    ) -> Result<(Ended, String), ProcessError> {
        let mut out = File::create(file).map_err(|source| self.failed(source))?;
        let (mut stderr, mut unwritten) = (Vec::new(), None);
        // What cannot be written any more ends the program, and not only the writing.
        let enough = cancel.child_token();
        let keep = |stream, bytes: &[u8]| match stream {
            Stream::Out => {
                if let Err(error) = out.write_all(bytes) {
                    unwritten.get_or_insert(error);
                    enough.cancel();
                }
            }
            Stream::Err => stderr.extend_from_slice(bytes),
        };
        let ended = self.execute(keep, &enough).await;
        match unwritten {
            Some(source) => Err(self.failed(source)),
            None => Ok((ended?, String::from_utf8_lossy(&stderr).into_owned())),
        }
    }

    async fn execute(
        &self,
        mut on_bytes: impl FnMut(Stream, &[u8]) + Send,
        cancel: &CancellationToken,
    ) -> Result<Ended, ProcessError> {
        let mut child = self.spawn()?;
        let (Some(mut out), Some(mut err)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(self.failed(io::Error::other("its output is not piped")));
        };
        let (mut out_buffer, mut err_buffer) = (vec![0; BUFFER], vec![0; BUFFER]);
        let (mut out_open, mut err_open) = (true, true);
        while out_open || err_open {
            tokio::select! {
                read = out.read(&mut out_buffer), if out_open => {
                    let n = read.map_err(|source| self.failed(source))?;
                    out_open = n > 0;
                    on_bytes(Stream::Out, out_buffer.get(..n).unwrap_or_default());
                }
                read = err.read(&mut err_buffer), if err_open => {
                    let n = read.map_err(|source| self.failed(source))?;
                    err_open = n > 0;
                    on_bytes(Stream::Err, err_buffer.get(..n).unwrap_or_default());
                }
                () = cancel.cancelled() => return Err(self.stop(child).await),
            }
        }
        self.wait(&mut child).await
    }

    fn spawn(&self) -> Result<Child, ProcessError> {
        let (program, args) = self.argv.split_first().map_or(("", &[][..]), |(p, a)| (p.as_str(), a));
        let mut command = Command::new(program);
        command.args(args);
        // A group of its own: Ctrl-C in the terminal reaches the runner alone, which then ends the program in order.
        command.process_group(0).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // What is set for this program outranks that nothing of the kind is to be inherited.
        for name in &self.unset {
            command.env_remove(name);
        }
        command.envs(&self.set);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        let child = command.spawn().map_err(|source| match source.kind() {
            io::ErrorKind::NotFound if self.folder.as_ref().is_none_or(|folder| folder.is_dir()) => {
                ProcessError::NotFound { program: program.to_owned() }
            }
            _ => self.failed(source),
        })?;
        if self.priority == Priority::Low {
            // What it starts later inherits it. A system that refuses only makes others wait.
            let _ = rustix::process::setpriority_process(group_of(&child), LOW_PRIORITY);
        }
        Ok(child)
    }

    async fn wait(&self, child: &mut Child) -> Result<Ended, ProcessError> {
        let status = child.wait().await.map_err(|source| self.failed(source))?;
        Ok(match (status.code(), status.signal()) {
            (Some(code), _) => Ended::Code(code),
            (None, signal) => Ended::Signal(signal.unwrap_or_default()),
        })
    }

    async fn stop(&self, mut child: Child) -> ProcessError {
        if let Some(group) = group_of(&child) {
            // The group may be gone already; then there is nothing to end.
            let _ = kill_process_group(group, Signal::TERM);
            let _ = tokio::time::timeout(GRACE, child.wait()).await;
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = child.wait().await;
        ProcessError::Cancelled { program: self.name() }
    }

    fn failed(&self, source: io::Error) -> ProcessError {
        ProcessError::Io { program: self.name(), source }
    }

    fn name(&self) -> String {
        self.argv.first().cloned().unwrap_or_default()
    }
}

/// The process id of a child that has not been waited for; also its group's.
fn group_of(child: &Child) -> Option<Pid> {
    child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
}

impl Ended {
    /// Whether it ended by itself with code 0.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Code(0))
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// The file that a program's name stands for on PATH.
pub fn find(program: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let path = super::environment::variable("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|candidate| {
        candidate.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio_util::sync::CancellationToken;

    use super::{Ended, ProcessError, Program, Stream, find};

    fn shell(script: &str) -> Program {
        Program::new("sh").args(["-c", script])
    }

    #[tokio::test]
    async fn both_streams_and_the_code_are_captured() {
        let captured =
            shell("echo out; echo err >&2; exit 3").capture(&CancellationToken::new()).await.unwrap();
        assert_eq!(captured.ended, Ended::Code(3));
        assert_eq!((captured.stdout.as_slice(), captured.stderr.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
    }

    #[tokio::test]
    async fn lines_arrive_with_their_stream_and_a_last_line_without_end_is_not_lost() {
        let mut lines = Vec::new();
        let ended = shell("echo a; echo b >&2; printf c")
            .follow(|stream, line| lines.push((stream, line.to_owned())), &CancellationToken::new())
            .await
            .unwrap();
        lines.sort_by_key(|(_, line)| line.clone());
        assert_eq!(ended, Ended::Code(0));
        let expected = [(Stream::Out, "a"), (Stream::Err, "b"), (Stream::Out, "c")];
        assert_eq!(lines, expected.map(|(stream, line)| (stream, line.to_owned())));
    }

    #[tokio::test]
    async fn a_document_is_kept_whole_beside_lines_of_progress() {
        let mut lines = Vec::new();
        let (ended, stdout) = shell("echo a; echo b >&2; echo c; printf d >&2; exit 2")
            .progress(|line| lines.push(line.to_owned()), &CancellationToken::new())
            .await
            .unwrap();
        assert_eq!((ended, stdout.as_slice()), (Ended::Code(2), &b"a\nc\n"[..]));
        assert_eq!(lines, ["b", "d"]);
    }

    #[tokio::test]
    async fn cancelling_ends_the_whole_group() {
        let cancel = CancellationToken::new();
        let folder = tempfile::tempdir().unwrap();
        let program = shell("(sleep 2; touch survived) & wait").in_folder(folder.path());
        let soon = cancel.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            soon.cancel();
        });
        let error = program.capture(&cancel).await.unwrap_err();
        assert!(matches!(error, ProcessError::Cancelled { .. }), "{error}");
        tokio::time::sleep(Duration::from_millis(2200)).await;
        assert!(!folder.path().join("survived").exists());
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let error =
            Program::new("no-such-program-here").capture(&CancellationToken::new()).await.unwrap_err();
        assert_eq!(error.to_string(), "`no-such-program-here` is not installed, or not on PATH");
    }

    #[tokio::test]
    async fn what_lets_others_go_first_is_nice_and_so_is_what_it_starts() {
        let program = shell("sleep 0.1; sh -c nice").at_low_priority();
        let captured = program.capture(&CancellationToken::new()).await.unwrap();
        assert_eq!(String::from_utf8(captured.stdout).unwrap().trim(), "15");
    }

    #[test]
    fn a_program_is_found_where_path_says() {
        assert!(find("sh").unwrap().is_absolute());
        assert_eq!(find("no-such-program-here"), None);
    }
}
