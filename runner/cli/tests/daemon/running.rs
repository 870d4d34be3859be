//! A command that runs: its events as they come, signals to it, and its end.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;
use testbed_model::case::{CaseResult, Outcome};
use testbed_model::exit_code::ExitCode;

use crate::engine;
use crate::site;

/// The longest that a test waits for something to happen. It is no assertion about speed.
const PATIENCE: Duration = Duration::from_mins(3);

/// A started command that prints its events as JSON.
pub struct Running {
    child: Child,
    lines: Receiver<String>,
    err: JoinHandle<String>,
    events: Vec<Value>,
}

/// How a run ended.
pub struct Finished {
    /// The exit code.
    pub code: ExitCode,
    /// Every event that it printed.
    pub events: Vec<Value>,
    /// Standard error.
    pub err: String,
    /// When it ended, in seconds since the epoch.
    pub at: f64,
    /// Its process id.
    pub pid: u32,
}

impl Running {
    /// Starts a command in a process group of its own, as a shell does.
    pub fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut err = child.stderr.take().unwrap();
        let (sender, lines) = channel();
        thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let err = thread::spawn(move || {
            let mut text = Vec::new();
            err.read_to_end(&mut text).unwrap();
            String::from_utf8_lossy(&text).into_owned()
        });
        Self { child, lines, err, events: Vec::new() }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for an event; none when the command ended without it.
    pub fn until(&mut self, is_it: impl Fn(&Value) -> bool) -> Option<Value> {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    let event = self.keep(&line);
                    if is_it(&event) {
                        return Some(event);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {
                    let _ = self.child.kill();
                    panic!("nothing happened for {PATIENCE:?} after {:?}", self.events.last());
                }
            }
        }
    }

    /// Waits for an event by its name.
    pub fn until_event(&mut self, name: &str) -> Option<Value> {
        self.until(|event| event["event"] == name)
    }

    /// Lets time pass, unless the command ends before.
    pub fn for_a_while(&mut self, time: Duration) {
        let deadline = std::time::Instant::now() + time;
        while let Some(left) = deadline.checked_duration_since(std::time::Instant::now()) {
            match self.lines.recv_timeout(left) {
                Ok(line) => drop(self.keep(&line)),
                Err(_) => return,
            }
        }
    }

    fn keep(&mut self, line: &str) -> Value {
        let event: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("`{line}` is no JSON: {error}"));
        self.events.push(event.clone());
        event
    }

    /// Sends a signal to the command alone, as `kill` and CI systems do.
    pub fn signal(&self, signal: Signal) {
        // It may be over already.
        let _ = kill_process(self.system_pid(), signal);
    }

    /// Sends a signal to the command and all that it started, as Ctrl-C in a terminal does.
    pub fn signal_group(&self, signal: Signal) {
        let _ = kill_process_group(self.system_pid(), signal);
    }

    fn system_pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap()
    }

    /// The run's id, as its first event tells it.
    pub fn run_id(&mut self) -> String {
        let known = self.events.iter().find(|event| event["event"] == "run_started").cloned();
        let started = known.or_else(|| self.until_event("run_started"));
        started.map(|event| event["run"].as_str().unwrap().to_owned()).unwrap_or_default()
    }

    /// Waits for its death, where it was killed so that it has no exit code.
    pub fn killed(mut self) {
        let status = self.child.wait().unwrap();
        assert_eq!(status.code(), None, "it was to be killed and ended with {status}");
    }

    /// Waits for its end.
    pub fn end(mut self) -> Finished {
        assert!(self.until(|_| false).is_none());
        let status = self.child.wait().unwrap();
        let at = engine::now();
        let err = self.err.join().unwrap();
        let pid = self.child.id();
        Finished { code: site::code(status, &err), events: self.events, err, at, pid }
    }
}

impl Finished {
    /// The events of a name.
    pub fn named<'e>(&'e self, name: &str) -> impl Iterator<Item = &'e Value> + use<'e> {
        let name = Value::from(name);
        self.events.iter().filter(move |event| event["event"] == name)
    }

    /// The one event of a name.
    pub fn only(&self, name: &str) -> &Value {
        let mut found = self.named(name);
        let first = found.next().unwrap_or_else(|| panic!("no event `{name}`: {}", self.err));
        assert_eq!(found.next(), None, "more than one event `{name}`");
        first
    }

    /// How each case ended, with the message of one that did not pass.
    pub fn outcomes(&self) -> BTreeMap<String, (Outcome, String)> {
        let ended = self.named("case_finished").map(|event| {
            let result: CaseResult = serde_json::from_value(event.clone()).unwrap();
            (result.case.id, (result.outcome, result.message.unwrap_or_default()))
        });
        ended.collect()
    }

    /// The cases that ended otherwise than as skipped, sorted.
    pub fn executed(&self) -> Vec<String> {
        let outcomes = self.outcomes().into_iter();
        outcomes.filter(|(_, (outcome, _))| *outcome != Outcome::Skipped).map(|(id, _)| id).collect()
    }

    /// The run's id.
    pub fn run_id(&self) -> &str {
        self.only("run_started")["run"].as_str().unwrap()
    }

    /// Checks that the daemon has nothing of it any more.
    pub fn left_nothing(&self) {
        let left = engine::left_by_process(self.pid);
        assert!(left.is_empty(), "left in the daemon: {left:?}\n{}", self.err);
    }
}
