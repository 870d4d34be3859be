//! Rust tests through cargo-nextest: compiled on the host beforehand, executed in the container from what was compiled.
//!
//! nextest tells a test's start and end as JSON (`libtest-json-plus`) and shows its output as text right before its end;
//! both come through one pipe, so that their order holds. Text of tests is indented, so no test can tell an end itself.

mod filter;
pub(crate) mod list;
mod output;

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use testbed_model::case::{Case, CaseResult, Outcome};
use testbed_model::lane::Lane;
use testbed_model::stack::Millis;

use self::output::{Block, Panic, StatusLine};
use super::heard::{Decoder, Heard, Red, bare_case};
use super::job::{OnFailure, Output, Said, Step, StepEnd};
use super::site::{Assembly, HOME, Site, StackSite, WORK};
use super::stack_facts;

/// Where the host's cargo-nextest is mounted.
const NEXTEST: &str = "/opt/nextest/cargo-nextest";

/// Where the target folder is mounted when it cannot be at its own place.
const TARGET: &str = "/mnt/target";

/// Exit codes of nextest (its documentation, `NextestExitCode`).
const TESTS_FAILED: i32 = 100;
const NO_TESTS: i32 = 4;

/// What preparation on the host gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// The host's cargo-nextest.
    pub nextest: String,
    /// Workspaces, each compiled.
    pub workspaces: Vec<Workspace>,
}

/// A compiled workspace, as cargo and nextest describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workspace {
    /// Its folder, relative to the project's root; empty for the root itself.
    pub folder: String,
    /// `cargo metadata`.
    pub metadata: String,
    /// `cargo nextest list --list-type binaries-only`.
    pub binaries: String,
    /// The target folder on the host.
    pub target: String,
}

/// What is created and done for a lane of Rust tests.
pub fn assemble(lane: &Lane, site: &Site, stack: Option<&StackSite>, built: &Built) -> Assembly {
    assemble_with(lane, site, stack, built, |folder, common| steps(lane, folder, common).into())
}

/// What is created and done to learn of a suite's tests: nextest lists, and executes nothing.
pub fn assemble_catalog(lane: &Lane, site: &Site, built: &Built) -> Assembly {
    assemble_with(lane, site, None, built, |folder, common| list::steps(lane, folder, common))
}

fn assemble_with(
    lane: &Lane,
    site: &Site,
    stack: Option<&StackSite>,
    built: &Built,
    steps: impl Fn(&str, &[String]) -> Vec<Step>,
) -> Assembly {
    // Paths that the compiler put into the tests (`CARGO_MANIFEST_DIR`, `CARGO_BIN_EXE_*`) hold if the copy is where the
    // project is on the host.
    let own_place = can_be_made(&site.root);
    let place = if own_place { site.root.as_str() } else { WORK };
    let mut assembly = Assembly::new(lane, site, stack, place);
    assembly.mount(&built.nextest, NEXTEST);
    if let Some(stack) = stack {
        stack_facts::tell(&mut assembly, lane, site, stack);
    }
    assembly.set("NEXTEST_EXPERIMENTAL_LIBTEST_JSON", "1");
    assembly.set("INSTA_UPDATE", "no");
    if let [only] = built.workspaces.as_slice() {
        assembly.set("INSTA_WORKSPACE_ROOT", join(place, &only.folder));
    }
    let tool_config = format!("{HOME}/testbed/nextest.toml");
    assembly.job.files.insert(tool_config.clone(), tool_configuration(lane.timeouts.case_ms));
    for (number, workspace) in built.workspaces.iter().enumerate() {
        let at = format!("{HOME}/testbed/nextest-{number}");
        let (metadata, binaries) = (format!("{at}/metadata.json"), format!("{at}/binaries.json"));
        let mut common =
            ["--cargo-metadata", &metadata, "--binaries-metadata", &binaries].map(str::to_owned).to_vec();
        common.extend(["--color=never".to_owned(), format!("--tool-config-file=testbed:{tool_config}")]);
        if own_place && can_be_made(&workspace.target) {
            assembly.mount_in_place(&workspace.target);
        } else {
            let target = format!("{TARGET}-{number}");
            assembly.mount(&workspace.target, &target);
            common.push(format!("--workspace-remap={}", join(place, &workspace.folder)));
            common.push(format!("--target-dir-remap={target}"));
        }
        assembly.job.files.insert(metadata, workspace.metadata.clone());
        assembly.job.files.insert(binaries, workspace.binaries.clone());
        assembly.job.steps.extend(steps(&workspace.folder, &common));
    }
    assembly
}

