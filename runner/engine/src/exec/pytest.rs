//! pytest with Testbed's plugin, which tells each case's end as it happens.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use testbed_model::case::{Case, CaseResult, Outcome};
use testbed_model::lane::Lane;
use testbed_model::stack::Millis;

use super::heard::{Decoder, Heard, Red, bare_case};
use super::job::{EventPipe, Output, Said, Step, StepEnd};
use super::site::{Assembly, HOME, Site, StackSite, TEMPORARY, WORK};
use super::stack_facts;

/// The interpreter of an image that does not say otherwise.
const PYTHON: &str = "python3";

/// Where the plugin is mounted.
const PLUGIN: &str = "/testbed/plugin";

pub(crate) const STEP: &str = "pytest";

/// Where the cases of a plan are named, and the variable that says so.
const SELECTION: &str = "/data/testbed/selection.json";
const SELECTION_VARIABLE: &str = "TESTBED_SELECTION";

/// The variable that asks the plugin for a catalog.
const CATALOG_VARIABLE: &str = "TESTBED_CATALOG";

/// What is created and done for a pytest lane.
pub fn assemble(lane: &Lane, site: &Site, stack: Option<&StackSite>) -> Assembly {
    let mut assembly = plain(lane, site, stack);
    if let Some(stack) = stack {
        stack_facts::tell(&mut assembly, lane, site, stack);
    }
    // By the variable and not by its option, which pytest refuses where pytest-timeout is not installed. Without it, a case that
    // does not end is ended from outside, with its tool.
    assembly.set("PYTEST_TIMEOUT", seconds(lane.timeouts.case_ms));
    if let Some(cases) = &lane.cases {
        assembly.set(SELECTION_VARIABLE, SELECTION);
        let content = serde_json::json!({ "cases": cases.ids }).to_string();
        assembly.job.files.insert(SELECTION.to_owned(), content);
    }
    assembly.job.steps.push(Step {
        id: STEP.to_owned(),
        argv: arguments(lane),
        output: Output::Merged,
        events: EventPipe::Open,
        ..Step::default()
    });
    assembly
}

/// What is created and done to learn of a suite's cases: its tool collects, and executes nothing.
pub fn assemble_catalog(lane: &Lane, site: &Site) -> Assembly {
    let mut assembly = plain(lane, site, None);
    assembly.set(CATALOG_VARIABLE, "1");
    let mut argv = common_arguments(lane);
    argv.extend(["--collect-only", "-qq"].map(str::to_owned));
    argv.extend(lane.arguments.iter().cloned());
    argv.extend(paths(lane, &lane.paths));
    assembly.job.steps.push(Step {
        id: STEP.to_owned(),
        argv,
        output: Output::Merged,
        events: EventPipe::Open,
        ..Step::default()
    });
    assembly
}

/// What every pytest has: the plugin, which comes in by a mount, and the working folder that the project is used to.
fn plain(lane: &Lane, site: &Site, stack: Option<&StackSite>) -> Assembly {
    let mut assembly = Assembly::new(lane, site, stack, WORK);
    assembly.mount(&site.plugin, PLUGIN);
    assembly.job.python_path.push(PLUGIN.to_owned());
    if let Some(folder) = &lane.habits.folder {
        assembly.job.folder = format!("{WORK}/{folder}");
    }
    assembly
}

/// Paths below the project's root as pytest is given them: in full where it works in another folder.
fn paths(lane: &Lane, paths: &[String]) -> Vec<String> {
    let full = |path: &String| if path == "." { WORK.to_owned() } else { format!("{WORK}/{path}") };
    if lane.habits.folder.is_some() { paths.iter().map(full).collect() } else { paths.to_vec() }
}

fn common_arguments(lane: &Lane) -> Vec<String> {
    let mut argv = vec![lane.habits.python.clone().unwrap_or_else(|| PYTHON.to_owned())];
    argv.extend(["-m", "pytest", "-p", "testbed_pytest", "--strict-markers"].map(str::to_owned));
    argv.extend([
        "--continue-on-collection-errors".to_owned(),
        "--color=no".to_owned(),
        format!("--rootdir={WORK}"),
        format!("--basetemp={TEMPORARY}/pytest"),
        "-o".to_owned(),
        format!("cache_dir={HOME}/cache/pytest"),
    ]);
    argv
}

fn arguments(lane: &Lane) -> Vec<String> {
    let mut argv = common_arguments(lane);
    if lane.workers > 1 {
        argv.extend(["-n".to_owned(), lane.workers.to_string(), "--dist=loadscope".to_owned()]);
        // A case that ends its worker is executed again by the next one, and ends that too.
        argv.push(format!("--max-worker-restart={}", lane.workers));
    }
    let Some(cases) = &lane.cases else {
        if let Some(expression) = &lane.expression {
            argv.extend(["-m".to_owned(), expression.clone()]);
        }
        if let Some(keyword) = &lane.keyword {
            argv.extend(["-k".to_owned(), keyword.clone()]);
        }
        argv.extend(lane.arguments.iter().cloned());
        argv.extend(paths(lane, &lane.paths));
        return argv;
    };
    // The plan has chosen; collecting no more files than that takes is what makes one case of thousands quick.
    argv.extend(lane.arguments.iter().cloned());
    argv.extend(paths(lane, if cases.files.is_empty() { &lane.paths } else { &cases.files }));
    argv
}

