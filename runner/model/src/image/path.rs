//! Paths and modes inside an image.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A path inside an image's root, in one spelling only: components joined by `/`, without a leading one, without `.`,
/// `..`, or empty components. The root itself is the empty text.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImagePath(String);

/// A text that cannot be a path inside an image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImagePathError {
    /// It climbs out.
    #[error("the path `{0}` leaves the image's root")]
    Climbs(String),
    /// It holds a byte that no file name can hold.
    #[error("the path `{0}` holds a zero byte")]
    ZeroByte(String),
}

impl ImagePath {
    /// Reads a path as an archive or a recipe writes it: `./usr/bin/`, `/usr/bin` and `usr/bin` are one path.
    pub fn parse(text: &str) -> Result<Self, ImagePathError> {
        if text.contains('\0') {
            return Err(ImagePathError::ZeroByte(text.replace('\0', "\u{fffd}")));
        }
        let mut parts = Vec::new();
        for part in text.split('/') {
            match part {
                "" | "." => {}
                ".." => return Err(ImagePathError::Climbs(text.to_owned())),
                _ => parts.push(part),
            }
        }
        Ok(Self(parts.join("/")))
    }

    /// The image's root.
    pub fn root() -> Self {
        Self::default()
    }

    /// The path without a leading `/`; empty for the root.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The folder that holds this path; none for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        Some(Self(self.0.rsplit_once('/').map_or_else(String::new, |(head, _)| head.to_owned())))
    }

    /// The last component; empty for the root.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// What follows the last dot of the file name, if something stands before it.
    pub fn extension(&self) -> Option<&str> {
        self.file_name().rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map(|(_, extension)| extension)
    }

    /// The path of `below` under this one.
    #[must_use]
    pub fn join(&self, below: &Self) -> Self {
        match (self.is_root(), below.is_root()) {
            (true, _) => below.clone(),
            (_, true) => self.clone(),
            _ => Self(format!("{}/{}", self.0, below.0)),
        }
    }

    /// Whether this path is `other` or lies under it.
    pub fn is_within(&self, other: &Self) -> bool {
        other.is_root()
            || self.0.strip_prefix(&other.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for ImagePath {
    /// With a leading `/`, as a person writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.0)
    }
}

impl TryFrom<String> for ImagePath {
    type Error = ImagePathError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<ImagePath> for String {
    fn from(path: ImagePath) -> Self {
        path.to_string()
    }
}

/// Permission bits of a file in an image. Set-user and set-group bits cannot be written: no image needs them, and a
/// hardened container ignores them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mode(u32);

impl Mode {
    /// A file that anybody can read.
    pub const FILE: Self = Self(0o644);
    /// A program, or a folder.
    pub const PROGRAM: Self = Self(0o755);
    /// A link.
    pub const LINK: Self = Self(0o777);

    /// The nine permission bits and the sticky bit of `bits`.
    pub const fn of(bits: u32) -> Self {
        Self(bits & 0o1777)
    }

    /// The mode that a file has in an image when only its execute bit is known, as in git.
    pub const fn executable(is_executable: bool) -> Self {
        if is_executable { Self::PROGRAM } else { Self::FILE }
    }

    /// Reads octal digits, such as `1777`; nothing for other text and for set-user and set-group bits.
    pub fn parse(text: &str) -> Option<Self> {
        let octal = (3..=4).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
        let bits = u32::from_str_radix(text, 8).ok().filter(|_| octal)?;
        (bits & !0o1777 == 0).then_some(Self(bits))
    }

    /// The bits.
    pub const fn bits(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl TryFrom<String> for Mode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or_else(|| format!("`{text}` is not a mode such as `0755`"))
    }
}

impl From<Mode> for String {
    fn from(mode: Mode) -> Self {
        mode.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{ImagePath, ImagePathError, Mode};

    #[test]
    fn three_spellings_are_one_path() {
        for text in ["/usr/bin", "./usr/bin/", "usr//bin", "usr/./bin"] {
            assert_eq!(ImagePath::parse(text).unwrap().as_str(), "usr/bin", "{text}");
        }
    }

    #[test]
    fn a_path_cannot_climb_out() {
        for text in ["..", "../etc", "/usr/../../etc", "a/.."] {
            assert_eq!(ImagePath::parse(text), Err(ImagePathError::Climbs(text.to_owned())));
        }
    }

    #[test]
    fn the_root_has_no_parent_and_holds_everything() {
        let root = ImagePath::parse("./").unwrap();
        assert!(root.is_root() && root.parent().is_none());
        let path = ImagePath::parse("/etc/passwd").unwrap();
        assert!(path.is_within(&root));
        assert_eq!(path.parent().unwrap().parent().unwrap(), root);
        assert_eq!(root.to_string(), "/");
    }

    #[test]
    fn an_extension_follows_the_last_dot_of_a_name() {
        for (text, extension) in
            [("/a.d/b.tar.zst", Some("zst")), ("/a.d/b", None), ("/.hidden", None), ("/", None)]
        {
            assert_eq!(ImagePath::parse(text).unwrap().extension(), extension, "{text}");
        }
    }

    #[test]
    fn within_means_whole_components() {
        let opt = ImagePath::parse("/opt/tests").unwrap();
        assert!(ImagePath::parse("/opt/tests/a").unwrap().is_within(&opt));
        assert!(!ImagePath::parse("/opt/tests2").unwrap().is_within(&opt));
    }

    #[test]
    fn modes_are_octal_without_set_user_bits() {
        assert_eq!(Mode::parse("1777").unwrap().bits(), 0o1777);
        assert_eq!(Mode::parse("755"), Some(Mode::PROGRAM));
        for text in ["", "8", "4755", "2755", "0o755", "07777", "rwx"] {
            assert_eq!(Mode::parse(text), None, "{text}");
        }
        assert_eq!(Mode::of(0o4755), Mode::PROGRAM);
    }

    proptest! {
        #[test]
        fn every_path_that_parses_stays_inside_and_reads_back(text in "[a./\\\\ é\u{0}-]{0,30}") {
            if let Ok(path) = ImagePath::parse(&text) {
                prop_assert!(!path.as_str().starts_with('/'));
                prop_assert!(path.as_str().split('/').all(|part| part != ".." && part != "."));
                prop_assert_eq!(ImagePath::parse(&path.to_string()).unwrap(), path);
            }
        }

        #[test]
        fn a_parent_sorts_before_what_it_holds(text in "[a-c/.-]{1,20}") {
            if let Ok(path) = ImagePath::parse(&text)
                && let Some(parent) = path.parent()
            {
                prop_assert!(parent < path);
                prop_assert!(path.is_within(&parent));
            }
        }
    }
}
