//! Having images: whatever is not in the daemon is pulled, loaded or built.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use futures_util::future::try_join_all;
use testbed_model::event::{Event, ImageOrigin};
use testbed_model::image::{
    Architecture, Archived, Drift, Held, ImageName, PackageLock, PackageSet, Pulled, label, latest_of,
    reference_in, repository_of,
};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::archive::{self, ArchivedImage};
use super::base::{self, Base};
use super::build::{self, Freshness, Site};
use super::cache::{BuildLock, LayerCache};
use super::error::ImageError;
use super::exchange::{self, Contents};
use super::inputs::{self, Blueprint, Wanted};
use super::task::{Task, blocking};
use super::tools::MissingTools;
use super::{Images, reference_of, saved};
use crate::docker::{Daemon, ImageFacts};
use crate::events::Events;
use crate::host::files::write_atomically;
use crate::host::process::{ProcessError, Program};

/// How many images are built at a time: downloads of one and the processor time of another overlap, and more would only
/// wait for each other.
const AT_A_TIME: usize = 2;

/// How often to see whether another run has finished building.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// How images are to be had.
#[derive(Clone, Debug)]
pub struct Providing {
    /// Where progress goes.
    pub events: Events,
    /// Ends the work.
    pub cancel: CancellationToken,
    /// What to do about programs that building needs and that are missing.
    pub missing: MissingTools,
    /// Whether images that are here, and layers that were kept, may be used.
    pub freshness: Freshness,
}

/// An image that is in the daemon now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provided {
    /// Name in the lock.
    pub name: String,
    /// What the daemon calls it.
    pub reference: String,
    /// Its id.
    pub id: String,
    /// How it came to be there.
    pub origin: ImageOrigin,
    /// The Debian packages that were unpacked into it, if it was built just now.
    pub packages: Option<PackageSet>,
}

impl Images {
    /// Has the images of these names in the daemon, and says of each how. Those that are there cost one question each.
    pub async fn provide<S: AsRef<str>>(
        &self,
        daemon: &Daemon,
        names: &[S],
        how: &Providing,
    ) -> Result<Vec<Provided>, ImageError> {
        let asked = self.select(names)?.into_iter().map(|(name, wanted)| async move {
            let reference = reference_of(name, wanted);
            // What nobody could make again is not thrown away for being made anew.
            if how.freshness == Freshness::Anew && matches!(wanted, Wanted::Built(_)) {
                return Ok::<_, ImageError>(Err((name.clone(), wanted.clone())));
            }
            Ok(match daemon.image(&reference).await? {
                Some(facts) => Ok(present(daemon, name, reference, facts, how).await?),
                None => Err((name.clone(), wanted.clone())),
            })
        });
        let (mut provided, mut absent) = (Vec::new(), Vec::new());
        for answer in try_join_all(asked).await? {
            match answer {
                Ok(present) => provided.push(present),
                Err(missing) => absent.push(missing),
            }
        }
        if !absent.is_empty() {
            provided.extend(self.make(daemon, absent, how).await?);
        }
        provided.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(provided)
    }

    /// Makes several images. When one fails the others are ended in order, so that no program goes on behind their backs.
    async fn make(
        &self,
        daemon: &Daemon,
        absent: Vec<(ImageName, Wanted)>,
        how: &Providing,
    ) -> Result<Vec<Provided>, ImageError> {
        let cancel = how.cancel.child_token();
        let how = Providing { cancel: cancel.clone(), ..how.clone() };
        let yard = Arc::new(Yard { images: self.clone(), daemon: daemon.clone(), how });
        let lock = yard.lock().await?;
        let turns = Arc::new(Semaphore::new(AT_A_TIME));
        let mut tasks = JoinSet::new();
        for (name, wanted) in absent {
            let (yard, turns) = (Arc::clone(&yard), Arc::clone(&turns));
            tasks.spawn(async move {
                // The semaphore is never closed; without a turn the image would merely be made at once.
                let _turn = turns.acquire().await.ok();
                yard.provide_one(&name, &wanted).await
            });
        }
        let mut provided = Vec::new();
        let mut failure = None;
        while let Some(ended) = tasks.join_next().await {
            match ended.map_err(|error| ImageError::broken(&error)).flatten() {
                Ok(image) => provided.push(image),
                Err(error) => {
                    cancel.cancel();
                    // What comes after the first failure is only its consequence.
                    failure.get_or_insert(error);
                }
            }
        }
        drop(lock);
        failure.map_or(Ok(provided), Err)
    }

