//! The catalog of a project: collected by each suite's own tool in the image that the suite runs in, and kept by content, so
//! that a tool is asked again only when something has changed that it reads.

mod collect;
mod sources;
mod told;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use testbed_model::catalog::{Announced, Catalog, Gathering, SCHEMA, SuiteCatalog};
use testbed_model::lane::{Lane, SuiteKind};
use testbed_model::selection::Mark;
use tokio_util::sync::CancellationToken;

pub use self::collect::{Collector, Portion};
use self::sources::SourceTree;
use crate::exec::executor::hooks_of;
use crate::exec::place::Place;
use crate::exec::pre_commit::{self, HooksError};
use crate::exec::prepare::PrepareError;
use crate::host::files;

/// What is known of a project's cases without asking any tool.
#[derive(Debug)]
pub struct Known {
    /// The suites whose catalog still holds.
    pub catalog: Catalog,
    /// One lane of each suite that has to be collected.
    pub stale: Vec<Lane>,
    tree: SourceTree,
    keys: BTreeMap<String, String>,
}

/// Looks up what is known. Of each suite one lane is enough: what its profiles differ in does not change its cases.
pub async fn known(
    place: &Place,
    lanes: &[Lane],
    tools: &BTreeMap<String, String>,
    cancel: &CancellationToken,
) -> Result<Known, PrepareError> {
    let source = place.source(cancel).await?;
    let mut tree = SourceTree::new(place.root(), &source.files);
    let plugin = sources::of_folder(place.plugin());
    let mut catalog = Catalog::default();
    let mut stale: Vec<Lane> = Vec::new();
    let mut keys = BTreeMap::new();
    for lane in lanes {
        let suite = &lane.id.suite;
        if keys.contains_key(suite) {
            continue;
        }
        if lane.kind == SuiteKind::PreCommit {
            match hooks(place, lane) {
                Ok(told) => drop(catalog.suites.insert(suite.clone(), told)),
                Err(error) => drop(catalog.uncollected.insert(suite.clone(), error.to_string())),
            }
            keys.insert(suite.clone(), String::new());
            continue;
        }
        let key = key(lane, &plugin, tools);
        match read(place, suite).filter(|kept| kept.key == key && tree.still_holds(&kept.sources)) {
            Some(kept) => drop(catalog.suites.insert(suite.clone(), kept)),
            None => stale.push(lane.clone()),
        }
        keys.insert(suite.clone(), key);
    }
    Ok(Known { catalog, stale, tree, keys })
}

/// Hooks are told by their configuration, without any tool.
fn hooks(place: &Place, lane: &Lane) -> Result<SuiteCatalog, HooksError> {
    let file = pre_commit::configuration_of(lane);
    let mut gathering = Gathering::default();
    for hook in hooks_of(lane, place.root())? {
        gathering.add(Announced {
            id: hook.name,
            file: Some(file.clone()),
            line: hook.line,
            marks: vec![Mark { name: lane.test_type.name().to_owned(), ..Mark::default() }],
            ..Announced::default()
        });
    }
    Ok(gathering.finish())
}

/// The hash of all that decides a suite's cases beside the project's files.
fn key(lane: &Lane, plugin: &str, tools: &BTreeMap<String, String>) -> String {
    let mut hash = blake3::Hasher::new();
    let mut add = |text: &str| {
        hash.update(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes());
        hash.update(text.as_bytes());
    };
    add(&SCHEMA.to_string());
    add(lane.test_type.name());
    add(&lane.image_reference);
    lane.paths.iter().chain(&lane.arguments).for_each(|text| add(text));
    let testbed_model::lane::Habits { python, folder, user } = &lane.habits;
    for habit in [python, folder, user] {
        add(habit.as_deref().unwrap_or_default());
    }
    lane.environment.iter().for_each(|(name, value)| add(&format!("{name}={value}")));
    match lane.kind {
        SuiteKind::Pytest => add(plugin),
        SuiteKind::Cargo => {
            add(lane.expression.as_deref().unwrap_or_default());
            for (name, version) in tools {
                add(&format!("{name} {version}"));
            }
        }
        // Hooks are read anew each time.
        SuiteKind::PreCommit => {}
    }
    hash.finalize().to_hex().to_string()
}

fn file_of(place: &Place, suite: &str) -> PathBuf {
    place.cache().join("catalog").join(format!("{suite}.json"))
}

/// What was kept of a suite. What cannot be read is collected anew.
fn read(place: &Place, suite: &str) -> Option<SuiteCatalog> {
    let bytes = std::fs::read(file_of(place, suite)).ok()?;
    let kept: SuiteCatalog = serde_json::from_slice(&bytes).ok()?;
    (kept.schema == SCHEMA).then_some(kept)
}

fn keep(place: &Place, suite: &str, catalog: &SuiteCatalog) -> Result<(), PrepareError> {
    let path = file_of(place, suite);
    let fault = |path: &Path| {
        let path = path.to_owned();
        |source| PrepareError::File { path, source }
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(fault(folder))?;
    }
    let bytes = serde_json::to_vec(catalog).unwrap_or_default();
    files::write_atomically(&path, &bytes).map_err(fault(&path))
}
