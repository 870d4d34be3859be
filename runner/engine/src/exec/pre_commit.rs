//! pre-commit: each hook is a case, executed over all files in the order of the configuration.

use std::collections::{BTreeMap, BTreeSet};

use testbed_model::case::{Case, CaseResult, Outcome};
use testbed_model::document::{Fields, from_yaml};
use testbed_model::exit_code::ExitCode;
use testbed_model::hint::Hint;
use testbed_model::lane::Lane;
use testbed_model::span::Fault;

use super::heard::{Decoder, Heard, Red, bare_case};
use super::job::{Output, Said, Step, StepEnd};
use super::site::{Assembly, HOME, Site, WORK};

/// Where pre-commit looks for its configuration.
const CONFIGURATION: &str = ".pre-commit-config.yaml";

/// Where the host's Rust toolchain is mounted.
const RUST: &str = "/opt/rust";

/// Where what cargo has downloaded is mounted.
const CARGO: &str = "/opt/cargo";

/// Where the caches are mounted that hooks may write: compiled code, and crates unpacked.
const TARGET: &str = "/opt/lint-target";
const SOURCES: &str = "/opt/lint-sources";

/// The stage whose hooks are executed.
const STAGE: &str = "pre-commit";

/// One hook, or several that share a name and are executed together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// Its alias or id, by which `pre-commit run` knows it.
    pub name: String,
    /// The line of its configuration, from one.
    pub line: Option<u32>,
}

/// What Rust hooks need of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RustForHooks {
    /// `rustc --print sysroot`.
    pub sysroot: String,
    /// Folders of cargo's home that hold what was downloaded, such as `registry/cache`, by their path in it.
    pub cargo: BTreeMap<String, String>,
    /// Where compiled code is kept between runs; the container's user may write it.
    pub target: String,
    /// Where unpacked crates are kept between runs, likewise. The host's own cannot be used: some crates are packed in
    /// such a way that only who unpacked them may read them.
    pub sources: String,
}

/// The hooks cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum HooksError {
    /// The configuration is not YAML, or has another shape.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// There is no configuration.
    #[error("cannot read `{file}`: {source}")]
    Unreadable {
        /// File.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// There is nothing to execute.
    #[error("`{file}` has no hook for the stage `{STAGE}`")]
    Empty {
        /// File.
        file: String,
    },
}

impl Hint for HooksError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Fault(fault) => {
                let check =
                    || Some(format!("check it with `pre-commit validate-config {}`", fault.place.file));
                fault.hint.clone().or_else(check)
            }
            Self::Unreadable { file, .. } | Self::Empty { file } => {
                Some(format!("add a hook to `{file}`, or take the suite out of testbed.toml"))
            }
        }
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }

    fn rendered(&self) -> Option<String> {
        match self {
            Self::Fault(fault) => fault.excerpt.clone(),
            Self::Unreadable { .. } | Self::Empty { .. } => None,
        }
    }
}

/// The configuration file of a lane, relative to the project's root: the lane's path, or the usual file in it.
pub fn configuration_of(lane: &Lane) -> String {
    match lane.paths.first().map(|path| path.trim_end_matches('/')) {
        None | Some("." | "") => CONFIGURATION.to_owned(),
        Some(path) if [".yaml", ".yml"].iter().any(|end| path.ends_with(end)) => path.to_owned(),
        Some(folder) => format!("{folder}/{CONFIGURATION}"),
    }
}

/// The hooks that a configuration has for the stage `pre-commit`, in order.
pub fn hooks(file: &str, text: &str) -> Result<Vec<Hook>, HooksError> {
    let document = from_yaml(file, text)?;
    let mut root = document.item().fields()?;
    let default_stages = stages_of(&mut root, "default_stages")?;
    let mut seen = BTreeSet::new();
    let mut hooks = Vec::new();
    for repository in root.require("repos")?.items()? {
        for hook in repository.fields()?.require("hooks")?.items()? {
            let mut fields = hook.fields()?;
            let id = fields.require("id")?;
            let alias = fields.take("alias").filter(|alias| alias.text().is_ok_and(|text| !text.is_empty()));
            let name = alias.unwrap_or(id);
            let stages = stages_of(&mut fields, "stages")?.or_else(|| default_stages.clone());
            let here =
                |stages: Vec<String>| stages.iter().any(|stage| matches!(stage.as_str(), STAGE | "commit"));
            if stages.is_none_or(here) && seen.insert(name.text()?.to_owned()) {
                hooks.push(Hook { name: name.text()?.to_owned(), line: Some(name.mark().line) });
            }
        }
    }
    if hooks.is_empty() { Err(HooksError::Empty { file: file.to_owned() }) } else { Ok(hooks) }
}

