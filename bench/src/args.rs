//! The bench's command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use testbed_engine::stack::Subnet;

/// Measures Testbed side by side with the bare engine API and docker-compose, in one run. Everything is a ratio; nothing
/// here passes or fails by the clock.
#[derive(Debug, Parser)]
#[command(name = "testbed-bench", max_term_width = 110)]
pub struct Args {
    /// What to measure
    #[arg(value_enum, default_value_t = Which::All)]
    pub which: Which,
    /// Rounds of `stack` and `ready`; `start` takes five times as many
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    pub rounds: u16,
    /// Runs of a whole tier, for `run` and `early`
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub runs: u16,
    /// Print one JSON object instead of tables
    #[arg(long)]
    pub json: bool,
    /// Folder that holds envs/, compose/, images/ [default: upward from the working folder]
    #[arg(long, value_name = "PATH")]
    pub root: Option<PathBuf>,
    /// The runner to measure [default: the one beside the bench, built first]
    #[arg(long, value_name = "PATH")]
    pub testbed: Option<PathBuf>,
    /// Addresses for the networks that the bench itself makes
    #[arg(long, value_name = "RANGE", default_value = "10.198.16.0/24")]
    pub subnet: Subnet,
}

/// A kind of measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Which {
    /// Stack up to the first chat, and teardown, against the bare engine API and docker-compose
    Stack,
    /// From a service being truly ready to Testbed knowing
    Ready,
    /// The runner's own start
    Start,
    /// The runner's memory and processor time during a tier
    Run,
    /// How long the first case that needs a stack waits for it
    Early,
    /// A plan of 50,000 cases from a warm catalog
    Catalog,
    /// A history of 1,000 runs of 5,000 cases: questions, size
    History,
    /// The page of a run of 50,000 cases
    Html,
    /// What keeping a record costs: the journal's writing, and samples of an idle stack
    Record,
    /// All of them
    All,
}

impl Which {
    /// Whether this asks for that.
    pub fn includes(self, other: Self) -> bool {
        self == Self::All || self == other
    }
}

/// What the bench does inside containers.
#[derive(Debug, Parser)]
pub struct Inside {
    /// What.
    #[command(subcommand)]
    pub role: Role,
}

/// A role inside a container.
#[derive(Debug, Subcommand)]
pub enum Role {
    /// Ask this container's own service once; exit code 0 if it serves
    Check {
        /// The question as JSON
        question: String,
    },
    /// Serve from a moment on, and say which it was
    Serve {
        /// Milliseconds from the start to the moment
        after_ms: u64,
    },
    /// Ask services as tightly as possible when they begin to serve
    Probe,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::{Args, Inside, Which};

    #[test]
    fn the_definitions_are_consistent() {
        Args::command().debug_assert();
        Inside::command().debug_assert();
    }

    #[test]
    fn without_a_word_everything_is_measured() {
        let args = Args::parse_from(["testbed-bench"]);
        assert!(args.which.includes(Which::Stack) && args.which.includes(Which::Early));
        assert!(!Args::parse_from(["testbed-bench", "start"]).which.includes(Which::Stack));
    }

    #[test]
    fn no_rounds_are_refused() {
        assert!(Args::try_parse_from(["testbed-bench", "--rounds", "0"]).is_err());
    }
}
