//! Arguments of `history`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use jiff::civil::Date;

/// Arguments of `history`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct HistoryArgs {
    /// What else to do with it.
    #[command(subcommand)]
    pub verb: Option<HistoryVerb>,
    /// Case, or the folder, file or class that holds it; `*` fits anything [default: what needs a look]
    #[arg(value_name = "CASE")]
    pub case: Option<String>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// The verbs of `history`.
#[derive(Debug, Subcommand)]
pub enum HistoryVerb {
    /// Add records and JUnit reports of earlier runs, and of CI
    Import(ImportArgs),
    /// Add all that other stores know; any order gives the same answers
    Merge {
        /// Files of stores, such as another machine's `.testbed/history.sqlite`
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
    /// Take a case out of every run for a while, in testbed.toml
    Quarantine(QuarantineArgs),
}

/// Arguments of `history import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Folders of records, a folder that holds such, or files of JUnit XML
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// JUnit: the lane that the cases belong to [default: the suite's name]
    #[arg(long, value_name = "LANE")]
    pub lane: Option<String>,
    /// JUnit: when the run began, where the report does not say it
    #[arg(long, value_name = "TIME")]
    pub at: Option<Timestamp>,
    /// JUnit: the revision of the code under test
    #[arg(long, value_name = "REVISION")]
    pub revision: Option<String>,
}

/// Arguments of `history quarantine`.
#[derive(Debug, Args)]
pub struct QuarantineArgs {
    /// A case's id, or a pattern of ids with `*`
    #[arg(value_name = "CASE")]
    pub case: String,
    /// The ticket that tells why
    #[arg(long, value_name = "TICKET")]
    pub ticket: String,
    /// The last day on which it holds, as 2026-12-31
    #[arg(long, value_name = "DATE")]
    pub until: Date,
    /// Who mends the case
    #[arg(long, value_name = "OWNER")]
    pub owner: Option<String>,
    /// Why, in a sentence
    #[arg(long, value_name = "REASON")]
    pub reason: Option<String>,
}
