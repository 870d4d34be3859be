//! The run's record: its manifest at the start and at the end, and what is made from the events when they are over.

use std::collections::BTreeMap;
use std::io::Write as _;

use testbed_engine::history::{self, HistoryError, HistoryStore};
use testbed_engine::host::{clock, contents, environment as surroundings, patch};
use testbed_engine::image::Provided;
use testbed_engine::store::{RunFolder, Store};
use testbed_model::case::Counts;
use testbed_model::event::Event;
use testbed_model::exit_code::ExitCode;
use testbed_model::facts::Facts;
use testbed_model::hint::Hint as _;
use testbed_model::history::PastRun;
use testbed_model::id::RunId;
use testbed_model::plan::Plan;
use testbed_model::project::Budgets;
use testbed_model::record::environment::{self, Surroundings, environments};
use testbed_model::record::{Manifest, RecordedChanges, RecordedImage, SCHEMA};
use testbed_report::Story;

use crate::failure::{Bug, Failure, OutputError};
use crate::reporting;
use crate::settings::{Screen, Settings};
use crate::telling::{Show, Told};

/// The file of the record that holds what the checkout had besides its revision.
const CHANGES: &str = "changes.patch";

/// The seed of hashes and of the order of cases. Fixed, so that two runs of one plan do the same.
pub const SEED: u64 = 0;

/// The manifest of a run that begins now.
pub fn manifest(run: &RunId, plan: &Plan, budgets: &Budgets, facts: Facts) -> Result<Manifest, Failure> {
    Ok(Manifest {
        schema: SCHEMA,
        run: run.clone(),
        testbed: env!("CARGO_PKG_VERSION").to_owned(),
        arguments: surroundings::arguments(),
        tier: Some(plan.tier),
        plan: Some(plan.id().map_err(|error| Bug(error.to_string()))?),
        images: BTreeMap::new(),
        environments: Vec::new(),
        facts,
        changes: None,
        seed: SEED,
        budget_ms: budgets.tiers.get(&plan.tier).copied(),
        shares: Vec::new(),
        started: clock::now(),
        finished: None,
        counts: None,
        exit_code: None,
    })
}

/// The images as the run uses them.
pub fn images(provided: &[Provided]) -> BTreeMap<String, RecordedImage> {
    let recorded =
        |image: &Provided| RecordedImage { reference: image.reference.clone(), id: image.id.clone() };
    provided.iter().map(|image| (image.name.clone(), recorded(image))).collect()
}

/// Adds to the manifest what is known once the images are there: they, the lanes' environments, and what of the checkout is not
/// committed. It is written at once, for a run that is killed is asked about as well.
pub async fn resolve(
    manifest: &mut Manifest,
    settings: &Settings,
    plan: &Plan,
    provided: &[Provided],
    folder: &RunFolder,
) -> Result<(), Failure> {
    let of_mount = |source: String| {
        let hash = contents::hash(&settings.root.join(&source)).unwrap_or_else(|error| error.to_string());
        (source, hash)
    };
    let files = environment::mounted(plan).into_iter().map(of_mount).collect();
    manifest.images = images(provided);
    manifest.environments = environments(
        plan,
        Surroundings {
            images: &manifest.images,
            files: &files,
            facts: &manifest.facts,
            testbed: &manifest.testbed,
            seed: manifest.seed,
        },
    );
    if let Some(patch) = patch::uncommitted(&settings.project).await {
        let changes = RecordedChanges {
            file: patch.bytes.is_some().then(|| CHANGES.to_owned()),
            bytes: patch.size,
            files: patch.files,
        };
        if let Some(bytes) = &patch.bytes {
            folder.write(CHANGES, bytes)?;
        }
        manifest.changes = Some(changes);
    }
    Ok(folder.write_manifest(manifest)?)
}

/// Completes the record: the manifest with its end, JUnit, and the page.
pub fn complete(
    told: &mut Told,
    manifest: &mut Manifest,
    counts: Counts,
    code: ExitCode,
) -> Result<(), Failure> {
    manifest.finished = Some(clock::now());
    manifest.counts = Some(counts);
    manifest.exit_code = Some(code);
    let Some(store) = &mut told.store else { return Ok(()) };
    let mut junit = Vec::new();
    testbed_report::junit::write(&told.story, &mut junit).map_err(OutputError)?;
    store.folder().write("junit.xml", &junit)?;
    store.finish(manifest)?;
    reporting::keep_page(store.folder())
}

/// Whether the project's history can take this run; what a person should know where it cannot. It is left as it is, and no run fails for
/// it.
pub fn check_history(settings: &Settings) -> Option<Event> {
    let error = HistoryStore::open_existing(&history::file_of(&settings.state)).err()?;
    Some(Event::Warning {
        message: format!("this run is not added to the history: {error}"),
        hint: error.hint(),
    })
}

/// Adds a run that is over to the project's history. Where it cannot be added, that is what is given.
pub fn remember(settings: &Settings, run: &PastRun) -> Result<(), HistoryError> {
    // A run that executed nothing says nothing.
    if !run.results.is_empty() {
        HistoryStore::open(&history::file_of(&settings.state))?.add(run)?;
    }
    Ok(())
}

/// The run as the history keeps it.
pub fn past_run(story: &Story, manifest: &Manifest, plan: &Plan) -> PastRun {
    PastRun::of(manifest, Some(plan), story.results().map(|(lane, case)| (&lane.id, &case.result)))
}

/// Shows the summary on standard error, where progress was; programs that read events get none.
pub fn summarize(told: &Told, show: Show, screen: Screen) -> Result<(), Failure> {
    if show == Show::Json {
        return Ok(());
    }
    let folder = told.store.as_ref().map(|store| store.folder().path().to_owned()).unwrap_or_default();
    let mut text = Vec::new();
    reporting::summarize(&told.story, &folder, screen.style, &mut text).map_err(OutputError)?;
    let mut out = std::io::stderr().lock();
    match out.write_all(&text).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(|error| OutputError(error).into()),
    }
}

/// Where the record stays, as a person would name it.
pub fn folder(store: &Store) -> String {
    store.folder().path().display().to_string()
}