/// The hooks that a lane executes: all, or those that its plan names.
pub fn chosen(lane: &Lane, hooks: Vec<Hook>) -> Vec<Hook> {
    let is_chosen = |hook: &Hook| lane.cases.as_ref().is_none_or(|cases| cases.ids.contains(&hook.name));
    hooks.into_iter().filter(is_chosen).collect()
}

/// The stages that a key names; none if it names none, which means all.
fn stages_of(fields: &mut Fields<'_>, key: &str) -> Result<Option<Vec<String>>, Fault> {
    let stages = fields.take(key).map(|stages| stages.texts()).transpose()?;
    Ok(stages.filter(|stages| !stages.is_empty()))
}

/// What is created and done for a lane of hooks.
pub fn assemble(lane: &Lane, site: &Site, hooks: &[Hook], rust: Option<&RustForHooks>) -> Assembly {
    let mut assembly = Assembly::new(lane, site, None, WORK);
    assembly.set("PRE_COMMIT_HOME", format!("{HOME}/cache/pre-commit"));
    // Hooks see the project through git: its copy becomes a checkout whose index holds every file.
    let git = |args: &[&str]| ["git"].iter().chain(args).map(|word| (*word).to_owned()).collect::<Vec<_>>();
    assembly.job.setup.push(git(&["-c", "init.defaultBranch=main", "init", "--quiet"]));
    assembly.job.setup.push(git(&["add", "--all", "--force"]));
    if let Some(rust) = rust {
        offer_rust(&mut assembly, rust);
    }
    let config = configuration_of(lane);
    assembly.job.steps.extend(hooks.iter().map(|hook| Step {
        id: hook.name.clone(),
        argv: command(hook, &config, &lane.arguments),
        output: Output::Merged,
        timeout_ms: Some(lane.timeouts.case_ms),
        ..Step::default()
    }));
    assembly
}

/// What an earlier hook changed is taken into the index first, so that a hook's diff is its own.
fn command(hook: &Hook, config: &str, arguments: &[String]) -> Vec<String> {
    let script = "git add --update && exec pre-commit run \"$@\"";
    let fixed = ["sh", "-c", script, "sh", hook.name.as_str(), "--all-files", "--hook-stage", STAGE];
    let mut argv: Vec<String> = fixed.map(str::to_owned).into();
    argv.extend(["--color=never", "--show-diff-on-failure", "--config", config].map(str::to_owned));
    argv.extend(arguments.iter().cloned());
    argv
}

fn offer_rust(assembly: &mut Assembly, rust: &RustForHooks) {
    assembly.mount(&rust.sysroot, RUST);
    assembly.mount_writable(&rust.target, TARGET);
    assembly.mount_writable(&rust.sources, SOURCES);
    assembly.job.path.push(format!("{RUST}/bin"));
    let home = format!("{HOME}/cargo");
    assembly.job.folders.push(format!("{home}/registry"));
    assembly.job.folders.push(format!("{home}/git"));
    // cargo writes locks into its home, so the home is scratch and only what was downloaded is linked into it.
    let mut link = |target: &str, name: &str| {
        assembly.job.setup.push(["ln", "-s", target, &format!("{home}/{name}")].map(str::to_owned).into());
    };
    link(SOURCES, "registry/src");
    for name in rust.cargo.keys() {
        link(&format!("{CARGO}/{name}"), name);
    }
    for (name, folder) in &rust.cargo {
        assembly.mount(folder, &format!("{CARGO}/{name}"));
    }
    assembly.set("CARGO_HOME", home);
    assembly.set("CARGO_TARGET_DIR", TARGET);
    assembly.set("CARGO_NET_OFFLINE", "true");
    assembly.set("CARGO_TERM_COLOR", "never");
}

/// Understands pre-commit, a hook at a time.
#[derive(Clone, Debug)]
pub struct PreCommit {
    hooks: Vec<Hook>,
    /// The configuration file, for the cases' place.
    file: String,
    announced: bool,
    lines: Vec<String>,
}

impl PreCommit {
    /// A decoder for these hooks of a lane.
    pub fn new(lane: &Lane, hooks: Vec<Hook>) -> Self {
        Self { hooks, file: configuration_of(lane), announced: false, lines: Vec::new() }
    }