/// First the list, so that every test is known before one runs; then the run.
fn steps(lane: &Lane, folder: &str, common: &[String]) -> [Step; 2] {
    let arguments = Arguments::of(lane);
    let nextest = |verb: &str, own: &[String]| {
        let mut argv = vec![NEXTEST.to_owned(), "nextest".to_owned(), verb.to_owned()];
        argv.extend(common.iter().cloned());
        argv.extend(own.iter().cloned());
        let filters = match &lane.cases {
            Some(cases) if !cases.whole => filter::of_cases(&cases.ids),
            _ => lane.expression.iter().cloned().collect(),
        };
        argv.extend(filters.into_iter().flat_map(|filter| ["-E".to_owned(), filter]));
        argv
    };
    let with_format = |format: &str| {
        let mut argv = vec![format!("--message-format={format}")];
        argv.extend(arguments.of_both.iter().cloned());
        argv
    };
    let list = with_format("oneline");
    let mut run = with_format("libtest-json-plus");
    let shown = ["--no-fail-fast", "--no-tests=pass", "--status-level=all", "--final-status-level=none"];
    run.extend(shown.map(str::to_owned));
    run.extend(["--failure-output=immediate", "--success-output=immediate"].map(str::to_owned));
    run.push(format!("--test-threads={}", lane.workers.max(1)));
    run.extend(arguments.of_run.iter().cloned());
    let step = |id: String, argv| Step { id, argv, ..Step::default() };
    [
        Step {
            output: Output::Split,
            on_failure: OnFailure::Stop,
            ..step(list_step(folder), nextest("list", &list))
        },
        step(run_step(folder), nextest("run", &run)),
    ]
}

fn list_step(folder: &str) -> String {
    format!("list {folder}").trim_end().to_owned()
}

fn run_step(folder: &str) -> String {
    format!("run {folder}").trim_end().to_owned()
}

/// A suite's arguments by who takes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arguments {
    /// Of the build on the host: packages, features, cargo profile.
    pub of_build: Vec<String>,
    /// Of listing and running alike.
    of_both: Vec<String>,
    /// Of running alone.
    of_run: Vec<String>,
}

impl Arguments {
    /// Sorts a lane's arguments. What nextest's runner does not know goes to the build.
    pub fn of(lane: &Lane) -> Self {
        const BOTH: [&str; 4] = ["--profile", "-P", "--run-ignored", "--partition"];
        const RUN: [&str; 3] = ["--retries", "--flaky-result", "--max-fail"];
        let mut sorted = Self::default();
        let mut rest = lane.arguments.iter().peekable();
        while let Some(argument) = rest.next() {
            let name = argument.split_once('=').map_or(argument.as_str(), |(name, _)| name);
            let list = match name {
                name if BOTH.contains(&name) => &mut sorted.of_both,
                name if RUN.contains(&name) => &mut sorted.of_run,
                _ => {
                    sorted.of_build.push(argument.clone());
                    continue;
                }
            };
            list.push(argument.clone());
            if !argument.contains('=') {
                list.extend(rest.next().cloned());
            }
        }
        sorted
    }
}

/// What nextest does where the project's own configuration says nothing.
fn tool_configuration(case_ms: Millis) -> String {
    format!(
        "[profile.default]\nslow-timeout = {{ period = \"{case_ms}ms\", terminate-after = 1, grace-period = \"2s\" }}\n"
    )
}

