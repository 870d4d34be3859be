//! The models that stacks and cases need: `models/models.toml` says of each where it comes from and what its bytes are.
//!
//! A model is known by the hashes of its files, never by a name of somebody else's that may come to mean something else.

mod edit;
mod read;
pub mod schema;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::document::{Document, Mark, from_toml};
use crate::span::Fault;

pub use edit::with_pins;

/// The file's name, from the configuration's root.
pub const FILE: &str = "models/models.toml";

/// The folder that holds it, and whose mount in a stack stands for the models of the profile.
pub const FOLDER: &str = "models";

/// Where containers find models, each in a folder of its name.
pub const MOUNT: &str = "/models";

/// Every model that the file names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Models {
    /// Models by name.
    pub models: BTreeMap<String, Model>,
}

/// One model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Its name, also of its folder in containers.
    pub name: String,
    /// Where the name stands.
    pub mark: Mark,
    /// Where it comes from.
    pub source: Source,
    /// The licence of its files, as SPDX names it.
    pub licence: String,
    /// Bytes of all files; for a model without pins about as many.
    pub size: u64,
    /// Its files, in the order of their paths.
    pub files: Vec<ModelFile>,
}

/// Where a model comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// It is here, in a folder beside `models.toml`.
    Folder(String),
    /// Testbed makes it: random weights, the same on every machine.
    Made {
        /// The architecture.
        architecture: Architecture,
        /// The model in the checkout whose tokenizer it has.
        tokenizer: String,
    },
    /// A repository of Hugging Face at one revision.
    HuggingFace {
        /// `OWNER/NAME`.
        repository: String,
        /// The commit.
        revision: String,
    },
}

/// An architecture that Testbed can make a tiny model of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    /// Llama.
    Llama,
    /// Qwen 3: as Llama, with normalised queries and keys.
    Qwen3,
}

/// One file of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFile {
    /// Its path in the model's folder.
    pub path: String,
    /// What its bytes are; none where nobody has seen them yet.
    pub pin: Option<Pin>,
}

/// What a file's bytes are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Pin {
    /// SHA-256, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
}

/// What a model's files are, as one hash: BLAKE3 over paths, hashes and sizes, the first 16 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ModelContent(pub String);

impl ModelContent {
    /// What stands for the files of a model that nobody has pinned.
    pub fn unknown() -> Self {
        Self("unpinned".to_owned())
    }
}

impl fmt::Display for ModelContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Architecture {
    /// Every architecture.
    pub const ALL: [Self; 2] = [Self::Llama, Self::Qwen3];

    /// Its name in `models.toml`, and in a model's own `config.json`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen3 => "qwen3",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "{FOLDER}/{folder}"),
            Self::Made { architecture, .. } => write!(f, "made here, {}", architecture.name()),
            Self::HuggingFace { repository, revision } => {
                write!(f, "{repository} at {}", revision.get(..12).unwrap_or(revision))
            }
        }
    }
}

impl Models {
    /// Reads the file.
    pub fn parse(file: &str, text: &str) -> Result<Self, Fault> {
        read::models(&from_toml(file, text)?)
    }

    /// Reads a document that is parsed already.
    pub fn of_document(document: &Document) -> Result<Self, Fault> {
        read::models(document)
    }

    /// The model that is meant by a name of its own, or by its repository, as cases name it: `Qwen/Qwen3-0.6B`.
    pub fn find(&self, wanted: &str) -> Option<&Model> {
        let of_repository = |model: &&Model| model.repository() == Some(wanted);
        self.models.get(wanted).or_else(|| self.models.values().find(of_repository))
    }

    /// Every name by which [`Models::find`] finds a model.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.models
            .values()
            .flat_map(|model| [Some(model.name.as_str()), model.repository()].into_iter().flatten())
    }

    /// What each pinned model's files are.
    pub fn contents(&self) -> BTreeMap<String, ModelContent> {
        let content = |model: &Model| Some((model.name.clone(), model.content()?));
        self.models.values().filter_map(content).collect()
    }
}

impl Model {
    /// What its files are, as one hash; none where a file is not pinned.
    pub fn content(&self) -> Option<ModelContent> {
        let mut hasher = blake3::Hasher::new();
        for file in &self.files {
            let pin = file.pin.as_ref()?;
            // No path holds a line end, so no two lists look alike.
            hasher.update(format!("{}\n{}\n{}\n", file.path, pin.sha256, pin.size).as_bytes());
        }
        Some(ModelContent(hasher.finalize().to_hex().chars().take(16).collect()))
    }

    /// The repository that it comes from, if it comes from one.
    pub fn repository(&self) -> Option<&str> {
        match &self.source {
            Source::HuggingFace { repository, .. } => Some(repository),
            Source::Folder(_) | Source::Made { .. } => None,
        }
    }

    /// Whether every file is pinned.
    pub fn is_pinned(&self) -> bool {
        self.files.iter().all(|file| file.pin.is_some())
    }

    /// The command that has the model here.
    pub fn way_here(&self) -> String {
        match &self.source {
            Source::Folder(folder) => format!("restore `{FOLDER}/{folder}`: `git restore {FOLDER}/{folder}`"),
            Source::Made { .. } => format!("testbed models make-tiny {}", self.name),
            Source::HuggingFace { .. } if self.is_pinned() => format!("testbed models fetch {}", self.name),
            Source::HuggingFace { .. } => format!("testbed models fetch --pin {}", self.name),
        }
    }
}

#[cfg(test)]
mod tests;
