//! Patterns of case ids: a whole id, the start of one, or one with `*`.

use globset::{GlobBuilder, GlobMatcher};

use crate::glob;

/// A pattern as it is given by `--case`.
#[derive(Clone, Debug)]
pub struct CasePattern {
    text: String,
    matcher: Option<GlobMatcher>,
}

/// Two patterns are one if they are written alike.
impl PartialEq for CasePattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for CasePattern {}

impl CasePattern {
    /// Reads a pattern. With `*` or `?` it has to fit the whole id, `*` across everything; without, it is an id, or a folder,
    /// file, class or test binary that ids start with. Brackets are those of parameters and mean themselves.
    pub fn new(text: &str) -> Self {
        let is_pattern = text.contains(['*', '?']);
        let escaped: String = text
            .chars()
            .flat_map(|c| {
                let special = matches!(c, '[' | ']' | '{' | '}' | '!' | '\\');
                special.then_some('\\').into_iter().chain(Some(c))
            })
            .collect();
        let mut builder = GlobBuilder::new(&escaped);
        builder.backslash_escape(true);
        let matcher = is_pattern.then(|| glob::compile_flat(&escaped, &builder).ok()).flatten();
        Self { text: text.to_owned(), matcher }
    }

    /// As written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether cases of a file could fit, whatever they are called.
    pub fn may_be_in(&self, file: &str) -> bool {
        if let Some((start, _)) = self.text.split_once(['*', '?']) {
            return file.starts_with(start) || start.starts_with(file);
        }
        // One colon is enough: the other may be the first of what the pattern leaves open.
        let names_case = self.text.strip_prefix(file).is_some_and(|rest| rest.starts_with(':'));
        self.matches(file) || names_case
    }

    /// Whether a case's id fits.
    pub fn matches(&self, id: &str) -> bool {
        if let Some(matcher) = &self.matcher {
            return matcher.is_match(id);
        }
        let start = self.text.trim_end_matches('/');
        id.strip_prefix(start)
            .is_some_and(|rest| rest.is_empty() || start.is_empty() || rest.starts_with(['/', ':', '[', ' ']))
    }
}

#[cfg(test)]
mod tests {
    use super::CasePattern;

    #[test]
    fn no_file_is_passed_over_that_has_a_case_which_fits() {
        for (text, id) in [
            ("tests/a.py", "tests/a.py::test_x"),
            ("tests/a.py::TestX", "tests/a.py::TestX::test_y[1]"),
            ("tests", "tests/a.py::test_x"),
            ("tests/*::test_x", "tests/a.py::test_x"),
            // Found by fuzzing: a pattern that ends within the colons.
            (":", "::"),
            ("a:", "a:::x"),
        ] {
            let pattern = CasePattern::new(text);
            assert!(pattern.matches(id), "`{text}` and `{id}`");
            for (at, _) in id.match_indices("::") {
                assert!(pattern.may_be_in(&id[..at]), "`{text}` and `{id}`");
            }
        }
        assert!(!CasePattern::new("tests/a.py::test_x").may_be_in("tests/b.py"));
    }
}
