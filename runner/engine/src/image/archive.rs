//! Docker archives: written in pieces from layers and never whole in memory, equal for equal images.

use std::io::{self, Write};
use std::path::PathBuf;

use bytes::Bytes;
use futures_util::Stream;
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType};
use testbed_model::image::Mode;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::layer_tar::{digest_text, header};

/// An image as an archive holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivedImage {
    /// The image's description, whose digest is its id.
    pub config: Vec<u8>,
    /// The names that it is to have.
    pub references: Vec<String>,
    /// Its layers, lowest first.
    pub layers: Vec<ArchivedLayer>,
}

/// A layer as an archive holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivedLayer {
    /// Digest of its tar, `sha256:...`.
    pub digest: String,
    /// The file that holds the tar.
    pub file: PathBuf,
    /// Where in the file the tar starts.
    pub offset: u64,
    /// The tar's size.
    pub size: u64,
}

impl ArchivedImage {
    /// The image's id.
    pub fn id(&self) -> String {
        let mut hasher = Sha256::new();
        hasher.update(&self.config);
        digest_text(hasher)
    }

    /// How many bytes its layers have.
    pub fn size(&self) -> u64 {
        self.layers.iter().map(|layer| layer.size).sum()
    }
}

/// Writes images into one archive. `extra` are files for other readers than the daemon, which ignores them; they come
/// first. A layer that several images share is written once.
pub fn write(images: &[ArchivedImage], extra: &[(&str, &[u8])], out: impl Write) -> io::Result<()> {
    let mut builder = Builder::new(out);
    let mut put = |name: &str, bytes: &[u8]| {
        builder.append_data(&mut header(EntryType::Regular, Mode::FILE, bytes.len() as u64), name, bytes)
    };
    for (name, bytes) in extra {
        put(name, bytes)?;
    }
    let mut manifest = Vec::new();
    for image in images {
        let config = format!("{}.json", hex(&image.id()));
        put(&config, &image.config)?;
        let layers: Vec<String> = image.layers.iter().map(|layer| layer_name(&layer.digest)).collect();
        manifest.push(serde_json::json!({"Config": config, "Layers": layers, "RepoTags": image.references}));
    }
    put("manifest.json", &serde_json::to_vec(&manifest)?)?;
    let mut layers: Vec<&ArchivedLayer> = Vec::new();
    for layer in images.iter().flat_map(|image| &image.layers) {
        if !layers.iter().any(|written| written.digest == layer.digest) {
            layers.push(layer);
        }
    }
    for layer in layers {
        append_layer(&mut builder, layer)?;
    }
    builder.into_inner()?.flush()
}

fn append_layer<W: Write>(builder: &mut Builder<W>, layer: &ArchivedLayer) -> io::Result<()> {
    use std::io::{Read as _, Seek as _};
    let mut file = std::fs::File::open(&layer.file)?;
    file.seek(io::SeekFrom::Start(layer.offset))?;
    let left = file.metadata()?.len().saturating_sub(layer.offset);
    if left < layer.size {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a layer is shorter than it was"));
    }
    let mut header = header(EntryType::Regular, Mode::FILE, layer.size);
    builder.append_data(&mut header, layer_name(&layer.digest), file.take(layer.size))
}

fn layer_name(digest: &str) -> String {
    format!("{}/layer.tar", hex(digest))
}

fn hex(digest: &str) -> &str {
    digest.strip_prefix("sha256:").unwrap_or(digest)
}

/// How much is handed over at a time, and how many such pieces may wait.
const PIECE: usize = 1 << 18;
const WAITING: usize = 8;

/// The archive as pieces, made on a thread of its own while they are taken. If nobody takes them, it ends.
pub fn stream(images: Vec<ArchivedImage>) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let (sender, receiver) = channel(WAITING);
    tokio::task::spawn_blocking(move || {
        let mut pieces = Pieces { sender, piece: Vec::with_capacity(PIECE) };
        if let Err(error) = write(&images, &[], &mut pieces) {
            // Nobody is left to be told if the other end is gone, which is then also what went wrong.
            let _ = pieces.sender.blocking_send(Err(error));
        }
    });
    futures_util::stream::unfold(receiver, |mut receiver: Receiver<io::Result<Bytes>>| async move {
        receiver.recv().await.map(|piece| (piece, receiver))
    })
}

struct Pieces {
    sender: Sender<io::Result<Bytes>>,
    piece: Vec<u8>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        self.sender
            .blocking_send(Ok(piece.into()))
            .map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the receiver is gone"))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use futures_util::TryStreamExt as _;

    use super::{ArchivedImage, ArchivedLayer, stream, write};
    use crate::image::layer_tar;
    use crate::image::tree::Tree;

    fn image(folder: &Path, config: &str) -> ArchivedImage {
        let file = folder.join("layer.tar");
        let mut bytes = Vec::new();
        let written = layer_tar::write(&Tree::new(), &mut bytes).unwrap();
        fs::write(&file, &bytes).unwrap();
        ArchivedImage {
            config: config.as_bytes().to_vec(),
            references: vec!["testbed/x:1".into()],
            layers: vec![ArchivedLayer { digest: written.digest, file, offset: 0, size: written.size }],
        }
    }

    #[test]
    fn a_layer_that_two_images_share_is_there_once() {
        let folder = tempfile::tempdir().unwrap();
        let images = [image(folder.path(), "{\"a\":1}"), image(folder.path(), "{\"a\":2}")];
        let mut bytes = Vec::new();
        write(&images, &[("extra.json", b"{}")], &mut bytes).unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let names: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|entry| String::from_utf8(entry.unwrap().path_bytes().into_owned()).unwrap())
            .collect();
        assert_eq!(names.len(), 5);
        assert_eq!(names[0], "extra.json");
        assert_eq!(names.iter().filter(|name| name.ends_with("/layer.tar")).count(), 1);
    }

    #[tokio::test]
    async fn the_pieces_are_the_archive() {
        let folder = tempfile::tempdir().unwrap();
        let image = image(folder.path(), "{}");
        let mut whole = Vec::new();
        write(std::slice::from_ref(&image), &[], &mut whole).unwrap();
        let pieces: Vec<bytes::Bytes> = stream(vec![image]).try_collect().await.unwrap();
        assert_eq!(pieces.concat(), whole);
    }

    #[tokio::test]
    async fn a_layer_that_is_gone_ends_the_pieces_with_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let image = image(folder.path(), "{}");
        fs::remove_file(&image.layers[0].file).unwrap();
        let pieces: Result<Vec<bytes::Bytes>, _> = stream(vec![image]).try_collect().await;
        assert_eq!(pieces.unwrap_err().kind(), std::io::ErrorKind::NotFound);
    }
}
