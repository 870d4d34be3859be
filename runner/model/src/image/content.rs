//! Content hashes: one name for everything that decides what a layer or an image holds.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::image::{Architecture, ImageName, ImagePath, Layer, Mode, PackageSet, Recipe};

/// The version of the builder's own rules (normalisation, order, the labels it writes). Raised when equal inputs would
/// give other bytes, so that nothing made under older rules is taken for current.
pub const BUILDER_FORMAT: u32 = 1;

/// A hash over named fields.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContentHash([u8; 32]);

/// A text that is not a content hash.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a content hash (64 hexadecimal digits)")]
pub struct ContentHashError(String);

impl ContentHash {
    /// The hash of plain bytes.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// All 64 hexadecimal digits.
    pub fn hex(&self) -> String {
        blake3::Hash::from_bytes(self.0).to_hex().to_string()
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({})", self.hex())
    }
}

impl FromStr for ContentHash {
    type Err = ContentHashError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ContentHashError(text.to_owned());
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        for (index, byte) in bytes.iter_mut().enumerate() {
            let digits = text.get(2 * index..2 * index + 2).ok_or_else(wrong)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for ContentHash {
    type Error = ContentHashError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ContentHash> for String {
    fn from(hash: ContentHash) -> Self {
        hash.hex()
    }
}

/// Hashes fields one after another. Each is framed by its name and length, so that no two different lists of fields give
/// the same bytes.
#[derive(Debug, Default)]
pub struct ContentHasher(blake3::Hasher);

impl ContentHasher {
    /// Begins.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field.
    #[must_use]
    pub fn field(mut self, name: &str, bytes: &[u8]) -> Self {
        for part in [name.as_bytes(), bytes] {
            self.0.update(&(part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
        self
    }

    /// Adds a value in its JSON form. The types hashed here have ordered maps and fields in one order.
    #[must_use]
    pub fn value(self, name: &str, value: &impl Serialize) -> Self {
        // Types with string keys always have a JSON form; if one did not, an error's text would still be hashed.
        let bytes = serde_json::to_vec(value).unwrap_or_else(|error| error.to_string().into_bytes());
        self.field(name, &bytes)
    }

    /// The hash.
    pub fn finish(&self) -> ContentHash {
        ContentHash(*self.0.finalize().as_bytes())
    }
}

/// A file that goes into a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InputFile {
    /// Where it goes, below the layer's target.
    pub path: ImagePath,
    /// Its mode in the image.
    pub mode: Mode,
    /// The hash of its bytes; of the target's text for a link.
    pub content: ContentHash,
    /// Whether it is a symbolic link.
    pub is_link: bool,
}

/// What a layer takes from outside of its recipe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LayerInputs {
    /// Debian packages: what they are expected to be, if that is recorded.
    Packages(Option<PackageSet>),
    /// The requirement file's bytes.
    Requirements(ContentHash),
    /// Files in order of their paths.
    Files(Vec<InputFile>),
    /// The layers before this one, by their hashes.
    Layers(Vec<ContentHash>),
}

/// The hash that names a layer: equal exactly if nothing that decides its content differs.
pub fn layer_hash(architecture: Architecture, layer: &Layer, inputs: &LayerInputs) -> ContentHash {
    ContentHasher::new()
        .field("format", &BUILDER_FORMAT.to_le_bytes())
        .value("architecture", &architecture)
        .value("layer", layer)
        .value("inputs", inputs)
        .finish()
}

/// The hash that names an image.
pub fn image_hash(
    name: &ImageName,
    architecture: Architecture,
    recipe: &Recipe,
    layers: &[ContentHash],
) -> ContentHash {
    ContentHasher::new()
        .field("format", &BUILDER_FORMAT.to_le_bytes())
        .value("name", name)
        .value("architecture", &architecture)
        .value("config", &recipe.config)
        .value("layers", &layers)
        .finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{ContentHash, ContentHasher, InputFile, LayerInputs, image_hash, layer_hash};
    use crate::image::{Architecture, DebianLayer, ImagePath, Layer, Mode, Recipe};

    fn debian(packages: &[&str]) -> Layer {
        Layer::Debian(DebianLayer {
            suite: "bookworm".into(),
            variant: "extract".into(),
            packages: packages.iter().map(|&name| name.to_owned()).collect(),
            keep: Vec::new(),
            exclude: Vec::new(),
        })
    }

    fn files(bytes: &[u8], mode: Mode) -> LayerInputs {
        LayerInputs::Files(vec![InputFile {
            path: ImagePath::parse("a").unwrap(),
            mode,
            content: ContentHash::of_bytes(bytes),
            is_link: false,
        }])
    }

    #[test]
    fn a_hash_is_the_same_on_every_machine_and_day() {
        let hash = layer_hash(Architecture::Amd64, &debian(&["libc6"]), &LayerInputs::Packages(None));
        assert_eq!(hash.hex(), "a08db5f9f17338788878cb49c668a226355275e24536440b54e89b6d7a35cdfe");
    }

    #[test]
    fn every_input_counts() {
        let layer = debian(&["libc6"]);
        let none = LayerInputs::Packages(None);
        let hashes = [
            layer_hash(Architecture::Amd64, &layer, &none),
            layer_hash(Architecture::Arm64, &layer, &none),
            layer_hash(Architecture::Amd64, &debian(&["libc6", "dash"]), &none),
            layer_hash(Architecture::Amd64, &layer, &files(b"x", Mode::FILE)),
            layer_hash(Architecture::Amd64, &layer, &files(b"y", Mode::FILE)),
            layer_hash(Architecture::Amd64, &layer, &files(b"x", Mode::PROGRAM)),
            layer_hash(Architecture::Amd64, &layer, &LayerInputs::Layers(Vec::new())),
        ];
        let mut unique = hashes.to_vec();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), hashes.len());
    }

    #[test]
    fn an_images_hash_follows_its_configuration_and_its_layers() {
        let name = "nats".parse().unwrap();
        let plain = Recipe::default();
        let mut changed = Recipe::default();
        changed.config.cmd = Some(vec!["-js".into()]);
        let layer = ContentHash::of_bytes(b"layer");
        let hash = |recipe, layers: &[ContentHash]| image_hash(&name, Architecture::Amd64, recipe, layers);
        assert_ne!(hash(&plain, &[layer]), hash(&changed, &[layer]));
        assert_ne!(hash(&plain, &[layer]), hash(&plain, &[]));
        assert_eq!(hash(&plain, &[layer]), hash(&plain.clone(), &[layer]));
    }

    #[test]
    fn a_hash_reads_back() {
        let hash = ContentHash::of_bytes(b"x");
        assert_eq!(hash.hex().parse(), Ok(hash));
        assert!("abc".parse::<ContentHash>().is_err());
        assert!("é".repeat(32).parse::<ContentHash>().is_err());
    }

    proptest! {
        #[test]
        fn moving_a_byte_between_fields_changes_the_hash(a in "[ab]{0,6}", b in "[ab]{0,6}", c in "[ab]{0,6}", d in "[ab]{0,6}") {
            let hash = |x: &str, y: &str| ContentHasher::new().field("f", x.as_bytes()).field("f", y.as_bytes()).finish();
            prop_assert_eq!(hash(&a, &b) == hash(&c, &d), (a, b) == (c, d));
        }
    }
}
