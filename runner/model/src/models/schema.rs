//! Every key of `models.toml` as one table: the reader, the JSON Schema and the reference page are made from it.

use crate::project::schema::Choice;

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text that is not empty.
    Text,
    /// A name that is also a folder's.
    Identifier,
    /// A folder beside the file.
    Folder,
    /// A path in the model's folder.
    Path,
    /// An architecture.
    Architecture,
    /// `OWNER/NAME`.
    Repository,
    /// A commit.
    Revision,
    /// SHA-256.
    Sha256,
    /// Bytes.
    Bytes,
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Path of names: `[]` stands for each item of a list.
    pub path: &'static [&'static str],
    /// What it takes.
    pub kind: Kind,
    /// Whether its table must hold it.
    pub required: bool,
    /// What it means.
    pub meaning: &'static str,
}

const fn key(path: &'static [&'static str], kind: Kind, meaning: &'static str) -> Key {
    Key { path, kind, required: false, meaning }
}

const fn required(path: &'static [&'static str], kind: Kind, meaning: &'static str) -> Key {
    Key { path, kind, required: true, meaning }
}

/// The table of a model.
pub const MODEL: &[&str] = &["model", "[]"];

/// The table of a model's file.
pub const MODEL_FILE: &[&str] = &["model", "[]", "files", "[]"];

/// Every key, in the order of the reference page.
#[rustfmt::skip]
pub const KEYS: &[Key] = &[
    required(&["model", "[]", "name"], Kind::Identifier, "a name, unique in the file; containers find the model at `/models/NAME`"),
    key(&["model", "[]", "folder"], Kind::Folder, "the model is in the checkout, in this folder beside `models.toml`"),
    key(&["model", "[]", "make"], Kind::Architecture, "Testbed makes the model: tiny, random weights, the same bytes everywhere"),
    key(&["model", "[]", "tokenizer"], Kind::Identifier, "with `make`: the model in the checkout whose tokenizer it has"),
    key(&["model", "[]", "huggingface"], Kind::Repository, "the repository of Hugging Face that the model is fetched from; cases may name the model by it too"),
    key(&["model", "[]", "revision"], Kind::Revision, "with `huggingface`: the commit"),
    required(&["model", "[]", "licence"], Kind::Text, "the licence of its files, as SPDX names it"),
    required(&["model", "[]", "size"], Kind::Bytes, "bytes of all its files; about as many where a file is not pinned"),
    required(&["model", "[]", "files", "[]", "path"], Kind::Path, "the file, in the model's folder"),
    key(&["model", "[]", "files", "[]", "sha256"], Kind::Sha256, "the hash of its bytes; without it and `size` the file is not pinned, and only `fetch --pin` takes it"),
    key(&["model", "[]", "files", "[]", "size"], Kind::Bytes, "its bytes"),
];

/// Where a model comes from.
pub const SOURCE: Choice = Choice { table: MODEL, keys: &["folder", "make", "huggingface"] };

/// Keys of a model, and what each cannot be without.
pub const BESIDE: [(&str, &[&str]); 4] = [
    ("make", &["tokenizer"]),
    ("tokenizer", &["make"]),
    ("huggingface", &["revision"]),
    ("revision", &["huggingface"]),
];

/// What each table is for, in the order of the reference page.
pub const TABLES: [(&str, &str); 2] = [
    ("[[model]]", "A model. Exactly one of `folder`, `make` and `huggingface` says where it comes from."),
    (
        "[[model.files]]",
        "A file of the model; usually written as a list, one file a line. Whatever the source, a model is used only when each file has \
         the hash that stands here. A file without `sha256` and `size` is one that nobody has seen yet, in a model of Hugging Face: \
         `testbed models fetch --pin NAME` fetches it and writes both; until then no run uses the model.",
    ),
];

/// The names of a table's keys.
pub fn names_of(table: &[&str]) -> Vec<&'static str> {
    let mut names: Vec<&str> = KEYS
        .iter()
        .filter(|key| key.path.starts_with(table))
        .filter_map(|key| key.path.get(table.len()).copied())
        .collect();
    names.dedup();
    names
}

/// What a key of a table means.
pub fn meaning(table: &[&str], name: &str) -> Option<&'static str> {
    let key = KEYS.iter().find(|key| key.path.split_last() == Some((&name, table)));
    key.map(|key| key.meaning)
}
