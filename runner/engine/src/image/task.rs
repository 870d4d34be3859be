//! What every step of building one image needs to know.

use std::path::{Path, PathBuf};

use testbed_model::event::Event;
use testbed_model::image::{Architecture, ImageName};
use tokio_util::sync::CancellationToken;

use super::error::ImageError;
use crate::events::Events;
use crate::host::process::{Ended, ProcessError, Program, Stream};

/// How much of what a failed program said is shown.
const LAST_WORDS: usize = 8;

/// How long a program is not quoted after it was: it says hundreds of lines, of which each is a sign of life and no more.
const PAUSE_MS: u64 = 3000;

/// The building of one image.
#[derive(Clone, Debug)]
pub struct Task {
    /// The image.
    pub image: ImageName,
    /// What it is built for.
    pub architecture: Architecture,
    /// A folder of its own for what is in the making.
    pub work: PathBuf,
    /// Where progress goes.
    pub events: Events,
    /// Ends the work.
    pub cancel: CancellationToken,
}

impl Task {
    /// Says what is being done.
    pub fn tell(&self, step: impl Into<String>) {
        self.tell_bytes(step, None, None);
    }

    /// Says what is being done and how far it is.
    pub fn tell_bytes(&self, step: impl Into<String>, done: Option<u64>, total: Option<u64>) {
        self.events.emit(Event::ImageProgress {
            image: self.image.to_string(),
            step: step.into(),
            done,
            total,
        });
    }

    /// A new folder in the working folder.
    pub fn folder(&self, name: &str) -> Result<PathBuf, ImageError> {
        let path = self.work.join(name);
        std::fs::create_dir_all(&path).map_err(ImageError::file("make", &path))?;
        Ok(path)
    }

    /// Executes a program that must succeed. `what` names it for people; `step` is shown with what it says now and then.
    pub async fn execute(&self, what: &str, step: &str, program: &Program) -> Result<(), ImageError> {
        let mut words: Vec<String> = Vec::new();
        let clock = self.events.clock();
        let mut told_ms = clock.elapsed_ms();
        let hear = |_: Stream, line: &str| {
            let line = line.trim();
            if line.is_empty() {
                return;
            }
            if clock.elapsed_ms() >= told_ms + PAUSE_MS {
                told_ms = clock.elapsed_ms();
                self.tell(format!("{step}: {line}"));
            }
            words.push(line.to_owned());
        };
        let ended = match program.follow(hear, &self.cancel).await {
            Err(ProcessError::Cancelled { .. }) => return Err(ImageError::Cancelled),
            other => other?,
        };
        if ended.is_success() { Ok(()) } else { Err(self.failed(what, ended, words)) }
    }

    fn failed(&self, program: &str, ended: Ended, mut words: Vec<String>) -> ImageError {
        let surplus = words.len().saturating_sub(LAST_WORDS);
        words.drain(..surplus);
        ImageError::Failed {
            image: self.image.clone(),
            program: program.to_owned(),
            ended: ended.to_string(),
            words,
        }
    }

    /// An error in what was made.
    pub fn content(&self, what: impl std::fmt::Display) -> ImageError {
        ImageError::Content { image: self.image.clone(), what: what.to_string() }
    }
}

/// Executes blocking work on a thread for it.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ImageError> + Send + 'static,
) -> Result<T, ImageError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| ImageError::broken(&error))?
}

/// The path as text, which every path that Testbed makes is.
pub fn text_of(path: &Path) -> Result<String, ImageError> {
    path.to_str().map(str::to_owned).ok_or_else(|| ImageError::File {
        doing: "use",
        path: path.to_owned(),
        source: std::io::Error::other("its name is not text"),
    })
}