fn seconds(ms: Millis) -> String {
    let (whole, rest) = (ms / 1000, ms % 1000);
    if rest == 0 { whole.to_string() } else { format!("{whole}.{rest:03}") }
}

/// Understands the plugin's events.
#[derive(Clone, Debug, Default)]
pub struct Pytest {
    /// What the plugin said of the session as a whole.
    session: Session,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Session {
    /// Whether the plugin announced the cases.
    collected: bool,
    /// The session's own exit code, if it came to its end.
    exit_code: Option<i64>,
    /// First line of an internal error.
    internal_error: Option<String>,
    /// What was printed before pytest could say anything.
    complaint: Complaint,
}

/// What pytest, or an interpreter without it, prints instead of starting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Complaint {
    no_pytest: Option<String>,
    refusal: Option<String>,
}

impl Complaint {
    /// Hears what is printed.
    pub(crate) fn hear(&mut self, line: &str) {
        // `/usr/bin/python3: No module named pytest`; a traceback of the project's ends with `ModuleNotFoundError:` instead.
        if let Some((python, "")) = line.split_once(": No module named pytest") {
            self.no_pytest.get_or_insert_with(|| python.to_owned());
        }
        if let Some((_, refusal)) = line.split_once("error: unrecognized arguments: ") {
            self.refusal.get_or_insert_with(|| refusal.to_owned());
        }
    }

    /// Whether the image is at fault, and not what the tests or the suite's arguments say.
    pub(crate) fn blames_image(&self, end: Option<&StepEnd>) -> bool {
        !matches!(end, Some(StepEnd::Code(4))) && self.explains(end).is_some()
    }

    /// Why pytest could not begin, in words with a way out; none if it could.
    pub(crate) fn explains(&self, end: Option<&StepEnd>) -> Option<String> {
        match end? {
            StepEnd::NotStarted(why) => why.strip_prefix("there is no program ").map(|program| {
                format!(
                    "the suite's image has no {program}, so pytest could not be started; `python` of the suite names another \
                     interpreter, and `image` another image"
                )
            }),
            StepEnd::Code(1) => self.no_pytest.as_ref().map(|python| {
                format!(
                    "`{python}` of the suite's image has no pytest; `python` of the suite names another interpreter, and an \
                     `[[image]]` with `requirements` brings what an image lacks"
                )
            }),
            StepEnd::Code(4) => self.refusal.as_ref().map(|arguments| {
                format!("pytest refused its arguments, for a plugin that they need is not in the image: {arguments}")
            }),
            _ => None,
        }
    }
}

impl Decoder for Pytest {
    fn hear(&mut self, said: &Said) -> Vec<Heard> {
        match said {
            Said::Line { line, .. } => {
                if !self.session.collected {
                    self.session.complaint.hear(line);
                }
                vec![Heard::Output(line.clone())]
            }
            Said::Event { event } => match Told::deserialize(event) {
                Ok(told) => self.understand(told),
                // A newer plugin may tell what this runner does not know; the lane's log keeps it.
                Err(_) => vec![Heard::Output(format!("event: {event}"))],
            },
            _ => Vec::new(),
        }
    }

    fn judge(&self, ends: &BTreeMap<String, StepEnd>, red: Red) -> Option<String> {
        if let Some(error) = &self.session.internal_error {
            return Some(format!("pytest had an internal error: {error}"));
        }
        if let Some(reason) = self.session.complaint.explains(ends.get(STEP)) {
            return Some(reason);
        }
        match ends.get(STEP) {
            None => Some("pytest was not executed".to_owned()),
            Some(StepEnd::Code(0 | 1 | 5)) if !self.session.collected => {
                Some("pytest ended without a word from Testbed's plugin".to_owned())
            }
            Some(StepEnd::Code(0 | 5)) => None,
            Some(StepEnd::Code(1)) if red == Red::Some => None,
            Some(StepEnd::Code(1)) => Some("pytest failed although no case did".to_owned()),
            Some(StepEnd::Code(2)) if red == Red::Some => Some("pytest was interrupted".to_owned()),
            Some(StepEnd::Code(4)) => Some("pytest refused its arguments or configuration".to_owned()),
            Some(end) => Some(format!("pytest {end}")),
        }
    }

    fn blames_environment(&self, ends: &BTreeMap<String, StepEnd>) -> bool {
        self.session.complaint.blames_image(ends.get(STEP))
    }
}

