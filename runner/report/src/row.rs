//! One line of the screen in pieces: laid out as plain text, painted last, so that colours never disturb a width.

use crate::fit;
use crate::style::{Style, Tone};

/// One line in pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    pieces: Vec<(Tone, String)>,
}

impl Row {
    /// An empty line.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// With one more piece.
    pub(crate) fn with(mut self, tone: Tone, text: impl Into<String>) -> Self {
        self.push(tone, text);
        self
    }

    /// With one more piece of no special tone.
    pub(crate) fn plain(self, text: impl Into<String>) -> Self {
        self.with(Tone::Plain, text)
    }

    /// With one more piece that matters least.
    pub(crate) fn dim(self, text: impl Into<String>) -> Self {
        self.with(Tone::Dim, text)
    }

    /// One more piece.
    pub(crate) fn push(&mut self, tone: Tone, text: impl Into<String>) {
        self.pieces.push((tone, text.into()));
    }

    /// The pieces.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = (Tone, &str)> {
        self.pieces.iter().map(|(tone, text)| (*tone, text.as_str()))
    }

    /// The columns taken so far.
    pub(crate) fn columns(&self) -> usize {
        self.pieces.iter().map(|(_, text)| fit::columns(text)).sum()
    }

    /// How many columns of `width` are free.
    pub(crate) fn room(&self, width: usize) -> usize {
        width.saturating_sub(self.columns())
    }

    /// The whole line.
    pub(crate) fn render(&self, style: &Style) -> String {
        let painted: Vec<String> = self.pieces.iter().map(|(tone, text)| style.paint(*tone, text)).collect();
        painted.concat()
    }

    /// The line cut to `width` columns.
    pub(crate) fn render_within(&self, style: &Style, width: usize) -> String {
        if self.columns() <= width {
            return self.render(style);
        }
        let mut left = width;
        let mut out = Self::new();
        for (index, (tone, text)) in self.pieces.iter().enumerate() {
            let rest: usize = self.pieces.iter().skip(index + 1).map(|(_, text)| fit::columns(text)).sum();
            let needed = fit::columns(text);
            // The piece in which the room ends carries the mark, also when only pieces after it would not fit.
            let mark = fit::columns(style.glyphs.ellipsis());
            if needed + rest.min(mark) > left {
                let more =
                    if needed <= left { format!("{text}{}", style.glyphs.ellipsis()) } else { text.clone() };
                out.push(*tone, fit::start(&more, left, style.glyphs));
                break;
            }
            left -= needed;
            out.push(*tone, text.clone());
        }
        out.render(style)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, proptest};

    use super::Row;
    use crate::fit::columns;
    use crate::style::{Style, Tone};

    #[test]
    fn a_row_is_cut_as_one_text_and_painted_after() {
        let row = Row::new().with(Tone::Bad, "FAIL").plain(" e2e ").dim("a/long/path");
        let style = Style::plain(80);
        assert_eq!(row.render_within(&style, 40), "FAIL e2e a/long/path");
        assert_eq!(row.render_within(&style, 12), "FAIL e2e a/…");
        assert_eq!(row.render_within(&style, 9), "FAIL e2e…");
        assert_eq!(row.render_within(&style, 4), "FAI…");
        let coloured = Style { colours: true, ..style };
        assert_eq!(columns(&console::strip_ansi_codes(&row.render_within(&coloured, 12))), 12);
    }

    proptest! {
        #[test]
        fn a_row_never_exceeds_its_width(pieces in proptest::collection::vec(".{0,12}", 0..6), width in 0usize..40) {
            let row = pieces.iter().fold(Row::new(), |row, piece| row.plain(piece.as_str()));
            prop_assert!(columns(&row.render_within(&Style::plain(80), width)) <= width);
        }
    }
}
