//! The lock of images: for each name, the one way in which the image can be had.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::document::{Fields, Item, from_yaml};
use crate::span::Fault;

/// An image's name in the lock, such as `dynamo`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageName(String);

/// A text that cannot name an image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` cannot name an image (lower-case letters, digits, `-`, `_` and `.` inside)")]
pub struct ImageNameError(String);

impl ImageName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ImageName {
    type Err = ImageNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let ends = |byte: Option<&u8>| byte.is_some_and(|byte| plain(*byte));
        let bytes = text.as_bytes();
        let separated = bytes.windows(2).all(|pair| pair.iter().any(|byte| plain(*byte)));
        let known = bytes.iter().all(|byte| plain(*byte) || b"-_.".contains(byte));
        if bytes.len() <= 64 && known && separated && ends(bytes.first()) && ends(bytes.last()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ImageNameError(text.to_owned()))
        }
    }
}

impl TryFrom<String> for ImageName {
    type Error = ImageNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ImageName> for String {
    fn from(name: ImageName) -> Self {
        name.0
    }
}

/// A content digest, `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

/// A text that is not a content digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a digest (`sha256:` and 64 lower-case hexadecimal digits)")]
pub struct DigestError(String);

impl Digest {
    /// The digits after `sha256:`.
    pub fn hex(&self) -> &str {
        self.0.strip_prefix("sha256:").unwrap_or_default()
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = text.strip_prefix("sha256:").unwrap_or_default();
        if hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            Ok(Self(text.to_owned()))
        } else {
            Err(DigestError(text.to_owned()))
        }
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

/// How an image can be had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageSource {
    /// From a registry, by digest.
    Pull(Pulled),
    /// From an archive that something else made, such as Nix.
    Load(Archived),
    /// From a recipe, here; the file, from the folder of images.
    Build(String),
}

/// An image of a registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pulled {
    /// The repository with its registry.
    pub repository: String,
    /// The tag that the digest was read from; for people only.
    pub tag: String,
    /// What is pulled.
    pub digest: Digest,
}

/// An image in a docker archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Archived {
    /// Where the archive is.
    #[serde(flatten)]
    pub held: Held,
    /// The image's id, the digest of its configuration.
    pub id: Digest,
}

/// Where a docker archive is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// A file, from the folder of images.
    Archive(String),
    /// A program, by its whole path, that writes it to its standard output, as nixpkgs' `streamLayeredImage` makes one.
    Stream(String),
}

/// The lock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImageLock {
    /// Images by name.
    pub images: BTreeMap<ImageName, ImageSource>,
}

const WAYS: [&str; 3] = ["pull", "load", "build"];

impl ImageLock {
    /// Reads the lock file. It is JSON, and read with the reader for YAML, of which JSON is a part, for its places.
    pub fn parse(file: &str, text: &str) -> Result<Self, Fault> {
        let document = from_yaml(file, text)?;
        let mut top = document.item().fields()?;
        let schema = top.require("schema")?;
        if schema.integer::<u32>()? != 1 {
            return Err(schema.fault("must be 1, the only format there is"));
        }
        let mut images = BTreeMap::new();
        for (key, item) in top.require("images")?.fields()?.take_rest() {
            let name: ImageName = key
                .parse()
                .map_err(|error: ImageNameError| document.fault(item.key_mark(), error.to_string()))?;
            images.insert(name, source(&item)?);
        }
        top.finish(&["schema", "images"])?;
        Ok(Self { images })
    }

    /// The lock's text with another digest for an image, and everything else as it was written.
    pub fn with_digest(text: &str, name: &ImageName, old: &Digest, new: &Digest) -> String {
        // Two images may have one digest: the one that is meant comes first after its own name.
        let from = text.find(&format!("\"{name}\"")).unwrap_or(0);
        let (before, after) = text.split_at(from);
        format!("{before}{}", after.replacen(old.as_str(), new.as_str(), 1))
    }
}