/// The plugin's events.
#[derive(Debug, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Told {
    Collected {
        #[serde(default)]
        cases: Vec<Case>,
        #[serde(default)]
        deselected: u32,
    },
    CollectError {
        file: String,
        #[serde(default)]
        message: Option<String>,
        #[serde(default)]
        longrepr: Option<String>,
    },
    CollectSkipped {
        file: String,
        #[serde(default)]
        reason: Option<String>,
    },
    Started {
        id: String,
        /// Microseconds since the epoch.
        #[serde(default)]
        at_us: Option<i64>,
    },
    Finished(Box<Finished>),
    InternalError {
        #[serde(default)]
        message: Option<String>,
    },
    SessionFinished {
        exit_code: i64,
    },
}

#[derive(Debug, Deserialize)]
struct Finished {
    id: String,
    outcome: String,
    #[serde(default)]
    file: Option<String>,
    #[serde(default)]
    line: Option<u32>,
    #[serde(default)]
    attempt: Option<u32>,
    #[serde(default)]
    duration_s: Option<f64>,
    #[serde(default)]
    timed_out: bool,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    longrepr: Option<String>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    stdout: Option<Value>,
    #[serde(default)]
    stderr: Option<Value>,
    #[serde(default)]
    log: Option<Value>,
}

impl Pytest {
    fn understand(&mut self, told: Told) -> Vec<Heard> {
        match told {
            Told::Collected { cases, deselected } => {
                self.session.collected = true;
                vec![Heard::Collected { cases, deselected }]
            }
            Told::CollectError { file, message, longrepr } => {
                let message = Some(message.unwrap_or_else(|| "the file could not be collected".to_owned()));
                vec![Heard::Finished(of_file(file, Outcome::Error, message, longrepr))]
            }
            Told::CollectSkipped { file, reason } => {
                vec![Heard::Finished(of_file(file, Outcome::Skipped, reason, None))]
            }
            Told::Started { id, at_us } => {
                let at = at_us.and_then(|at| Timestamp::from_microsecond(at).ok());
                vec![Heard::Started { case: id, at }]
            }
            // The next attempt follows; the case has not ended.
            Told::Finished(finished) if finished.outcome == "rerun" => Vec::new(),
            Told::Finished(finished) => vec![Heard::Finished(finished.result())],
            Told::InternalError { message } => {
                let message = message.unwrap_or_default();
                // The last line of a traceback says what it was.
                let last = message.lines().map(str::trim).rfind(|line| !line.is_empty());
                self.session.internal_error = Some(last.unwrap_or("without a message").to_owned());
                message.lines().map(|line| Heard::Output(line.to_owned())).collect()
            }
            Told::SessionFinished { exit_code } => {
                self.session.exit_code = Some(exit_code);
                Vec::new()
            }
        }
    }
}

impl Finished {
    fn result(self) -> CaseResult {
        let outcome = match self.outcome.as_str() {
            "passed" | "xpassed" => Outcome::Passed,
            "failed" | "error" if self.timed_out => Outcome::TimedOut,
            "failed" => Outcome::Failed,
            "skipped" => Outcome::Skipped,
            "xfailed" => Outcome::ExpectedFailure,
            _ => Outcome::Error,
        };
        let output = captured(&[("", &self.stdout), ("standard error", &self.stderr), ("log", &self.log)]);
        let case = Case { id: self.id, file: self.file, line: self.line, markers: Vec::new() };
        CaseResult {
            duration_ms: milliseconds(self.duration_s),
            attempts: self.attempt.unwrap_or(1).max(1),
            message: self.message.or(self.reason),
            details: self.longrepr,
            output,
            ..CaseResult::new(case, outcome)
        }
    }
}

/// A result of a whole file, which has no cases.
fn of_file(file: String, outcome: Outcome, message: Option<String>, details: Option<String>) -> CaseResult {
    let case = Case { file: Some(file.clone()), ..bare_case(file) };
    CaseResult { message, details, ..CaseResult::new(case, outcome) }
}

fn milliseconds(duration_s: Option<f64>) -> Millis {
    let duration = duration_s.and_then(|s| std::time::Duration::try_from_secs_f64(s).ok());
    duration.and_then(|duration| Millis::try_from(duration.as_millis()).ok()).unwrap_or_default()
}

/// What the case printed, each kind under its name where there are several.
fn captured(parts: &[(&str, &Option<Value>)]) -> String {
    let mut output = String::new();
    for (name, text) in parts {
        let Some(text) = text.as_ref().and_then(Value::as_str).filter(|text| !text.is_empty()) else {
            continue;
        };
        if !name.is_empty() {
            output.push_str(&["--- ", name, " ---\n"].concat());
        }
        output.push_str(text);
        if !text.ends_with('\n') {
            output.push('\n');
        }
    }
    output
}

#[cfg(test)]
mod tests;
