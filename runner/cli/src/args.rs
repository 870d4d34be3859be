//! The command line as typed: verbs, flags and their help.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use testbed_model::exit_code::ExitCode;
use testbed_model::nearest::did_you_mean;
use testbed_model::shard::Shard;
use testbed_model::tier::Tier;

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
    /// List, build, verify, export and import images
    Images(ImagesArgs),
    /// Remove what dead runs left behind, by label, and nothing else
    Gc,
    /// Print what the project file or a profile can hold, as a JSON Schema
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
    /// End with exit code 5 where the tier, a suite or a case takes longer than its budget
    #[arg(long)]
    pub enforce_budget: bool,
    /// Print the event stream as JSON lines instead of progress and summary
    #[arg(long)]
    pub json: bool,
    /// Install missing host packages without asking (Debian, as root)
    #[arg(long)]
    pub yes: bool,
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
}

/// Arguments of `up`.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each flag is a yes or no of its own")]
pub struct UpArgs {
    /// Profile
    #[arg(default_value = "mocker")]
    pub profile: String,
    /// Return when the stack is ready, and leave it standing
    #[arg(long)]
    pub detach: bool,
    /// How long a detached stack may stand before `gc` may remove it
    #[arg(long, value_name = "DURATION", default_value = "4h", requires = "detach")]
    pub keep: String,
    /// Tear down as soon as the stack is ready
    #[arg(long, conflicts_with = "detach")]
    pub once: bool,
    /// Print the event stream as JSON lines
    #[arg(long)]
    pub json: bool,
    /// Install missing host packages without asking (Debian, as root)
    #[arg(long)]
    pub yes: bool,
}

/// Arguments of `down`.
#[derive(Debug, Args)]
pub struct DownArgs {
    /// Run id or profile; all detached stacks without one
    pub which: Option<String>,
}

/// Arguments of `images`.
#[derive(Debug, Args)]
pub struct ImagesArgs {
    /// What to do with them.
    #[command(subcommand)]
    pub verb: ImagesVerb,
}

/// The verbs of `images`.
#[derive(Debug, Subcommand)]
pub enum ImagesVerb {
    /// Say for each image how it can be had, and whether it is here
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Make the images that are not here
    Build {
        /// Images [default: all that have a recipe]
        names: Vec<String>,
        /// Build from scratch, without the layer cache, also what is here
        #[arg(long)]
        fresh: bool,
        /// Record the Debian packages that came as the expected ones, in images/packages.lock.json
        #[arg(long, requires = "fresh")]
        record: bool,
        /// Install missing host packages without asking (Debian, as root)
        #[arg(long)]
        yes: bool,
    },
    /// Check that the images here are the ones that the lock names
    Verify {
        /// Images [default: all that are here]
        names: Vec<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Write a set of images to one file, for a machine without a network
    Export {
        /// File to write (.tar or .tar.zst)
        file: PathBuf,
        /// Images [default: all that have a recipe]
        names: Vec<String>,
    },
    /// Load a set of images from a file that `export` wrote, after verifying it
    Import {
        /// File to read
        file: PathBuf,
    },
}

const VERBS: [&str; 10] =
    ["run", "plan", "list", "check", "up", "down", "images", "gc", "schema", "completions"];

/// A tier, or an error that also thinks of verbs, for `testbed WORD` takes either.
fn parse_tier(text: &str) -> Result<Tier, UnknownWord> {
    text.parse().map_err(|_| {
        let words: Vec<&str> = Tier::ALL.into_iter().map(Tier::name).chain(VERBS).collect();
        UnknownWord { word: text.to_owned(), suggestion: did_you_mean(text, words.iter().copied()) }
    })
}

/// Whether a word can be the first one: a verb, hidden ones too, or a tier.
pub fn check_first_word(word: &str) -> Result<(), UnknownWord> {
    if ["help", "agent"].contains(&word) || VERBS.contains(&word) {
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

    use super::{Cli, Command, VERBS};

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
    fn suggestions_know_every_visible_verb() {
        let command = Cli::command();
        let visible: Vec<&str> =
            command.get_subcommands().filter(|c| !c.is_hide_set()).map(clap::Command::get_name).collect();
        assert_eq!(visible, VERBS);
    }
}
