//! The agent that executes a suite's tools: the first process of an executor's container.
//!
//! It copies the project to where tools may write, starts one tool after another in a group of its own, passes on what
//! each one prints and tells, takes control requests from the cases, and ends everything when it is told to or when
//! nobody listens any more.

mod control;
mod step;

use std::fs;
use std::io::{self, BufRead as _, Write};
use std::path::Path;
use std::time::Duration;

use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use self::control::Control;
use crate::exec::job::{Job, OnFailure, Order, Said, Step, StepEnd};
use crate::host::clock::Clock;
use crate::host::environment;
use crate::host::room::{self, Full};
use crate::host::tool::{Output, Reaper};
use crate::host::tree;

/// The exit code of a job that had no tool to execute, or could not get that far.
const NO_TOOL: i32 = 125;

/// Executes the job on standard input and says what happens on standard output. Gives the exit code.
pub async fn main() -> u8 {
    let (job, orders) = read_input(io::stdin());
    let code = run(job, orders, Voice::new(io::stdout())).await;
    u8::try_from(code).unwrap_or(1)
}

/// What the agent says goes out here, a line at a time. Somebody who does not listen any more is no error: the end of the
/// input tells that.
#[derive(Debug)]
pub struct Voice<W> {
    out: W,
}

impl<W: Write> Voice<W> {
    /// A voice into a writer.
    pub const fn new(out: W) -> Self {
        Self { out }
    }

    fn say(&mut self, said: &Said) {
        if let Ok(mut line) = serde_json::to_vec(said) {
            line.push(b'\n');
            let _ = self.out.write_all(&line).and_then(|()| self.out.flush());
        }
    }
}

/// Reads the job and then the orders, in a thread of its own: a read of standard input cannot be cancelled, and must not
/// hold up the process's end.
fn read_input(input: impl io::Read + Send + 'static) -> (UnboundedReceiver<Job>, UnboundedReceiver<Order>) {
    let ((jobs, job), (orders, receiver)) = (unbounded_channel(), unbounded_channel());
    std::thread::spawn(move || {
        let mut lines = io::BufReader::new(input).lines().map_while(Result::ok);
        let Some(first) = lines.next().and_then(|line| serde_json::from_str::<Job>(&line).ok()) else {
            return;
        };
        // The senders' end tells the rest: no job came, or no order will come any more.
        if jobs.send(first).is_err() {
            return;
        }
        for order in lines.filter_map(|line| serde_json::from_str(&line).ok()) {
            if orders.send(order).is_err() {
                return;
            }
        }
    });
    (job, receiver)
}

/// Executes one job. Cancelled by an order, by the end of the orders, and by SIGTERM.
pub async fn run<W: Write>(
    mut job: UnboundedReceiver<Job>,
    orders: UnboundedReceiver<Order>,
    mut voice: Voice<W>,
) -> i32 {
    let outcome = match job.recv().await {
        Some(job) => Agent::begin(job, orders, &mut voice),
        None => Err("the first line of the input is not a job".to_owned()),
    };
    let code = match outcome {
        Ok(agent) => agent.work().await,
        Err(message) => {
            voice.say(&Said::Failed { message });
            NO_TOOL
        }
    };
    voice.say(&Said::Exit { code });
    code
}

/// An agent with a job.
struct Agent<'a, W> {
    job: Job,
    clock: Clock,
    voice: &'a mut Voice<W>,
    reaper: Reaper,
    terminate: SignalStream,
    orders: UnboundedReceiver<Order>,
    control: Control,
    /// Set by the first request to end; nothing is started any more.
    cancelled: bool,
}

impl<'a, W: Write> Agent<'a, W> {
    fn begin(
        mut job: Job,
        orders: UnboundedReceiver<Order>,
        voice: &'a mut Voice<W>,
    ) -> Result<Self, String> {
        let system = |error: io::Error| format!("cannot listen for signals: {error}");
        let reaper = Reaper::listen().map_err(system)?;
        let terminate = signal(SignalKind::terminate()).map_err(system)?;
        let clock = Clock::start();
        lay_out(&job)?;
        for (name, folders) in [("PATH", &job.path), ("PYTHONPATH", &job.python_path)] {
            if !folders.is_empty() {
                let joined = in_front(folders, name, job.environment.get(name));
                job.environment.insert(name.to_owned(), joined);
            }
        }
        let control = Control::listen(job.control.as_deref())?;
        Ok(Self { job, clock, voice, reaper, terminate, orders, control, cancelled: false })
    }

