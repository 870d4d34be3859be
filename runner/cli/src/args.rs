//! The command line as typed: verbs, flags and their help.

mod around;
mod history;
mod images;
mod models;
mod records;
mod stacks;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use testbed_model::exit_code::ExitCode;
use testbed_model::nearest::did_you_mean;
use testbed_model::shard::Shard;
use testbed_model::tier::Tier;

pub use self::around::{CiArgs, CiSystem, DoctorArgs};
pub use self::history::{HistoryArgs, HistoryVerb, ImportArgs, QuarantineArgs};
pub use self::images::{ImagesArgs, ImagesVerb};
pub use self::models::{FetchArgs, ModelsArgs, ModelsVerb};
pub use self::records::{BundleArgs, MergeArgs, ReportArgs, ReportFormat, ReproArgs};
pub use self::stacks::{DownArgs, ShellArgs, UpArgs};

/// Gives anyone the verdict that CI gives: brings up hermetic Dynamo stacks in containers, runs a test tier inside them
/// and says what happened.
#[derive(Debug, Parser)]
#[command(
    name = "testbed",
    version,
    subcommand_negates_reqs = true,
    override_usage = "testbed [OPTIONS] <TIER>\n       testbed <COMMAND>",
    arg_required_else_help = true,
    max_term_width = 110,
    after_help = exit_codes_help(),
)]
pub struct Cli {
    /// A verb; without one, a tier is run.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// `testbed TIER` is `testbed run TIER`.
    #[command(flatten)]
    pub run: RunArgs,
    /// What every verb takes.
    #[command(flatten)]
    pub common: CommonArgs,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a tier in its stacks (the default verb)
    Run(RunArgs),
    /// Print what a run would do, and why, without starting anything
    Plan(PlanArgs),
    /// List the cases of every suite, with markers, file and line
    List(ListArgs),
    /// Find what is wrong with the cases before any of them runs
    Check(CheckArgs),
    /// Bring up one profile's stack and hold it until Ctrl-C
    Up(UpArgs),
    /// Tear down stacks that `up --detach` left standing
    Down(DownArgs),
    /// A shell in a service of a stack that was left standing
    Shell(ShellArgs),
    /// List, build, verify, export and import images
    Images(ImagesArgs),
    /// List, fetch, verify, import, prune and make models
    Models(ModelsArgs),
    /// Make a report from a record again, or say what differs between two
    Report(ReportArgs),
    /// Run a record or a bundle again, and say whether it ended the same
    Repro(ReproArgs),
    /// Pack a record into one file that another machine can reproduce from
    Bundle(BundleArgs),
    /// Put the records of all shards together: the record of the whole, and its verdict
    Merge(MergeArgs),
    /// Say how cases ended in earlier runs: flaky, a regression, slower
    History(HistoryArgs),
    /// Say which configuration is in force, and what each profile lacks here
    Doctor(DoctorArgs),
    /// Make the pipeline of a CI system from tiers, profiles and budgets
    Ci(CiArgs),
    /// Remove what dead runs left behind, by label, and nothing else
    Gc,
    /// Print what projects, profiles, models and `--facts` files can hold, as a JSON Schema
    Schema(SchemaArgs),
    /// Print a shell's completion script
    Completions {
        /// Shell
        shell: clap_complete::Shell,
    },
    /// The runner as its own agent inside containers
    #[command(hide = true)]
    Agent {
        /// Which agent
        #[command(subcommand)]
        role: AgentRole,
    },
}

