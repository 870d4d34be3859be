//! Models: which of them are here, and how the others come here. Nothing is used whose bytes have not been verified.

pub mod error;
mod fetch;
pub mod hub;
mod leftover;
pub mod patience;
pub mod safetensors;
mod store;
pub mod tiny;
pub mod token;
mod told;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use testbed_model::event::ModelOrigin;
use testbed_model::models::{FILE, FOLDER, Model, Models, Pin, Source, with_pins};
use testbed_model::nearest::did_you_mean;
use tokio_util::sync::CancellationToken;

use self::error::ModelError;
use self::fetch::{Fetching, blocking};
use self::hub::Hub;
pub use self::leftover::{Fate, Leftover, Use};
use self::patience::Patience;
use self::store::{Store, copy, pin_of};
use self::told::Told;
use crate::configuration;
use crate::events::Events;
use crate::host::files::rewrite_atomically;
use crate::host::room;

/// The models of a configuration, and where this machine keeps them.
#[derive(Clone, Debug)]
pub struct Library {
    root: PathBuf,
    store: Store,
    models: Models,
}

/// Whether a model can be used here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Its files are in this folder.
    Here(PathBuf),
    /// It is not here.
    Missing,
    /// Nobody has pinned it.
    Unpinned,
}

/// What a model's way here needs besides the model.
#[derive(Clone, Debug)]
pub struct Having<'h> {
    /// Where progress goes.
    pub events: &'h Events,
    /// Ends it.
    pub cancel: &'h CancellationToken,
}

/// Where a model can be fetched from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The server.
    pub hub: Hub,
    /// How long it is waited for.
    pub patience: Patience,
    /// Whether what nobody has pinned is fetched, and pinned by what comes.
    pub pin: bool,
}

impl Library {
    /// Reads `models.toml` of a configuration; without it there are no models. `cache` is where those are kept that are not in
    /// the checkout.
    pub fn open(root: &Path, cache: &Path) -> Result<Self, ModelError> {
        let models = match configuration::optional(root, FILE)? {
            Some(text) => Models::parse(FILE, &text)?,
            None => Models::default(),
        };
        Ok(Self { root: root.to_owned(), store: Store::new(cache), models })
    }

    /// Every model that there is.
    pub const fn models(&self) -> &Models {
        &self.models
    }

    /// A model by its name or repository.
    pub fn model(&self, name: &str) -> Result<&Model, ModelError> {
        self.models.find(name).ok_or_else(|| {
            let suggestion = did_you_mean(name, self.models.names());
            ModelError::Unknown { name: name.to_owned(), suggestion }
        })
    }

    /// Whether a model is here. Its files are looked at, and not read.
    pub fn presence(&self, model: &Model) -> Presence {
        let Some(folder) = self.place(model) else { return Presence::Unpinned };
        let is_whole = |folder: &Path| {
            model.files.iter().all(|file| {
                let size = fs::metadata(folder.join(&file.path))
                    .ok()
                    .filter(fs::Metadata::is_file)
                    .map(|meta| meta.len());
                size.is_some() && size == file.pin.as_ref().map(|pin| pin.size)
            })
        };
        // What is in the checkout is here even with other bytes: to be told so by name.
        let is_here =
            if matches!(model.source, Source::Folder(_)) { folder.is_dir() } else { is_whole(&folder) };
        if is_here { Presence::Here(folder) } else { Presence::Missing }
    }

    /// The folders of all models that are here, by their names.
    pub fn folders(&self) -> BTreeMap<String, String> {
        let folder = |model: &Model| match self.presence(model) {
            Presence::Here(folder) => Some((model.name.clone(), folder.to_string_lossy().into_owned())),
            Presence::Missing | Presence::Unpinned => None,
        };
        self.models.models.values().filter_map(folder).collect()
    }

    fn place(&self, model: &Model) -> Option<PathBuf> {
        match &model.source {
            Source::Folder(folder) => Some(self.root.join(FOLDER).join(folder)),
            Source::Made { .. } | Source::HuggingFace { .. } => self.store.place(model),
        }
    }

    /// Reads every file of a model that is here, and gives the folder if each is the one that it must be and there is no other.
    pub fn verify(&self, model: &Model, cancel: &CancellationToken) -> Result<PathBuf, ModelError> {
        let Some(folder) = self.place(model) else { return Err(unpinned(model)) };
        for file in &model.files {
            let path = folder.join(&file.path);
            if !path.is_file() {
                let (model, way_out) = (model.name.clone(), restoring(model, &folder));
                return Err(ModelError::NoFile { model, path: file.path.clone(), folder, way_out });
            }
            let pin = pin_of(&path, cancel)?;
            check(model, &file.path, file.pin.as_ref(), &pin, || restoring(model, &folder))?;
        }
        match unlisted(model, &folder)? {
            Some(path) => Err(ModelError::Unlisted { model: model.name.clone(), path, folder }),
            None => Ok(folder),
        }
    }