    async fn work(mut self) -> i32 {
        let bytes = match self.prepare().await {
            Ok(bytes) => bytes,
            Err(message) => {
                self.voice.say(&Said::Failed { message });
                return NO_TOOL;
            }
        };
        let files = self.job.project.as_ref().map_or(0, |project| project.files.len() as u64);
        self.voice.say(&Said::Prepared { files, bytes, took_ms: self.clock.elapsed_ms() });
        let mut code = NO_TOOL;
        for step in std::mem::take(&mut self.job.steps) {
            if self.cancelled {
                break;
            }
            let end = self.execute(&step).await;
            code = match &end {
                StepEnd::Code(code) => *code,
                StepEnd::Signal(signal) => 128 + signal,
                StepEnd::TimedOut => 124,
                StepEnd::Cancelled => 143,
                StepEnd::NotStarted(_) => 127,
            };
            if !end.is_success() && step.on_failure == OnFailure::Stop {
                break;
            }
        }
        code
    }

    /// Copies the project and executes the setup. Gives the bytes copied.
    async fn prepare(&mut self) -> Result<u64, String> {
        let mut bytes = 0;
        if let Some(project) = &self.job.project {
            let (from, to) = (Path::new(&project.from), Path::new(&project.to));
            bytes = tree::copy(from, to, &project.files).map_err(|error| error.to_string())?;
        }
        for argv in std::mem::take(&mut self.job.setup) {
            let step = Step { id: argv.join(" "), argv, output: Output::Merged, ..Step::default() };
            let mut heard = Vec::new();
            let end = self.attend(&step, |_, said| {
                if let Said::Line { line, .. } = said {
                    heard.push(line);
                }
            });
            let end = end.await;
            if !end.is_success() {
                let last = heard.split_off(heard.len().saturating_sub(5)).join("; ");
                return Err(format!("`{}` {end}: {last}", step.id));
            }
        }
        Ok(bytes)
    }

    async fn execute(&mut self, step: &Step) -> StepEnd {
        let began = self.clock.elapsed_ms();
        self.voice.say(&Said::StepStarted { step: step.id.clone() });
        let tell = |voice: &mut Voice<W>, said: Said| {
            // While what filled the disk is still there: pytest keeps the folders of its last red cases.
            if is_red(&said) {
                tell_of_full_disks(voice);
            }
            voice.say(&said);
        };
        let end = self.attend(step, tell).await;
        if !end.is_success() {
            tell_of_full_disks(self.voice);
        }
        let took_ms = self.clock.elapsed_ms().saturating_sub(began);
        self.voice.say(&Said::StepFinished { step: step.id.clone(), end: end.clone(), took_ms });
        end
    }

    fn grace(&self) -> Duration {
        Duration::from_millis(self.job.grace_ms)
    }
}

/// Whether a tool tells of a case that is red.
fn is_red(said: &Said) -> bool {
    let Said::Event { event } = said else { return false };
    matches!(event["outcome"].as_str(), Some("failed" | "error"))
}

/// Says of each file system that has no room that it has none.
fn tell_of_full_disks<W: Write>(voice: &mut Voice<W>) {
    for Full { path, total_bytes } in room::here() {
        voice.say(&Said::Full { path, total_bytes });
    }
}

/// Makes the job's folders and files.
fn lay_out(job: &Job) -> Result<(), String> {
    for folder in &job.folders {
        fs::create_dir_all(folder).map_err(|error| format!("cannot make the folder `{folder}`: {error}"))?;
    }
    for (path, content) in &job.files {
        let parent = Path::new(path).parent().map_or(Ok(()), fs::create_dir_all);
        let written = parent.and_then(|()| fs::write(path, content));
        written.map_err(|error| format!("cannot write `{path}`: {error}"))?;
    }
    Ok(())
}

/// A list of folders for the tools: some in front, then what the job says of it, then the container's own.
fn in_front(folders: &[String], name: &str, of_job: Option<&String>) -> String {
    let own = environment::variable(name);
    let parts = folders.iter().cloned().chain(of_job.cloned()).chain(own);
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests;