/// Whether a folder of the host can stand at the same place in the container without hiding what the image needs.
fn can_be_made(path: &str) -> bool {
    const OF_THE_IMAGE: [&str; 18] = [
        "", "bin", "boot", "data", "dev", "etc", "lib", "lib32", "lib64", "mnt", "opt", "proc", "run",
        "sbin", "sys", "testbed", "usr", "var",
    ];
    let mut parts = path.trim_start_matches('/').split('/');
    let top = parts.next().unwrap_or_default();
    path.starts_with('/') && !OF_THE_IMAGE.contains(&top) && parts.next().is_some()
}

fn join(place: &str, folder: &str) -> String {
    if folder.is_empty() { place.to_owned() } else { format!("{place}/{folder}") }
}

/// Understands nextest.
#[derive(Clone, Debug, Default)]
pub struct Nextest {
    /// The step at work.
    step: String,
    /// Tests in the list that is being read.
    listed: Vec<Case>,
    /// Test name to the binaries that have a test of this name.
    binaries: BTreeMap<String, Vec<String>>,
    /// Cases that have ended.
    done: BTreeSet<String>,
    /// The text that is shown for a test, until its end is told.
    block: Option<Block>,
    /// Whether the loader refused a test binary for want of a newer C library.
    old_libc: bool,
}

/// What nextest tells. Suites are told too; they say nothing that the tests do not.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Told {
    Test(TestTold),
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
struct TestTold {
    event: String,
    name: String,
    #[serde(default)]
    exec_time: Option<f64>,
    #[serde(default)]
    stdout: Option<String>,
    #[serde(default)]
    reason: Option<String>,
}

impl Decoder for Nextest {
    fn hear(&mut self, said: &Said) -> Vec<Heard> {
        match said {
            Said::StepStarted { step } => {
                self.step.clone_from(step);
                Vec::new()
            }
            Said::StepFinished { step, end, .. } if step.starts_with("list") && end.is_success() => {
                vec![Heard::Collected { cases: std::mem::take(&mut self.listed), deselected: 0 }]
            }
            Said::Line { line, stream } if self.step.starts_with("list") => {
                self.read_list(line, *stream == super::job::Stream::Out)
            }
            Said::Line { line, .. } if line.starts_with("{\"type\":") => match serde_json::from_str(line) {
                Ok(Told::Test(told)) => self.understand(&told),
                Ok(Told::Other) => Vec::new(),
                Err(_) => vec![Heard::Output(line.clone())],
            },
            Said::Line { line, .. } => self.read_text(line),
            _ => Vec::new(),
        }
    }

    fn judge(&self, ends: &BTreeMap<String, StepEnd>, red: Red) -> Option<String> {
        if self.old_libc {
            return Some("the tests were linked against a newer C library than the image has".to_owned());
        }
        let judge = |step: &String, end: &StepEnd| match end {
            StepEnd::Code(0 | NO_TESTS) => None,
            StepEnd::Code(TESTS_FAILED) if red == Red::Some => None,
            StepEnd::Code(TESTS_FAILED) => Some("cargo-nextest failed although no case did".to_owned()),
            end if step.starts_with("list") => {
                Some(format!("cargo-nextest {end} when it was to list the tests"))
            }
            end => Some(format!("cargo-nextest {end}")),
        };
        if ends.is_empty() {
            return Some("cargo-nextest was not executed".to_owned());
        }
        ends.iter().find_map(|(step, end)| judge(step, end))
    }
}

impl Nextest {
    /// A line of the list: a binary's id and a test's name.
    fn read_list(&mut self, line: &str, listed: bool) -> Vec<Heard> {
        match line.split_once(' ') {
            Some((binary, test)) if listed && !binary.is_empty() => {
                self.binaries.entry(test.to_owned()).or_default().push(binary.to_owned());
                self.listed.push(bare_case(line));
                Vec::new()
            }
            _ => {
                self.old_libc |= line.contains("version `GLIBC_");
                vec![Heard::Output(line.to_owned())]
            }
        }
    }

    fn read_text(&mut self, line: &str) -> Vec<Heard> {
        let known = |status: &StatusLine| {
            self.binaries.get(&status.test).is_some_and(|binaries| binaries.contains(&status.binary))
        };
        if let Some(status) = StatusLine::parse(line).filter(known) {
            // An attempt that is followed by another one has no end of its own; what it showed goes to the lane's log.
            let unclaimed = self.block.replace(Block::new(status));
            return unclaimed.into_iter().flat_map(Block::into_lines).map(Heard::Output).collect();
        }
        if self.block.as_mut().is_some_and(|block| block.takes(line)) {
            return Vec::new();
        }
        vec![Heard::Output(line.to_owned())]
    }

