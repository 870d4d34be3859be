//! `testbed models`: list, fetch, verify, import, prune, make-tiny.

mod prune;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use testbed_engine::events::Events;
use testbed_engine::host::clock::Clock;
use testbed_engine::models::error::ModelError;
use testbed_engine::models::hub::Hub;
use testbed_engine::models::patience::Patience;
use testbed_engine::models::token::Token;
use testbed_engine::models::{Having, Library, Origin, Presence};
use testbed_model::doctor::Origin as RootOrigin;
use testbed_model::exit_code::ExitCode;
use testbed_model::hint::Hint;
use testbed_model::models::{Model, ModelContent, Source};
use testbed_report::quantity::bytes;
use tokio_util::sync::CancellationToken;

use crate::args::{FetchArgs, ModelsArgs, ModelsVerb};
use crate::failure::{Bug, Failure};
use crate::run_session::Interrupts;
use crate::settings::Settings;
use crate::telling::{Show, Telling};

/// The hashes of what is fetched cannot be written down.
#[derive(Debug, thiserror::Error)]
#[error(
    "`--pin` writes into models/models.toml of a checkout, and the runner's own configuration is in force"
)]
struct PinError;

impl Hint for PinError {
    fn hint(&self) -> Option<String> {
        Some("name the folder that holds `envs/` and `models/` by `--root PATH`".to_owned())
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }
}

/// Does what the verb asks for.
pub async fn models(settings: &Settings, args: &ModelsArgs) -> Result<ExitCode, Failure> {
    let library = Library::open(&settings.root, &settings.state.join("cache"))?;
    match &args.verb {
        ModelsVerb::List { json } => list(settings, &library, *json),
        ModelsVerb::Fetch(args) => fetch(settings, &library, args).await,
        ModelsVerb::Verify { names, json } => verify(&library, names, *json),
        ModelsVerb::Import { name, folder } => import(settings, &library, name, folder).await,
        ModelsVerb::Prune { dry_run, json } => prune::prune(&library, *dry_run, *json).await,
        ModelsVerb::MakeTiny { names } => make_tiny(settings, &library, names).await,
    }
}

/// One model, as `list --json` tells it.
#[derive(Debug, Serialize)]
struct Listed<'m> {
    name: &'m str,
    source: String,
    licence: &'m str,
    size: u64,
    content: Option<ModelContent>,
    state: &'static str,
    folder: Option<PathBuf>,
    /// The command that has it here; none where it is.
    command: Option<String>,
}

impl<'m> Listed<'m> {
    fn of(library: &Library, model: &'m Model) -> Self {
        let (state, folder) = match library.presence(model) {
            Presence::Here(folder) => ("here", Some(folder)),
            Presence::Missing => ("not here", None),
            Presence::Unpinned => ("not pinned", None),
        };
        Self {
            name: &model.name,
            source: model.source.to_string(),
            licence: &model.licence,
            size: model.size,
            content: model.content(),
            state,
            command: folder.is_none().then(|| model.way_here()),
            folder,
        }
    }
}

fn list(settings: &Settings, library: &Library, json: bool) -> Result<ExitCode, Failure> {
    let listed: Vec<Listed<'_>> =
        library.models().models.values().map(|model| Listed::of(library, model)).collect();
    if json {
        super::print_json(&listed)?;
        return Ok(ExitCode::Passed);
    }
    let mut out = String::new();
    let widest = listed.iter().map(|model| model.name.len()).max().unwrap_or_default();
    for model in &listed {
        let (size, name) = (bytes(model.size), model.name);
        let _ = writeln!(
            out,
            "{name:<widest$}  {size:>9}  {:<10}  {:<12}  {}",
            model.state, model.licence, model.source
        );
    }
    if listed.is_empty() {
        out.push_str("there is no models/models.toml, or it names no model\n");
    }
    super::print(&out)?;
    super::remark(settings, &Vec::from_iter(prune::remark(library)));
    Ok(ExitCode::Passed)
}

/// How one model was found, as `verify --json` tells it.
#[derive(Debug, Serialize)]
struct Verified<'m> {
    name: &'m str,
    good: bool,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

