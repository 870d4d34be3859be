//! Fetching: the only step of Testbed that asks the network for itself.
//!
//! A file is written as `NAME.part` and gets its name when its hash is right. What is cut off stays, with the tag of what it is a
//! part of, and the next attempt asks for the rest: in this process after a pause, in another one whenever it comes.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Url;
use testbed_model::document::duration_text;
use testbed_model::models::{Model, ModelFile, Pin};
use tokio_util::sync::CancellationToken;

use super::error::ModelError;
use super::hub::{Body, Failure, Hub, Wanted, causes};
use super::patience::Patience;
use super::store::{Hasher, pin_of};
use super::token::shown;
use super::told::Told;
use crate::host::files::{sync, write_atomically};

/// What a fetch needs besides the model.
#[derive(Debug)]
pub struct Fetching<'f> {
    /// The server.
    pub hub: &'f Hub,
    /// How long it waits.
    pub patience: Patience,
    /// Ends it.
    pub cancel: &'f CancellationToken,
}

/// Where a file of a model is, on the server and here.
struct Way<'w> {
    model: &'w Model,
    file: &'w ModelFile,
    url: Url,
    whole: PathBuf,
    part: PathBuf,
    /// Holds the tag of what the part belongs to.
    tag: PathBuf,
}

impl Fetching<'_> {
    /// Fetches what is missing of a model's files into a folder, and says what all of them are.
    pub async fn files(
        &self,
        model: &Model,
        (repository, revision): (&str, &str),
        into: &Path,
        told: &mut Told<'_>,
    ) -> Result<BTreeMap<String, Pin>, ModelError> {
        let mut pins = BTreeMap::new();
        for file in &model.files {
            let whole = into.join(&file.path);
            let way = Way {
                model,
                file,
                url: self.hub.file(repository, revision, &file.path),
                part: beside(&whole, "part"),
                tag: beside(&whole, "tag"),
                whole,
            };
            told.file(&file.path);
            let pin = match way.here(self.cancel).await? {
                Some(pin) => pin,
                None => self.file(&way, told).await?,
            };
            told.add(pin.size);
            pins.insert(file.path.clone(), pin);
        }
        Ok(pins)
    }

    /// One file, from wherever the last attempt ended.
    async fn file(&self, way: &Way<'_>, told: &mut Told<'_>) -> Result<Pin, ModelError> {
        let parent = way.whole.parent().unwrap_or(&way.whole);
        fs::create_dir_all(parent).map_err(ModelError::file("make", parent))?;
        let (mut failures, mut postponements, mut restarted) = (0, 0, false);
        loop {
            let before = way.size_of_part();
            let failure = match self.attempt(way, told).await {
                Ok(Got { pin, hash, resumed }) => match way.check(&pin, hash.as_deref()) {
                    Ok(()) => return way.keep(pin),
                    Err(error) => {
                        way.forget()?;
                        // The first half may have been of something else: once more, from the beginning.
                        if !resumed || restarted {
                            return Err(error);
                        }
                        restarted = true;
                        continue;
                    }
                },
                Err(failure) => failure,
            };
            if way.size_of_part() > before {
                failures = 0;
            }
            let wait = match failure {
                Failure::Final(error) => return Err(error),
                Failure::Restart if restarted => {
                    let what = "with a range that nobody asked for".to_owned();
                    return Err(ModelError::Answer { url: shown(&way.url), what });
                }
                Failure::Restart => {
                    restarted = true;
                    way.forget()?;
                    continue;
                }
                Failure::Later(asked) => {
                    postponements += 1;
                    let asked_too_much = asked.is_some_and(|asked| asked > self.patience.postponement);
                    if asked_too_much || postponements > self.patience.postponements {
                        return Err(ModelError::Busy { url: shown(&way.url), asked });
                    }
                    let wait = asked.unwrap_or_else(|| self.patience.pause_after(postponements));
                    told.step(format!("{}: the server asks to wait {}", way.file.path, text(wait)));
                    wait
                }
                Failure::Passing(what) => {
                    failures += 1;
                    if failures >= self.patience.failures {
                        return Err(ModelError::Network { url: shown(&way.url), what });
                    }
                    let wait = self.patience.pause_after(failures);
                    told.step(format!("{}: {what}; again in {}", way.file.path, text(wait)));
                    wait
                }
            };
            tokio::select! {
                () = self.cancel.cancelled() => return Err(ModelError::Cancelled),
                () = tokio::time::sleep(wait) => told.file(&way.file.path),
            }
        }
    }

    /// Asks once, and writes what comes.
    async fn attempt(&self, way: &Way<'_>, told: &mut Told<'_>) -> Result<Got, Failure> {
        let (mut hasher, tag) = way.begun(self.cancel).await?;
        let wanted = Wanted { from: hasher.size(), tag };
        let resumed = wanted.from > 0;
        let body = tokio::select! {
            () = self.cancel.cancelled() => return Err(ModelError::Cancelled.into()),
            body = self.hub.get(&way.url, &wanted) => body?,
        };
        way.expects(body.size)?;
        let mut part = way.open(&body)?;
        if body.from == 0 {
            hasher = Hasher::default();
        }
        let Body { mut response, size, hash, .. } = body;
        loop {
            told.bytes(hasher.size());
            let chunk = tokio::select! {
                () = self.cancel.cancelled() => return Err(ModelError::Cancelled.into()),
                chunk = response.chunk() => chunk.map_err(|error| Failure::Passing(causes(&error.without_url())))?,
            };
            let Some(bytes) = chunk else { break };
            // One that does not say how long its file is may go on for ever.
            way.has_room_for(hasher.size() + bytes.len() as u64)?;
            part.write_all(&bytes).map_err(ModelError::file("write", &way.part))?;
            hasher.add(&bytes);
        }
        sync(&part).map_err(ModelError::file("write", &way.part))?;
        if size.is_some_and(|size| hasher.size() < size) {
            return Err(Failure::Passing("the connection ended before the file did".to_owned()));
        }
        Ok(Got { pin: hasher.pin(), hash, resumed })
    }
}

