//! Texts from outside made harmless: no escape sequence, no control character and no reordering of a log, a test or a
//! name reaches a terminal or a file, and no text is longer than a person or a memory can bear.
//!
//! Whole sequences go; what only looks like the start of one stays, with its escape made visible, so that a cut or
//! hostile sequence hides nothing of what follows it.

use std::borrow::Cow;

mod event;

pub use event::{neutral, shows};

/// The most characters of one line.
const LINE_LIMIT: usize = 2_000;
/// The most bytes of one text of many lines: its head and its tail are kept.
const TEXT_LIMIT: usize = 256 * 1024;
/// The longest sequence with an end marker (OSC, DCS) that is still taken for one.
const SEQUENCE_LIMIT: usize = 4_096;

/// One line: line ends become spaces.
pub fn line(text: &str) -> String {
    let clean = visible(text);
    let flat = if clean.contains('\n') {
        Cow::Owned(clean.trim_end_matches('\n').replace('\n', " "))
    } else {
        clean
    };
    cut_line(&flat).into_owned()
}

/// Lines, each within the limit of a line, together within the limit of a text.
pub fn text(text: &str) -> String {
    let within = cut_text(text);
    let clean = visible(&within);
    if clean.len() <= LINE_LIMIT {
        return clean.into_owned();
    }
    let lines: Vec<Cow<'_, str>> = clean.split('\n').map(cut_line).collect();
    lines.join("\n")
}

/// The text without sequences, with every other control character made visible.
fn visible(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| c == '\n' || !needs_care(c)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let tail = rest.get(c.len_utf8()..).unwrap_or_default();
        let (shown, next) = match c {
            '\n' => (Cow::Borrowed("\n"), tail),
            '\t' => (Cow::Borrowed("    "), tail),
            // A line that was to be overwritten is kept: nothing that was said is lost.
            '\r' => (Cow::Borrowed("\n"), tail.strip_prefix('\n').unwrap_or(tail)),
            '\u{1b}' => {
                after_escape(tail).map_or((Cow::Borrowed("␛"), tail), |next| (Cow::Borrowed(""), next))
            }
            '\u{9b}' => after_csi(tail).map_or((mark(c), tail), |next| (Cow::Borrowed(""), next)),
            c if needs_care(c) => (mark(c), tail),
            _ => {
                let plain = rest.find(needs_care).unwrap_or(rest.len());
                out.push_str(rest.get(..plain).unwrap_or_default());
                rest = rest.get(plain..).unwrap_or_default();
                continue;
            }
        };
        out.push_str(&shown);
        rest = next;
    }
    Cow::Owned(out)
}

/// Control characters, the characters that turn the direction of text, the selector that changes a character's width
/// and the two that no XML may hold.
const fn needs_care(c: char) -> bool {
    matches!(c,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        | '\u{fe0f}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// A visible stand-in for a character that must not be written.
fn mark(c: char) -> Cow<'static, str> {
    match c {
        '\0'..='\u{1f}' => {
            let picture = u32::from(c) + 0x2400;
            Cow::Owned(char::from_u32(picture).unwrap_or('?').to_string())
        }
        '\u{7f}' => Cow::Borrowed("␡"),
        '\u{fe0f}' | '\u{feff}' => Cow::Borrowed(""),
        '\u{fffe}' | '\u{ffff}' => Cow::Borrowed("\u{fffd}"),
        _ => Cow::Owned(format!("<U+{:04X}>", u32::from(c))),
    }
}

/// What follows the sequence whose escape character was just read, or nothing if it is none (ECMA-48, 5.3 and 5.4).
fn after_escape(tail: &str) -> Option<&str> {
    let mut chars = tail.chars();
    match chars.next()? {
        '[' => after_csi(chars.as_str()),
        ']' | 'P' | 'X' | '^' | '_' => after_string(chars.as_str()),
        ' '..='/' => {
            let end = chars.as_str().trim_start_matches([' ', '#', '%', '(', ')', '*', '+']);
            end.chars().next().filter(|c| ('0'..='~').contains(c)).and_then(|c| end.get(c.len_utf8()..))
        }
        '0'..='~' => Some(chars.as_str()),
        _ => None,
    }
}

/// What follows a control sequence whose introducer was just read.
fn after_csi(tail: &str) -> Option<&str> {
    let end = tail.trim_start_matches(|c| ('0'..='?').contains(&c));
    let end = end.trim_start_matches(|c| (' '..='/').contains(&c));
    end.chars().next().filter(|c| ('@'..='~').contains(c)).and_then(|c| end.get(c.len_utf8()..))
}

/// What follows a control string whose introducer was just read; it must end within its line.
fn after_string(tail: &str) -> Option<&str> {
    let mut previous = '\0';
    for (index, c) in tail.char_indices().take_while(|(index, c)| *index < SEQUENCE_LIMIT && *c != '\n') {
        if matches!(c, '\u{7}' | '\u{9c}') || (previous == '\u{1b}' && c == '\\') {
            return tail.get(index + c.len_utf8()..);
        }
        previous = c;
    }
    None
}

fn cut_line(line: &str) -> Cow<'_, str> {
    // Bytes are never fewer than characters, so most lines are not counted.
    if line.len() <= LINE_LIMIT {
        return Cow::Borrowed(line);
    }
    match line.char_indices().nth(LINE_LIMIT) {
        None => Cow::Borrowed(line),
        Some((end, _)) => {
            let more = line.get(end..).unwrap_or_default().chars().count();
            Cow::Owned(format!("{}… ({more} more characters)", line.get(..end).unwrap_or_default()))
        }
    }
}

