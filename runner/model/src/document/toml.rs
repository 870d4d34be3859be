//! TOML into a [`Document`].

use std::fmt::Write as _;

use ::toml::Spanned;
use ::toml::de::{DeTable, DeValue};

use super::{Document, Entry, Form, Mark, Node, Scalar, Value};
use crate::span::Fault;

/// Parses a TOML file.
pub fn from_toml(file: &str, text: &str) -> Result<Document, Fault> {
    let mut document = Document {
        file: file.to_owned(),
        text: text.to_owned(),
        root: Node { mark: Mark::START, value: Value::Map(Vec::new()) },
    };
    match DeTable::parse(text) {
        Ok(table) => {
            let lines = Lines::of(text);
            document.root.value = map(&lines, table.get_ref());
            Ok(document)
        }
        Err(error) => {
            let span = error.span().unwrap_or_default();
            let mut way_out = "check quotes and brackets here and right before";
            let mut message = error.message().lines().collect::<Vec<_>>().join(", ");
            // The parser names no key here; its span covers it.
            if let (true, Some(key)) = (message == "duplicate key", text.get(span.clone())) {
                message = format!("the key `{key}` is there twice");
                way_out = "leave one of them out";
            }
            let fault =
                document.fault(Mark::of_offset(text, span.start), format!("not valid TOML: {message}"));
            Err(fault.with_hint(way_out))
        }
    }
}

/// A text as TOML writes it, in quotes.
pub fn toml_text(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Where each line starts, so that finding a position does not read the text from its start each time.
struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, starts }
    }

    fn mark(&self, offset: usize) -> Mark {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let column = self.text.get(start..offset).map_or(0, |lead| lead.chars().count()) + 1;
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Mark { line: number(line), column: number(column), offset }
    }
}

fn map(lines: &Lines<'_>, table: &DeTable<'_>) -> Value {
    let mut entries: Vec<Entry> = table
        .iter()
        .map(|(key, value)| {
            let mark = lines.mark(key.span().start);
            Entry { key: key.get_ref().to_string(), mark, value: node(lines, value) }
        })
        .collect();
    entries.sort_by_key(|entry| entry.mark);
    Value::Map(entries)
}

fn node(lines: &Lines<'_>, value: &Spanned<DeValue<'_>>) -> Node {
    let plain = |text: String| Value::Scalar(Scalar { text, form: Form::Plain });
    let content = match value.get_ref() {
        DeValue::String(text) => Value::Scalar(Scalar { text: text.to_string(), form: Form::Quoted }),
        DeValue::Integer(number) => {
            let decimal = i128::from_str_radix(number.as_str(), number.radix());
            plain(decimal.map_or_else(|_| number.as_str().to_owned(), |n| n.to_string()))
        }
        DeValue::Float(number) => plain(number.as_str().to_owned()),
        DeValue::Boolean(truth) => plain(truth.to_string()),
        DeValue::Datetime(time) => plain(time.to_string()),
        DeValue::Array(items) => Value::List(items.iter().map(|item| node(lines, item)).collect()),
        DeValue::Table(table) => map(lines, table),
    };
    Node { mark: lines.mark(value.span().start), value: content }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{from_toml, toml_text};

    #[test]
    fn every_value_knows_its_place() {
        let document = from_toml("f.toml", "a = 0x10\n['é'.b]\nc = [\"x\", true]\n").unwrap();
        let mut fields = document.item().fields().unwrap();
        assert_eq!(fields.require("a").unwrap().integer::<u8>().unwrap(), 16);
        let mut inner = fields.require("é").unwrap().fields().unwrap();
        let mut innermost = inner.require("b").unwrap().fields().unwrap();
        let items = innermost.require("c").unwrap().items().unwrap();
        assert_eq!((items[1].place().line, items[1].place().column), (3, 11));
        assert!(items[1].boolean().unwrap());
    }

    #[test]
    fn a_day_is_read_with_and_without_quotes() {
        let day = |value: &str| {
            let document = from_toml("f.toml", &format!("until = {value}\n")).unwrap();
            let item = document.item().fields().unwrap().require("until").unwrap();
            item.date().map(|date| date.to_string()).map_err(|fault| fault.message)
        };
        for value in ["2026-12-31", "\"2026-12-31\""] {
            assert_eq!(day(value).unwrap(), "2026-12-31");
        }
        for (value, shown) in [
            ("2026-12-31T10:00:00", "2026-12-31T10:00:00"),
            ("\"2026-02-30\"", "2026-02-30"),
            ("\"20261231\"", "20261231"),
            ("20261231", "20261231"),
            ("\"+002026-12\"", "+002026-12"),
        ] {
            let message = format!("`until` must be a date such as `2026-12-31`, not `{shown}`");
            assert_eq!(day(value).unwrap_err(), message);
        }
        assert_eq!(day("[]").unwrap_err(), "`until` must be a date such as `2026-12-31`, not a list");
    }

    #[test]
    fn broken_syntax_names_its_place() {
        let error = from_toml("f.toml", "a = 1\nb = \n").unwrap_err();
        assert_eq!((error.place.line, error.place.column), (2, 5), "{error}");
        let error = from_toml("f.toml", "a = 1\na = 2\n").unwrap_err();
        assert_eq!(error.to_string(), "f.toml:2:1: not valid TOML: the key `a` is there twice");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,200}") {
            let _ = from_toml("f.toml", &text);
        }

        #[test]
        fn a_text_that_is_written_reads_back(text in ".{0,40}") {
            let document = from_toml("f.toml", &format!("a = {}", toml_text(&text))).unwrap();
            let item = document.item().fields().unwrap().require("a").unwrap();
            prop_assert_eq!(item.text().unwrap(), text);
        }

        #[test]
        fn no_toml_like_text_makes_the_reader_panic(text in "([a-c0-9.=\\[\\]{}'\"#, \\n_-]| = |\\n\\[){0,80}") {
            let _ = from_toml("f.toml", &text);
        }
    }
}