    /// Makes a tiny model where it is not here.
    pub async fn make(&self, model: &Model, having: &Having<'_>) -> Result<PathBuf, ModelError> {
        let Source::Made { architecture, tokenizer } = &model.source else {
            return self.verify(model, having.cancel);
        };
        let (Some(place), Some(content)) = (self.store.place(model), model.content()) else {
            return Err(unpinned(model));
        };
        let (mut told, _held) = self.begin(model, having).await?;
        if let Presence::Here(place) = self.presence(model) {
            told.ready(content, ModelOrigin::Present);
            return Ok(place);
        }
        told.step(format!("making {}", architecture.name()));
        let other = self.model(tokenizer)?;
        let own = self.verify(other, having.cancel)?;
        let read = |name: &str| {
            let path = own.join(name);
            fs::read(&path).map_err(ModelError::file("read", &path))
        };
        let unusable = |source| {
            let (model, tokenizer) = (model.name.clone(), tokenizer.clone());
            ModelError::Tokenizer { model, tokenizer, source }
        };
        let made = tiny::files(*architecture, &read("tokenizer.json")?).map_err(unusable)?;
        let making = Unfinished(self.store.making(model, &content.0)?);
        for file in &model.files {
            let bytes = match made.get(file.path.as_str()) {
                Some(bytes) => bytes.clone(),
                None => read(&file.path)?,
            };
            let path = making.0.join(&file.path);
            store::write(&path, &bytes)?;
            check(model, &file.path, file.pin.as_ref(), &pin_of(&path, having.cancel)?, || {
                format!(
                    "this version of Testbed makes other bytes than {FILE} names; correct the file after a change of the recipe"
                )
            })?;
        }
        Self::settle(model, &making.0, &place)?;
        told.ready(content, ModelOrigin::Made);
        Ok(place)
    }

    /// Copies a model from a folder of this machine, such as one of another machine's caches.
    pub async fn import(
        &self,
        model: &Model,
        from: &Path,
        having: &Having<'_>,
    ) -> Result<PathBuf, ModelError> {
        let (Some(place), Some(content)) = (self.place(model), model.content()) else {
            return Err(unpinned(model));
        };
        if matches!(model.source, Source::Folder(_)) {
            return self.verify(model, having.cancel);
        }
        let (mut told, _held) = self.begin(model, having).await?;
        if let Presence::Here(place) = self.presence(model) {
            told.ready(content, ModelOrigin::Present);
            return Ok(place);
        }
        let making = Unfinished(self.store.making(model, &content.0)?);
        for file in &model.files {
            let (source, target) = (from.join(&file.path), making.0.join(&file.path));
            let way_out = || format!("name a folder with the files of {}", model.source);
            if !source.is_file() {
                let (model, folder) = (model.name.clone(), from.to_owned());
                return Err(ModelError::NoFile {
                    model,
                    path: file.path.clone(),
                    folder,
                    way_out: way_out(),
                });
            }
            told.file(&file.path);
            let cancel = having.cancel.clone();
            let pin = blocking(move || copy(&source, &target, &cancel)).await?;
            check(model, &file.path, file.pin.as_ref(), &pin, way_out)?;
            told.add(pin.size);
        }
        Self::settle(model, &making.0, &place)?;
        told.ready(content, ModelOrigin::Imported);
        Ok(place)
    }

    /// Fetches a model where it is not here. What is pinned on the way stands in `models.toml` afterwards.
    pub async fn fetch(
        &self,
        model: &Model,
        origin: &Origin,
        having: &Having<'_>,
    ) -> Result<PathBuf, ModelError> {
        let Source::HuggingFace { repository, revision } = &model.source else {
            return self.make(model, having).await;
        };
        if !origin.pin && !model.is_pinned() {
            return Err(unpinned(model));
        }
        let (mut told, _held) = self.begin(model, having).await?;
        if let (Presence::Here(place), Some(content)) = (self.presence(model), model.content()) {
            told.ready(content, ModelOrigin::Present);
            return Ok(place);
        }
        let id = model.content().map_or_else(|| revision.clone(), |content| content.0);
        let making = self.store.making(model, &id)?;
        check_room(model, &making)?;
        let fetching = Fetching { hub: &origin.hub, patience: origin.patience, cancel: having.cancel };
        let pins = fetching.files(model, (repository, revision), &making, &mut told).await?;
        let pinned = pinned(model, &pins);
        let (Some(place), Some(content)) = (self.store.place(&pinned), pinned.content()) else {
            return Err(unpinned(model));
        };
        Self::settle(&pinned, &making, &place)?;
        if !model.is_pinned() {
            self.write_pins(model, &pins)?;
        }
        told.ready(content, ModelOrigin::Fetched);
        Ok(place)
    }

