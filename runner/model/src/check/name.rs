//! Rules about names: of test files, and of features that stand for markers.

use std::collections::BTreeSet;

use globset::GlobBuilder;

use super::vocabulary::{meant, spellings};
use super::{Finding, Inputs, Rule, listed};
use crate::catalog::SuiteCatalog;
use crate::glob;
use crate::project::{Suite, Vocabulary};

/// Names shorter than this are near too many others.
const NEAR_LENGTH: usize = 5;

/// The placeholder for any words.
const FLOW: &str = "flow";

/// A part of a naming pattern.
#[derive(Debug, PartialEq, Eq)]
enum Part<'p> {
    Literal(&'p str),
    Group(&'p str),
    Flow,
}

pub(super) fn check_files(
    inputs: &Inputs<'_>,
    suite: &Suite,
    catalog: &SuiteCatalog,
    findings: &mut Vec<Finding>,
) {
    let naming = inputs.naming;
    if naming.patterns.is_empty() {
        return;
    }
    let patterns: Vec<Vec<Part<'_>>> = naming.patterns.iter().map(|pattern| parts(pattern)).collect();
    let exempt: Vec<_> = naming
        .exempt
        .iter()
        .filter_map(|text| glob::compile(text, GlobBuilder::new(text).literal_separator(true)).ok())
        .collect();
    let files: BTreeSet<&str> = catalog.files.iter().map(String::as_str).collect();
    for file in files.into_iter().filter(|file| !exempt.iter().any(|matcher| matcher.is_match(file))) {
        let name = file.rsplit('/').next().unwrap_or(file);
        if patterns.iter().any(|parts| fits(parts, name, inputs.vocabulary)) {
            continue;
        }
        let message = format!("the name `{name}` fits no pattern of the project");
        let known = listed(naming.patterns.iter().map(String::as_str), "or");
        findings.push(Finding {
            file: Some(file.to_owned()),
            hint: Some(format!("call it by {known}")),
            ..Finding::of(Rule::FileName, Some(&suite.name), message)
        });
    }
}

pub(super) fn check_features(inputs: &Inputs<'_>, findings: &mut Vec<Finding>) {
    let markers = markers(inputs);
    for feature in inputs.features {
        let Some(marker) = meant_marker(&feature.name, &markers, inputs.vocabulary) else { continue };
        let message = format!("the feature `{}` is spelled unlike the marker `{marker}`", feature.name);
        findings.push(Finding {
            file: Some(feature.file.clone()),
            line: Some(feature.line),
            hint: Some(format!("call it `{marker}`, or something that cannot be taken for it")),
            ..Finding::of(Rule::FeatureName, None, message)
        });
    }
}

/// `test_<component>_<flow>.py` in parts. A `<` that is never closed stands for itself.
fn parts(pattern: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = pattern;
    while let Some((before, (name, after))) =
        rest.split_once('<').and_then(|(before, tail)| Some((before, tail.split_once('>')?)))
    {
        if !before.is_empty() {
            parts.push(Part::Literal(before));
        }
        parts.push(if name == FLOW { Part::Flow } else { Part::Group(name) });
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(Part::Literal(rest));
    }
    parts
}

/// Whether a name is made of the parts. Each placeholder is tried with all that it can stand for, since a marker such as
/// `kv_router` holds the `_` that separates it from the next.
fn fits(parts: &[Part<'_>], name: &str, vocabulary: &Vocabulary) -> bool {
    let Some((first, rest)) = parts.split_first() else { return name.is_empty() };
    match first {
        Part::Literal(text) => name.strip_prefix(text).is_some_and(|tail| fits(rest, tail, vocabulary)),
        Part::Group(group) => spellings(group, vocabulary)
            .into_iter()
            .filter_map(|marker| name.strip_prefix(marker))
            .any(|tail| fits(rest, tail, vocabulary)),
        Part::Flow => {
            let end = name.find(|c: char| !is_word(c) && c != '_').unwrap_or(name.len());
            let ends = name.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|at| *at <= end);
            ends.into_iter().any(|at| is_flow(&name[..at]) && fits(rest, &name[at..], vocabulary))
        }
    }
}

/// Whether a text is words joined by `_`.
fn is_flow(text: &str) -> bool {
    text.split('_').all(|word| !word.is_empty() && word.chars().all(is_word))
}

fn is_word(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

/// Every marker that the project or one of its suites declares.
fn markers<'a>(inputs: &Inputs<'a>) -> BTreeSet<&'a str> {
    let grouped = inputs.vocabulary.groups.values().flat_map(|group| group.keys());
    let declared = inputs.catalog.suites.values().flat_map(|suite| suite.declared.keys());
    grouped.chain(declared).map(String::as_str).collect()
}

