//! `testbed check`: what is wrong with a project's cases, before any of them runs.

mod mend;
mod readable;

use std::collections::BTreeMap;
use std::io::Write as _;

use jiff::civil::Date;
use serde::Serialize;
use testbed_engine::exec::prepare::PrepareError;
use testbed_engine::host::{texts, tree};
use testbed_model::catalog::Catalog;
use testbed_model::check::{self, Feature, Finding, Inputs, Level, Rule};
use testbed_model::exit_code::ExitCode;
use testbed_model::project::Project;
use testbed_model::project::detect::Layout;
use testbed_model::stack::Millis;
use testbed_model::tier::Tier;
use testbed_report::Style;
use tokio_util::sync::CancellationToken;

use crate::args::{CheckArgs, ChoiceArgs, FindingsFormat};
use crate::collection::{self, Ask};
use crate::failure::Failure;
use crate::preparation::Preparation;
use crate::settings::Settings;

/// Prints findings, after mending those that need no thought where that is asked for.
pub async fn check(settings: &Settings, args: &CheckArgs) -> Result<ExitCode, Failure> {
    let preparation = Preparation::read(settings, &[]).await?;
    let choice = ChoiceArgs { suites: args.suites.clone(), ..ChoiceArgs::default() };
    let question = preparation.question(Tier::Release, &choice).await?;
    let ask = if args.no_collect { Ask::Nobody } else { Ask::WhoIsHere };
    let catalog = collection::catalog(settings, &question, ask).await?;
    let subject = Subject {
        texts: texts::read(&settings.project, files(&catalog)),
        features: features(settings).await?,
        project: question.project,
        durations: question.durations.cases,
        catalog,
        today: question.today,
        suites: &args.suites,
        is_asked: !args.no_collect,
    };
    let mut findings = subject.findings();
    if args.fix {
        let tell = |text: &str| {
            // Where standard error is closed, the exit code still says how it ended.
            let _ = writeln!(std::io::stderr(), "{text}");
        };
        findings = mend::mend(&settings.project, &subject.texts, findings, &settings.screen.style, tell)?;
    }
    super::print(&subject.told(&findings, args.format(), &settings.output)?)?;
    let is_wrong = findings.iter().any(|finding| finding.level == Level::Error);
    Ok(if is_wrong { ExitCode::TestFailed } else { ExitCode::Passed })
}

/// What is checked.
struct Subject<'a> {
    project: Project,
    catalog: Catalog,
    /// Case id to how long it took in earlier runs.
    durations: BTreeMap<String, Millis>,
    /// Texts of the files that hold cases.
    texts: BTreeMap<String, String>,
    features: Vec<Feature>,
    today: Date,
    /// The suites that it is about; all without one.
    suites: &'a [String],
    /// Whether tools were to be asked for the cases that are not known.
    is_asked: bool,
}

/// Findings as programs read them.
#[derive(Serialize)]
struct Checked<'f> {
    findings: &'f [Finding],
    errors: usize,
    warnings: usize,
}

impl Subject<'_> {
    fn findings(&self) -> Vec<Finding> {
        let mut findings = check::check(&Inputs {
            project_file: "testbed.toml",
            suites: &self.project.suites,
            catalog: &self.catalog,
            vocabulary: &self.project.vocabulary,
            lanes: &self.project.lanes,
            naming: &self.project.naming,
            quarantine: &self.project.quarantines,
            today: self.today,
            durations: &self.durations,
            features: &self.features,
            texts: &self.texts,
        });
        // What concerns the project as a whole belongs to none of the suites that were named.
        findings.retain(|finding| self.suites.is_empty() || finding.suite.is_some());
        if !self.is_asked {
            // Who wants nobody to be asked has to be told what is not known, but it is no error.
            let unknown =
                |finding: &&mut Finding| finding.rule == Rule::CollectionError && finding.file.is_none();
            findings.iter_mut().filter(unknown).for_each(|finding| finding.level = Level::Warning);
        }
        findings
    }

    fn told(&self, findings: &[Finding], format: FindingsFormat, style: &Style) -> Result<String, Failure> {
        let text = || readable::readable(findings, &self.catalog, style);
        Ok(match format {
            FindingsFormat::Text => text(),
            FindingsFormat::Json => {
                let count = |level| findings.iter().filter(|finding| finding.level == level).count();
                super::pretty(&Checked {
                    findings,
                    errors: count(Level::Error),
                    warnings: count(Level::Warning),
                })?
            }
            FindingsFormat::Sarif => super::pretty(&check::sarif(findings, env!("CARGO_PKG_VERSION")))?,
            FindingsFormat::Github => {
                // A step shows only some annotations, so its log holds every finding.
                let annotations = check::annotations(findings);
                text() + &annotations.iter().map(|line| format!("{line}\n")).collect::<String>()
            }
        })
    }
}

/// The files that hold cases.
fn files(catalog: &Catalog) -> impl Iterator<Item = &str> {
    catalog.suites.values().flat_map(|suite| &suite.files).map(String::as_str)
}

/// The features of every crate of the project.
async fn features(settings: &Settings) -> Result<Vec<Feature>, Failure> {
    let listing =
        tree::list(&settings.project, &CancellationToken::new()).await.map_err(PrepareError::from)?;
    // Crates that are somebody else's or test data have features of their own.
    let is_manifest =
        |file: &&str| (*file == "Cargo.toml" || file.ends_with("/Cargo.toml")) && Layout::wants(file);
    let manifests = listing.files.iter().map(String::as_str).filter(is_manifest);
    let texts = texts::read(&settings.project, manifests);
    Ok(texts.iter().flat_map(|(file, text)| check::features(file, text)).collect())
}

#[cfg(test)]
mod tests;
