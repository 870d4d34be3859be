//! The chain of layers that a profile stands on.

use std::collections::BTreeMap;

use super::layer::{Layer, of_file};
use super::{BASE, ProfileError, combination, names};
use crate::document::Mark;

/// The layers of a profile, base first, overlays last.
pub(super) fn of(name: &str, sources: &BTreeMap<String, String>) -> Result<Vec<Layer>, ProfileError> {
    let base = sources.get(BASE).ok_or(ProfileError::NoBase)?;
    let base = of_file(BASE, base)?;
    if let Some((mark, _)) = &base.extends {
        return Err(base.document.fault(*mark, "the base layer cannot extend another").into());
    }
    let overlays = combination::layers(name, sources)?;
    combination::expand(combination::base_of(name), sources)?;
    let mut chain: Vec<Layer> = Vec::new();
    let mut next = combination::base_of(name).to_owned();
    while next != BASE {
        let text = match (combination::profile(&next, sources), chain.last()) {
            (Some(text), _) => text,
            (None, None) => {
                let known = names(sources);
                return Err(ProfileError::unknown(&next, known.iter().map(String::as_str)));
            }
            (None, Some(layer)) => return Err(dangling(layer, &next, sources)),
        };
        let layer = of_file(&next, text)?;
        let (mark, parent) = layer.extends.clone().unwrap_or_else(|| (Mark::START, BASE.to_owned()));
        let is_parent = |known: &Layer| known.name.as_deref() == Some(&parent);
        if is_parent(&layer) || chain.iter().any(is_parent) {
            return Err(circle(&chain, &layer, mark, &parent));
        }
        chain.push(layer);
        next = parent;
    }
    chain.push(base);
    chain.reverse();
    chain.extend(overlays);
    Ok(chain)
}

fn dangling(layer: &Layer, parent: &str, sources: &BTreeMap<String, String>) -> ProfileError {
    let mark = layer.extends.as_ref().map_or(Mark::START, |(mark, _)| *mark);
    let own = layer.name.as_deref();
    let known = sources.keys().map(String::as_str);
    let known = known.filter(|name| Some(*name) != own && combination::profile(name, sources).is_some());
    let fault = layer.document.fault(mark, format!("`extends` names the unknown profile `{parent}`"));
    fault.with_nearest(parent, known).into()
}

/// `last`, on top of `chain`, extends `parent`, which is one of them.
fn circle(chain: &[Layer], last: &Layer, mark: Mark, parent: &str) -> ProfileError {
    let names = chain.iter().chain([last]).filter_map(|layer| layer.name.as_deref());
    let steps: Vec<&str> = names.skip_while(|name| *name != parent).chain([parent]).collect();
    let message = format!("`extends` goes in a circle: `{}`", steps.join("` -> `"));
    last.document.fault(mark, message).with_hint("leave one of these `extends` out").into()
}