/// What the agent does inside a container.
#[derive(Debug, Clone, Subcommand)]
pub enum AgentRole {
    /// Probe services from inside the network
    Watch {
        /// Passed on.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Execute a suite's tool
    Execute,
    /// Look which GPUs the container has
    Devices,
    /// Ask the driver's library for GPUs: it may crash, so nobody else does
    Gpus {
        /// The library
        library: Option<String>,
    },
}

/// What every verb takes.
#[derive(Debug, Clone, Args)]
pub struct CommonArgs {
    /// Project under test, the folder that holds testbed.toml [default: upward from the working folder]
    #[arg(long, global = true, value_name = "PATH")]
    pub project: Option<PathBuf>,
    /// Folder that holds envs/, compose/, images/ [default: upward from the working folder]
    #[arg(long, global = true, value_name = "PATH", env = "TESTBED_ROOT")]
    pub root: Option<PathBuf>,
    /// A host that stands in for this one, or parts of it: a file that `schema facts --reference` describes
    #[arg(long, global = true, value_name = "FILE")]
    pub facts: Option<PathBuf>,
    /// Colours; `auto` asks the terminal and respects NO_COLOR
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: ColorChoice,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Arguments of `run`.
#[derive(Debug, Clone, Args)]
#[allow(clippy::struct_excessive_bools, reason = "flags of a command line are independent of each other")]
pub struct RunArgs {
    /// Tier: precommit, premerge, postmerge, nightly, weekly, release
    #[arg(value_parser = parse_tier, required_unless_present = "plan")]
    pub tier: Option<Tier>,
    /// Run exactly what this plan says, as `plan --json` wrote it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tier", "profiles", "suites", "markers", "keyword", "cases", "lanes", "since", "changed", "shard"])]
    pub plan: Option<PathBuf>,
    /// What to run, and how.
    #[command(flatten)]
    pub choice: ChoiceArgs,
    /// Execute each case so many times; it is red if one of them is
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub repeat: Option<u32>,
    /// Execute the cases again and again until one is red
    #[arg(long)]
    pub until_fail: bool,
    /// End with exit code 5 where the tier, a suite or a case takes longer than its budget
    #[arg(long)]
    pub enforce_budget: bool,
    /// Leave stacks with red cases standing, to look into them
    #[arg(long, value_name = "WHEN", default_value = "never")]
    pub keep: Keep,
    /// How long a stack that is kept may stand
    #[arg(long, value_name = "DURATION", default_value = "4h")]
    pub keep_for: String,
    /// Use the stacks of this run that stand, as `--keep` or `up --detach` left them, and leave them standing
    #[arg(long = "in", value_name = "RUN", conflicts_with = "keep")]
    pub within: Option<String>,
    /// Do not measure services: processor, memory, and the figures that they tell of themselves
    #[arg(long)]
    pub no_samples: bool,
    /// Print the event stream as JSON lines instead of progress and summary
    #[arg(long)]
    pub json: bool,
    /// Install missing host packages without asking (Debian, as root)
    #[arg(long)]
    pub yes: bool,
}

/// When stacks outlive their run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Keep {
    /// Never
    Never,
    /// Where a case failed in them
    OnFailure,
}

/// Which part of a tier.
#[derive(Debug, Clone, Default, Args)]
pub struct ChoiceArgs {
    /// Run in this profile; may be repeated [default: every profile that serves the tier]
    #[arg(long = "profile", value_name = "PROFILE")]
    pub profiles: Vec<String>,
    /// Only this suite; may be repeated
    #[arg(long = "suite", value_name = "SUITE")]
    pub suites: Vec<String>,
    /// Only cases whose markers fit, as `pytest -m` understands it: 'router and not slow'
    #[arg(short = 'm', long = "markers", value_name = "EXPRESSION")]
    pub markers: Option<String>,
    /// Only cases whose names fit, as `pytest -k` understands it: 'chat or completions'
    #[arg(short = 'k', long = "keyword", value_name = "EXPRESSION")]
    pub keyword: Option<String>,
    /// Only this case, or the folder, file or class that holds it; `*` fits anything; may be repeated
    #[arg(long = "case", value_name = "ID")]
    pub cases: Vec<String>,
    /// Only this lane of the project file; may be repeated
    #[arg(long = "lane", value_name = "LANE")]
    pub lanes: Vec<String>,
    /// Only cases that changes since this revision concern, uncommitted ones included
    #[arg(long, value_name = "REVISION")]
    pub since: Option<String>,
    /// Only cases that a change of these files concerns
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "since")]
    pub changed: Vec<String>,
    /// Only this share of the cases, such as 2/5, dealt out by how long they took
    #[arg(long, value_name = "N/M")]
    pub shard: Option<Shard>,
}

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Tier
    #[arg(value_parser = parse_tier, default_value = "premerge")]
    pub tier: Tier,
    /// What to plan.
    #[command(flatten)]
    pub choice: ChoiceArgs,
    /// Print why a case is in the plan or not; without a case, each value of the profiles with its file and line
    #[arg(long, value_name = "CASE", num_args = 0..=1, default_missing_value = "")]
    pub explain: Option<String>,
    /// Say what differs between two plans, as `plan --json` wrote them
    #[arg(long, value_names = ["BEFORE", "AFTER"], num_args = 2, conflicts_with_all = ["explain", "profiles", "suites", "markers", "keyword", "cases", "lanes", "since", "changed", "shard"])]
    pub diff: Vec<PathBuf>,
    /// Print the plan's canonical JSON
    #[arg(long, conflicts_with = "explain")]
    pub json: bool,
    /// Ask no tool for its cases: plan from those that are known
    #[arg(long)]
    pub no_collect: bool,
}

