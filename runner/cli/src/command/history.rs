//! `testbed history`: how cases ended in earlier runs, and what follows from it.

mod import;
mod quarantine;

use serde::Serialize;
use testbed_engine::history::{HistoryStore, file_of};
use testbed_model::exit_code::ExitCode;
use testbed_model::hint::Hint;
use testbed_model::history::{Growth, Overview, Standing, Subject};
use testbed_model::nearest::did_you_mean;
use testbed_model::selection::CasePattern;
use testbed_report::history as page;

use crate::args::{HistoryArgs, HistoryVerb};
use crate::failure::{Failure, OutputError};
use crate::settings::Settings;

/// So many cases that grew slower are told.
const GROWERS: usize = 10;

/// A case of which nothing is known.
#[derive(Debug, thiserror::Error)]
#[error("the history knows no case `{case}`")]
struct UnknownCase {
    case: String,
    way_out: String,
}

impl Hint for UnknownCase {
    fn hint(&self) -> Option<String> {
        Some(self.way_out.clone())
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }
}

/// What deserves a look, as programs read it.
#[derive(Debug, Serialize)]
struct Look<'h> {
    overview: Overview,
    troubled: &'h [Standing],
    slower: Vec<Slower<'h>>,
}

/// A case that grew slower.
#[derive(Debug, Serialize)]
struct Slower<'h> {
    subject: &'h Subject,
    #[serde(flatten)]
    growth: Growth,
}

/// Tells of cases, or does what the verb asks for.
pub async fn history(settings: &Settings, args: &HistoryArgs) -> Result<ExitCode, Failure> {
    match &args.verb {
        Some(HistoryVerb::Import(args)) => import::import(settings, args),
        Some(HistoryVerb::Merge { files }) => import::merge(settings, files),
        Some(HistoryVerb::Quarantine(args)) => quarantine::quarantine(settings, args).await,
        None => {
            let store = HistoryStore::open_existing(&file_of(&settings.state))?;
            match &args.case {
                Some(case) => of_cases(settings, store.as_ref(), case, args.json),
                None => overview(settings, store.as_ref(), args.json),
            }
        }
    }
}

fn overview(settings: &Settings, store: Option<&HistoryStore>, json: bool) -> Result<ExitCode, Failure> {
    let (overview, troubled, growers) = match store {
        Some(store) => (store.overview()?, store.troubled()?, store.growers(GROWERS)?),
        None => (Overview::default(), Vec::new(), Vec::new()),
    };
    if json {
        let slower = growers.iter().map(|(subject, growth)| Slower { subject, growth: *growth }).collect();
        super::print_json(&Look { overview, troubled: &troubled, slower })?;
        return Ok(ExitCode::Passed);
    }
    let mut out = Vec::new();
    page::overview(&overview, &troubled, &growers, &settings.output, &mut out).map_err(OutputError)?;
    super::print_bytes(&out)?;
    Ok(ExitCode::Passed)
}

fn of_cases(
    settings: &Settings,
    store: Option<&HistoryStore>,
    case: &str,
    json: bool,
) -> Result<ExitCode, Failure> {
    let Some(store) = store else {
        let way_out =
            "no run is known yet: every run adds to the history, and so does `testbed history import`";
        return Err(UnknownCase { case: case.to_owned(), way_out: way_out.to_owned() }.into());
    };
    let standings = store.standings(&CasePattern::new(case))?;
    if standings.is_empty() {
        return Err(unknown(case, &store.cases()?).into());
    }
    if json {
        super::print_json(&standings)?;
        return Ok(ExitCode::Passed);
    }
    let mut out = Vec::new();
    page::cases(&standings, &settings.output, &mut out).map_err(OutputError)?;
    super::print_bytes(&out)?;
    Ok(ExitCode::Passed)
}

/// A case that nobody knows. Of a great many known ones only a near one is told.
fn unknown(case: &str, known: &[String]) -> UnknownCase {
    let near = testbed_model::nearest::nearest(case, known.iter().map(String::as_str));
    let way_out = match near {
        None if known.len() > 5 => format!("`testbed list` shows the ids; the history knows {}", known.len()),
        _ => did_you_mean(case, known.iter().map(String::as_str)),
    };
    UnknownCase { case: case.to_owned(), way_out }
}
