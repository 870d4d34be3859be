//! `testbed images`: list, build, verify, export, import.

use std::fmt::Write as _;
use std::path::Path;

use testbed_engine::configuration;
use testbed_engine::docker::Daemon;
use testbed_engine::events::Events;
use testbed_engine::host::clock::Clock;
use testbed_engine::image::{Freshness, Images, MissingTools, Provided, Providing, Update};
use testbed_model::exit_code::ExitCode;
use testbed_model::project;
use tokio_util::sync::CancellationToken;

use crate::args::{ImagesArgs, ImagesVerb};
use crate::failure::{Bug, Failure};
use crate::preparation::{PROJECT_FILE, images_of};
use crate::run_session::{RunSession, missing_tools};
use crate::settings::Settings;
use crate::telling::{Show, Telling};

/// Does what the verb asks for.
pub async fn images(settings: &Settings, args: &ImagesArgs) -> Result<ExitCode, Failure> {
    let project = configuration::optional(&settings.project, PROJECT_FILE)?;
    let project = project.map(|text| project::parse(PROJECT_FILE, &text)).transpose()?;
    let images = images_of(settings, project.as_ref())?;
    match &args.verb {
        ImagesVerb::List { json } => list(&images, *json).await,
        ImagesVerb::Verify { names, json } => verify(&images, names, *json).await,
        ImagesVerb::Build { names, fresh, record, yes } => {
            let freshness = if *fresh { Freshness::Anew } else { Freshness::Reuse };
            let provided = build(settings, &images, names, freshness, missing_tools(*yes)).await?;
            if *record {
                images.record_packages(&provided)?;
            }
            Ok(ExitCode::Passed)
        }
        ImagesVerb::Update { names, check, json } => update(&images, names, *check, *json).await,
        ImagesVerb::Export { file, names } => export(settings, &images, names, file).await,
        ImagesVerb::Import { file } => import(settings, &images, file).await,
    }
}

async fn list(images: &Images, json: bool) -> Result<ExitCode, Failure> {
    let daemon = Daemon::connect().await?;
    let listed = images.list(&daemon).await?;
    if json {
        super::print_json(&listed)?;
        return Ok(ExitCode::Passed);
    }
    let mut out = String::new();
    for image in &listed {
        let way = image.way.to_string();
        let here = match (&image.id, image.size) {
            (Some(_), Some(size)) => format!("here, {} MB", size / 1_000_000),
            (Some(_), None) => "here".to_owned(),
            (None, _) => "not here".to_owned(),
        };
        let _ = writeln!(out, "{:<22} {way:<6} {here:<14} {}", image.name, image.reference);
    }
    super::print(&out)?;
    Ok(ExitCode::Passed)
}

async fn update(images: &Images, names: &[String], check: bool, json: bool) -> Result<ExitCode, Failure> {
    let daemon = Daemon::connect().await?;
    let way = if check { Update::Look } else { Update::Write };
    let changes = images.update(&daemon, names, way, &CancellationToken::new()).await?;
    if json {
        super::print_json(&changes)?;
    } else {
        let mut out = String::new();
        for change in &changes {
            let _ = writeln!(out, "{}: {}", change.file, change.what);
            let lines = [("-", &change.old), ("+", &change.new)];
            for (sign, pin) in lines.into_iter().filter_map(|(sign, pin)| Some((sign, pin.as_ref()?))) {
                let _ = writeln!(out, "  {sign} {pin}");
            }
        }
        if changes.is_empty() {
            out.push_str("every pin is the newest\n");
        }
        super::print(&out)?;
    }
    Ok(if check && !changes.is_empty() { ExitCode::TestFailed } else { ExitCode::Passed })
}

