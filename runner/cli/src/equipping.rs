//! The models of a plan on this machine: they have to be here before anything is started, and be what the plan says.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use testbed_engine::events::Events;
use testbed_engine::host::clock::Clock;
use testbed_engine::host::readable::{Obstacle, obstacle};
use testbed_engine::models::{Having, Library, Presence, Use};
use testbed_engine::stack::AGENT_USER;
use testbed_model::exit_code::ExitCode;
use testbed_model::hint::Hint;
use testbed_model::lane::Lane;
use testbed_model::models::{Model, ModelContent, Source};
use testbed_model::plan::{Places, Plan};
use testbed_model::stack::{Mount, Stack};
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;
use crate::settings::Settings;

/// A model that is needed cannot be used here.
#[derive(Debug, thiserror::Error)]
enum EquipError {
    /// It has to be fetched, by a person's own decision.
    #[error("the model `{model}` is not here, and {wanted_by} needs it")]
    NotHere { model: String, wanted_by: String, mends: String },
    /// Nobody has seen its bytes.
    #[error("the model `{model}` is not pinned, and {wanted_by} needs it")]
    NotPinned { model: String, wanted_by: String, mends: String },
    /// Its mode keeps containers out.
    #[error("`{}` of the model `{model}` cannot be read by user {}, as which containers run: its mode is {mode:04o}", path.display(), AGENT_USER.uid)]
    Unreadable { model: String, path: PathBuf, mode: u32, folder: PathBuf },
    /// The plan was made where the model was another one.
    #[error("the plan wants the model `{model}` as `{wanted}`, and here it is {}", here.as_ref().map_or("not in models/models.toml".to_owned(), |here| format!("`{here}`")))]
    Other { model: String, wanted: ModelContent, here: Option<ModelContent> },
}

impl Hint for EquipError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotHere { mends, .. } | Self::NotPinned { mends, .. } => mends.clone(),
            Self::Unreadable { folder, .. } => {
                format!("let others read it: `chmod -R go+rX '{}'`", folder.display())
            }
            Self::Other { .. } => "check out the revision that the plan was made in, or plan anew".to_owned(),
        })
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            Self::NotHere { .. } | Self::NotPinned { .. } | Self::Unreadable { .. } => ExitCode::Environment,
            Self::Other { .. } => ExitCode::Usage,
        }
    }
}

/// Where this machine keeps what containers mount. Its models stay in the store as long as this is kept.
#[derive(Debug)]
pub struct Equipment {
    /// The places.
    pub places: Places,
    _uses: Vec<Use>,
}

/// The equipment of a plan. Models that Testbed itself makes are made where they are not here.
pub async fn of_plan(settings: &Settings, library: &Library, plan: &Plan) -> Result<Equipment, Failure> {
    let mut places = of_root(settings);
    for (name, content) in &plan.models {
        let model = known(library, name, Some(content))?;
        places.models.insert(name.clone(), here(library, model, &plan.stacks, &plan.lanes).await?);
    }
    Ok(in_use(places))
}

/// The same for a single stack.
pub async fn of_stack(settings: &Settings, library: &Library, stack: &Stack) -> Result<Equipment, Failure> {
    let mut places = of_root(settings);
    let stacks = std::slice::from_ref(stack);
    for name in stack.services.values().flat_map(|service| &service.mounts).filter_map(Mount::model) {
        if !places.models.contains_key(name) {
            let model = known(library, name, None)?;
            places.models.insert(name.to_owned(), here(library, model, stacks, &[]).await?);
        }
    }
    Ok(in_use(places))
}

fn in_use(places: Places) -> Equipment {
    let uses = places.models.values().filter_map(|folder| Library::hold(Path::new(folder)));
    Equipment { _uses: uses.collect(), places }
}

