//! What a marker means in the project's vocabulary, and which group it is of.

use crate::project::Vocabulary;
use crate::selection::Mark;

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
