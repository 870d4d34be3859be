//! `testbed bundle`: a record, and on request its images, in one file for another machine.

use std::path::{Path, PathBuf};

use testbed_engine::bundle::{Member, pack};
use testbed_engine::host::files;
use testbed_engine::store;
use testbed_model::exit_code::ExitCode;
use testbed_model::record::Record;
use testbed_report::quantity::{bytes, count};

use crate::args::BundleArgs;
use crate::bundling::IMAGES;
use crate::command::images::export_quietly;
use crate::failure::{Failure, OutputError};
use crate::preparation::Preparation;
use crate::settings::Settings;

/// Packs a run.
pub async fn bundle(settings: &Settings, args: &BundleArgs) -> Result<ExitCode, Failure> {
    let folder = store::find(&settings.state, &args.run)?;
    let record = store::open(&folder)?;
    let into =
        args.output.clone().unwrap_or_else(|| PathBuf::from(format!("{}.tar.zst", record.manifest.run)));
    let place = files::temporary("testbed-images-").map_err(OutputError)?;
    let further = if args.images { images(settings, &record, place.path()).await? } else { Vec::new() };
    let run = record.manifest.run.as_str();
    let index = pack(run, &folder, &further, &into)?;
    let size = into.metadata().map_or(0, |meta| meta.len());
    let unpacked: u64 = index.files.values().map(|content| content.bytes).sum();
    super::print(&format!(
        "{}: {} of run {run}, {} ({} unpacked)\nreproduce it by `testbed repro {}`\n",
        into.display(),
        count(index.files.len(), "file"),
        bytes(size),
        bytes(unpacked),
        into.display(),
    ))?;
    if let Some(plan) = record.plan.as_ref().filter(|plan| !plan.models.is_empty()) {
        let named = plan.models.iter().map(|(name, content)| format!("`{name}` ({content})"));
        super::print(&format!(
            "models are not packed, only named: {}; `testbed models list` says there how to have them\n",
            named.collect::<Vec<_>>().join(", ")
        ))?;
    }
    Ok(ExitCode::Passed)
}

/// The images of the run, as one archive.
async fn images(settings: &Settings, record: &Record, place: &Path) -> Result<Vec<Member>, Failure> {
    let preparation = Preparation::read(settings, &[]).await?;
    let names: Vec<String> = record.manifest.images.keys().cloned().collect();
    let path = place.join("images.tar");
    export_quietly(settings, &preparation.images, &names, &path).await?;
    Ok(vec![Member { name: IMAGES.to_owned(), path }])
}
