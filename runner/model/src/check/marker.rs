//! Rules about markers: missing, unknown, in an older spelling.

use std::collections::{BTreeMap, BTreeSet};

use super::fix::mark_edits;
use super::vocabulary::{has_group, meant};
use super::{Finding, Fix, Group, Inputs, Rule, grouped, listed};
use crate::catalog::{Entry, SuiteCatalog};
use crate::nearest::nearest;
use crate::project::{Suite, Vocabulary};

/// Markers that pytest itself gives a meaning (`_pytest/mark`, `_pytest/skipping.py`, `_pytest/warnings.py`).
const OF_PYTEST: [&str; 6] = ["filterwarnings", "parametrize", "skip", "skipif", "usefixtures", "xfail"];

/// A hint lists so many markers of a group.
const OFFERED: usize = 6;

pub(super) fn check(inputs: &Inputs<'_>, suite: &Suite, catalog: &SuiteCatalog, findings: &mut Vec<Finding>) {
    let vocabulary = inputs.vocabulary;
    for ((_, lacking), group) in &grouped(catalog, |entry| lacking_groups(entry, vocabulary)) {
        findings.push(missing(suite, group, lacking, vocabulary));
    }
    let known = known(catalog, vocabulary);
    for (name, group) in by_marker(catalog, |name| !known.contains(name)) {
        findings.push(unknown(suite, &group, name, &known));
    }
    for (name, group) in by_marker(catalog, |name| vocabulary.aliases.contains_key(name)) {
        findings.push(aliased(inputs, suite, &group, name));
    }
}

fn lacking_groups<'v>(entry: &Entry<'_>, vocabulary: &'v Vocabulary) -> Option<Vec<&'v str>> {
    let lacks = |group: &&String| !has_group(entry.marks, group, vocabulary);
    let lacking: Vec<&str> = vocabulary.required.iter().filter(lacks).map(String::as_str).collect();
    if lacking.is_empty() { None } else { Some(lacking) }
}

fn missing(suite: &Suite, group: &Group<'_>, lacking: &[&str], vocabulary: &Vocabulary) -> Finding {
    let groups = if lacking.len() == 1 { "group" } else { "groups" };
    let names = listed(lacking.iter().copied(), "and");
    let what = format!("{} no marker of the {groups} {names}", group.word("has", "have"));
    let offers: Vec<String> = lacking
        .iter()
        .filter_map(|name| {
            let markers = vocabulary.groups.get(*name)?;
            Some(listed(markers.keys().take(OFFERED).map(String::as_str), "or"))
        })
        .collect();
    let counts: Vec<&str> =
        lacking.iter().filter_map(|name| vocabulary.defaults.get(*name)).map(String::as_str).collect();
    let mut hint = format!("add {}", offers.join(", and "));
    if !counts.is_empty() {
        let counts = listed(counts, "and");
        hint.push_str(&format!("; until then {} as {counts}", group.word("it counts", "they count")));
    }
    Finding { hint: Some(hint), ..Finding::of_group(Rule::MissingMarkerGroup, suite, group, &what) }
}

fn known<'c>(catalog: &'c SuiteCatalog, vocabulary: &'c Vocabulary) -> BTreeSet<&'c str> {
    let grouped = vocabulary.groups.values().flat_map(BTreeMap::keys);
    let named = grouped.chain(vocabulary.aliases.keys()).chain(catalog.declared.keys());
    named.map(String::as_str).chain(OF_PYTEST).collect()
}

/// For each file and each marker that `wanted` picks: the cases that have it.
fn by_marker(
    catalog: &SuiteCatalog,
    wanted: impl Fn(&str) -> bool,
) -> impl Iterator<Item = (&str, Group<'_>)> {
    let picked: BTreeSet<&str> =
        catalog.marks.iter().flatten().map(|mark| mark.name.as_str()).filter(|name| wanted(name)).collect();
    picked.into_iter().flat_map(move |name| {
        let has = |entry: &Entry<'_>| entry.marks.iter().any(|mark| mark.name == name).then_some(());
        grouped(catalog, has).into_values().map(move |group| (name, group))
    })
}

fn unknown(suite: &Suite, group: &Group<'_>, name: &str, known: &BTreeSet<&str>) -> Finding {
    let what = format!("{} the marker `{name}`, which nobody declared", group.word("has", "have"));
    let hint = match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "declare it in the project file or in pytest's `markers`".to_owned(),
    };
    Finding { hint: Some(hint), ..Finding::of_group(Rule::UnknownMarker, suite, group, &what) }
}

fn aliased(inputs: &Inputs<'_>, suite: &Suite, group: &Group<'_>, name: &str) -> Finding {
    let own = meant(name, inputs.vocabulary);
    let what = format!("{} the marker `{own}` in the older spelling `{name}`", group.word("has", "have"));
    let mut finding = Finding {
        hint: Some(format!("write `{own}`")),
        ..Finding::of_group(Rule::AliasedSpelling, suite, group, &what)
    };
    let edits = group.file.and_then(|file| Some(mark_edits(file, inputs.texts.get(file)?, name, own)));
    // Without an edit the marker comes from another file: a base class, a plugin, a `conftest.py`.
    if let Some(edits) = edits.filter(|edits| !edits.is_empty()) {
        finding.line = edits.first().map(|edit| edit.line);
        finding.fix = Some(Fix { description: format!("replace `{name}` by `{own}`"), edits });
    }
    finding
}