async fn verify(images: &Images, names: &[String], json: bool) -> Result<ExitCode, Failure> {
    let daemon = Daemon::connect().await?;
    let verified = images.verify(&daemon, names).await?;
    let usable = verified.iter().all(|image| image.verdict.is_usable());
    if json {
        super::print_json(&verified)?;
    } else {
        let mut out = String::new();
        for image in &verified {
            let verdict = &image.verdict;
            let _ = writeln!(out, "{:<22} {verdict}", image.name);
        }
        if verified.is_empty() {
            out.push_str("no image of the lock is here\n");
        }
        super::print(&out)?;
    }
    Ok(if usable { ExitCode::Passed } else { ExitCode::Environment })
}

/// Executes one step that provides images, with progress and signals as in a run, and says what there is.
async fn with_progress<F>(
    settings: &Settings,
    step: F,
    missing: MissingTools,
    freshness: Freshness,
) -> Result<Vec<Provided>, Failure>
where
    F: AsyncFnOnce(&Daemon, &Providing) -> Result<Vec<Provided>, Failure>,
{
    let daemon = Daemon::connect().await?;
    let (events, receiver) = Events::channel(Clock::start());
    let session = RunSession::begin(daemon, events)?;
    let telling = Telling::begin(receiver, Show::Progress, settings.screen, None, session.cancel.clone());
    let how =
        Providing { events: session.events.clone(), cancel: session.cancel.clone(), missing, freshness };
    let provided = step(&session.daemon, &how).await;
    drop(how);
    session.end();
    telling.end().await.map_err(|error| Bug(error.to_string()))?;
    provided
}

async fn build(
    settings: &Settings,
    images: &Images,
    names: &[String],
    freshness: Freshness,
    missing: MissingTools,
) -> Result<Vec<Provided>, Failure> {
    let names: Vec<String> =
        if names.is_empty() { images.with_recipe().map(str::to_owned).collect() } else { names.to_vec() };
    let step = async |daemon: &Daemon, how: &Providing| Ok(images.provide(daemon, &names, how).await?);
    let provided = with_progress(settings, step, missing, freshness).await?;
    super::print(&lines(&provided))?;
    Ok(provided)
}

async fn export(
    settings: &Settings,
    images: &Images,
    names: &[String],
    file: &Path,
) -> Result<ExitCode, Failure> {
    let names: Vec<String> =
        if names.is_empty() { images.with_recipe().map(str::to_owned).collect() } else { names.to_vec() };
    export_quietly(settings, images, &names, file).await?;
    super::print(&format!("{} images in {}\n", names.len(), file.display()))?;
    Ok(ExitCode::Passed)
}

/// Writes images to a file for a caller that tells of it itself.
pub(super) async fn export_quietly(
    settings: &Settings,
    images: &Images,
    names: &[String],
    file: &Path,
) -> Result<(), Failure> {
    let step = async |daemon: &Daemon, how: &Providing| {
        images.export(daemon, names, file, how).await?;
        Ok(Vec::new())
    };
    with_progress(settings, step, MissingTools::Name, Freshness::Reuse).await?;
    Ok(())
}

/// Loads images from a file for a caller that tells of it itself.
pub(super) async fn import_quietly(settings: &Settings, images: &Images, file: &Path) -> Result<(), Failure> {
    let step = async |daemon: &Daemon, how: &Providing| Ok(images.import(daemon, file, how).await?);
    with_progress(settings, step, MissingTools::Name, Freshness::Reuse).await?;
    Ok(())
}

async fn import(settings: &Settings, images: &Images, file: &Path) -> Result<ExitCode, Failure> {
    let step = async |daemon: &Daemon, how: &Providing| Ok(images.import(daemon, file, how).await?);
    let provided = with_progress(settings, step, MissingTools::Name, Freshness::Reuse).await?;
    super::print(&lines(&provided))?;
    Ok(ExitCode::Passed)
}

/// A line per image: name, id, reference.
fn lines(provided: &[Provided]) -> String {
    provided.iter().map(|image| format!("{:<22} {} {}\n", image.name, image.id, image.reference)).collect()
}
