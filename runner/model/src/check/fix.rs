//! Fixes: edits of text files that need no thought, and applying them.

use serde::{Deserialize, Serialize};

use crate::exit_code::ExitCode;
use crate::hint::Hint;

/// How to mend a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fix {
    /// What it does: "replace `premerge` by `pre_merge`".
    pub description: String,
    /// Its edits; all of them belong together.
    pub edits: Vec<Edit>,
}

/// One text in one line of a file that becomes another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Edit {
    /// The file, relative to the project's root.
    pub file: String,
    /// Line, from one.
    pub line: u32,
    /// Column in characters, from one.
    pub column: u32,
    /// What is there.
    pub old: String,
    /// What comes there.
    pub new: String,
}

/// An edit that does not fit the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FixError {
    /// Something else is there.
    #[error("`{}` has no `{}` in line {}, column {}", .0.file, .0.old, .0.line, .0.column)]
    Other(Edit),
    /// Two edits want to change the same characters.
    #[error("two fixes change the same place of `{}`, in line {}, column {}", .0.file, .0.line, .0.column)]
    Overlap(Edit),
}

impl Hint for FixError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Other(_) => "the file has changed since it was checked; check it again".to_owned(),
            Self::Overlap(_) => "apply one of them, and check again".to_owned(),
        })
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }
}

/// Applies edits of one file to its text. All of them fit, or nothing is changed; an edit that is there twice counts once.
pub fn apply(text: &str, edits: &[Edit]) -> Result<String, FixError> {
    let mut sorted: Vec<&Edit> = edits.iter().collect();
    sorted.sort();
    sorted.dedup();
    let lines = line_starts(text);
    let mut result = String::with_capacity(text.len());
    let mut done = 0;
    for edit in sorted {
        let start = offset(text, &lines, edit).ok_or_else(|| FixError::Other(edit.clone()))?;
        if start < done {
            return Err(FixError::Overlap(edit.clone()));
        }
        result.push_str(&text[done..start]);
        result.push_str(&edit.new);
        done = start + edit.old.len();
    }
    result.push_str(&text[done..]);
    Ok(result)
}

/// The edits that replace a marker everywhere in a Python file: every `pytest.mark.OLD` outside of comments.
pub(super) fn mark_edits(file: &str, text: &str, old: &str, new: &str) -> Vec<Edit> {
    let wanted = format!("pytest.mark.{old}");
    let mut edits = Vec::new();
    for (line, content) in (1_u32..).zip(text.lines()) {
        let code = if content.trim_start().starts_with('#') { "" } else { content };
        for (at, _) in code.match_indices(&wanted) {
            let is_part = |c: char| c == '_' || c == '.' || c.is_alphanumeric();
            let before = code[..at].chars().next_back();
            let after = code[at + wanted.len()..].chars().next();
            // A longer name that starts like it is another marker; one that ends like it is another module.
            if before.is_some_and(is_part) || after.is_some_and(is_part) {
                continue;
            }
            let column = code[..at].chars().count() + "pytest.mark.".len() + 1;
            edits.push(Edit {
                file: file.to_owned(),
                line,
                column: u32::try_from(column).unwrap_or(u32::MAX),
                old: old.to_owned(),
                new: new.to_owned(),
            });
        }
    }
    edits
}

/// The byte at which each line starts.
fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect()
}

/// Where an edit starts in bytes, if what it replaces is there, within its line.
fn offset(text: &str, lines: &[usize], edit: &Edit) -> Option<usize> {
    let number = usize::try_from(edit.line).ok()?.checked_sub(1)?;
    let start = *lines.get(number)?;
    let line = text[start..].split('\n').next()?;
    let column = usize::try_from(edit.column).ok()?.checked_sub(1)?;
    let ends = line.char_indices().map(|(at, _)| at).chain([line.len()]);
    let within = ends.into_iter().nth(column)?;
    line[within..].starts_with(&edit.old).then_some(start + within)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Edit, apply, mark_edits};
    use crate::hint::Hint as _;

    const TEXT: &str = "import pytest\n# pytest.mark.premerge\npytestmark = [pytest.mark.premerge, pytest.mark.premerge_x]\n\
                        @pytest.mark.premerge(\"é\", pytest.mark.premerge)\r\ndef test_x(): ...\n";

    #[test]
    fn every_use_of_a_marker_is_replaced_and_nothing_else() {
        let edits = mark_edits("t.py", TEXT, "premerge", "pre_merge");
        let places: Vec<(u32, u32)> = edits.iter().map(|edit| (edit.line, edit.column)).collect();
        assert_eq!(places, [(3, 27), (4, 14), (4, 40)]);
        insta::assert_snapshot!(apply(TEXT, &edits).unwrap().replace('\r', "<CR>"), @r#"
        import pytest
        # pytest.mark.premerge
        pytestmark = [pytest.mark.pre_merge, pytest.mark.premerge_x]
        @pytest.mark.pre_merge("é", pytest.mark.pre_merge)<CR>
        def test_x(): ...
        "#);
    }

    fn edit(line: u32, column: u32, old: &str) -> Edit {
        Edit { file: "t.py".to_owned(), line, column, old: old.to_owned(), new: "N".to_owned() }
    }

    #[test]
    fn an_edit_that_does_not_fit_changes_nothing() {
        let refused = |edits: &[Edit]| {
            let error = apply("one\ntwo\n", edits).unwrap_err();
            format!("{error}\nhint: {}", error.hint().unwrap())
        };
        insta::assert_snapshot!(refused(&[edit(1, 1, "one"), edit(2, 2, "xx")]), @r"
        `t.py` has no `xx` in line 2, column 2
        hint: the file has changed since it was checked; check it again
        ");
        insta::assert_snapshot!(refused(&[edit(1, 1, "one"), edit(1, 2, "ne")]), @r"
        two fixes change the same place of `t.py`, in line 1, column 2
        hint: apply one of them, and check again
        ");
        for (line, column) in [(0, 1), (1, 0), (9, 1), (1, 9)] {
            assert!(apply("one\ntwo\n", &[edit(line, column, "o")]).is_err(), "{line}:{column}");
        }
        assert_eq!(apply("one\n", &[edit(1, 1, "one"), edit(1, 1, "one")]).unwrap(), "N\n");
    }

    proptest! {
        #[test]
        fn applying_leaves_no_older_spelling_and_needs_no_second_time(
            text in "(@pytest\\.mark\\.(old|new|older)|x| |\n|é|\\(|# ){0,40}",
        ) {
            let once = apply(&text, &mark_edits("t", &text, "old", "new")).unwrap();
            prop_assert_eq!(mark_edits("t", &once, "old", "new"), []);
            prop_assert_eq!(once.lines().count(), text.lines().count());
        }
    }
}