/// A file that came to its end.
struct Got {
    pin: Pin,
    /// What the server says that its hash is.
    hash: Option<String>,
    /// Whether its beginning was here before.
    resumed: bool,
}

impl Way<'_> {
    /// What the file is, if an earlier fetch ended with it.
    async fn here(&self, cancel: &CancellationToken) -> Result<Option<Pin>, ModelError> {
        if !self.whole.is_file() {
            return Ok(None);
        }
        let (path, cancel) = (self.whole.clone(), cancel.clone());
        let pin = blocking(move || pin_of(&path, &cancel)).await?;
        let is_it = self.file.pin.as_ref().is_none_or(|wanted| *wanted == pin);
        if !is_it {
            fs::remove_file(&self.whole).map_err(ModelError::file("remove", &self.whole))?;
        }
        Ok(is_it.then_some(pin))
    }

    fn size_of_part(&self) -> u64 {
        fs::metadata(&self.part).map_or(0, |meta| meta.len())
    }

    /// The hash of what is here of the file, and the tag of what it belongs to.
    async fn begun(&self, cancel: &CancellationToken) -> Result<(Hasher, Option<String>), ModelError> {
        let mut hasher = Hasher::default();
        let size = self.size_of_part();
        let tag = fs::read_to_string(&self.tag).ok().filter(|tag| !tag.is_empty());
        let is_too_long = self.file.pin.as_ref().is_some_and(|pin| size > pin.size);
        // Without a hash to hold it against, only its tag tells what it is a part of.
        if size == 0 || is_too_long || (self.file.pin.is_none() && tag.is_none()) {
            self.forget()?;
            return Ok((hasher, None));
        }
        let (path, cancel) = (self.part.clone(), cancel.clone());
        hasher = blocking(move || {
            let mut hasher = Hasher::default();
            hasher.read(&path, &cancel).map(|()| hasher)
        })
        .await?;
        Ok((hasher, tag))
    }

    /// Whether the server's file can be the one that is wanted.
    fn expects(&self, size: Option<u64>) -> Result<(), ModelError> {
        match (&self.file.pin, size) {
            (Some(pin), Some(got)) if pin.size != got => {
                self.forget()?;
                Err(self.wrong_size(pin.size, got))
            }
            _ => Ok(()),
        }
    }

    /// Whether the file that is wanted has so many bytes.
    fn has_room_for(&self, bytes: u64) -> Result<(), ModelError> {
        match &self.file.pin {
            Some(pin) if bytes > pin.size => {
                self.forget()?;
                let (model, path) = (self.model.name.clone(), self.file.path.clone());
                let (expected, way_out) = (pin.size, way_out());
                Err(ModelError::TooLong { model, path, expected, way_out })
            }
            _ => Ok(()),
        }
    }

    /// The part, to be written at its end or anew.
    fn open(&self, body: &Body) -> Result<File, ModelError> {
        let mut options = OpenOptions::new();
        if body.from == 0 {
            options.write(true).create(true).truncate(true);
            let tag = body.tag.as_deref().unwrap_or_default();
            write_atomically(&self.tag, tag.as_bytes()).map_err(ModelError::file("write", &self.tag))?;
        } else {
            options.append(true);
        }
        options.open(&self.part).map_err(ModelError::file("write", &self.part))
    }

    fn check(&self, pin: &Pin, told: Option<&str>) -> Result<(), ModelError> {
        if let Some(wanted) = &self.file.pin
            && wanted.size != pin.size
        {
            return Err(self.wrong_size(wanted.size, pin.size));
        }
        let expected = self.file.pin.as_ref().map(|pin| pin.sha256.as_str()).or(told);
        match expected.filter(|expected| *expected != pin.sha256) {
            None => Ok(()),
            Some(expected) => Err(ModelError::WrongHash {
                model: self.model.name.clone(),
                path: self.file.path.clone(),
                expected: expected.to_owned(),
                got: pin.sha256.clone(),
                way_out: way_out(),
            }),
        }
    }

    fn wrong_size(&self, expected: u64, got: u64) -> ModelError {
        let (model, path) = (self.model.name.clone(), self.file.path.clone());
        ModelError::WrongSize { model, path, expected, got, way_out: way_out() }
    }

    /// Gives the file its name.
    fn keep(&self, pin: Pin) -> Result<Pin, ModelError> {
        fs::rename(&self.part, &self.whole).map_err(ModelError::file("make", &self.whole))?;
        self.forget().map(|()| pin)
    }

    fn forget(&self) -> Result<(), ModelError> {
        for path in [&self.part, &self.tag] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(ModelError::file("remove", path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn way_out() -> String {
    "the server has another file than the one that was pinned, or somebody changed it on its way; what came is removed".to_owned()
}

/// A name beside a file's, with one more extension.
fn beside(file: &Path, extension: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    PathBuf::from(name)
}

fn text(wait: Duration) -> String {
    duration_text(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
}

/// Executes blocking work on a thread for it.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ModelError> + Send + 'static,
) -> Result<T, ModelError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| ModelError::file("read", Path::new("."))(std::io::Error::other(error.to_string())))?
}
