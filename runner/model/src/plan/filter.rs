//! What the command line asks for, asked of the cases of one suite.

use super::{Asker, Choice};
use crate::catalog::{Entry, SuiteCatalog};
use crate::project::Vocabulary;
use crate::selection::{CasePattern, Expression, Keywords, Marks, Name, complete};

/// A choice, made ready for the cases of one suite.
#[derive(Debug)]
pub struct Filter<'i> {
    choice: &'i Choice,
    sets: Vec<SetOfMarks>,
    /// The sets of names, in lower case.
    names: Vec<Vec<String>>,
}

#[derive(Debug)]
struct SetOfMarks {
    /// Their names in lower case, for `-k`.
    names: Vec<String>,
    fits: bool,
}

impl<'i> Filter<'i> {
    /// A filter for the cases of a suite.
    pub fn new(choice: &'i Choice, catalog: &SuiteCatalog, vocabulary: &Vocabulary) -> Self {
        let set = |written: &Vec<crate::selection::Mark>| {
            let marks = complete(written, vocabulary);
            let asked = choice.markers.as_ref();
            SetOfMarks {
                names: marks.iter().map(|mark| mark.name.to_lowercase()).collect(),
                fits: asked.is_none_or(|expression| expression.matches(&Marks(&marks))),
            }
        };
        let lower = |names: &Vec<String>| names.iter().map(|name| name.to_lowercase()).collect();
        Self {
            choice,
            sets: catalog.marks.iter().map(set).collect(),
            names: catalog.keywords.iter().map(lower).collect(),
        }
    }

    /// Whether a case fits `-m`.
    pub fn fits_markers(&self, entry: &Entry<'_>) -> bool {
        self.set(entry).is_some_and(|set| set.fits)
    }

    /// Whether a case fits `-k`.
    pub fn fits_keyword(&self, entry: &Entry<'_>) -> bool {
        let Some(asked) = &self.choice.keyword else { return true };
        let own = [entry.name().to_lowercase()];
        let of_set = self.names.get(index(entry.row.keywords)).map_or(&[][..], Vec::as_slice);
        let of_marks = self.set(entry).map_or(&[][..], |set| &set.names);
        asked.matches(&|name: &Name| {
            [&own[..], of_set, of_marks].into_iter().any(|names| Keywords::any_holds(names, name))
        })
    }

    /// Whether a case fits `--case`.
    pub fn fits_case(&self, entry: &Entry<'_>) -> bool {
        let asked = &self.choice.cases;
        asked.is_empty() || asked.iter().any(|pattern| pattern.matches(&entry.row.id))
    }

    /// Whether a case fits all that was asked for.
    pub fn fits(&self, entry: &Entry<'_>) -> bool {
        self.fits_markers(entry) && self.fits_keyword(entry) && self.fits_case(entry)
    }

    /// What was asked for under a flag, as text.
    pub fn asked(&self, whose: Asker) -> Option<String> {
        let source = |expression: &Option<Expression>| expression.as_ref().map(|it| it.source().to_owned());
        match whose {
            Asker::Markers => source(&self.choice.markers),
            Asker::Keyword => source(&self.choice.keyword),
            Asker::Case if self.choice.cases.is_empty() => None,
            Asker::Case => {
                let texts: Vec<&str> = self.choice.cases.iter().map(CasePattern::text).collect();
                Some(texts.join(" "))
            }
            Asker::Suite => None,
        }
    }

    fn set(&self, entry: &Entry<'_>) -> Option<&SetOfMarks> {
        self.sets.get(index(entry.row.marks))
    }
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
