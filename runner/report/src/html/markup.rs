//! Texts and small pictures as markup.

use crate::neutral;

/// A text of one line as markup, harmless in an element and in an attribute.
pub fn escape(text: &str) -> String {
    escaped(&neutral::line(text))
}

/// A text of many lines as markup.
pub fn escape_block(text: &str) -> String {
    escaped(&neutral::text(text))
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

/// A bar that takes a part of its width, from and to in thousandths. The page forbids styles in markup, so it is a picture.
pub fn bar(from: u64, to: u64, class: &str) -> String {
    let width = to.saturating_sub(from).clamp(6, 1000);
    let from = from.min(1000 - width);
    format!(
        "<svg class=\"bar\" viewBox=\"0 0 1000 8\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <rect class=\"rail\" width=\"1000\" height=\"8\"/><rect class=\"{class}\" x=\"{from}\" width=\"{width}\" height=\"8\"/></svg>"
    )
}

/// Thousandths of a whole.
pub fn thousandths(part: u64, whole: u64) -> u64 {
    if whole == 0 { 0 } else { u64::try_from(u128::from(part) * 1000 / u128::from(whole)).unwrap_or(1000) }
}

#[cfg(test)]
mod tests {
    use super::{bar, escape, escape_block, thousandths};

    #[test]
    fn nothing_of_a_text_is_taken_for_markup() {
        assert_eq!(
            escape("</script><b a='\"'>&\u{202e}\u{7}"),
            "&lt;/script&gt;&lt;b a=&#39;&quot;&#39;&gt;&amp;&lt;U+202E&gt;␇"
        );
        assert_eq!(escape_block("a\r\n<\u{1b}[31mb\u{1b}[0m"), "a\n&lt;b");
    }

    #[test]
    fn a_bar_stays_in_its_rail() {
        assert_eq!((thousandths(1, 3), thousandths(3, 3), thousandths(3, 0)), (333, 1000, 0));
        assert!(bar(1000, 1000, "x").contains("x=\"994\" width=\"6\""));
        assert!(bar(0, 2000, "x").contains("x=\"0\" width=\"1000\""));
    }
}