    /// Records the Debian packages of images that were just built as the expected ones, in the folder of images.
    pub fn record_packages(&self, provided: &[Provided]) -> Result<PackageLock, ImageError> {
        let mut lock = inputs::read_packages(&self.folder)?;
        for image in provided {
            // The file is of the lock's images; a project keeps no record beside its own.
            let of_the_lock = inputs::known(&self.wanted, &image.name).ok().filter(
                |(_, wanted)| !matches!(wanted, Wanted::Built(blueprint) if blueprint.extension.is_some()),
            );
            if let (Some((name, _)), Some(packages)) = (of_the_lock, &image.packages)
                && !packages.0.is_empty()
            {
                lock.record(name, self.architecture, packages.clone());
            }
        }
        let path = self.folder.join(inputs::PACKAGES);
        let failed = ImageError::file("write", &path);
        let mut text = serde_json::to_vec_pretty(&lock).map_err(std::io::Error::other).map_err(failed)?;
        text.push(b'\n');
        write_atomically(&path, &text).map_err(ImageError::file("write", &path))?;
        Ok(lock)
    }

    /// Writes images that are in the daemon to one file.
    pub async fn export<S: AsRef<str>>(
        &self,
        daemon: &Daemon,
        names: &[S],
        file: &Path,
        how: &Providing,
    ) -> Result<Contents, ImageError> {
        let mut wanted = Vec::new();
        for (name, image) in self.select(names)? {
            let reference = reference_of(name, image);
            if daemon.image_id(&reference).await?.is_none() {
                return Err(ImageError::NotHere { image: name.clone(), reference });
            }
            wanted.push((name.clone(), reference));
        }
        let workplace = LayerCache::open(&self.cache)?.workplace()?;
        let path = workplace.path().join("saved.tar");
        let mut out = tokio::fs::File::create(&path).await.map_err(ImageError::file("write", &path))?;
        let references: Vec<&str> = wanted.iter().map(|(_, reference)| reference.as_str()).collect();
        tokio::select! {
            saved = daemon.save_images(&references, &mut out) => saved?,
            () = how.cancel.cancelled() => return Err(ImageError::Cancelled),
        }
        let (architecture, file) = (self.architecture, file.to_owned());
        let contents = blocking(move || exchange::pack(&path, &wanted, architecture, &file)).await?;
        drop(workplace);
        Ok(contents)
    }

    /// Loads images from a file that [`Self::export`] wrote, once all of it has been verified.
    pub async fn import(
        &self,
        daemon: &Daemon,
        file: &Path,
        how: &Providing,
    ) -> Result<Vec<Provided>, ImageError> {
        let workplace = LayerCache::open(&self.cache)?.workplace()?;
        let (images, file, work) = (self.clone(), file.to_owned(), workplace.path().to_owned());
        let (contents, archived) = blocking(move || {
            let reference =
                |name: &ImageName| images.wanted.get(name).map(|wanted| reference_of(name, wanted));
            exchange::unpack(&file, &work, images.architecture, reference)
        })
        .await?;
        let yard = Yard { images: self.clone(), daemon: daemon.clone(), how: how.clone() };
        let mut provided = Vec::new();
        for (entry, image) in contents.images.into_iter().zip(archived) {
            let task = yard.task(&entry.name, Path::new(""));
            let facts = yard.load(image, &entry.reference, &task).await?;
            provided.push(arrived(&entry.name, entry.reference, facts, ImageOrigin::Loaded, how));
        }
        drop(workplace);
        Ok(provided)
    }
}

/// The image was there. Its other name is moved to it where a different revision has it.
async fn present(
    daemon: &Daemon,
    name: &ImageName,
    reference: String,
    facts: ImageFacts,
    how: &Providing,
) -> Result<Provided, ImageError> {
    if daemon.image_id(&latest_of(&reference)).await?.as_ref() != Some(&facts.id) {
        daemon.tag_image(&reference, repository_of(&reference), "latest").await?;
    }
    Ok(arrived(name, reference, facts, ImageOrigin::Present, how))
}

fn arrived(
    name: &ImageName,
    reference: String,
    facts: ImageFacts,
    origin: ImageOrigin,
    how: &Providing,
) -> Provided {
    how.events.emit(Event::ImageReady {
        image: name.to_string(),
        reference: reference.clone(),
        id: facts.id.clone(),
        origin,
    });
    Provided { name: name.to_string(), reference, id: facts.id, origin, packages: None }
}

