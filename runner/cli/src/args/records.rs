//! Arguments of the verbs that read records: `report`, `repro`, `bundle`, `merge`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Arguments of `report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Run: `latest`, an id or its beginning, or the folder of a record
    #[arg(value_name = "RUN", default_value = "latest")]
    pub run: String,
    /// Which report
    #[arg(long, value_name = "FORMAT", default_value = "summary")]
    pub format: ReportFormat,
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Say what differs between two runs, in environment, code, selection and outcomes
    #[arg(long, value_names = ["BEFORE", "AFTER"], num_args = 2, conflicts_with_all = ["run", "format", "output"])]
    pub compare: Vec<String>,
    /// With `--compare`: print JSON
    #[arg(long, requires = "compare")]
    pub json: bool,
}

/// A report's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// What a run ends with, for people
    Summary,
    /// What happened, a line per event, for people
    Log,
    /// What happened, one JSON object a line
    Events,
    /// The whole run as one JSON document
    Json,
    /// JUnit XML
    Junit,
    /// Annotations and log groups of GitHub Actions
    Github,
    /// A job's summary in Markdown
    Markdown,
    /// The run as one page for a browser, with a time axis, every case and the logs; it asks no network
    Html,
    /// The time axis in Chrome's trace format, for Perfetto
    Trace,
}

/// Arguments of `repro`.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "flags of a command line are independent of each other")]
pub struct ReproArgs {
    /// Run or bundle: `latest`, an id or its beginning, the folder of a record, or a bundle's file
    #[arg(value_name = "RUN", default_value = "latest")]
    pub run: String,
    /// Only these cases: ids, or the folders, files or classes that hold them; `*` fits anything
    #[arg(value_name = "CASE")]
    pub cases: Vec<String>,
    /// Only cases that were red
    #[arg(long, conflicts_with = "cases")]
    pub failed: bool,
    /// Run the code as it is here, whatever the record says of it
    #[arg(long)]
    pub here: bool,
    /// Print the comparison as JSON, and no summary
    #[arg(long)]
    pub json: bool,
    /// Install missing host packages without asking (Debian, as root)
    #[arg(long)]
    pub yes: bool,
}

/// Arguments of `bundle`.
#[derive(Debug, Args)]
pub struct BundleArgs {
    /// Run: `latest`, an id or its beginning, or the folder of a record
    #[arg(value_name = "RUN", default_value = "latest")]
    pub run: String,
    /// File to write [default: RUN.tar.zst]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Pack the images too, for a machine that cannot build or pull them
    #[arg(long)]
    pub images: bool,
}

/// Arguments of `merge`.
#[derive(Debug, Args)]
pub struct MergeArgs {
    /// The runs of all shards: ids, their beginnings, or folders of records
    #[arg(value_name = "RUN", required = true)]
    pub runs: Vec<String>,
}
