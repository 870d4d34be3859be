//! What a subject tells of itself and what its services logged meanwhile, kept as far as rules may ask for it.

use super::rule::{Rules, fits};

/// The most lines of one text that are looked at, its last ones: that is where a failure says what it was.
const MOST_LINES: usize = 32;
/// The most bytes of a line.
const MOST_BYTES: usize = 400;

/// The lines that rules may ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Account {
    own: Vec<String>,
    services: Vec<(String, Vec<String>)>,
    /// The case's file, which `{file}` of a pattern stands for.
    file: Option<String>,
    /// What it comes to: the first line of a message, the last of a log.
    pub(super) gist: Option<String>,
}

impl Account {
    /// The account of a case of that file.
    pub(super) fn of_file(file: Option<&str>) -> Self {
        Self { file: file.map(|file| file.to_lowercase().replace('*', "?")), ..Self::default() }
    }

    /// Takes lines that the subject itself says.
    pub(super) fn hear<'t>(&mut self, lines: impl DoubleEndedIterator<Item = &'t str>) {
        self.own.extend(last(lines));
    }

    /// Takes lines that a service logged.
    pub(super) fn hear_service<'t>(
        &mut self,
        service: &str,
        lines: impl DoubleEndedIterator<Item = &'t str>,
    ) {
        self.services.push((service.to_owned(), last(lines)));
    }

    /// The first line that the subject itself says of one of the lists.
    pub(super) fn own(&self, lists: &[String]) -> Option<&str> {
        Self::find(&self.own, &self.patterns(lists))
    }

    /// A service and its first line of one of the lists.
    pub(super) fn of_service(&self, lists: &[String]) -> Option<(&str, &str)> {
        let patterns = self.patterns(lists);
        self.services
            .iter()
            .find_map(|(service, lines)| Some((service.as_str(), Self::find(lines, &patterns)?)))
    }

    /// The patterns of some lists. Those that name the case's file are left out where it has none.
    fn patterns(&self, lists: &[String]) -> Vec<String> {
        let texts = &Rules::of_this_version().texts;
        let patterns = lists.iter().filter_map(|list| texts.get(list)).flatten();
        let here = patterns.filter_map(|pattern| match &self.file {
            _ if !pattern.contains("{file}") => Some(pattern.clone()),
            Some(file) => Some(pattern.replace("{file}", file)),
            None => None,
        });
        here.collect()
    }

    fn find<'l>(lines: &'l [String], patterns: &[String]) -> Option<&'l str> {
        if patterns.is_empty() {
            return None;
        }
        let fitting = |line: &&String| {
            let folded = line.to_lowercase();
            patterns.iter().any(|pattern| fits(pattern, &folded))
        };
        lines.iter().find(fitting).map(String::as_str)
    }
}

fn last<'t>(lines: impl DoubleEndedIterator<Item = &'t str>) -> Vec<String> {
    let mut out: Vec<String> = lines.rev().take(MOST_LINES).map(plain).collect();
    out.reverse();
    out
}

/// A line without its escape sequences and margins, cut.
pub(super) fn plain(line: &str) -> String {
    let mut line = line.trim();
    if let Some((end, _)) = line.char_indices().find(|(at, _)| *at >= MOST_BYTES) {
        line = line.get(..end).unwrap_or(line);
    }
    if !line.bytes().any(|byte| byte.is_ascii_control()) {
        return line.to_owned();
    }
    let mut out = String::new();
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => {
                // `ESC [ parameters letter`; anything else is left as it stands.
                let mut rest = chars.clone();
                if rest.next() == Some('[') {
                    chars = rest;
                    chars.by_ref().find(char::is_ascii_alphabetic);
                }
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Account, plain};

    #[test]
    fn a_line_is_read_without_its_colours() {
        assert_eq!(plain(" \u{1b}[31mpanicked\u{1b}[0m at\tx "), "panicked at x");
        assert_eq!(plain("\u{1b}"), "");
        assert_eq!(plain(&"é".repeat(1000)).len(), 400);
    }

    #[test]
    fn the_first_line_that_fits_is_kept_with_who_said_it() {
        let mut account = Account::default();
        account.hear(["fine", "OSError: [Errno 28] No space left on device", "No space left"].into_iter());
        account.hear_service("nats", ["goroutine 7 [running]:"].into_iter());
        assert_eq!(account.own(&["full".to_owned()]), Some("OSError: [Errno 28] No space left on device"));
        assert_eq!(account.own(&["crash".to_owned()]), None);
        assert_eq!(account.of_service(&["crash".to_owned()]), Some(("nats", "goroutine 7 [running]:")));
    }

    #[test]
    fn a_line_of_the_cases_own_file_is_told_from_others() {
        let own = ["own_line".to_owned()];
        let account = |file: Option<&str>| {
            let mut account = Account::of_file(file);
            account.hear(["tests/test_a.py:12: NameError"].into_iter());
            account.own(&own).is_some()
        };
        assert!(account(Some("tests/test_a.py")));
        assert!(!account(Some("tests/test_b.py")) && !account(None));
    }
}
