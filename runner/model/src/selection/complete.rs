//! One vocabulary for what cases say of themselves: older spellings get today's beside them, and what is left out is filled in.

use super::Mark;
use crate::project::Vocabulary;

/// The markers that count for a case: as written, with today's spelling beside an older one, and with the default of each
/// group of which the case has none. A case that says nothing of its tier counts as `pre_merge` where the vocabulary says so.
pub fn complete(written: &[Mark], vocabulary: &Vocabulary) -> Vec<Mark> {
    let mut marks = in_every_spelling(written, vocabulary);
    for (group, default) in &vocabulary.defaults {
        let members = vocabulary.groups.get(group);
        let has = |mark: &Mark| {
            mark.name == *default || members.is_some_and(|names| names.contains_key(&mark.name))
        };
        if !marks.iter().any(has) {
            add(&mut marks, Mark { name: default.clone(), ..Mark::default() });
        }
    }
    marks
}

/// What is written, and the same by the names of today; nothing that is only taken for granted.
pub fn in_every_spelling(written: &[Mark], vocabulary: &Vocabulary) -> Vec<Mark> {
    let mut marks = written.to_vec();
    for mark in written {
        if let Some(today) = vocabulary.aliases.get(&mark.name) {
            add(&mut marks, Mark { name: today.clone(), ..mark.clone() });
        }
    }
    marks
}

fn add(marks: &mut Vec<Mark>, mark: Mark) {
    if !marks.iter().any(|other| other.name == mark.name) {
        marks.push(mark);
    }
}
