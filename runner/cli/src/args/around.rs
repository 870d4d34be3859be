//! Arguments of the verbs around runs: `doctor`, `ci`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// End with exit code 3 where this profile, or a combination such as mocker+etcd-cluster, cannot run here; may be repeated
    #[arg(long, value_name = "PROFILE")]
    pub require: Vec<String>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `ci`.
#[derive(Debug, Args)]
pub struct CiArgs {
    /// For which CI system
    #[arg(value_name = "SYSTEM")]
    pub system: CiSystem,
    /// The flake whose application `test` jobs run, such as github:OWNER/REPO
    #[arg(long, value_name = "REF", default_value = ".")]
    pub flake: String,
    /// The branch that changes are merged into (GitHub)
    #[arg(long, value_name = "NAME", default_value = "main")]
    pub branch: String,
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE", conflicts_with = "check")]
    pub output: Option<PathBuf>,
    /// Say whether this file is what would be made; exit code 1 where it is not
    #[arg(long, value_name = "FILE")]
    pub check: Option<PathBuf>,
}

/// A CI system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CiSystem {
    /// A workflow of GitHub Actions
    Github,
    /// A pipeline of GitLab CI
    Gitlab,
}
