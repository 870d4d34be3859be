//! Bundles: a record in one file that another machine can check and reproduce from.
//!
//! A bundle is a tar archive, compressed with zstd. Its first member, `bundle.json`, names every other with size and hash; all are
//! plain files below `record/` or `images/`. Equal records give equal bytes: names are ordered, and times, owners and modes are fixed.

mod error;
mod pack;
mod unpack;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::error::BundleError;
pub use self::pack::{Member, pack};
#[cfg(test)]
use self::unpack::unpack;
pub use self::unpack::{Opened, open};

/// The version of the format.
pub const SCHEMA: u32 = 1;

/// The folder of the record in a bundle.
const RECORD: &str = "record";

/// The first member.
const INDEX: &str = "bundle.json";
/// The largest index that is read: a record of 50,000 cases, each with a log of its own, has one of 10 MB.
const MOST_INDEX: u64 = 64 << 20;

/// `bundle.json`: what the bundle holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// Version of the format.
    pub schema: u32,
    /// The run whose record it is.
    pub run: String,
    /// Every other member.
    pub files: BTreeMap<String, Content>,
}

/// What a member must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Its size.
    pub bytes: u64,
    /// The hash of its bytes, BLAKE3.
    pub blake3: String,
}

#[cfg(test)]
mod tests;
