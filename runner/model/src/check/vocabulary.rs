//! Markers as the project's vocabulary takes them: aliases resolved, defaults added.

use crate::project::Vocabulary;
use crate::selection::Mark;

/// The markers that a case counts as having: each in its own spelling, and the default of every group of which it has none.
pub fn effective(marks: &[Mark], vocabulary: &Vocabulary) -> Vec<Mark> {
    let mut all: Vec<Mark> = marks
        .iter()
        .map(|mark| Mark { name: meant(&mark.name, vocabulary).to_owned(), ..mark.clone() })
        .collect();
    for (group, default) in &vocabulary.defaults {
        if !has_group(marks, group, vocabulary) {
            all.push(Mark { name: default.clone(), ..Mark::default() });
        }
    }
    all
}

/// The marker that a name means: itself, or what it is an alias of.
pub(super) fn meant<'v>(name: &'v str, vocabulary: &'v Vocabulary) -> &'v str {
    vocabulary.aliases.get(name).map_or(name, String::as_str)
}

/// Whether one of the markers is of a group, in whatever spelling.
pub(super) fn has_group(marks: &[Mark], group: &str, vocabulary: &Vocabulary) -> bool {
    let Some(known) = vocabulary.groups.get(group) else { return false };
    marks.iter().any(|mark| known.contains_key(meant(&mark.name, vocabulary)))
}

/// The names of a group's markers and of their aliases.
pub(super) fn spellings<'v>(group: &str, vocabulary: &'v Vocabulary) -> Vec<&'v str> {
    let Some(known) = vocabulary.groups.get(group) else { return Vec::new() };
    let aliases = vocabulary.aliases.iter().filter(|(_, marker)| known.contains_key(*marker));
    known.keys().chain(aliases.map(|(alias, _)| alias)).map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::effective;
    use crate::project::Vocabulary;
    use crate::selection::Mark;

    #[test]
    fn aliases_are_resolved_and_defaults_added_where_a_group_has_no_marker() {
        let group = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), String::new())).collect();
        let text = |name: &str| name.to_owned();
        let vocabulary = Vocabulary {
            groups: BTreeMap::from([
                (text("tier"), group(&["pre_merge"])),
                (text("hardware"), group(&["gpu_0", "gpu_1"])),
            ]),
            required: Vec::new(),
            defaults: BTreeMap::from([(text("tier"), text("pre_merge")), (text("hardware"), text("gpu_0"))]),
            aliases: BTreeMap::from([(text("gpus_needed_1"), text("gpu_1"))]),
        };
        let marks = [Mark { name: text("gpus_needed_1"), ..Mark::default() }];
        let names: Vec<String> = effective(&marks, &vocabulary).into_iter().map(|mark| mark.name).collect();
        assert_eq!(names, ["gpu_1", "pre_merge"]);
    }
}