/// The marker that a feature means in another spelling, if there is one.
fn meant_marker<'m>(
    feature: &str,
    markers: &BTreeSet<&'m str>,
    vocabulary: &'m Vocabulary,
) -> Option<&'m str> {
    let own = meant(feature, vocabulary);
    if markers.contains(feature) && own == feature {
        return None;
    }
    let plain = plain(feature);
    let through_alias = || {
        let alias = vocabulary.aliases.iter().find(|(alias, _)| self::plain(alias) == plain);
        alias.map(|(_, marker)| marker.as_str())
    };
    let same = markers.iter().copied().find(|marker| self::plain(marker) == plain);
    let near = || markers.iter().copied().find(|marker| is_near(&plain, &self::plain(marker)));
    same.or_else(through_alias).or_else(near)
}

/// Without case and separators: `Fault-Tolerance` and `fault_tolerance` are the same.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '-' | '_')).flat_map(char::to_lowercase).collect()
}

/// Whether two names differ by one slip of the finger, and not by a number, as `gpu_1` and `gpu_2` do.
fn is_near(a: &str, b: &str) -> bool {
    let letters = |text: &str| text.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
    a.len() >= NEAR_LENGTH && strsim::damerau_levenshtein(a, b) == 1 && letters(a) != letters(b)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::{fits, meant_marker, parts};
    use crate::project::Vocabulary;

    fn vocabulary() -> Vocabulary {
        let group = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), String::new())).collect();
        Vocabulary {
            groups: BTreeMap::from([
                ("component".to_owned(), group(&["router", "kv_router", "kvbm"])),
                ("backend".to_owned(), group(&["vllm", "trtllm"])),
            ]),
            aliases: BTreeMap::from([("tensorrt_llm".to_owned(), "trtllm".to_owned())]),
            ..Vocabulary::default()
        }
    }

    #[test]
    fn a_name_fits_if_its_placeholders_can_be_filled() {
        for (pattern, name, expected) in [
            ("test_<component>_<flow>.py", "test_router_failover.py", true),
            ("test_<component>_<flow>.py", "test_kv_router_two_words.py", true),
            ("test_<component>_<flow>.py", "test_router.py", false),
            ("test_<component>_<flow>.py", "test_planner_x.py", false),
            ("test_<component>_<flow>.py", "test_router_.py", false),
            ("test_<component>_<flow>.py", "test_router_Big.py", false),
            ("test_<backend>_<component>_<flow>.py", "test_tensorrt_llm_kvbm_a.py", true),
            ("test_<flow>_<backend>.py", "test_a_b_vllm.py", true),
            ("test_<nothing>_<flow>.py", "test_a_b.py", false),
            ("test_a<b.py", "test_a<b.py", true),
        ] {
            assert_eq!(fits(&parts(pattern), name, &vocabulary()), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_feature_is_told_if_it_is_nearly_a_marker() {
        let markers = BTreeSet::from(["fault_tolerance", "integration", "gpu_1", "trtllm", "kvbm"]);
        for (feature, expected) in [
            ("fault-tolerance", Some("fault_tolerance")),
            ("integration", None),
            ("integraton", Some("integration")),
            ("gpu_2", None),
            ("gpu-1", Some("gpu_1")),
            ("tensorrt-llm", Some("trtllm")),
            ("testing-etcd", None),
            ("kvb", None),
        ] {
            assert_eq!(meant_marker(feature, &markers, &vocabulary()), expected, "{feature}");
        }
    }
}
