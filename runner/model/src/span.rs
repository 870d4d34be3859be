//! A place in one of the user's files, and errors that point at it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::nearest::nearest;

/// A place in a file: line and column count from one, the column in characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The file, as the user would name it.
    pub file: String,
    /// Line, from one.
    pub line: u32,
    /// Column in characters, from one.
    pub column: u32,
}

impl Place {
    /// The place of a byte offset in a text.
    pub fn of_offset(file: &str, text: &str, offset: usize) -> Self {
        let before = text.get(..offset.min(text.len())).unwrap_or(text);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |tail| tail.chars().count()) + 1;
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self { file: file.to_owned(), line: number(line), column: number(column) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// The line of `text` that `place` names, with a caret under its column; two lines, for showing under a message.
pub fn excerpt(place: &Place, text: &str) -> Option<String> {
    let index = usize::try_from(place.line).ok()?.checked_sub(1)?;
    let line = text.lines().nth(index)?;
    let number = place.line.to_string();
    let pad = " ".repeat(number.len());
    let lead: String = line
        .chars()
        .take(usize::try_from(place.column).ok()?.saturating_sub(1))
        .map(|c| if c == '\t' { '\t' } else { ' ' })
        .collect();
    Some(format!("{number} | {line}\n{pad} | {lead}^"))
}

/// Something wrong at a place of one of the user's files: the common part of every stage's error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// What, lower case, values in backticks, without final dot.
    pub message: String,
    /// The way out.
    pub hint: Option<String>,
    /// The line with a caret, from [`excerpt`].
    pub excerpt: Option<String>,
}

impl Fault {
    /// A fault in `text`, the content of the file that `place` names.
    pub fn new(place: Place, text: &str, message: impl Into<String>) -> Self {
        let excerpt = excerpt(&place, text);
        Self { place, message: message.into(), hint: None, excerpt }
    }

    /// The same with a way out.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with the nearest of `known` as its way out, or with all of them when none is near.
    #[must_use]
    pub fn with_nearest<'a>(self, name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let mut known: Vec<&str> = known.into_iter().collect();
        known.sort_unstable();
        let hint = match nearest(name, known.iter().copied()) {
            Some(candidate) => format!("did you mean `{candidate}`?"),
            None if known.is_empty() => return self,
            None => format!("known: `{}`", known.join("`, `")),
        };
        self.with_hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, Place, excerpt};

    #[test]
    fn an_offset_becomes_line_and_column_in_characters() {
        let place = Place::of_offset("a.toml", "é = 1\nñx = 2\n", "é = 1\nñ".len());
        assert_eq!((place.line, place.column), (2, 2));
    }

    #[test]
    fn an_excerpt_puts_the_caret_under_the_column() {
        let place = Place { file: "a".into(), line: 2, column: 3 };
        assert_eq!(excerpt(&place, "one\ntwo\n").unwrap(), "2 | two\n  |   ^");
    }

    #[test]
    fn a_fault_shows_its_line_and_offers_the_nearest_name() {
        let place = Place { file: "a.toml".into(), line: 1, column: 1 };
        let fault =
            Fault::new(place, "stak = 1", "unknown key `stak`").with_nearest("stak", ["stack", "tiers"]);
        assert_eq!(fault.to_string(), "a.toml:1:1: unknown key `stak`");
        assert_eq!(fault.excerpt.as_deref(), Some("1 | stak = 1\n  | ^"));
        assert_eq!(fault.hint.as_deref(), Some("did you mean `stack`?"));
    }
}
