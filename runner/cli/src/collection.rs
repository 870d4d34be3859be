//! The catalog for a question: what is known by content, and what tools have to be asked for first.

use testbed_engine::catalog::{self, Collector, Known};
use testbed_engine::docker::Daemon;
use testbed_engine::events::Events;
use testbed_engine::exec::place::{Place, PlaceContext};
use testbed_engine::host::clock::{self, Clock};
use testbed_engine::image::MissingTools;
use testbed_model::catalog::{Catalog, FindingKind};
use testbed_model::exit_code::ExitCode;
use testbed_model::hint::Hint;
use testbed_model::id::RunId;

use crate::failure::{Bug, Failure};
use crate::mounts;
use crate::preparation::Question;
use crate::recording::SEED;
use crate::run_session::{RunSession, agent_binary, random_bytes};
use crate::settings::Settings;
use crate::telling::{Show, Telling};

/// Whom to ask for cases that are not known.
#[derive(Clone, Copy, Debug)]
pub enum Ask {
    /// Every tool; images that are missing are made first.
    Tools(MissingTools),
    /// The tools whose images are here.
    WhoIsHere,
    /// Nobody.
    Nobody,
}

/// A signal came while tools were being asked.
#[derive(Debug, thiserror::Error)]
#[error("interrupted while the cases were being collected")]
struct Interrupted;

impl Hint for Interrupted {
    fn hint(&self) -> Option<String> {
        None
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Interrupted
    }
}

/// The cases that a question is about, as far as they can be known.
pub async fn catalog(settings: &Settings, question: &Question<'_>, ask: Ask) -> Result<Catalog, Failure> {
    let lanes = question.collectable()?;
    let (events, receiver) = Events::channel(Clock::start());
    let (own_binary, plugin) = (agent_binary()?, settings.root.join("suites/plugin"));
    let context = PlaceContext {
        run: RunId::new(clock::now(), u32::from_le_bytes(random_bytes()?)),
        project: settings.project.clone(),
        state: settings.state.clone(),
        plugin: plugin.clone(),
        agent_binary: own_binary.clone(),
        seed: SEED,
    };
    let place = Place::new(context, events.clone())?;
    let never = tokio_util::sync::CancellationToken::new();
    let known = catalog::known(&place, &lanes, &question.facts().tools, &never).await?;
    if known.stale.is_empty() {
        return Ok(known.catalog);
    }
    if matches!(ask, Ask::Nobody) {
        return Ok(unasked(known, "nobody was asked for its cases (`--no-collect`)"));
    }
    let daemon = match (Daemon::connect().await, ask) {
        (Ok(daemon), _) => daemon,
        (Err(error), Ask::Tools(_)) => return Err(error.into()),
        (Err(error), _) => return Ok(unasked(known, &error.to_string())),
    };
    match (mounts::check_lanes(&known.stale, &own_binary, &plugin), ask) {
        (Ok(()), _) => {}
        (Err(error), Ask::Tools(_)) => return Err(error.into()),
        (Err(error), _) => return Ok(unasked(known, &error.to_string())),
    }
    let session = RunSession::begin(daemon, events)?;
    let telling = Telling::begin(receiver, Show::Progress, settings.screen, None, session.cancel.clone());
    let collected = collect(question, &session, &place, known, ask).await;
    let interrupted = session.is_interrupted();
    drop(place);
    session.end();
    telling.end().await.map_err(|error| Bug(error.to_string()))?;
    if interrupted { Err(Interrupted.into()) } else { collected }
}

async fn collect(
    question: &Question<'_>,
    session: &RunSession,
    place: &Place,
    mut known: Known,
    ask: Ask,
) -> Result<Catalog, Failure> {
    let mut absent = Vec::new();
    match ask {
        Ask::Tools(missing) => {
            let mut names: Vec<String> = known.stale.iter().map(|lane| lane.image.clone()).collect();
            names.dedup();
            session.sweep().await?;
            session.images(question.images(), &names, missing).await?;
        }
        Ask::WhoIsHere | Ask::Nobody => {
            for lane in std::mem::take(&mut known.stale) {
                let here = session.daemon.image_id(&lane.image_reference).await?.is_some();
                if here { known.stale.push(lane) } else { absent.push(lane) }
            }
        }
    }
    let collector = Collector {
        daemon: &session.daemon,
        events: &session.events,
        place,
        cancel: &session.cancel,
        at_once: usize::try_from(question.facts().cores).unwrap_or(1),
    };
    let mut catalog = collector.collect(known).await;
    for lane in absent {
        let reason =
            format!("the image `{}` is not here yet; `testbed images build {0}` makes it", lane.image);
        catalog.uncollected.insert(lane.id.suite, reason);
    }
    Ok(catalog)
}

fn unasked(known: Known, reason: &str) -> Catalog {
    let mut catalog = known.catalog;
    let suites = known.stale.into_iter().map(|lane| (lane.id.suite, reason.to_owned()));
    catalog.uncollected.extend(suites);
    catalog
}

/// What a person should know of a catalog before a run goes by it.
pub fn remarks(catalog: &Catalog) -> Vec<String> {
    let uncollected = catalog.uncollected.iter().map(|(suite, reason)| {
        format!("the cases of `{suite}` are not known, so it is executed as a whole: {reason}")
    });
    let broken = catalog.suites.iter().flat_map(|(suite, known)| {
        let errors = known.findings.iter().filter(|finding| finding.kind == FindingKind::Error);
        errors.map(move |finding| {
            format!("`{}` of `{suite}` could not be collected: {}", finding.file, finding.message)
        })
    });
    uncollected.chain(broken).collect()
}
