//! TOML into a [`Document`].

use std::fmt::Write as _;

use ::toml::Spanned;
use ::toml::de::{DeTable, DeValue};
use toml_parser::Source;
use toml_parser::lexer::TokenKind;

use super::lines::Lines;
use super::{Document, Entry, Form, MAX_DEPTH, Mark, Node, Scalar, Value};
use crate::span::Fault;

/// Parses a TOML file.
pub fn from_toml(file: &str, text: &str) -> Result<Document, Fault> {
    let mut document = Document {
        file: file.to_owned(),
        text: text.to_owned(),
        root: Node { mark: Mark::START, value: Value::Map(Vec::new()) },
        merged: Vec::new(),
    };
    if let Some(offset) = bottomless(text) {
        return Err(too_deep(&document, Mark::of_offset(text, offset)));
    }
    match DeTable::parse(text) {
        Ok(table) => {
            match map(&Lines::of(text), table.get_ref(), 1) {
                Ok(value) => document.root.value = value,
                Err(TooDeep(mark)) => return Err(too_deep(&document, mark)),
            }
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

/// A value that lies deeper than any configuration needs.
struct TooDeep(Mark);

fn too_deep(document: &Document, mark: Mark) -> Fault {
    let message = format!("nested deeper than {MAX_DEPTH} levels");
    document.fault(mark, message).with_hint("write the inner values flat, or leave them out")
}

/// Where a text nests so deep that the parser itself would end a thread's stack, if it does. The parser limits brackets, and
/// the dots of one key, each by itself; together they make thousands of levels.
///
/// Its words are counted rather than its values, so the count is too high where syntax is broken. Hence there is some room.
fn bottomless(text: &str) -> Option<usize> {
    const ROOM: usize = 4 * MAX_DEPTH;
    // What is open, each with the levels around it.
    let mut open: Vec<(TokenKind, usize)> = Vec::new();
    let mut level = 0;
    for token in Source::new(text).lex() {
        let around = open.last().map_or(0, |(_, around)| around + 1);
        match token.kind() {
            kind @ (TokenKind::LeftCurlyBracket | TokenKind::LeftSquareBracket) => {
                open.push((kind, level));
                level += 1;
            }
            TokenKind::RightCurlyBracket => close(&mut open, &mut level, TokenKind::LeftCurlyBracket),
            TokenKind::RightSquareBracket => close(&mut open, &mut level, TokenKind::LeftSquareBracket),
            TokenKind::Dot => level += 1,
            TokenKind::Comma => level = around,
            // In braces a key may go on in the next line.
            TokenKind::Newline
                if open.last().is_none_or(|(kind, _)| *kind != TokenKind::LeftCurlyBracket) =>
            {
                level = around;
            }
            _ => {}
        }
        if level > ROOM {
            return Some(token.span().start());
        }
    }
    None
}

/// Goes back to the levels around a bracket. One that closes nothing changes nothing.
fn close(open: &mut Vec<(TokenKind, usize)>, level: &mut usize, wanted: TokenKind) {
    if let Some((_, around)) = open.pop_if(|(kind, _)| *kind == wanted) {
        *level = around;
    }
}

fn map(lines: &Lines<'_>, table: &DeTable<'_>, depth: usize) -> Result<Value, TooDeep> {
    let mut entries = Vec::with_capacity(table.len());
    for (key, value) in table {
        let mark = lines.mark(key.span().start);
        entries.push(Entry { key: key.get_ref().to_string(), mark, value: node(lines, value, depth + 1)? });
    }
    entries.sort_by_key(|entry| entry.mark);
    Ok(Value::Map(entries))
}

fn node(lines: &Lines<'_>, value: &Spanned<DeValue<'_>>, depth: usize) -> Result<Node, TooDeep> {
    let mark = lines.mark(value.span().start);
    let plain = |text: String| Value::Scalar(Scalar { text, form: Form::Plain });
    let content = match value.get_ref() {
        DeValue::Array(_) | DeValue::Table(_) if depth > MAX_DEPTH => return Err(TooDeep(mark)),
        DeValue::String(text) => Value::Scalar(Scalar { text: text.to_string(), form: Form::Quoted }),
        DeValue::Integer(number) => {
            let decimal = i128::from_str_radix(number.as_str(), number.radix());
            plain(decimal.map_or_else(|_| number.as_str().to_owned(), |n| n.to_string()))
        }
        DeValue::Float(number) => plain(number.as_str().to_owned()),
        DeValue::Boolean(truth) => plain(truth.to_string()),
        DeValue::Datetime(time) => plain(time.to_string()),
        DeValue::Array(items) => {
            let nodes: Result<_, _> = items.iter().map(|item| node(lines, item, depth + 1)).collect();
            Value::List(nodes?)
        }
        DeValue::Table(table) => map(lines, table, depth)?,
    };
    Ok(Node { mark, value: content })
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
    fn dots_and_brackets_together_nest_no_deeper_than_either() {
        let dots = vec!["a"; 60].join(".");
        assert!(from_toml("f.toml", &format!("[{dots}]\nb = 1\n")).is_ok());
        let many = format!("x = [{}]\n", "{ a.b = 1.5, c = [2.5] },\n".repeat(500));
        assert!(from_toml("f.toml", &many).is_ok());
        for text in [
            format!("[{dots}]\n{dots} = 1\n"),
            format!("{dots} = {}{}", "[".repeat(70), "]".repeat(70)),
            format!("{dots} = {}1{}", format!("{{{dots} = ").repeat(70), "}".repeat(70)),
        ] {
            let fault = from_toml("f.toml", &text).unwrap_err();
            assert!(fault.message.contains("nested deeper than 64 levels"), "{fault}");
            assert!(fault.hint.is_some() && fault.excerpt.is_some());
        }
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
