//! The Debian packages that a recipe is expected to bring: versions and hashes, per image and architecture.
//!
//! Debian's archive moves, so a recipe built later can bring other versions. The lock of packages makes that visible; it
//! forces nothing, because an archive keeps no old versions.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::image::{Architecture, ImageName};

/// Version and hash of one package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PackagePin {
    /// Debian's version, such as `1:3.0.9-1`.
    pub version: String,
    /// The package file's sha256 in hex.
    pub sha256: String,
}

/// A text that is not a package's pin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a package's pin (it looks like `1.2-3 sha256:...`)")]
pub struct PackagePinError(String);

impl fmt::Display for PackagePin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sha256:{}", self.version, self.sha256)
    }
}

impl FromStr for PackagePin {
    type Err = PackagePinError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (version, sha256) =
            text.split_once(" sha256:").ok_or_else(|| PackagePinError(text.to_owned()))?;
        let hex = sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_version(version) || !hex {
            return Err(PackagePinError(text.to_owned()));
        }
        Ok(Self { version: version.to_owned(), sha256: sha256.to_ascii_lowercase() })
    }
}

impl TryFrom<String> for PackagePin {
    type Error = PackagePinError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<PackagePin> for String {
    fn from(pin: PackagePin) -> Self {
        pin.to_string()
    }
}

/// Packages by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PackageSet(pub BTreeMap<String, PackagePin>);

impl PackageSet {
    /// Reads what `sha256sum *.deb` prints in a folder of downloaded packages, whose names are
    /// `NAME_VERSION_ARCHITECTURE.deb` with `%3a` for a colon. Nothing for a line of another form, or for a package that comes
    /// twice in different versions.
    pub fn from_sums(text: &str) -> Option<Self> {
        let mut packages = BTreeMap::new();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let (sha256, file) = line.split_once("  ")?;
            let mut parts = file.strip_suffix(".deb")?.split('_');
            let (name, version, _architecture) = (parts.next()?, parts.next()?, parts.next()?);
            if parts.next().is_some() || !is_name(name) {
                return None;
            }
            let version = version.replace("%3a", ":");
            let pin: PackagePin = format!("{version} sha256:{sha256}").parse().ok()?;
            if packages.insert(name.to_owned(), pin.clone()).is_some_and(|other| other != pin) {
                return None;
            }
        }
        Some(Self(packages))
    }

    /// Takes in the packages of another layer.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The text of an image's label: `NAME=VERSION` separated by spaces, sorted.
    pub fn label(&self) -> String {
        let pairs: Vec<String> = self.0.iter().map(|(name, pin)| format!("{name}={}", pin.version)).collect();
        pairs.join(" ")
    }
}

/// Whether Debian's policy (5.6.1) allows a package this name, but for its length.
fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.bytes().next().is_some_and(plain) && text.bytes().all(|byte| plain(byte) || b"+-.".contains(&byte))
}

/// Whether a text has the characters of a version in Debian's policy (5.6.12) alone.
fn is_version(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".+-~:".contains(&byte))
}

/// How the packages of an image differ from what the lock expects. Sorted by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// Name, expected version, version found. A version is none where the package is not on that side.
    pub changed: Vec<(String, Option<String>, Option<String>)>,
}

impl Drift {
    /// Compares an image's label, as [`PackageSet::label`] wrote it, with the expected set. None if they are equal.
    pub fn of(expected: &PackageSet, label: &str) -> Option<Self> {
        let found: BTreeMap<&str, &str> = label.split(' ').filter_map(|pair| pair.split_once('=')).collect();
        let mut names: Vec<&str> =
            expected.0.keys().map(String::as_str).chain(found.keys().copied()).collect();
        names.sort_unstable();
        names.dedup();
        let changed: Vec<_> = names
            .into_iter()
            .filter_map(|name| {
                let want = expected.0.get(name).map(|pin| pin.version.as_str());
                let have = found.get(name).copied();
                (want != have).then(|| (name.to_owned(), want.map(str::to_owned), have.map(str::to_owned)))
            })
            .collect();
        (!changed.is_empty()).then_some(Self { changed })
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, want, have)) in self.changed.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            match (want, have) {
                (Some(want), Some(have)) => write!(f, "{separator}`{name}` is {have}, expected {want}")?,
                (Some(want), None) => write!(f, "{separator}`{name}` {want} is missing")?,
                (None, Some(have)) => write!(f, "{separator}`{name}` {have} is new")?,
                (None, None) => {}
            }
        }
        Ok(())
    }
}