/// Where images are made: what every one of them needs.
struct Yard {
    images: Images,
    daemon: Daemon,
    how: Providing,
}

impl Yard {
    /// Waits until nobody else builds with the same cache: two builds would only do the same work twice.
    async fn lock(&self) -> Result<BuildLock, ImageError> {
        let cache = LayerCache::open(&self.images.cache)?;
        let mut told = false;
        loop {
            if let Some(lock) = cache.try_lock()? {
                return Ok(lock);
            }
            if !told {
                let message = "another run is building images; waiting for it".to_owned();
                self.how.events.emit(Event::Warning { message, hint: None });
                told = true;
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_AGAIN) => {}
                () = self.how.cancel.cancelled() => return Err(ImageError::Cancelled),
            }
        }
    }

    async fn provide_one(&self, name: &ImageName, wanted: &Wanted) -> Result<Provided, ImageError> {
        if self.how.cancel.is_cancelled() {
            return Err(ImageError::Cancelled);
        }
        let reference = reference_of(name, wanted);
        // While this waited for its turn, or for the lock, another run may have made the image.
        if self.how.freshness == Freshness::Reuse
            && let Some(facts) = self.daemon.image(&reference).await?
        {
            return present(&self.daemon, name, reference, facts, &self.how).await;
        }
        match wanted {
            Wanted::Built(blueprint) => self.build(name, reference, blueprint).await,
            Wanted::Loaded(archived) => self.load_archive(name, reference, archived).await,
            Wanted::Pulled(pulled) => self.pull(name, reference, pulled).await,
        }
    }

    async fn build(
        &self,
        name: &ImageName,
        reference: String,
        blueprint: &Blueprint,
    ) -> Result<Provided, ImageError> {
        let cache = LayerCache::open(&self.images.cache)?;
        let site = Site {
            folder: &self.images.folder,
            cache: &cache,
            freshness: self.how.freshness,
            missing: self.how.missing,
        };
        let task = self.task(name, Path::new(""));
        if let (Some(base), Freshness::Reuse) = (self.base_of(blueprint), self.how.freshness) {
            let reference = reference_in(&base.repository, &base.content.hex());
            let base = Base { blueprint: base, reference: &reference };
            base::take_over(&self.daemon, base, blueprint, &cache, &task).await?;
        }
        let built = build::build(blueprint, site, &task).await?;
        let facts = self.load(built.image, &reference, &task).await?;
        let content = blueprint.content.hex();
        if facts.labels.get(label::CONTENT) != Some(&content) {
            return Err(ImageError::NotWhatWasLoaded { reference });
        }
        if let Some(drift) =
            blueprint.packages.as_ref().and_then(|expected| Drift::of(expected, &built.packages.label()))
        {
            self.warn_of(name, &drift);
        }
        let provided = arrived(name, reference, facts, ImageOrigin::Built, &self.how);
        Ok(Provided { packages: Some(built.packages), ..provided })
    }

    /// What an image of a project's own starts from.
    fn base_of(&self, blueprint: &Blueprint) -> Option<&Blueprint> {
        match self.images.wanted.get(&blueprint.extension.as_ref()?.base)? {
            Wanted::Built(base) => Some(base),
            _ => None,
        }
    }

    fn warn_of(&self, name: &ImageName, drift: &Drift) {
        let shown = Drift { changed: drift.changed.iter().take(3).cloned().collect() };
        let more = drift.changed.len() - shown.changed.len();
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        self.how.events.emit(Event::Warning {
            message: format!("image `{name}` has other Debian packages than recorded: {shown}{more}"),
            hint: Some("Debian's archive has moved on; `testbed images verify` shows all of it".to_owned()),
        });
    }

    async fn load_archive(
        &self,
        name: &ImageName,
        reference: String,
        archived: &Archived,
    ) -> Result<Provided, ImageError> {
        let task = self.task(name, Path::new(""));
        // Kept until the daemon has it.
        let (path, _streamed) = match &archived.held {
            Held::Archive(file) => (self.images.folder.join(file), None),
            Held::Stream(program) => {
                let cache = &self.images.cache;
                std::fs::create_dir_all(cache).map_err(ImageError::file("make", cache))?;
                let folder = tempfile::Builder::new().prefix("stream-").tempdir_in(cache);
                let folder = folder.map_err(ImageError::file("write", cache))?;
                let file = folder.path().join("image.tar");
                task.tell("streaming the archive");
                self.stream(Path::new(program), &file).await?;
                (file, Some(folder))
            }
        };
        let wrong = |problem: String| ImageError::Input {
            path: path.clone(),
            wanted_by: format!("`{}`", inputs::LOCK),
            problem,
        };
        task.tell("verifying the archive");
        let (file, id) = (path.clone(), archived.id.to_string());
        let found = blocking(move || Ok(saved::read(&file, ""))).await?;
        let found = found.map_err(|what| wrong(format!("cannot be loaded: {what}")))?;
        let image = found.images.into_iter().find(|image| image.id() == id);
        let image = image.ok_or_else(|| wrong(format!("does not hold the image {id}")))?;
        let references = vec![reference.clone(), latest_of(&reference)];
        let facts = self.load(ArchivedImage { references, ..image }, &reference, &task).await?;
        Ok(arrived(name, reference, facts, ImageOrigin::Loaded, &self.how))
    }

    /// Has a program write an archive to a file.
    async fn stream(&self, program: &Path, into: &Path) -> Result<(), ImageError> {
        let wrong = |problem: String| ImageError::Input {
            path: program.to_owned(),
            wanted_by: format!("`{}`", inputs::LOCK),
            problem,
        };
        let streaming = Program::new(program.to_string_lossy());
        let (ended, said) = match streaming.write_to(into, &self.how.cancel).await {
            Err(ProcessError::Cancelled { .. }) => return Err(ImageError::Cancelled),
            Err(error) => return Err(wrong(format!("cannot stream an image: {error}"))),
            Ok(end) => end,
        };
        if ended.is_success() {
            return Ok(());
        }
        let last = said.lines().last().map(|line| format!(": {line}")).unwrap_or_default();
        Err(wrong(format!("did not stream an image, and ended with {ended}{last}")))
    }

    async fn pull(
        &self,
        name: &ImageName,
        reference: String,
        pulled: &Pulled,
    ) -> Result<Provided, ImageError> {
        let task = self.task(name, Path::new(""));
        task.tell(format!("pulling {}:{}", pulled.repository, pulled.tag));
        let tell = task.clone();
        let pulling = self.daemon.pull(&pulled.repository, pulled.digest.as_str(), move |progress| {
            tell.tell_bytes(progress.step, progress.done, progress.total);
        });
        let pulling = async {
            let failed = |source| ImageError::Pull { image: name.clone(), source };
            pulling.await.map_err(failed)
        };
        tokio::select! {
            pulled = pulling => pulled?,
            () = self.how.cancel.cancelled() => return Err(ImageError::Cancelled),
        }
        let by_digest = format!("{}@{}", pulled.repository, pulled.digest);
        let (repository, tag) = reference.rsplit_once(':').unwrap_or((&reference, "latest"));
        self.daemon.tag_image(&by_digest, repository, tag).await?;
        self.daemon.tag_image(&by_digest, repository, "latest").await?;
        let facts = self.facts(&reference).await?;
        Ok(arrived(name, reference, facts, ImageOrigin::Pulled, &self.how))
    }

    /// Sends an image to the daemon and says what it made of it.
    async fn load(
        &self,
        image: ArchivedImage,
        reference: &str,
        task: &Task,
    ) -> Result<ImageFacts, ImageError> {
        let (total, tell) = (image.size(), task.clone());
        let mut done = 0;
        task.tell_bytes("loading", Some(0), Some(total));
        let pieces = archive::stream(vec![image]).inspect_ok(move |piece| {
            done += piece.len() as u64;
            tell.tell_bytes("loading", Some(done.min(total)), Some(total));
        });
        let what = format!("image `{}`", task.image);
        tokio::select! {
            loaded = self.daemon.load_image_pieces(&what, pieces) => loaded?,
            () = self.how.cancel.cancelled() => return Err(ImageError::Cancelled),
        }
        self.facts(reference).await
    }

    async fn facts(&self, reference: &str) -> Result<ImageFacts, ImageError> {
        let facts = self.daemon.image(reference).await?;
        facts.ok_or_else(|| ImageError::NotWhatWasLoaded { reference: reference.to_owned() })
    }

    fn task(&self, name: &ImageName, work: &Path) -> Task {
        Task {
            image: name.clone(),
            architecture: self.architecture(),
            work: work.to_owned(),
            events: self.how.events.clone(),
            cancel: self.how.cancel.clone(),
        }
    }

    fn architecture(&self) -> Architecture {
        self.images.architecture
    }
}
