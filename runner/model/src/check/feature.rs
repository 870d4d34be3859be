//! The features that a crate declares, read from its `Cargo.toml`.

use super::Feature;
use crate::document::from_toml;

/// The features of a `Cargo.toml`, each with its line, in the order of the file. Where it cannot be read there are none: cargo
/// itself tells of that.
pub fn features(file: &str, text: &str) -> Vec<Feature> {
    let Ok(document) = from_toml(file, text) else { return Vec::new() };
    let table = document.item().fields().ok().and_then(|mut fields| fields.take("features"));
    let Some(features) = table.and_then(|item| item.fields().ok()) else { return Vec::new() };
    let feature = |(name, mark): (&str, crate::document::Mark)| Feature {
        name: name.to_owned(),
        file: file.to_owned(),
        line: mark.line,
    };
    features.keys().map(feature).collect()
}

#[cfg(test)]
mod tests {
    use super::features;

    fn read(text: &str) -> Vec<(String, u32)> {
        features("a/Cargo.toml", text).into_iter().map(|feature| (feature.name, feature.line)).collect()
    }

    #[test]
    fn every_feature_has_its_line() {
        let text =
            "[package]\nname = \"a\"\n\n[features]\ndefault = [\"b\"]\n\n# x\n\"b-c\" = []\nb = [\n]\n";
        let expected = [("default", 5), ("b-c", 8), ("b", 9)].map(|(name, line)| (name.to_owned(), line));
        assert_eq!(read(text), expected);
        assert_eq!(read("features = { x = [] }\n"), [("x".to_owned(), 1)]);
        assert_eq!(features("a/Cargo.toml", "features.x = []")[0].file, "a/Cargo.toml");
    }

    #[test]
    fn what_declares_no_features_has_none() {
        for text in ["", "[package]\nname = \"a\"\n", "features = 1\n", "[features\n"] {
            assert_eq!(read(text), [], "{text}");
        }
    }
}