fn verify(library: &Library, names: &[String], json: bool) -> Result<ExitCode, Failure> {
    let is_here = |model: &&Model| matches!(library.presence(model), Presence::Here(_));
    let chosen = chosen(library, names, is_here)?;
    let cancel = CancellationToken::new();
    let mut found = Vec::new();
    for model in chosen {
        let error = library.verify(model, &cancel).err();
        found.push(Verified {
            name: &model.name,
            good: error.is_none(),
            problem: error.as_ref().map(ToString::to_string),
            hint: error.as_ref().and_then(ModelError::hint),
        });
    }
    if json {
        super::print_json(&found)?;
    } else {
        let mut out = String::new();
        for model in &found {
            let _ = match (&model.problem, &model.hint) {
                (None, _) => writeln!(out, "{}: every file is the one that it must be", model.name),
                (Some(problem), None) => writeln!(out, "{}: {problem}", model.name),
                (Some(problem), Some(hint)) => writeln!(out, "{}: {problem}\n  hint: {hint}", model.name),
            };
        }
        if found.is_empty() {
            out.push_str("no model is here\n");
        }
        super::print(&out)?;
    }
    Ok(if found.iter().all(|model| model.good) { ExitCode::Passed } else { ExitCode::Environment })
}

async fn fetch(settings: &Settings, library: &Library, args: &FetchArgs) -> Result<ExitCode, Failure> {
    if args.pin && settings.origin == RootOrigin::Embedded {
        return Err(PinError.into());
    }
    let is_pinned = |model: &&Model| matches!(model.source, Source::HuggingFace { .. }) && model.is_pinned();
    let chosen = chosen(library, &args.names, is_pinned)?;
    let patience = Patience::default();
    let token = Token::find(args.token_file.as_deref())?;
    let hub = Hub::new(args.endpoint.as_deref(), token, &patience)?;
    let origin = Origin { hub, patience, pin: args.pin };
    let show = if args.json { Show::Json } else { Show::Progress };
    each(settings, show, &chosen, async |model, having| library.fetch(model, &origin, having).await).await
}

async fn make_tiny(settings: &Settings, library: &Library, names: &[String]) -> Result<ExitCode, Failure> {
    let chosen = chosen(library, names, |model| matches!(model.source, Source::Made { .. }))?;
    each(settings, Show::Progress, &chosen, async |model, having| library.make(model, having).await).await
}

async fn import(
    settings: &Settings,
    library: &Library,
    name: &str,
    folder: &Path,
) -> Result<ExitCode, Failure> {
    let chosen = [library.model(name)?];
    each(settings, Show::Progress, &chosen, async |model, having| library.import(model, folder, having).await)
        .await
}

/// The models that are named, or else all that `usual` picks.
fn chosen<'l>(
    library: &'l Library,
    names: &[String],
    usual: impl Fn(&&'l Model) -> bool,
) -> Result<Vec<&'l Model>, ModelError> {
    if names.is_empty() {
        return Ok(library.models().models.values().filter(usual).collect());
    }
    names.iter().map(|name| library.model(name)).collect()
}

/// Has one model after the other here, with progress and signals as in a run, and says where each is.
async fn each<F>(settings: &Settings, show: Show, models: &[&Model], have: F) -> Result<ExitCode, Failure>
where
    F: AsyncFn(&Model, &Having<'_>) -> Result<PathBuf, ModelError>,
{
    let (events, receiver) = Events::channel(Clock::start());
    let interrupts = Interrupts::heed(&events)?;
    let telling = Telling::begin(receiver, show, settings.screen, None, interrupts.cancel.clone());
    let mut lines = String::new();
    let mut result = Ok(ExitCode::Passed);
    for model in models {
        let having = Having { events: &events, cancel: &interrupts.cancel };
        match have(model, &having).await {
            Ok(folder) => {
                let _ = writeln!(lines, "{} {}", model.name, folder.display());
            }
            Err(ModelError::Cancelled) => {
                result = Ok(ExitCode::Interrupted);
                break;
            }
            Err(error) => {
                result = Err(error.into());
                break;
            }
        }
    }
    interrupts.end();
    drop(events);
    telling.end().await.map_err(|error| Bug(error.to_string()))?;
    if show != Show::Json {
        super::print(&lines)?;
    }
    result
}