fn source(item: &Item<'_>) -> Result<ImageSource, Fault> {
    let mut fields = item.fields()?;
    let keys: Vec<&str> = fields.rest().collect();
    let ways: Vec<&str> = keys.iter().copied().filter(|key| WAYS.contains(key)).collect();
    let &[way] = ways.as_slice() else {
        if ways.is_empty() {
            // An unknown key says more than a missing one.
            fields.finish(&WAYS)?;
        }
        let several = if ways.is_empty() { "" } else { ", not several" };
        return Err(item.fault(format!("must have one of `{}`{several}", WAYS.join("`, `"))));
    };
    let mut inner = fields.require(way)?.fields()?;
    let source = match way {
        "pull" => pull(&mut inner)?,
        "load" => load(&mut inner)?,
        _ => ImageSource::Build(below(&inner.require("recipe")?)?),
    };
    inner.finish(match way {
        "pull" => &["repository", "tag", "digest"],
        "load" => &["archive", "stream", "id"],
        _ => &["recipe"],
    })?;
    fields.finish(&WAYS)?;
    Ok(source)
}

fn pull(fields: &mut Fields<'_>) -> Result<ImageSource, Fault> {
    let repository = fields.require("repository")?;
    let text = repository.full_text()?;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_./:".contains(&byte);
    if !text.bytes().all(plain) || text.starts_with('-') {
        return Err(repository.fault(format!("cannot be `{text}`")));
    }
    Ok(ImageSource::Pull(Pulled {
        repository: text.to_owned(),
        tag: fields.require("tag")?.full_text()?.to_owned(),
        digest: digest(&fields.require("digest")?)?,
    }))
}

fn load(fields: &mut Fields<'_>) -> Result<ImageSource, Fault> {
    let held = match fields.take("stream") {
        Some(stream) => Held::Stream(whole(&stream)?),
        None => Held::Archive(below(&fields.require("archive")?)?),
    };
    Ok(ImageSource::Load(Archived { held, id: digest(&fields.require("id")?)? }))
}

fn digest(item: &Item<'_>) -> Result<Digest, Fault> {
    item.full_text()?.parse().map_err(|error: DigestError| {
        item.fault(format!("is wrong: {error}")).with_hint(
            "a registry prints it (`docker buildx imagetools inspect NAME:TAG`), and so does `docker image inspect NAME`",
        )
    })
}

/// A path from the root.
fn whole(item: &Item<'_>) -> Result<String, Fault> {
    let text = item.full_text()?;
    if text.starts_with('/') {
        return Ok(text.to_owned());
    }
    Err(item.fault(format!("must be a whole path, and `{text}` is not")))
}