    fn case(&self, name: &str) -> Case {
        let line = self.hooks.iter().find(|hook| hook.name == name).and_then(|hook| hook.line);
        Case { file: Some(self.file.clone()), line, ..bare_case(name) }
    }

    fn finish(&mut self, name: &str, end: &StepEnd, took_ms: u64) -> Option<CaseResult> {
        let report = Report::of(&std::mem::take(&mut self.lines));
        let outcome = match end {
            StepEnd::Cancelled => return None,
            StepEnd::TimedOut => Outcome::TimedOut,
            StepEnd::Code(0) if report.skipped => Outcome::Skipped,
            StepEnd::Code(0) => Outcome::Passed,
            StepEnd::Code(1) if !report.broken => Outcome::Failed,
            StepEnd::Code(_) | StepEnd::Signal(_) | StepEnd::NotStarted(_) => Outcome::Error,
        };
        let message = match outcome {
            Outcome::Passed => None,
            Outcome::Skipped => Some("no file for this hook".to_owned()),
            Outcome::TimedOut => Some("it exceeded its time".to_owned()),
            _ => Some(report.message.unwrap_or_else(|| format!("pre-commit {end}"))),
        };
        let text = report.text;
        Some(CaseResult {
            duration_ms: took_ms,
            message,
            details: outcome.is_red().then(|| text.clone()).filter(|text| !text.is_empty()),
            output: if outcome.is_red() { String::new() } else { text },
            ..CaseResult::new(self.case(name), outcome)
        })
    }
}

impl Decoder for PreCommit {
    fn hear(&mut self, said: &Said) -> Vec<Heard> {
        let mut heard = Vec::new();
        match said {
            Said::Prepared { .. } if !self.announced => {
                self.announced = true;
                let cases = self.hooks.iter().map(|hook| self.case(&hook.name)).collect();
                heard.push(Heard::Collected { cases, deselected: 0 });
            }
            Said::StepStarted { step } => {
                self.lines.clear();
                heard.push(Heard::Started { case: step.clone(), at: None });
            }
            Said::Line { line, .. } => self.lines.push(line.clone()),
            Said::StepFinished { step, end, took_ms } => {
                heard.extend(self.finish(step, end, *took_ms).map(Heard::Finished));
            }
            _ => {}
        }
        heard
    }

    fn judge(&self, ends: &BTreeMap<String, StepEnd>, _red: Red) -> Option<String> {
        let absent = ends.values().find(|end| matches!(end, StepEnd::NotStarted(_)));
        match absent {
            Some(end) => Some(format!("pre-commit {end}")),
            None if ends.is_empty() => Some("pre-commit was not executed".to_owned()),
            None => None,
        }
    }
}

/// What pre-commit printed of one hook.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Report {
    /// Whether no file was for the hook.
    skipped: bool,
    /// Whether pre-commit itself failed, not the hook.
    broken: bool,
    /// The reason in one line.
    message: Option<String>,
    /// What the hook itself printed.
    text: String,
}

impl Report {
    /// Separates pre-commit's own lines (`NAME....Failed`, `- hook id: ...`) from the hook's.
    fn of(lines: &[String]) -> Self {
        let mut report = Self::default();
        let mut properties = Vec::new();
        let mut text: Vec<&str> = Vec::new();
        for line in lines {
            let verdict = line.contains("...") || line.ends_with(")Skipped");
            if text.is_empty()
                && verdict
                && ["Passed", "Failed", "Skipped"].iter().any(|word| line.ends_with(word))
            {
                report.skipped |= line.ends_with("Skipped");
            } else if let Some(property) = line.strip_prefix("- ").filter(|_| text.is_empty()) {
                properties.push(property);
            } else if !(text.is_empty() && line.is_empty()) {
                text.push(line);
            }
        }
        report.broken = text.iter().any(|line| {
            line.starts_with("An error has occurred: ")
                || line.starts_with("An unexpected error has occurred: ")
        });
        let first = text.iter().map(|line| line.trim()).find(|line| !line.is_empty());
        let changed = properties.contains(&"files were modified by this hook");
        report.message = match first {
            _ if changed => Some("it changed files; the diff is below".to_owned()),
            Some(line) => Some(line.to_owned()),
            None => {
                properties.iter().find(|property| property.starts_with("exit code")).map(|p| (*p).to_owned())
            }
        };
        let text = text.join("\n");
        let text = text.trim_end();
        Self { text: if text.is_empty() { String::new() } else { format!("{text}\n") }, ..report }
    }
}

#[cfg(test)]
mod tests;
