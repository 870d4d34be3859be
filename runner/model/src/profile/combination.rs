//! Combinations: a profile with overlays on top, by a name such as `mocker+request-tcp`, and the matrices that axes of overlays make.
//!
//! An overlay is a layer of its own, `envs/overlays/NAME.toml`. It says one thing that holds for many profiles; what it says must
//! mean something to the profile that it is laid over, and no two overlays of a combination may contradict each other.

use std::collections::BTreeMap;

use super::layer::{Layer, of_file};
use super::{BASE, ProfileError};
use crate::nearest::did_you_mean;

/// Between a profile's name and those of overlays.
pub const PLUS: char = '+';

/// The folder of overlays, in names of layers.
const FOLDER: &str = "overlays/";

/// What an overlay can not set: what makes a profile the one that it is.
const OF_PROFILES: [&str; 6] = ["extends", "stack", "order", "tiers", "whole", "axes"];

/// The profile's own name in that of a combination.
pub fn base_of(name: &str) -> &str {
    name.split(PLUS).next().unwrap_or(name)
}

/// Whether a layer is one that a profile, or a combination, calls its own: its file, and its overlays.
pub(super) fn is_own(layer: &str, name: &str) -> bool {
    layer == base_of(name) || layer.starts_with(FOLDER)
}

/// The text of a profile; an overlay is none.
pub(super) fn profile<'s>(name: &str, sources: &'s BTreeMap<String, String>) -> Option<&'s String> {
    sources.get(name).filter(|_| !name.starts_with(FOLDER))
}

/// The names of all profiles, with each combination of a matrix, and without the base layer.
pub fn names(sources: &BTreeMap<String, String>) -> Vec<String> {
    let profiles = sources.keys().filter(|name| *name != BASE && !name.starts_with(FOLDER));
    // What a broken file stands for is told when it is resolved.
    profiles.flat_map(|name| expand(name, sources).unwrap_or_else(|_| vec![name.clone()])).collect()
}

/// The names of all overlays.
pub fn overlays(sources: &BTreeMap<String, String>) -> impl Iterator<Item = &str> {
    sources.keys().filter_map(|name| name.strip_prefix(FOLDER))
}

/// What a name stands for: each combination of a matrix, in the order in which its axes name overlays, and else itself.
pub fn expand(name: &str, sources: &BTreeMap<String, String>) -> Result<Vec<String>, ProfileError> {
    let Some(text) = sources.get(name).filter(|_| name != BASE) else { return Ok(vec![name.to_owned()]) };
    let layer = of_file(name, text)?;
    let mut combinations = vec![name.to_owned()];
    for axis in layer.axes() {
        for (mark, overlay) in axis {
            if !sources.contains_key(&format!("{FOLDER}{overlay}")) {
                let fault =
                    layer.document.fault(*mark, format!("an axis names the unknown overlay `{overlay}`"));
                return Err(fault.with_nearest(overlay, overlays(sources)).into());
            }
        }
        combinations = combinations
            .iter()
            .flat_map(|name| axis.iter().map(move |(_, overlay)| format!("{name}{PLUS}{overlay}")))
            .collect();
    }
    Ok(combinations)
}

/// The layers of the overlays in a name.
pub(super) fn layers(name: &str, sources: &BTreeMap<String, String>) -> Result<Vec<Layer>, ProfileError> {
    let mut layers: Vec<Layer> = Vec::new();
    for overlay in name.split(PLUS).skip(1) {
        let key = format!("{FOLDER}{overlay}");
        let text = sources.get(&key).ok_or_else(|| ProfileError::UnknownOverlay {
            overlay: overlay.to_owned(),
            suggestion: did_you_mean(overlay, overlays(sources).collect::<Vec<_>>()),
        })?;
        let mut layer = of_file(&key, text)?;
        if layers.iter().any(|known| known.name == layer.name) {
            return Err(ProfileError::Twice { name: name.to_owned(), overlay: overlay.to_owned() });
        }
        check(&layer)?;
        for before in &layers {
            contradiction(before, &layer)?;
        }
        layer.is_overlay = true;
        layers.push(layer);
    }
    Ok(layers)
}

fn check(layer: &Layer) -> Result<(), ProfileError> {
    let of_profiles =
        layer.values.keys().find(|path| path.first().is_some_and(|key| OF_PROFILES.contains(&key.as_str())));
    let Some(path) = of_profiles else { return Ok(()) };
    let (mark, key) = (layer.mark_of(path), path.first().cloned().unwrap_or_default());
    let fault =
        layer.document.fault(mark, format!("an overlay cannot set `{key}`, which is a profile's own"));
    Err(fault.with_hint("leave it out, or write a profile in envs/ that extends another").into())
}

/// Two overlays that set one thing to different values: which would win is a question of their order, and nobody should have to ask it.
fn contradiction(before: &Layer, after: &Layer) -> Result<(), ProfileError> {
    for (path, (value, _)) in &after.values {
        let Some((other, _)) = before.values.get(path) else { continue };
        if other == value || Layer::joins(path) || path.first().is_some_and(|key| key == "description") {
            continue;
        }
        let name = |layer: &Layer| layer.name.as_deref().unwrap_or_default().replacen(FOLDER, "", 1);
        let key = path.join(".");
        let message = format!(
            "the overlays `{}` and `{}` contradict each other: one sets `{key}` to {other}, the other to {value}",
            name(before),
            name(after)
        );
        let fault = after.document.fault(after.mark_of(path), message);
        return Err(fault.with_hint("leave one of them out").into());
    }
    Ok(())
}
