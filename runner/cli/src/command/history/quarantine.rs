//! A case is taken out of every run for a while: one more `[[quarantine]]` in the project file.

use std::collections::BTreeSet;
use std::io;

use testbed_engine::configuration;
use testbed_engine::history::{HistoryStore, file_of};
use testbed_engine::host::{clock, texts};
use testbed_model::exit_code::ExitCode;
use testbed_model::hint::Hint;
use testbed_model::project::{NewQuarantine, Quarantine, add_quarantine};
use testbed_model::tier::Tier;

use super::unknown;
use crate::args::{ChoiceArgs, QuarantineArgs};
use crate::collection::{self, Ask};
use crate::failure::Failure;
use crate::preparation::{PROJECT_FILE, Preparation};
use crate::settings::Settings;

/// The project file cannot be written to.
#[derive(Debug, thiserror::Error)]
enum Unwritten {
    #[error("the project has no `{PROJECT_FILE}` to write a quarantine into")]
    NoFile,
    #[error("cannot write `{PROJECT_FILE}`: {0}")]
    Refused(#[source] io::Error),
}

impl Hint for Unwritten {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoFile => "write one with `[project]` and `[[suite]]`".to_owned(),
            Self::Refused(source) if source.kind() == io::ErrorKind::ResourceBusy => "try again".to_owned(),
            Self::Refused(_) => "make it writable for this user".to_owned(),
        })
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            Self::NoFile => ExitCode::Usage,
            Self::Refused(_) => ExitCode::Environment,
        }
    }
}

/// Writes the quarantine, if there is such a case.
pub(super) async fn quarantine(settings: &Settings, args: &QuarantineArgs) -> Result<ExitCode, Failure> {
    let old = configuration::optional(&settings.project, PROJECT_FILE)?.ok_or(Unwritten::NoFile)?;
    let new = NewQuarantine {
        case: args.case.clone(),
        ticket: args.ticket.clone(),
        until: args.until,
        owner: args.owner.clone(),
        reason: args.reason.clone(),
    };
    let (text, written) = add_quarantine(PROJECT_FILE, &old, &new, clock::today())?;
    check_case(settings, &args.case, &written).await?;
    texts::replace(&settings.project, PROJECT_FILE, &old, &text).map_err(Unwritten::Refused)?;
    super::super::print(&format!(
        "`{}` is in quarantine until {} for `{}`, in {PROJECT_FILE}\n",
        args.case, args.until, args.ticket
    ))?;
    Ok(ExitCode::Passed)
}

/// Whether anything fits: what the history knows, and only then what the suites' tools say.
async fn check_case(settings: &Settings, case: &str, written: &Quarantine) -> Result<(), Failure> {
    let fits = |id: &String| written.cases.iter().any(|it| it.text == *id || it.matcher.is_match(id));
    let mut known: BTreeSet<String> = BTreeSet::new();
    if let Some(history) = HistoryStore::open_existing(&file_of(&settings.state))? {
        known.extend(history.cases()?);
    }
    if known.iter().any(fits) {
        return Ok(());
    }
    let preparation = Preparation::read(settings, &[]).await?;
    let question = preparation.question(Tier::Release, &ChoiceArgs::default()).await?;
    let catalog = collection::catalog(settings, &question, Ask::WhoIsHere).await?;
    known.extend(catalog.suites.values().flat_map(|suite| suite.cases.iter().map(|case| case.id.clone())));
    if known.iter().any(fits) {
        return Ok(());
    }
    let known: Vec<String> = known.into_iter().collect();
    Err(unknown(case, &known).into())
}
