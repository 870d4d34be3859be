//! `testbed ci`: the pipeline that CI systems are given, made from tiers, profiles and budgets.

use std::path::{Path, PathBuf};

use testbed_engine::host::files;
use testbed_model::exit_code::ExitCode;
use testbed_model::hint::Hint;
use testbed_model::pipeline::Pipeline;
use testbed_report::pipeline::{github, gitlab};

use crate::args::{CiArgs, CiSystem};
use crate::failure::Failure;
use crate::preparation::Preparation;
use crate::settings::Settings;

/// A pipeline's file is not what it should be.
#[derive(Debug, thiserror::Error)]
enum CiError {
    #[error("{}:{line}: the pipeline is not what would be made now: `{there}`, and not `{made}`", file.display())]
    Stale { file: PathBuf, line: usize, there: String, made: String, system: &'static str },
    #[error("cannot {doing} `{}`: {source}", file.display())]
    File { doing: &'static str, file: PathBuf, source: std::io::Error },
}

impl Hint for CiError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Stale { file, system, .. } => {
                format!("make it again by `testbed ci {system} --output {}`", file.display())
            }
            Self::File { .. } => "check the path".to_owned(),
        })
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Stale { .. } => ExitCode::TestFailed,
            Self::File { .. } => ExitCode::Usage,
        }
    }
}

/// Prints a pipeline, writes it, or compares it with a file.
pub async fn ci(settings: &Settings, args: &CiArgs) -> Result<ExitCode, Failure> {
    let preparation = Preparation::read(settings, &[]).await?;
    let budgets = preparation.project().await?.budgets;
    let profiles = preparation.environments.iter().map(|environment| &environment.profile);
    let pipeline = Pipeline::new(&args.flake, profiles, &budgets);
    let text = match args.system {
        CiSystem::Github => github::write(&pipeline, &args.branch),
        CiSystem::Gitlab => gitlab::write(&pipeline),
    };
    match (&args.check, &args.output) {
        (Some(file), _) => compare(file, &text, args.system)?,
        (None, Some(file)) => {
            let failed = |source| CiError::File { doing: "write", file: file.clone(), source };
            files::write_atomically(file, text.as_bytes()).map_err(failed)?;
        }
        (None, None) => super::print(&text)?,
    }
    Ok(ExitCode::Passed)
}

fn compare(file: &Path, made: &str, system: CiSystem) -> Result<(), CiError> {
    let failed = |source| CiError::File { doing: "read", file: file.to_owned(), source };
    let found = std::fs::read_to_string(file).map_err(failed)?;
    if found == made {
        return Ok(());
    }
    let (mut old, mut new) = (found.lines(), made.lines());
    let mut number = 1;
    loop {
        let (this, that) = (old.next(), new.next());
        if this != that || this.is_none() {
            let words = |line: Option<&str>| line.unwrap_or("nothing").trim().to_owned();
            let system = match system {
                CiSystem::Github => "github",
                CiSystem::Gitlab => "gitlab",
            };
            let (there, made, file) = (words(this), words(that), file.to_owned());
            return Err(CiError::Stale { file, line: number, there, made, system });
        }
        number += 1;
    }
}
