//! Newer pins for the lock: what tags stand for now, as registries tell the container engine, and wheels, as the script beside the
//! requirement files resolves them. Only files change, so that the difference can be read before anything is built of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Serialize;
use testbed_model::image::{Digest, ImageLock, ImageName, Layer};
use tokio_util::sync::CancellationToken;

use super::Images;
use super::error::ImageError;
use super::inputs::{self, Wanted};
use crate::docker::Daemon;
use crate::host::files::rewrite_atomically;
use crate::host::process::Program;

/// The script that writes requirement files, beside them.
const RELOCK: &str = "relock.py";

/// The flake's own hashes of wheels are written by this one, beside the folder of images.
const FLAKE_WHEELS: &str = "../nix/wheels.py";

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// Say what would change of tags' digests, and change nothing. Wheels are not asked about.
    Look,
    /// Change the files.
    Write,
}

/// A line of a file that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The file, from the folder of images.
    pub file: String,
    /// What it is about: an image and its tag, or a package.
    pub what: String,
    /// The old pin; none where there was none.
    pub old: Option<String>,
    /// The new one; none where nothing is pinned any more.
    pub new: Option<String>,
}

impl Images {
    /// Looks for newer pins of these images, or of all of them.
    pub async fn update(
        &self,
        daemon: &Daemon,
        names: &[String],
        update: Update,
        cancel: &CancellationToken,
    ) -> Result<Vec<Change>, ImageError> {
        let wanted: BTreeMap<&ImageName, &Wanted> = match names {
            [] => self.wanted.iter().collect(),
            names => self.select(names)?,
        };
        let mut changes = self.update_digests(daemon, &wanted, update).await?;
        if update == Update::Write {
            for file in requirement_files(&wanted) {
                changes.extend(self.relock(&file, cancel).await?);
            }
        }
        Ok(changes)
    }

    async fn update_digests(
        &self,
        daemon: &Daemon,
        wanted: &BTreeMap<&ImageName, &Wanted>,
        update: Update,
    ) -> Result<Vec<Change>, ImageError> {
        let path = self.folder.join(inputs::LOCK);
        let mut text = read(&path)?;
        let mut changes = Vec::new();
        for (name, wanted) in wanted {
            let Wanted::Pulled(pulled) = wanted else { continue };
            let refused = |source| ImageError::Pull { image: (*name).clone(), source };
            let told = daemon.registry_digest(&pulled.repository, &pulled.tag).await.map_err(refused)?;
            let now: Digest = told.parse().map_err(|error| ImageError::Content {
                image: (*name).clone(),
                what: format!("the registry's answer is none: {error}"),
            })?;
            if now == pulled.digest {
                continue;
            }
            text = ImageLock::with_digest(&text, name, &pulled.digest, &now);
            changes.push(Change {
                file: inputs::LOCK.to_owned(),
                what: format!("{name} {}", pulled.tag),
                old: Some(pulled.digest.to_string()),
                new: Some(now.to_string()),
            });
        }
        if update == Update::Write && !changes.is_empty() {
            rewrite_atomically(&path, text.as_bytes()).map_err(ImageError::file("write", &path))?;
        }
        Ok(changes)
    }

    /// Has a requirement file written anew, and says which pins changed.
    async fn relock(&self, file: &str, cancel: &CancellationToken) -> Result<Vec<Change>, ImageError> {
        let path = self.folder.join(file);
        let (Some(folder), Some(stem)) = (path.parent(), path.file_stem()) else { return Ok(Vec::new()) };
        let stem = stem.to_string_lossy().into_owned();
        let before = pins(&read(&path)?);
        python(&folder.join(RELOCK), &stem, cancel).await?;
        let flake = self.folder.join(FLAKE_WHEELS);
        if flake.is_file() {
            python(&flake, &stem, cancel).await?;
        }
        let after = pins(&read(&path)?);
        let all: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        let changed = all.into_iter().filter(|package| before.get(*package) != after.get(*package));
        Ok(changed
            .map(|package| Change {
                file: file.to_owned(),
                what: package.clone(),
                old: before.get(package).cloned(),
                new: after.get(package).cloned(),
            })
            .collect())
    }
}

fn read(path: &Path) -> Result<String, ImageError> {
    std::fs::read_to_string(path).map_err(ImageError::file("read", path))
}

/// The requirement files of recipes, each once, that have a script beside them.
fn requirement_files(wanted: &BTreeMap<&ImageName, &Wanted>) -> BTreeSet<String> {
    let of = |wanted: &&Wanted| match wanted {
        Wanted::Built(blueprint) if blueprint.extension.is_none() => {
            let files = blueprint.recipe.layers.iter().filter_map(|layer| match layer {
                Layer::Wheels(layer) => Some(layer.requirements.clone()),
                _ => None,
            });
            files.collect::<Vec<String>>()
        }
        _ => Vec::new(),
    };
    wanted.values().flat_map(of).collect()
}

/// The pins of a requirement file: package to version.
fn pins(text: &str) -> BTreeMap<String, String> {
    let pin = |line: &str| {
        let (package, version) = line.split_once("==")?;
        let version = version.split([' ', ';', '\\']).next()?;
        Some((package.trim().to_owned(), version.to_owned()))
    };
    text.lines().filter(|line| !line.starts_with([' ', '#'])).filter_map(pin).collect()
}

async fn python(script: &Path, name: &str, cancel: &CancellationToken) -> Result<(), ImageError> {
    let script: PathBuf = script.to_owned();
    let shown = script.to_string_lossy().into_owned();
    let said = Program::new("python3").args([shown.clone(), name.to_owned()]).capture(cancel).await?;
    if said.ended.is_success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&said.stderr).into_owned();
    let last = words.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing").trim();
    Err(ImageError::Input {
        path: script,
        wanted_by: format!("`images update {name}`"),
        problem: format!("ended with {}: {last}", said.ended),
    })
}

#[cfg(test)]
mod tests {
    use super::pins;

    #[test]
    fn pins_are_read_with_or_without_hashes_and_markers() {
        let text = "# made\na==1.0 \\\n    --hash=sha256:00\nb==2 ; python_version < \"3.12\"\nc==3\n";
        let pins = pins(text);
        let told: Vec<String> =
            pins.iter().map(|(package, version)| format!("{package} {version}")).collect();
        assert_eq!(told, ["a 1.0", "b 2", "c 3"]);
    }
}
