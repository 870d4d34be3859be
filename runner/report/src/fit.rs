//! Text into columns: measured as a terminal shows it, cut without splitting a character, padded, in blocks.

use unicode_width::UnicodeWidthChar as _;

use crate::style::Glyphs;

/// Columns that a text without escape sequences takes. Widths are summed character by character, so that a sequence
/// which some terminals draw as one picture counts at its widest.
pub fn columns(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// The text within `width` columns; where it is longer, its start and a mark.
pub fn start(text: &str, width: usize, glyphs: Glyphs) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mark = within(glyphs.ellipsis(), width);
    let room = width - columns(mark);
    format!("{}{mark}", within(text, room).trim_end())
}

/// The text within `width` columns; where it is longer, a mark and its end, for the end of a path or a test's id says most.
pub fn end(text: &str, width: usize, glyphs: Glyphs) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mark = within(glyphs.ellipsis(), width);
    let mut room = width - columns(mark);
    let mut from = text.len();
    for (index, c) in text.char_indices().rev() {
        let wide = c.width().unwrap_or(0);
        if wide > room {
            break;
        }
        room -= wide;
        from = index;
    }
    // A mark without its letter would land on the ellipsis.
    let tail = text.get(from..).unwrap_or_default();
    format!("{mark}{}", tail.trim_start_matches(|c: char| c.width() == Some(0)))
}

/// The text, filled with spaces to `width` columns.
pub fn left(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
}

/// The text, with spaces before it up to `width` columns.
pub fn right(text: &str, width: usize) -> String {
    format!("{}{text}", " ".repeat(width.saturating_sub(columns(text))))
}

/// The text in lines of at most `width` columns, broken at spaces where that is possible.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            let gap = usize::from(!line.is_empty());
            if !line.is_empty() && columns(&line) + gap + columns(word) > width {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            let mut rest = word;
            while columns(&line) + columns(rest) > width {
                let fits = within(rest, width - columns(&line).min(width));
                // A character wider than the whole line has to go somewhere.
                let taken =
                    if fits.is_empty() { rest.chars().next().map_or(0, char::len_utf8) } else { fits.len() };
                line.push_str(rest.get(..taken).unwrap_or_default());
                lines.push(std::mem::take(&mut line));
                rest = rest.get(taken..).unwrap_or_default();
            }
            line.push_str(rest);
        }
        lines.push(line);
    }
    lines
}

/// The head and the tail of many lines, and how many between them were left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Lines kept at the start.
    pub head: usize,
    /// Lines kept at the end.
    pub tail: usize,
}

impl Cut {
    /// Only the last lines.
    pub const fn tail(lines: usize) -> Self {
        Self { head: 0, tail: lines }
    }

    /// The kept lines; nothing stands where lines were left out, with their number.
    pub fn of<'a>(self, lines: &[&'a str]) -> Vec<Result<&'a str, usize>> {
        if lines.len() <= self.head + self.tail + 1 {
            return lines.iter().map(|line| Ok(*line)).collect();
        }
        let left_out = lines.len() - self.head - self.tail;
        let head = lines.iter().take(self.head).map(|line| Ok(*line));
        let tail = lines.iter().skip(self.head + left_out).map(|line| Ok(*line));
        head.chain([Err(left_out)]).chain(tail).collect()
    }
}

/// The longest prefix within `width` columns, with the marks that belong to its last character.
fn within(text: &str, width: usize) -> &str {
    let mut used = 0;
    for (index, c) in text.char_indices() {
        used += c.width().unwrap_or(0);
        if used > width {
            return text.get(..index).unwrap_or_default();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, proptest};

    use super::{Cut, columns, end, left, start, wrap};
    use crate::style::Glyphs;

    #[test]
    fn a_text_is_cut_at_either_side_with_a_mark() {
        assert_eq!(start("connection refused", 10, Glyphs::Unicode), "connectio…");
        assert_eq!(start("connection refused", 10, Glyphs::Ascii), "connecti..");
        assert_eq!(end("tests/test_chat.py::test_stop", 12, Glyphs::Unicode), "…::test_stop");
        assert_eq!(start("short", 10, Glyphs::Unicode), "short");
        assert_eq!(start("anything", 0, Glyphs::Unicode), "");
        assert_eq!(end("anything", 1, Glyphs::Ascii), ".");
    }

    #[test]
    fn wide_and_combining_characters_are_not_split() {
        assert_eq!(start("日本語", 5, Glyphs::Unicode), "日本…");
        assert_eq!(start("日本語", 4, Glyphs::Unicode), "日…");
        assert_eq!(end("日本語", 4, Glyphs::Unicode), "…語");
        assert_eq!(end("xe\u{301}y", 2, Glyphs::Unicode), "…y");
        assert_eq!(left("日", 4), "日  ");
    }

    #[test]
    fn words_wrap_at_spaces_and_long_words_anywhere() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("a\nb", 9), ["a", "b"]);
    }

    #[test]
    fn a_cut_keeps_both_ends_and_says_how_much_is_gone() {
        let lines = ["a", "b", "c", "d", "e", "f"];
        assert_eq!(Cut { head: 1, tail: 2 }.of(&lines), [Ok("a"), Err(3), Ok("e"), Ok("f")]);
        assert_eq!(Cut::tail(5).of(&lines).len(), 6, "one line is not worth a remark");
    }

    proptest! {
        #[test]
        fn nothing_exceeds_its_columns(text in any::<String>(), width in 0usize..40) {
            for glyphs in [Glyphs::Unicode, Glyphs::Ascii] {
                prop_assert!(columns(&start(&text, width, glyphs)) <= width);
                prop_assert!(columns(&end(&text, width, glyphs)) <= width);
            }
            if width >= 2 {
                for line in wrap(&text, width) {
                    prop_assert!(columns(&line) <= width, "{line:?}");
                }
            }
        }
    }
}
