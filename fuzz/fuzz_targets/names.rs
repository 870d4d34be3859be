//! Short texts with a form: shards, tiers, ids, names, digests, modes and paths. What is read, written and read again is one.
#![no_main]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use libfuzzer_sys::fuzz_target;
use testbed_model::id::RunId;
use testbed_model::image::{Architecture, ContentHash, Digest, ImageName, ImagePath, Mode};
use testbed_model::shard::Shard;
use testbed_model::tier::Tier;

/// Gives what was read.
fn reads_back<T>(text: &str) -> Option<T>
where
    T: FromStr + Display + PartialEq + Debug,
    T::Err: Debug + PartialEq + Display,
{
    match text.parse::<T>() {
        Ok(value) => {
            assert_eq!(value.to_string().parse::<T>().as_ref(), Ok(&value));
            Some(value)
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            None
        }
    }
}

fuzz_target!(|text: &str| {
    if let Some(shard) = reads_back::<Shard>(text) {
        assert!((1..=shard.count()).contains(&shard.number()));
    }
    if let Some(tier) = reads_back::<Tier>(text) {
        assert_eq!(tier.marker().parse::<Tier>(), Ok(tier));
    }
    if let Some(id) = reads_back::<RunId>(text) {
        assert_eq!(id.as_str(), text);
    }
    reads_back::<ImageName>(text);
    reads_back::<Digest>(text);
    reads_back::<ContentHash>(text);
    reads_back::<Architecture>(text);
    if let Some(mode) = Mode::parse(text) {
        assert_eq!(Mode::parse(&mode.to_string()), Some(mode));
    }
    if let Ok(path) = ImagePath::parse(text) {
        assert_eq!(ImagePath::parse(&path.to_string()).as_ref(), Ok(&path));
        assert!(path.as_str().split('/').all(|part| !matches!(part, "." | "..")));
        assert!(path.parent().is_none_or(|parent| path.is_within(&parent)));
        assert!(path.is_within(&ImagePath::root()) && path.is_within(&path));
    }
});
