//! Patterns of case ids: a whole id, the start of one, or one with `*`.

use globset::{GlobBuilder, GlobMatcher};

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
        let glob =
            is_pattern.then(|| GlobBuilder::new(&escaped).backslash_escape(true).build().ok()).flatten();
        Self { text: text.to_owned(), matcher: glob.map(|glob| glob.compile_matcher()) }
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
        let names_case = self.text.strip_prefix(file).is_some_and(|rest| rest.starts_with("::"));
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