/// Arguments of `list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only this suite; may be repeated
    #[arg(long = "suite", value_name = "SUITE")]
    pub suites: Vec<String>,
    /// Only cases whose markers fit, as `pytest -m` understands it: 'router and not slow'
    #[arg(short = 'm', long = "markers", value_name = "EXPRESSION")]
    pub markers: Option<String>,
    /// Only cases whose names fit, as `pytest -k` understands it: 'chat or completions'
    #[arg(short = 'k', long = "keyword", value_name = "EXPRESSION")]
    pub keyword: Option<String>,
    /// Only this case, or the folder, file or class that holds it; `*` fits anything; may be repeated
    #[arg(long = "case", value_name = "ID")]
    pub cases: Vec<String>,
    /// List the markers that cases carry instead, with their counts
    #[arg(long)]
    pub known_markers: bool,
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// Ask no tool for its cases: list those that are known
    #[arg(long)]
    pub no_collect: bool,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
#[command(after_help = "Ends with 1 where a finding is an error, also where a suite cannot be collected.")]
pub struct CheckArgs {
    /// Only this suite; may be repeated
    #[arg(long = "suite", value_name = "SUITE")]
    pub suites: Vec<String>,
    /// How to print findings
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: FindingsFormat,
    /// Short for `--format json`
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Mend what needs no thought, such as older spellings of markers
    #[arg(long)]
    pub fix: bool,
    /// Ask no tool for its cases: check those that are known
    #[arg(long)]
    pub no_collect: bool,
}

impl CheckArgs {
    /// How to print findings.
    pub const fn format(&self) -> FindingsFormat {
        if self.json { FindingsFormat::Json } else { self.format }
    }
}

/// How to print findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FindingsFormat {
    /// For people
    Text,
    /// For programs
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// For people, and as annotations of GitHub Actions
    Github,
}

/// Arguments of `schema`.
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// Of what
    pub what: Described,
    /// Print the reference page in Markdown instead
    #[arg(long)]
    pub reference: bool,
}

/// Files that have a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Described {
    /// `testbed.toml`
    Project,
    /// A file under `envs/`
    Profile,
    /// A file for `--facts`
    Facts,
    /// `models/models.toml`
    Models,
}

/// The verbs that the help shows.
fn verbs() -> Vec<String> {
    let command = <Cli as clap::CommandFactory>::command();
    command
        .get_subcommands()
        .filter(|verb| !verb.is_hide_set())
        .map(|verb| verb.get_name().to_owned())
        .collect()
}

/// A tier, or an error that also thinks of verbs, for `testbed WORD` takes either.
fn parse_tier(text: &str) -> Result<Tier, UnknownWord> {
    text.parse().map_err(|_| {
        let verbs = verbs();
        let mut words: Vec<&str> = verbs.iter().map(String::as_str).collect();
        words.extend(Tier::ALL.map(Tier::name));
        UnknownWord { word: text.to_owned(), suggestion: did_you_mean(text, words) }
    })
}

/// Whether a word can be the first one: a verb, hidden ones too, or a tier.
pub fn check_first_word(word: &str) -> Result<(), UnknownWord> {
    if ["help", "agent"].contains(&word) || verbs().iter().any(|verb| verb == word) {
        return Ok(());
    }
    parse_tier(word).map(drop)
}

/// A word that is neither a tier nor a verb.
#[derive(Debug, thiserror::Error)]
#[error("unknown tier or verb `{word}`")]
pub struct UnknownWord {
    word: String,
    /// The nearest word, or all.
    pub suggestion: String,
}

fn exit_codes_help() -> String {
    let codes = ExitCode::ALL.map(|code| format!("  {:>3}  {}", code.number(), code.meaning()));
    format!("Exit codes:\n{}", codes.join("\n"))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};
    use testbed_model::tier::Tier;

    use super::{Cli, Command};

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_tier_alone_is_a_run() {
        let cli = Cli::try_parse_from(["testbed", "pre_merge", "--profile", "mocker"]).unwrap();
        assert!(cli.command.is_none());
        assert_eq!(cli.run.tier, Some(Tier::Premerge));
        assert_eq!(cli.run.choice.profiles, ["mocker"]);
    }

    #[test]
    fn the_verb_may_be_said() {
        let cli = Cli::try_parse_from(["testbed", "run", "premerge"]).unwrap();
        assert!(matches!(cli.command, Some(Command::Run(run)) if run.tier == Some(Tier::Premerge)));
    }

    #[test]
    fn a_mistyped_verb_is_guessed() {
        let error = super::check_first_word("reprt").unwrap_err();
        assert!(error.suggestion.contains("`report`"), "{}", error.suggestion);
        assert!(super::check_first_word("repro").is_ok());
    }
}
