//! Images: are they there, get them in, get them out.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error as ClientError;
use bollard::query_parameters::{
    CreateImageOptionsBuilder, ImportImageOptionsBuilder, RemoveImageOptionsBuilder, TagImageOptionsBuilder,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, pin_mut};
use tokio::fs::File;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio_util::io::ReaderStream;

use super::Daemon;
use super::error::{self, DaemonError};

/// A large archive is unpacked before the daemon says a first word; the client's own two minutes are too few.
const PATIENCE: Duration = Duration::from_mins(30);

/// Read from disk at a time: fewer, larger pieces cost less than the default of 4 KiB.
const PIECE: usize = 1 << 18;

/// An image that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageFacts {
    /// Its content id, `sha256:...`.
    pub id: String,
    /// Its size in bytes, unpacked.
    pub size: u64,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The variables that its containers have.
    pub environment: BTreeMap<String, String>,
}

/// How far a load is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadProgress {
    /// Bytes sent.
    pub done: u64,
    /// Bytes of the archive.
    pub total: u64,
}

/// How far a pull is, in the daemon's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullProgress {
    /// Such as `Downloading`.
    pub step: String,
    /// The layer that it concerns.
    pub layer: Option<String>,
    /// Bytes done of this layer.
    pub done: Option<u64>,
    /// Bytes of this layer.
    pub total: Option<u64>,
}

impl Daemon {
    /// The content id, `sha256:...`, of an image that is there.
    pub async fn image_id(&self, reference: &str) -> Result<Option<String>, DaemonError> {
        match self.client.inspect_image(reference).await {
            Ok(image) => Ok(image.id),
            Err(ClientError::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(e) => Err(error::doing(format!("inspect image `{reference}`"), &e)),
        }
    }

    /// The digest that a tag stands for at its registry now, asked by the daemon with its own way there.
    pub async fn registry_digest(&self, repository: &str, tag: &str) -> Result<String, DaemonError> {
        let reference = format!("{repository}:{tag}");
        let doing = || format!("ask the registry for `{reference}`");
        let told = self.client.inspect_registry_image(&reference, None).await;
        let told = told.map_err(|e| error::doing(doing(), &e))?;
        Ok(told.descriptor.digest.unwrap_or_default())
    }

    /// An image that is there, with its labels.
    pub async fn image(&self, reference: &str) -> Result<Option<ImageFacts>, DaemonError> {
        match self.client.inspect_image(reference).await {
            Ok(image) => {
                let config = image.config.unwrap_or_default();
                let variables = config.env.unwrap_or_default();
                let pair = |variable: &String| {
                    let (name, value) = variable.split_once('=')?;
                    Some((name.to_owned(), value.to_owned()))
                };
                Ok(Some(ImageFacts {
                    id: image.id.unwrap_or_default(),
                    size: image.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
                    labels: config.labels.unwrap_or_default().into_iter().collect(),
                    environment: variables.iter().filter_map(pair).collect(),
                }))
            }
            Err(ClientError::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(e) => Err(error::doing(format!("inspect image `{reference}`"), &e)),
        }
    }

    /// Loads a docker archive that is made while it is sent. `what` names it in errors.
    pub async fn load_image_pieces(
        &self,
        what: &str,
        pieces: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    ) -> Result<(), DaemonError> {
        let doing = format!("load {what}");
        let options = ImportImageOptionsBuilder::default().quiet(true).build();
        let client = self.patient();
        let answers = client.import_image_stream(options, pieces, None);
        pin_mut!(answers);
        while let Some(answer) = answers.next().await {
            answer.map_err(|e| error::doing(doing.as_str(), &e))?;
        }
        Ok(())
    }

    /// Loads a docker archive from a file, in pieces.
    pub async fn load_image(
        &self,
        archive: &Path,
        mut on_progress: impl FnMut(LoadProgress) + Send + 'static,
    ) -> Result<(), DaemonError> {
        let doing = format!("load image archive `{}`", archive.display());
        let unreadable =
            |e: std::io::Error| DaemonError::File { doing: doing.clone(), message: e.to_string() };
        let file = File::open(archive).await.map_err(unreadable)?;
        let total = file.metadata().await.map_err(unreadable)?.len();
        let mut done = 0;
        let pieces = ReaderStream::with_capacity(file, PIECE).inspect_ok(move |piece| {
            done += piece.len() as u64;
            on_progress(LoadProgress { done, total });
        });
        let options = ImportImageOptionsBuilder::default().quiet(true).build();
        let client = self.patient();
        let answers = client.import_image_stream(options, pieces, None);
        pin_mut!(answers);
        while let Some(answer) = answers.next().await {
            answer.map_err(|e| error::doing(doing.as_str(), &e))?;
        }
        Ok(())
    }

    /// Gives an image one more name.
    pub async fn tag_image(&self, reference: &str, repository: &str, tag: &str) -> Result<(), DaemonError> {
        let options = TagImageOptionsBuilder::default().repo(repository).tag(tag).build();
        let response = self.client.tag_image(reference, Some(options)).await;
        response.map_err(|e| error::doing(format!("tag `{reference}` as `{repository}:{tag}`"), &e))
    }

    /// Writes images with their names as one docker archive.
    pub async fn save_images(
        &self,
        references: &[&str],
        writer: &mut (impl AsyncWrite + Unpin + Send),
    ) -> Result<(), DaemonError> {
        let doing = format!("save images `{}`", references.join("`, `"));
        let unwritable =
            |e: std::io::Error| DaemonError::File { doing: doing.clone(), message: e.to_string() };
        let client = self.patient();
        let pieces = client.export_images(references);
        pin_mut!(pieces);
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|e| error::doing(doing.as_str(), &e))?;
            writer.write_all(&piece).await.map_err(unwritable)?;
        }
        writer.flush().await.map_err(unwritable)
    }

    /// Pulls an image by digest: `repository@sha256:...`.
    pub async fn pull(
        &self,
        repository: &str,
        digest: &str,
        mut on_progress: impl FnMut(PullProgress) + Send,
    ) -> Result<(), DaemonError> {
        let doing = format!("pull `{repository}@{digest}`");
        let options = CreateImageOptionsBuilder::default().from_image(repository).tag(digest).build();
        let client = self.patient();
        let answers = client.create_image(Some(options), None, None);
        pin_mut!(answers);
        while let Some(answer) = answers.next().await {
            let answer = answer.map_err(|e| error::doing(doing.as_str(), &e))?;
            if let Some(message) = answer.error_detail.and_then(|detail| detail.message) {
                return Err(error::refused(doing, 500, &message));
            }
            let bytes = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok());
            let detail = answer.progress_detail.unwrap_or_default();
            on_progress(PullProgress {
                step: answer.status.unwrap_or_default(),
                layer: answer.id,
                done: bytes(detail.current),
                total: bytes(detail.total),
            });
        }
        Ok(())
    }

    /// Removes a name of an image, and the image with its last name. One that is gone already is not an error.
    pub async fn remove_image(&self, reference: &str) -> Result<(), DaemonError> {
        let options = RemoveImageOptionsBuilder::default().build();
        match self.client.remove_image(reference, Some(options), None).await {
            Err(ClientError::DockerResponseServerError { status_code: 404, .. }) | Ok(_) => Ok(()),
            Err(e) => Err(error::doing(format!("remove image `{reference}`"), &e)),
        }
    }

    fn patient(&self) -> Docker {
        self.client.clone().with_timeout(PATIENCE)
    }
}