    fn understand(&mut self, told: &TestTold) -> Vec<Heard> {
        let (name, attempts) = split_attempt(&told.name);
        let Some((binary, test)) = name.split_once('$') else {
            return vec![Heard::Output(format!("unknown test `{name}`"))];
        };
        let id = self.id_of(binary, test);
        let outcome = match told.event.as_str() {
            "started" => return vec![Heard::Started { case: id, at: None }],
            "ok" => Outcome::Passed,
            "ignored" => Outcome::Skipped,
            "failed" if told.reason.as_deref() == Some("time limit exceeded") => Outcome::TimedOut,
            "failed" => Outcome::Failed,
            _ => return Vec::new(),
        };
        let shown = match &self.block {
            Some(block) if block.test() == test => self.block.take().map(|block| block.own_output(test)),
            _ => None,
        };
        self.done.insert(id.clone());
        vec![Heard::Finished(result(id, outcome, attempts, told, shown.unwrap_or_default()))]
    }

    /// The case id `BINARY-ID TEST` from nextest's JSON name `CRATE::BINARY` and the test. A library and a program of one
    /// crate can share both names; then the one that has not ended is meant.
    fn id_of(&self, name: &str, test: &str) -> String {
        let (krate, binary) = name.split_once("::").unwrap_or((name, name));
        let fits = |id: &&String| match id.strip_prefix(krate) {
            Some("") => true,
            Some(rest) => rest.strip_prefix("::").is_some_and(|rest| rest.rsplit('/').next() == Some(binary)),
            None => false,
        };
        let listed = self.binaries.get(test).into_iter().flatten().filter(fits);
        // A test that is not executed is not listed, but others of its binary may be.
        let others = self.binaries.values().flatten().filter(fits);
        // The library's id is the crate's name alone, whatever its binary is called; a better fit outranks it.
        let library = |id: &str| id == krate && krate.replace('-', "_") != binary;
        let rank = |id: &String| (self.done.contains(&format!("{id} {test}")), library(id), id.clone());
        let best = listed.map(rank).min().or_else(|| others.map(rank).min());
        let id = best.map_or_else(|| name.to_owned(), |(_, _, id)| id);
        format!("{id} {test}")
    }
}

fn result(id: String, outcome: Outcome, attempts: u32, told: &TestTold, shown: String) -> CaseResult {
    let text = told.stdout.clone().filter(|text| !text.trim().is_empty()).unwrap_or(shown);
    let panic = Panic::find(&text);
    let red = outcome.is_red();
    let message = match outcome {
        Outcome::Skipped => Some("marked `#[ignore]`".to_owned()),
        Outcome::TimedOut => Some("it exceeded its time".to_owned()),
        _ if red => {
            Some(panic.as_ref().map_or_else(|| output::last_line(&text), |panic| panic.message.clone()))
        }
        _ => None,
    };
    let (file, line) = panic.filter(|_| red).map(|panic| (panic.file, panic.line)).unzip();
    let duration = told.exec_time.and_then(|s| std::time::Duration::try_from_secs_f64(s).ok());
    CaseResult {
        duration_ms: duration.map_or(0, |d| Millis::try_from(d.as_millis()).unwrap_or(Millis::MAX)),
        attempts,
        message,
        details: red.then(|| text.trim_matches('\n').to_owned()).filter(|text| !text.is_empty()),
        output: if red { String::new() } else { text },
        ..CaseResult::new(Case { file, line, ..bare_case(id) }, outcome)
    }
}

/// A name such as `crate::binary$test#2` is the test's second attempt.
fn split_attempt(name: &str) -> (&str, u32) {
    let attempt = name.rsplit_once('#').and_then(|(name, number)| Some((name, number.parse().ok()?)));
    attempt.unwrap_or((name, 1))
}

#[cfg(test)]
mod tests;