    async fn begin<'h>(
        &self,
        model: &Model,
        having: &Having<'h>,
    ) -> Result<(Told<'h>, store::Held), ModelError> {
        let mut told = Told::new(having.events, model);
        let waiting = || told.step("waiting for another process that has it in the making".to_owned());
        let held = self.store.lock(&model.name, having.cancel, waiting).await?;
        Ok((told, held))
    }

    fn settle(model: &Model, making: &Path, place: &Path) -> Result<(), ModelError> {
        // What an older list of files left.
        while let Some(path) = unlisted(model, making)? {
            let path = making.join(path);
            fs::remove_file(&path).map_err(ModelError::file("remove", &path))?;
        }
        Store::settle(making, place)
    }

    fn write_pins(&self, model: &Model, pins: &BTreeMap<String, Pin>) -> Result<(), ModelError> {
        let path = self.root.join(FILE);
        let text = configuration::named(&path)?;
        let Some(text) = with_pins(&text, &model.name, pins) else {
            let changed = std::io::Error::other("it was changed meanwhile");
            return Err(ModelError::file("write", &path)(changed));
        };
        rewrite_atomically(&path, text.as_bytes()).map_err(ModelError::file("write", &path))
    }
}

/// A folder that goes with the value, unless it has come to its place. What is fetched stays; what can be made or copied again does not.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // What cannot be removed now is replaced by the next attempt.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The model with what its files have turned out to be.
fn pinned(model: &Model, pins: &BTreeMap<String, Pin>) -> Model {
    let mut model = model.clone();
    for file in &mut model.files {
        file.pin = pins.get(&file.path).cloned();
    }
    model
}

fn unpinned(model: &Model) -> ModelError {
    let path = model.files.iter().find(|file| file.pin.is_none()).map(|file| file.path.clone());
    ModelError::Unpinned {
        model: model.name.clone(),
        path: path.unwrap_or_default(),
        mends: model.way_here(),
    }
}

/// How to have a model again that is not what it must be.
fn restoring(model: &Model, place: &Path) -> String {
    match &model.source {
        Source::Folder(folder) => format!(
            "`git restore {FOLDER}/{folder}` brings back what was committed; after a change that is meant, write its hash into {FILE}"
        ),
        Source::Made { .. } | Source::HuggingFace { .. } => {
            format!("remove it: `rm -r '{}'`, then `{}`", place.display(), model.way_here())
        }
    }
}

fn check(
    model: &Model,
    path: &str,
    wanted: Option<&Pin>,
    got: &Pin,
    way_out: impl FnOnce() -> String,
) -> Result<(), ModelError> {
    let Some(wanted) = wanted.filter(|wanted| *wanted != got) else { return Ok(()) };
    let (model, path) = (model.name.clone(), path.to_owned());
    Err(if wanted.size == got.size {
        let (expected, got) = (wanted.sha256.clone(), got.sha256.clone());
        ModelError::WrongHash { model, path, expected, got, way_out: way_out() }
    } else {
        ModelError::WrongSize { model, path, expected: wanted.size, got: got.size, way_out: way_out() }
    })
}

/// The first file of a folder that the model does not have.
fn unlisted(model: &Model, folder: &Path) -> Result<Option<String>, ModelError> {
    let mut open = vec![(folder.to_owned(), String::new())];
    while let Some((path, name)) = open.pop() {
        let entries = fs::read_dir(&path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let mut entries = entries.map_err(ModelError::file("read", &path))?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let own = entry.file_name().to_string_lossy().into_owned();
            let name = if name.is_empty() { own } else { format!("{name}/{own}") };
            if entry.path().is_dir() {
                open.push((entry.path(), name));
            } else if !model.files.iter().any(|file| file.path == name) {
                return Ok(Some(name));
            }
        }
    }
    Ok(None)
}

/// Whether what is still to come has room, as far as the disk can tell now.
fn check_room(model: &Model, making: &Path) -> Result<(), ModelError> {
    let here = |path: PathBuf| fs::metadata(path).map_or(0, |meta| meta.len());
    let of_file = |path: &str| here(making.join(path)) + here(making.join(format!("{path}.part")));
    let done: u64 = model.files.iter().map(|file| of_file(&file.path)).sum();
    let needed = model.size.saturating_sub(done);
    match room::left(making) {
        Ok(has) if has < needed => {
            // Whole mebibytes, and never fewer than it takes.
            let needed = needed.div_ceil(1 << 20) << 20;
            Err(ModelError::NoRoom { path: making.to_owned(), needed, has })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
