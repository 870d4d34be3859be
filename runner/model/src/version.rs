//! Versions of drivers, of CUDA and of what GPUs can compute: numbers between dots, compared one by one.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Parts of a version, at most.
const MAX_PARTS: usize = 6;

/// A version such as `580.65.06`. It is shown as it was written; parts that are not there count as 0.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version {
    text: String,
    parts: Vec<u32>,
}

/// A text that is no version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no version: numbers with dots between them, such as `12.8`")]
pub struct NoVersion(String);

impl Version {
    /// The version that a text begins with: of `28.3.1-ce`, `28.3.1`.
    pub fn leading(text: &str) -> Option<Self> {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        text.get(..end)?.trim_end_matches('.').parse().ok()
    }
}

impl FromStr for Version {
    type Err = NoVersion;

    fn from_str(text: &str) -> Result<Self, NoVersion> {
        let part = |part: &str| {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse::<u32>().ok().filter(|_| digits)
        };
        let parts: Option<Vec<u32>> = text.split('.').map(part).collect();
        match parts {
            Some(mut parts) if parts.len() <= MAX_PARTS => {
                while parts.len() > 1 && parts.last() == Some(&0) {
                    parts.pop();
                }
                Ok(Self { text: text.to_owned(), parts })
            }
            _ => Err(NoVersion(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Version {
    type Error = NoVersion;

    fn try_from(text: String) -> Result<Self, NoVersion> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.text
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.parts == other.parts
    }
}

impl Eq for Version {}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts.cmp(&other.parts)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Version;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn versions_are_compared_by_numbers_and_shown_as_they_were_written() {
        for (less, more) in
            [("9.0", "12.8"), ("570.86.15", "570.124"), ("580.65.06", "580.65.7"), ("8", "8.0.1")]
        {
            assert!(version(less) < version(more), "{less} {more}");
        }
        assert_eq!(version("12.0"), version("12"));
        assert_eq!(version("580.65.06").to_string(), "580.65.06");
    }

    #[test]
    fn what_is_no_version_is_refused() {
        for text in ["", ".", "1.", ".1", "1..2", "v1", "1.x", "+1", "99999999999", "1.2.3.4.5.6.7"] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_version_that_a_text_begins_with_is_found() {
        for (text, found) in
            [("28.3.1-ce", Some("28.3.1")), ("20.10.24+dfsg1", Some("20.10.24")), ("dev", None)]
        {
            assert_eq!(Version::leading(text).map(|it| it.to_string()).as_deref(), found);
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics_and_what_is_read_is_written_the_same(text in "[0-9.]{0,12}|.{0,8}") {
            if let Ok(version) = text.parse::<Version>() {
                prop_assert_eq!(version.to_string(), text);
            }
        }

        #[test]
        fn order_is_that_of_the_numbers(a in prop::collection::vec(0_u32..30, 1..4), b in prop::collection::vec(0_u32..30, 1..4)) {
            let text = |parts: &[u32]| parts.iter().map(u32::to_string).collect::<Vec<_>>().join(".");
            let padded = |parts: &[u32]| { let mut parts = parts.to_vec(); parts.resize(4, 0); parts };
            prop_assert_eq!(version(&text(&a)).cmp(&version(&text(&b))), padded(&a).cmp(&padded(&b)));
        }
    }
}
