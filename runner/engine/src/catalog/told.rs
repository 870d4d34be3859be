//! What collecting tools tell: decoders that gather instead of announcing cases of a run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use testbed_model::catalog::{Announced, Finding, FindingKind, Gathering, SuiteCatalog, ToolWord};
use testbed_model::lane::Lane;

use crate::exec::cargo::list::{self, Kind, List};
use crate::exec::heard::{Decoder, Heard, Red};
use crate::exec::job::{Said, StepEnd, Stream};
use crate::exec::pytest::{Complaint, STEP};

/// What a tool has told so far; the decoder's owner reads it when the tool has ended.
#[derive(Clone, Debug, Default)]
pub struct Told(Arc<Mutex<Portions>>);

/// The parts of a catalog.
#[derive(Debug, Default)]
pub struct Portions {
    gathering: Gathering,
    findings: Vec<Finding>,
    /// Whether the tool came to the end of its list.
    complete: bool,
    /// Files that were read, relative to the project's root.
    pub files: Vec<String>,
    /// Folders that were listed.
    pub folders: Vec<String>,
    imports: BTreeMap<String, Vec<String>>,
    declared: BTreeMap<String, String>,
}

impl Told {
    fn portions(&self) -> MutexGuard<'_, Portions> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what was told; none if the tool did not come to the end of it.
    pub fn take(&self) -> Option<(SuiteCatalog, Portions)> {
        let mut portions = std::mem::take(&mut *self.portions());
        if !portions.complete {
            return None;
        }
        let mut catalog = std::mem::take(&mut portions.gathering).finish();
        catalog.findings = std::mem::take(&mut portions.findings);
        catalog.imports = std::mem::take(&mut portions.imports);
        catalog.declared = std::mem::take(&mut portions.declared);
        Some((catalog, portions))
    }
}

/// Understands the plugin of a session that only collects.
#[derive(Debug)]
pub struct PytestCatalog {
    told: Told,
    complaint: Complaint,
}

impl PytestCatalog {
    /// A decoder whose owner reads what was told.
    pub fn new(told: Told) -> Self {
        Self { told, complaint: Complaint::default() }
    }
}

#[derive(Debug, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum PytestTold {
    Cataloged {
        cases: Vec<PytestCase>,
    },
    Sources {
        files: Vec<String>,
        folders: Vec<String>,
        imports: BTreeMap<String, Vec<String>>,
        declared: BTreeMap<String, String>,
    },
    CollectError {
        file: String,
        #[serde(default)]
        message: Option<String>,
        #[serde(default)]
        longrepr: Option<String>,
    },
    CollectSkipped {
        file: String,
        #[serde(default)]
        reason: Option<String>,
    },
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
struct PytestCase {
    #[serde(flatten)]
    case: Announced,
    #[serde(default)]
    left_out: bool,
}

impl Decoder for PytestCatalog {
    fn hear(&mut self, said: &Said) -> Vec<Heard> {
        if let Said::Line { line, .. } = said {
            self.complaint.hear(line);
        }
        let Said::Event { event } = said else { return Vec::new() };
        let mut portions = self.told.portions();
        match PytestTold::deserialize(event) {
            Ok(PytestTold::Cataloged { cases }) => {
                for PytestCase { case, left_out } in cases {
                    let said = left_out.then_some(ToolWord::LeftOut);
                    portions.gathering.add(Announced { said, ..case });
                }
            }
            Ok(PytestTold::Sources { files, folders, imports, declared }) => {
                portions.complete = true;
                portions.files = files;
                portions.folders = folders;
                portions.imports = imports;
                portions.declared = declared;
            }
            Ok(PytestTold::CollectError { file, message, longrepr }) => {
                let message = message.unwrap_or_else(|| "it could not be collected".to_owned());
                portions.findings.push(Finding {
                    kind: FindingKind::Error,
                    file,
                    message,
                    details: longrepr,
                });
            }
            Ok(PytestTold::CollectSkipped { file, reason }) => {
                let message = reason.unwrap_or_default();
                portions.findings.push(Finding { kind: FindingKind::Skipped, file, message, details: None });
            }
            Ok(PytestTold::Other) | Err(_) => {}
        }
        Vec::new()
    }

    fn judge(&self, ends: &BTreeMap<String, StepEnd>, _red: Red) -> Option<String> {
        // A session with broken files ends badly; what it told of the others holds all the same.
        if self.told.portions().complete {
            return None;
        }
        if let Some(reason) = self.complaint.explains(ends.get(STEP)) {
            return Some(reason);
        }
        Some(match ends.get(STEP) {
            Some(StepEnd::Code(4)) => "pytest refused its arguments or configuration".to_owned(),
            Some(end) => format!("pytest {end} before it had told its cases"),
            None => "pytest was not executed".to_owned(),
        })
    }
}

/// Understands nextest's lists.
#[derive(Debug)]
pub struct CargoCatalog {
    told: Told,
    lane: Lane,
    step: Option<Kind>,
    text: String,
    all: Option<List>,
}

impl CargoCatalog {
    /// A decoder for a lane's suite.
    pub fn new(told: Told, lane: &Lane) -> Self {
        Self { told, lane: lane.clone(), step: None, text: String::new(), all: None }
    }
}

impl CargoCatalog {
    /// Takes the list that a step has printed; with the second one the cases of a workspace are known.
    fn read(&mut self) {
        match (self.step, serde_json::from_str::<List>(&self.text)) {
            (Some(Kind::All), Ok(list)) => self.all = Some(list),
            (Some(Kind::OfSuite), Ok(of_suite)) => {
                let Some(all) = self.all.take() else { return };
                let mut portions = self.told.portions();
                let cases = list::cases(&self.lane, &all, &of_suite);
                for case in cases {
                    portions.gathering.add(case);
                }
                portions.complete = true;
            }
            _ => {}
        }
    }
}

impl Decoder for CargoCatalog {
    fn hear(&mut self, said: &Said) -> Vec<Heard> {
        match said {
            Said::StepStarted { step } => {
                self.step = Kind::of_step(step);
                self.text.clear();
            }
            Said::Line { line, stream: Stream::Out } => {
                self.text.push_str(line);
                self.text.push('\n');
            }
            Said::StepFinished { end, .. } if end.is_success() => self.read(),
            _ => {}
        }
        Vec::new()
    }

    fn judge(&self, ends: &BTreeMap<String, StepEnd>, _red: Red) -> Option<String> {
        let bad = ends.iter().find(|(_, end)| !end.is_success());
        match bad {
            Some((_, end)) => Some(format!("cargo-nextest {end} when it was to list the tests")),
            None if self.told.portions().complete => None,
            None => Some("cargo-nextest listed nothing".to_owned()),
        }
    }
}
