//! Collecting: each suite's tool is asked for its cases in a container of its own, a few at a time.

use futures_util::StreamExt as _;
use testbed_model::catalog::{Catalog, SuiteCatalog};
use testbed_model::event::Event;
use testbed_model::lane::{Lane, SuiteKind};
use tokio_util::sync::CancellationToken;

use super::told::{CargoCatalog, PytestCatalog, Told};
use super::{Known, keep};
use crate::docker::Daemon;
use crate::events::Events;
use crate::exec::drive::Drive;
use crate::exec::heard::Decoder;
use crate::exec::place::Place;
use crate::exec::prepare::{self, PrepareError, Progress};
use crate::exec::site::Assembly;
use crate::exec::{cargo, pytest};

/// Asks tools for their cases.
#[derive(Debug)]
pub struct Collector<'a> {
    /// Where containers run.
    pub daemon: &'a Daemon,
    /// Hears of steps.
    pub events: &'a Events,
    /// Where the project is.
    pub place: &'a Place,
    /// Ends it.
    pub cancel: &'a CancellationToken,
    /// How many suites at a time.
    pub at_once: usize,
}

/// How a suite came out.
pub type Portion = Result<SuiteCatalog, String>;

impl Collector<'_> {
    /// Collects what is stale and adds it to what was known. A suite that cannot be collected is told with its reason, and the
    /// others go on.
    pub async fn collect(&self, mut known: Known) -> Catalog {
        if !known.stale.is_empty() {
            known.tree.take_all();
        }
        let stale = std::mem::take(&mut known.stale);
        let portions: Vec<(String, Portion)> = {
            let collected =
                stale.iter().map(|lane| async { (lane.id.suite.clone(), self.suite(lane, &known).await) });
            futures_util::stream::iter(collected).buffer_unordered(self.at_once.max(1)).collect().await
        };
        let mut catalog = known.catalog;
        for (suite, portion) in portions {
            match portion {
                Ok(collected) => drop(catalog.suites.insert(suite, collected)),
                Err(reason) => drop(catalog.uncollected.insert(suite, reason)),
            }
        }
        catalog
    }

    async fn suite(&self, lane: &Lane, known: &Known) -> Portion {
        let step = format!("collecting the cases of `{}`", lane.id.suite);
        self.events.emit(Event::LanePreparing { lane: lane.id.clone(), step });
        let mut catalog = self.ask(lane, known).await?;
        catalog.key = known.keys.get(&lane.id.suite).cloned().unwrap_or_default();
        keep(self.place, &lane.id.suite, &catalog).map_err(words)?;
        let cases = catalog.cases.len();
        let step = format!("collected {cases} cases");
        self.events.emit(Event::LanePreparing { lane: lane.id.clone(), step });
        Ok(catalog)
    }

    async fn ask(&self, lane: &Lane, known: &Known) -> Portion {
        let told = Told::default();
        let (assembly, decoder) = self.assembly(lane, &told).await.map_err(words)?;
        // What the tool prints concerns nobody unless it fails; then the lane's end holds its last lines.
        let (muted, _) = Events::channel(self.events.clock());
        let drive = Drive {
            daemon: self.daemon,
            events: &muted,
            lane,
            stack: None,
            cancel: self.cancel,
            rounds: None,
        };
        let end = drive.run(&assembly, decoder).await;
        if let Some(failure) = end.failure {
            let last = failure.log.iter().rev().find(|line| !line.trim().is_empty());
            return Err(
                last.map_or(failure.message.clone(), |line| format!("{}: {}", failure.message, short(line)))
            );
        }
        let (mut catalog, portions) = told.take().ok_or("its tool told nothing")?;
        let mut tree = known.tree.clone();
        catalog.sources = match lane.kind {
            SuiteKind::Pytest => tree.sources(&portions.files, &portions.folders),
            _ => testbed_model::catalog::Sources { whole: Some(tree.whole()), ..Default::default() },
        };
        Ok(catalog)
    }

    async fn assembly(&self, lane: &Lane, told: &Told) -> Result<(Assembly, Box<dyn Decoder>), PrepareError> {
        if lane.kind == SuiteKind::Pytest {
            let site = self.place.site(lane, self.cancel).await?;
            return Ok((pytest::assemble_catalog(lane, &site), Box::new(PytestCatalog::new(told.clone()))));
        }
        let tell = |step| self.events.emit(Event::LanePreparing { lane: lane.id.clone(), step });
        let progress = Progress { tell: &tell, cancel: self.cancel };
        let built = prepare::cargo(lane, self.place.root(), &progress).await?;
        let site = self.place.site(lane, self.cancel).await?;
        let decoder = Box::new(CargoCatalog::new(told.clone(), lane));
        Ok((cargo::assemble_catalog(lane, &site, &built), decoder))
    }
}

/// The start of a line that a tool printed, for a reason in one line.
fn short(line: &str) -> String {
    const MOST: usize = 300;
    if line.chars().count() <= MOST {
        line.to_owned()
    } else {
        line.chars().take(MOST).chain("...".chars()).collect()
    }
}

/// An error as the reason why a suite is not collected.
#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
fn words(error: PrepareError) -> String {
    error.to_string()
}