/// The file of expected packages, `images/packages.lock.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackageLock {
    /// The format; 1.
    pub schema: u32,
    /// Image to architecture to packages.
    pub images: BTreeMap<ImageName, BTreeMap<Architecture, PackageSet>>,
}

impl Default for PackageLock {
    fn default() -> Self {
        Self { schema: 1, images: BTreeMap::new() }
    }
}

impl PackageLock {
    /// What is expected of an image; none if nobody has recorded it for this architecture.
    pub fn expected(&self, image: &ImageName, architecture: Architecture) -> Option<&PackageSet> {
        self.images.get(image)?.get(&architecture)
    }

    /// Records what an image brought.
    pub fn record(&mut self, image: &ImageName, architecture: Architecture, packages: PackageSet) {
        self.images.entry(image.clone()).or_default().insert(architecture, packages);
    }
}

#[cfg(test)]
mod tests {
    use super::{Drift, PackageLock, PackagePin, PackageSet};
    use crate::image::Architecture;

    const SUM: &str = "c24fe4eb8e60d8632d72ed104cce7c92cff200847c897dc8ba764b6c47b519e0";

    fn set(pairs: &[(&str, &str)]) -> PackageSet {
        let lines: Vec<String> =
            pairs.iter().map(|(name, version)| format!("{SUM}  {name}_{version}_amd64.deb")).collect();
        PackageSet::from_sums(&lines.join("\n")).unwrap()
    }

    #[test]
    fn a_sum_becomes_name_version_and_hash() {
        let packages = set(&[("libaudit1", "1%3a3.0.9-1")]);
        let pin: PackagePin = packages.0["libaudit1"].clone();
        assert_eq!((pin.version.as_str(), pin.sha256.as_str()), ("1:3.0.9-1", SUM));
    }

    #[test]
    fn a_line_of_another_form_is_refused() {
        for text in
            ["libc6", "abc  libc6_1_amd64.deb", &format!("{SUM}  libc6.deb"), &format!("{SUM}  x_1_all.rpm")]
        {
            assert_eq!(PackageSet::from_sums(text), None, "{text}");
        }
    }

    #[test]
    fn what_a_label_cannot_tell_apart_is_refused() {
        // A label joins names and versions by `=` and spaces.
        for file in [
            "a=b_1_all",
            "a b_1_all",
            "_1_all",
            "A_1_all",
            "a_1=2_all",
            "a_1 2_all",
            "a__all",
            "a_1",
            "a_1_all_x",
        ] {
            assert_eq!(PackageSet::from_sums(&format!("{SUM}  {file}.deb")), None, "{file}");
        }
        let twice =
            |other: &str| PackageSet::from_sums(&format!("{SUM}  a_1_all.deb\n{SUM}  a_{other}_all.deb"));
        assert!(twice("1").is_some() && twice("2").is_none());
    }

    #[test]
    fn a_label_of_the_expected_set_does_not_drift() {
        let packages = set(&[("libc6", "2.36-9"), ("zlib1g", "1.2")]);
        assert_eq!(Drift::of(&packages, &packages.label()), None);
    }

    #[test]
    fn drift_names_what_changed_what_is_new_and_what_is_missing() {
        let drift = Drift::of(&set(&[("a", "1"), ("b", "1")]), "b=2 c=3").unwrap();
        assert_eq!(drift.to_string(), "`a` 1 is missing, `b` is 2, expected 1, `c` 3 is new");
    }

    #[test]
    fn a_lock_reads_back_and_knows_each_architecture_apart() {
        let name = "nats".parse().unwrap();
        let mut lock = PackageLock::default();
        lock.record(&name, Architecture::Amd64, set(&[("libc6", "2.36-9")]));
        let text = serde_json::to_string(&lock).unwrap();
        let read: PackageLock = serde_json::from_str(&text).unwrap();
        assert_eq!(read, lock);
        assert!(read.expected(&name, Architecture::Amd64).is_some());
        assert!(read.expected(&name, Architecture::Arm64).is_none());
    }

    #[test]
    fn a_pin_without_a_whole_hash_is_refused() {
        for text in ["1.2", "1.2 sha256:abc", " sha256:", "1 2 sha256:"] {
            assert!(text.parse::<PackagePin>().is_err(), "{text}");
        }
    }
}