/// What a person should know of a plan that this machine cannot perform yet, a sentence for each model.
pub fn remarks(library: &Library, plan: &Plan) -> Vec<String> {
    let remark = |(name, content): (&String, &ModelContent)| {
        let model = known(library, name, Some(content)).ok()?;
        let absent = !matches!(library.presence(model), Presence::Here(_));
        // What Testbed makes by itself is nothing that a person has to care for.
        if !absent || matches!(model.source, Source::Made { .. }) {
            return None;
        }
        let error = absent_error(library, model, &plan.stacks, &plan.lanes);
        Some(format!("{error}: `{}`", model.way_here()))
    };
    plan.models.iter().filter_map(remark).collect()
}

fn of_root(settings: &Settings) -> Places {
    Places { root: settings.root.to_string_lossy().into_owned(), models: BTreeMap::new() }
}

/// The model of a name, which has to be what the plan says.
fn known<'l>(
    library: &'l Library,
    name: &str,
    wanted: Option<&ModelContent>,
) -> Result<&'l Model, EquipError> {
    let model = library.models().find(name);
    let here = model.map(|model| model.content().unwrap_or_else(ModelContent::unknown));
    match model {
        Some(model) if wanted.is_none() || here.as_ref() == wanted => Ok(model),
        _ => {
            let wanted = wanted.cloned().unwrap_or_else(ModelContent::unknown);
            Err(EquipError::Other { model: name.to_owned(), wanted, here })
        }
    }
}

/// The folder of a model that can be used.
async fn here(library: &Library, model: &Model, stacks: &[Stack], lanes: &[Lane]) -> Result<String, Failure> {
    let cancel = CancellationToken::new();
    if let Presence::Here(folder) = library.presence(model) {
        check_readable(model, folder)?;
    }
    let folder = match (library.presence(model), &model.source) {
        // Read whole at each use: a checkout is where people work, and tiny models are tiny.
        (Presence::Here(_), Source::Folder(_) | Source::Made { .. }) => library.verify(model, &cancel)?,
        // Verified when it came, and nobody writes there since; reading gigabytes at each run would tell nothing new.
        (Presence::Here(folder), Source::HuggingFace { .. }) => folder,
        (Presence::Missing, Source::Made { .. }) => {
            let (events, _nobody) = Events::channel(Clock::start());
            library.make(model, &Having { events: &events, cancel: &cancel }).await?
        }
        (Presence::Missing | Presence::Unpinned, _) => {
            return Err(absent_error(library, model, stacks, lanes).into());
        }
    };
    Ok(folder.to_string_lossy().into_owned())
}

/// Every container's user has to be able to read it; one that cannot would tell much later, and in other words.
fn check_readable(model: &Model, folder: PathBuf) -> Result<(), EquipError> {
    match obstacle(&folder, AGENT_USER) {
        Some(Obstacle::Unreadable(path)) => {
            let mode = path.metadata().map_or(0, |meta| meta.mode() & 0o7777);
            Err(EquipError::Unreadable { model: model.name.clone(), path, mode, folder })
        }
        Some(Obstacle::Missing) | None => Ok(()),
    }
}

fn absent_error(library: &Library, model: &Model, stacks: &[Stack], lanes: &[Lane]) -> EquipError {
    let (name, mends) = (model.name.clone(), model.way_here());
    let wanted_by = wanted_by(&model.name, stacks, lanes);
    match library.presence(model) {
        Presence::Unpinned => EquipError::NotPinned { model: name, wanted_by, mends },
        Presence::Here(_) | Presence::Missing => EquipError::NotHere { model: name, wanted_by, mends },
    }
}

/// Who needs a model: the first profile whose stack mounts it, or else the first lane whose cases name it.
fn wanted_by(model: &str, stacks: &[Stack], lanes: &[Lane]) -> String {
    let has = |mounts: &[Mount]| mounts.iter().any(|mount| mount.model() == Some(model));
    let stack = stacks.iter().find(|stack| stack.services.values().any(|service| has(&service.mounts)));
    if let Some(stack) = stack {
        return format!("the profile `{}`", stack.profile);
    }
    match lanes.iter().find(|lane| has(&lane.mounts)) {
        Some(lane) => format!("a case of the lane `{}`", lane.id),
        None => "the plan".to_owned(),
    }
}