/// A path below the folder of images.
fn below(item: &Item<'_>) -> Result<String, Fault> {
    let text = item.full_text()?;
    let climbs = text.split('/').any(|part| part == "..");
    if text.starts_with('/') || climbs {
        return Err(item.fault(format!("must be below the folder of images, and `{text}` is not")));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{ImageLock, ImageName, ImageSource};

    const DIGEST: &str = "sha256:b23ce9e87c413725024ddfd2e06c1e7da220eb48f8a93037f0b01d564b54bd13";

    fn lock(image: &str) -> String {
        format!("{{\n  \"schema\": 1,\n  \"images\": {{\n    \"nats\": {image}\n  }}\n}}\n")
    }

    fn message(image: &str) -> String {
        ImageLock::parse("images.lock.json", &lock(image)).unwrap_err().to_string()
    }

    #[test]
    fn the_three_ways_are_read() {
        for (image, way) in [
            (r#"{"build": {"recipe": "recipes/nats.toml"}}"#.to_owned(), "build"),
            (
                format!(r#"{{"pull": {{"repository": "a.example/b", "tag": "1.0", "digest": "{DIGEST}"}}}}"#),
                "pull",
            ),
            (format!(r#"{{"load": {{"archive": "nats.tar", "id": "{DIGEST}"}}}}"#), "load"),
            (format!(r#"{{"load": {{"stream": "/store/stream-nats", "id": "{DIGEST}"}}}}"#), "load"),
        ] {
            let lock = ImageLock::parse("images.lock.json", &lock(&image)).unwrap();
            let name: ImageName = "nats".parse().unwrap();
            let found = match &lock.images[&name] {
                ImageSource::Pull(_) => "pull",
                ImageSource::Load(_) => "load",
                ImageSource::Build(_) => "build",
            };
            assert_eq!(found, way);
        }
    }

    #[test]
    fn an_unknown_way_and_an_unknown_key_name_their_place() {
        assert_eq!(
            message(r#"{"biuld": {}}"#),
            "images.lock.json:4:14: unknown key `biuld` in `images.nats`"
        );
        assert_eq!(
            message(r#"{"build": {"recipe": "a", "x": 1}}"#),
            "images.lock.json:4:39: unknown key `x` in `images.nats.build`"
        );
    }

    #[test]
    fn an_archive_is_a_file_or_a_program_and_not_both() {
        let both = format!(r#"{{"load": {{"archive": "a.tar", "stream": "/s", "id": "{DIGEST}"}}}}"#);
        assert!(message(&both).contains("unknown key `archive` in `images.nats.load`"), "{}", message(&both));
        let relative = format!(r#"{{"load": {{"stream": "s", "id": "{DIGEST}"}}}}"#);
        assert!(
            message(&relative).ends_with("`images.nats.load.stream` must be a whole path, and `s` is not")
        );
    }

    #[test]
    fn another_digest_changes_one_line() {
        let pull = |tag: &str| {
            format!(r#"{{"pull": {{"repository": "a.example/b", "tag": "{tag}", "digest": "{DIGEST}"}}}}"#)
        };
        let text = format!(
            "{{\n\"schema\": 1, \"images\": {{\n\"a\": {},\n\"b\": {}\n}}\n}}\n",
            pull("1"),
            pull("2")
        );
        let new = format!("sha256:{}", "0".repeat(64));
        let name: ImageName = "b".parse().unwrap();
        let changed = ImageLock::with_digest(&text, &name, &DIGEST.parse().unwrap(), &new.parse().unwrap());
        let lock = ImageLock::parse("l", &changed).unwrap();
        let digest = |name: &str| match &lock.images[&name.parse::<ImageName>().unwrap()] {
            ImageSource::Pull(pulled) => pulled.digest.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!((digest("a"), digest("b")), (DIGEST.to_owned(), new));
        assert_eq!(text.lines().zip(changed.lines()).filter(|(old, new)| old != new).count(), 1);
    }

    #[test]
    fn one_image_has_one_way() {
        assert!(message("{}").contains("must have one of `pull`, `load`, `build`"));
        assert!(message(r#"{"build": {"recipe": "a"}, "load": {}}"#).contains("not several"));
    }

    #[test]
    fn a_pin_that_is_not_a_digest_is_refused() {
        for digest in ["latest", "sha256:abc", "sha512:00", &DIGEST.to_uppercase()] {
            let image = format!(r#"{{"pull": {{"repository": "a", "tag": "1.x", "digest": "{digest}"}}}}"#);
            assert!(message(&image).contains("is not a digest"), "{digest}: {}", message(&image));
        }
    }

    #[test]
    fn a_recipe_outside_of_the_folder_is_refused() {
        for path in ["/etc/passwd", "../a.toml", "a/../../b"] {
            let image = format!(r#"{{"build": {{"recipe": "{path}"}}}}"#);
            assert!(message(&image).contains("must be below the folder of images"), "{path}");
        }
    }

    #[test]
    fn a_name_twice_is_refused() {
        let text =
            r#"{"schema": 1, "images": {"a": {"build": {"recipe": "a"}}, "a": {"build": {"recipe": "b"}}}}"#;
        assert!(ImageLock::parse("l", text).is_err());
    }

    #[test]
    fn names_are_what_a_reference_can_hold() {
        for name in ["nats", "vllm-cpu", "a.b_c", "0"] {
            assert!(name.parse::<ImageName>().is_ok(), "{name}");
        }
        for name in ["", "Nats", "-a", "a-", "a..b", "a/b", "a:b", &"a".repeat(65), "é"] {
            assert!(name.parse::<ImageName>().is_err(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "[{}\\[\\]\",:a-c1 \n]{0,60}") {
            let _ = ImageLock::parse("l", &text);
        }
    }
}