fn cut_text(text: &str) -> Cow<'_, str> {
    if text.len() <= TEXT_LIMIT {
        return Cow::Borrowed(text);
    }
    let head_end = (0..=TEXT_LIMIT / 4).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let tail_from = text.len() - TEXT_LIMIT * 3 / 4;
    let tail_start = (tail_from..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    let head = text.get(..head_end).unwrap_or_default();
    let tail = text.get(tail_start..).unwrap_or_default();
    Cow::Owned(format!("{head}\n… {} bytes left out …\n{tail}", tail_start - head_end))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};

    use super::{line, needs_care, text};

    #[test]
    fn whole_sequences_go_and_their_text_stays() {
        for (raw, expected) in [
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}[38;5;196mred\u{1b}[m", "red"),
            ("\u{1b}[2J\u{1b}[Htop", "top"),
            ("\u{1b}[?25lhidden cursor\u{1b}[?25h", "hidden cursor"),
            ("\u{1b}]0;title\u{7}text", "text"),
            ("\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("\u{1b}Pq#0\u{1b}\\sixel", "sixel"),
            ("\u{1b}(Bascii", "ascii"),
            ("\u{1b}cReset", "Reset"),
            ("\u{9b}31mred", "red"),
        ] {
            assert_eq!(line(raw), expected, "{raw:?}");
        }
    }

    #[test]
    fn a_sequence_that_never_ends_hides_nothing() {
        assert_eq!(line("a\u{1b}]0;no end, and all that follows"), "a␛]0;no end, and all that follows");
        assert_eq!(text("\u{1b}]0;open\nnext line"), "␛]0;open\nnext line");
        assert_eq!(line("cut\u{1b}["), "cut␛[");
        assert_eq!(line("cut\u{1b}"), "cut␛");
    }

    #[test]
    fn removing_a_sequence_makes_no_new_one() {
        assert_eq!(line("\u{1b}\u{1b}[0m[31mx"), "␛[31mx");
    }

    #[test]
    fn other_control_characters_become_visible() {
        assert_eq!(line("a\0b\u{7}c\u{7f}d\u{85}e"), "a␀b␇c␡d<U+0085>e");
        assert_eq!(line("user\u{202e}txt.exe"), "user<U+202E>txt.exe");
        assert_eq!(text("10%\r20%\r\n30%\tdone"), "10%\n20%\n30%    done");
    }

    #[test]
    fn a_line_is_one_line_and_bounded() {
        assert_eq!(line("one\ntwo\n"), "one two");
        let long = line(&"x".repeat(1_000_000));
        assert!(long.ends_with("… (998000 more characters)"), "{}", long.len());
    }

    #[test]
    fn a_long_text_keeps_its_head_and_its_tail() {
        let lines: Vec<String> = (0..100_000).map(|n| format!("line {n}")).collect();
        let kept = text(&lines.join("\n"));
        assert!(kept.len() < 300_000);
        assert!(kept.starts_with("line 0\n") && kept.ends_with("\nline 99999"));
        assert!(kept.contains(" bytes left out …"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn nothing_dangerous_is_left_and_once_is_enough(raw in any::<String>()) {
            let clean = text(&raw);
            prop_assert!(clean.chars().all(|c| c == '\n' || !needs_care(c)), "{clean:?}");
            prop_assert_eq!(text(&clean), clean.clone());
            prop_assert!(!line(&raw).contains('\n'));
        }

        #[test]
        fn sequences_in_any_order_leave_no_escape(
            parts in proptest::collection::vec("\\x1b|\\[|\\]|\\u{9b}|\\u{9c}|\\x07|\\\\|[0-9;?]|[a-zA-Z]|\n", 0..40),
        ) {
            prop_assert!(text(&parts.concat()).chars().all(|c| c == '\n' || !needs_care(c)));
        }

        #[test]
        fn harmless_text_is_untouched(raw in "[ -~äöü→…日本語]{0,80}") {
            prop_assert_eq!(text(&raw), raw);
        }
    }
}
