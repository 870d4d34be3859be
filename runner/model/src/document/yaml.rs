//! YAML into a [`Document`]: anchors, aliases and merge keys are resolved, everything else is kept as written.
//!
//! The parser is `granit-parser`, the one beneath `serde-saphyr`: its events carry a position for every key and value and
//! the style of every scalar, which a typed deserializer does not hand on.

use std::collections::BTreeMap;
use std::path::Path;

use granit_parser::{Event, Marker, Parser, ScalarStyle, Span, options};

use super::lines::Lines;
use super::{Document, Entry, Form, Kind, MAX_DEPTH, Mark, Node, Scalar, Value};
use crate::span::Fault;

/// Bytes of text, plus one for each node, that a file may amount to once aliases are expanded.
const MAX_WEIGHT: usize = 4 << 20;

/// Parses one YAML document.
pub fn from_yaml(file: &str, text: &str) -> Result<Document, Fault> {
    let mut document = Document {
        file: file.to_owned(),
        text: text.to_owned(),
        root: Node {
            mark: Mark::START,
            value: Value::Scalar(Scalar { text: String::new(), form: Form::Plain }),
        },
        merged: Vec::new(),
    };
    let root = Builder::new(&document).build()?;
    match root {
        Some(node) => document.root = node,
        None => return Err(document.fault(Mark::START, "the file is empty")),
    }
    Ok(document)
}

/// A list or map whose end has not been seen.
struct Open {
    mark: Mark,
    anchor: usize,
    weight: usize,
    depth: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map { entries: Vec<Pair>, key: Option<Key> },
}

/// A key that waits for its value.
struct Key {
    text: String,
    mark: Mark,
    merge: bool,
}

struct Pair {
    key: Key,
    value: Node,
}

/// A finished node with what copying it costs.
#[derive(Clone)]
struct Finished {
    node: Node,
    weight: usize,
    depth: usize,
}

struct Builder<'d> {
    document: &'d Document,
    lines: Lines<'d>,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Finished>,
    anchor_names: BTreeMap<usize, String>,
    weight: usize,
    root: Option<Node>,
}

impl<'d> Builder<'d> {
    fn new(document: &'d Document) -> Self {
        Self {
            document,
            lines: Lines::of(&document.text),
            open: Vec::new(),
            anchors: BTreeMap::new(),
            anchor_names: BTreeMap::new(),
            weight: 0,
            root: None,
        }
    }

    fn build(mut self) -> Result<Option<Node>, Fault> {
        let options = options! {
            emit_comments: false,
            disallow_directives: true,
            emit_unresolved_aliases: true,
            emit_anchor_events: true,
            flow_nesting_limit: MAX_DEPTH,
            block_nesting_limit: MAX_DEPTH,
        };
        let mut documents = 0;
        for step in Parser::new_from_str_with_options(&self.document.text, options) {
            let (event, span) = step.map_err(|error| {
                let message = error.info().to_lowercase().replace('\n', " ");
                // JSON is YAML too, and who wrote it should not have to know.
                let is_json = Path::new(&self.document.file).extension().is_some_and(|end| end == "json");
                let language = if is_json { "JSON" } else { "YAML" };
                let fault = self
                    .document
                    .fault(self.mark(error.marker()), format!("not valid {language}: {message}"));
                fault.with_hint("check brackets, quotes and indentation here and right before")
            })?;
            if matches!(event, Event::DocumentStart(..)) {
                documents += 1;
                if documents > 1 {
                    return Err(self.fault(&span, "only one YAML document is allowed in a file"));
                }
            }
            self.accept(event, &span)?;
        }
        Ok(self.root)
    }

    fn accept(&mut self, event: Event<'_>, span: &Span) -> Result<(), Fault> {
        if let Some(tag) = event.tag() {
            let fault = self.fault(span, format!("the tag `{}` is not supported", tag.original()));
            return Err(fault.with_hint("leave the tag out; quote a value that must be text"));
        }
        let mark = self.mark(&span.start);
        match event {
            Event::Scalar(text, style, anchor, _) => self.scalar(text.into_owned(), style, anchor, mark),
            Event::SequenceStart(_, anchor, _) => self.start(mark, anchor, Content::List(Vec::new())),
            Event::MappingStart(_, anchor, _) => {
                self.start(mark, anchor, Content::Map { entries: Vec::new(), key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => self.alias(anchor, mark),
            Event::UnresolvedAlias(name) => {
                let fault = self.fault(span, format!("`*{name}` names no anchor before it"));
                Err(fault.with_nearest(&name, self.anchor_names.values().map(String::as_str)))
            }
            Event::Anchor(anchor, name) => {
                self.anchor_names.insert(anchor, name.into_owned());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn scalar(&mut self, text: String, style: ScalarStyle, anchor: usize, mark: Mark) -> Result<(), Fault> {
        let form = if style == ScalarStyle::Plain { Form::Plain } else { Form::Quoted };
        let weight = text.len() + 1;
        let node = Node { mark, value: Value::Scalar(Scalar { text, form }) };
        self.finish(Finished { node, weight, depth: 1 }, anchor)
    }

    fn start(&mut self, mark: Mark, anchor: usize, content: Content) -> Result<(), Fault> {
        self.open.push(Open { mark, anchor, weight: 1, depth: 1, content });
        self.check_depth(1, mark)
    }

    fn end(&mut self) -> Result<(), Fault> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let value = match open.content {
            Content::List(items) => Value::List(items),
            Content::Map { entries, .. } => Value::Map(self.merged(entries)?),
        };
        let node = Node { mark: open.mark, value };
        self.finish(Finished { node, weight: open.weight, depth: open.depth }, open.anchor)
    }

    fn alias(&mut self, anchor: usize, mark: Mark) -> Result<(), Fault> {
        let Some(finished) = self.anchors.get(&anchor).cloned() else {
            return Err(self.document.fault(mark, "the alias names a value that contains it"));
        };
        self.check_depth(finished.depth, mark)?;
        self.finish(finished, 0)
    }

    /// Puts a finished node where it belongs.
    fn finish(&mut self, finished: Finished, anchor: usize) -> Result<(), Fault> {
        let mark = finished.node.mark;
        // A collection's children were counted when they were finished; an alias counts in full.
        self.weight = self.weight.saturating_add(finished.weight);
        if self.weight > MAX_WEIGHT {
            return Err(self.document.fault(mark, "the file is too large once its aliases are expanded"));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, finished.clone());
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(finished.node);
            return Ok(());
        };
        open.weight = open.weight.saturating_add(finished.weight);
        open.depth = open.depth.max(finished.depth + 1);
        match &mut open.content {
            Content::List(items) => items.push(finished.node),
            Content::Map { entries, key } => match key.take() {
                Some(key) => entries.push(Pair { key, value: finished.node }),
                None => *key = Some(key_of(self.document, finished.node)?),
            },
        }
        Ok(())
    }

    fn check_depth(&self, more: usize, mark: Mark) -> Result<(), Fault> {
        if self.open.len() + more > MAX_DEPTH {
            return Err(self.document.fault(mark, format!("nested deeper than {MAX_DEPTH} levels")));
        }
        Ok(())
    }

    /// Applies merge keys: the map's own keys win, then the first of the merged maps that has a key.
    fn merged(&mut self, pairs: Vec<Pair>) -> Result<Vec<Entry>, Fault> {
        let mut entries: Vec<Entry> = Vec::with_capacity(pairs.len());
        let mut known: BTreeMap<String, Mark> = BTreeMap::new();
        let mut merges: Vec<Node> = Vec::new();
        for Pair { key, value } in pairs {
            if let Some(first) = known.get(&key.text) {
                let message = format!("the key `{}` is there twice, first in line {}", key.text, first.line);
                return Err(self.document.fault(key.mark, message).with_hint("leave one of them out"));
            }
            known.insert(key.text.clone(), key.mark);
            if key.merge {
                merges.push(value);
            } else {
                entries.push(Entry { key: key.text, mark: key.mark, value });
            }
        }
        for merge in merges {
            let sources = match merge.value {
                Value::List(items) => items,
                Value::Map(_) | Value::Scalar(_) => vec![merge],
            };
            for source in sources {
                let Value::Map(inherited) = source.value else {
                    let message =
                        format!("`<<` takes a map or a list of maps, not {}", source.value.nature());
                    return Err(self.document.fault(source.mark, message));
                };
                for entry in inherited {
                    if !known.contains_key(&entry.key) {
                        known.insert(entry.key.clone(), entry.mark);
                        entries.push(entry);
                    }
                }
            }
        }
        Ok(entries)
    }

    fn fault(&self, span: &Span, message: impl Into<String>) -> Fault {
        self.document.fault(self.mark(&span.start), message)
    }

    /// A position of the parser's. It counts lines as YAML does, where a carriage return ends one as well; everything that
    /// shows a file does not, so its count is not used.
    fn mark(&self, marker: &Marker) -> Mark {
        self.lines.mark(marker.byte_offset().unwrap_or(0).min(self.document.text.len()))
    }
}

fn key_of(document: &Document, node: Node) -> Result<Key, Fault> {
    let mark = node.mark;
    let scalar = match node.value {
        Value::Scalar(scalar) => scalar,
        other => return Err(document.fault(mark, format!("a key must be text, not {}", other.nature()))),
    };
    let merge = scalar.form == Form::Plain && scalar.text == "<<";
    match scalar.kind() {
        Kind::Text => Ok(Key { text: scalar.text, mark, merge }),
        Kind::Ambiguous(other) => {
            let message = format!("some YAML readers take the key `{}` for {other}", scalar.text);
            Err(document.fault(mark, message).with_hint("put it in quotes"))
        }
        kind => {
            let message = format!("a key must be text, not {}", kind.nature());
            Err(document.fault(mark, message).with_hint("put it in quotes"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::from_yaml;
    use crate::document::{Node, Value};

    fn show(node: &Node) -> String {
        match &node.value {
            Value::Scalar(scalar) => scalar.text.clone(),
            Value::List(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", ")),
            Value::Map(entries) => {
                let pairs: Vec<String> =
                    entries.iter().map(|e| format!("{}: {}", e.key, show(&e.value))).collect();
                format!("{{{}}}", pairs.join(", "))
            }
        }
    }

    fn check(text: &str, expected: &str) {
        let shown = match from_yaml("f.yaml", text) {
            Ok(document) => show(&document.root),
            Err(fault) => fault.to_string(),
        };
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn own_keys_win_over_merged_ones_and_the_first_merged_map_over_the_second() {
        check(
            "a: &a {p: 1, q: 1}\nb: &b {q: 2, r: 2}\nc: {<<: [*a, *b], p: 3}\n",
            "{a: {p: 1, q: 1}, b: {q: 2, r: 2}, c: {p: 3, q: 1, r: 2}}",
        );
        check("a: &a {p: 1}\nb: {\"<<\": *a}", "{a: {p: 1}, b: {<<: {p: 1}}}");
    }

    #[test]
    fn a_key_that_is_there_twice_names_both_places() {
        check("a: 1\nb: 2\na: 3\n", "f.yaml:3:1: the key `a` is there twice, first in line 1");
    }

    #[test]
    fn an_alias_without_an_anchor_is_an_error_at_the_alias() {
        check("a: *b\n", "f.yaml:1:4: `*b` names no anchor before it");
        check("a: &a [*a]\n", "f.yaml:1:8: the alias names a value that contains it");
    }

    #[test]
    fn what_yaml_allows_and_configuration_does_not_need_is_refused() {
        check("a: !reset x\n", "f.yaml:1:11: the tag `!reset` is not supported");
        check("a: 1\n---\nb: 1\n", "f.yaml:2:1: only one YAML document is allowed in a file");
        check("", "f.yaml:1:1: the file is empty");
        check("on: 1", "f.yaml:1:1: some YAML readers take the key `on` for a truth value");
        check("1: 1", "f.yaml:1:1: a key must be text, not a number");
        check("{a: 1}: 1", "f.yaml:1:1: a key must be text, not a map");
        check("<<: 1", "f.yaml:1:5: `<<` takes a map or a list of maps, not a number");
    }

    #[test]
    fn a_carriage_return_by_itself_ends_no_line_in_a_place() {
        // For YAML it does, and `b` is a key; an editor shows one line.
        let fault = from_yaml("f.yaml", "a: 1\rb: é\rb: 2\n").unwrap_err();
        assert_eq!((fault.place.line, fault.place.column), (1, 11), "{fault}");
        assert!(fault.excerpt.is_some());
        let fault = from_yaml("f.yaml", "a: 1\r\nb: 1\r\nb: 2\r\n").unwrap_err();
        assert_eq!((fault.place.line, fault.place.column), (3, 1), "{fault}");
    }

    #[test]
    fn broken_syntax_names_its_place() {
        check("a: [1, 2\nb: 3\n", "f.yaml:2:2: not valid YAML: illegal placement of ':' indicator");
        let fault = from_yaml("f.json", "{\"a\": [1, 2}").unwrap_err();
        assert!(fault.to_string().starts_with("f.json:1:7: not valid JSON: "), "{fault}");
    }

    #[test]
    fn nested_aliases_do_not_eat_the_memory() {
        let mut bomb = String::from("a0: &a0 [xxxxxxxxxx, xxxxxxxxxx]\n");
        for i in 1..40 {
            writeln!(bomb, "a{i}: &a{i} [*a{p}, *a{p}]", p = i - 1).unwrap();
        }
        let error = from_yaml("f.yaml", &bomb).unwrap_err();
        assert!(error.message.contains("too large"), "{error}");
        let deep = "[".repeat(100_000);
        assert!(from_yaml("f.yaml", &deep).is_err());
        let mut chain = String::from("a0: &a0 [x]\n");
        for i in 1..100 {
            writeln!(chain, "a{i}: &a{i} [*a{p}]", p = i - 1).unwrap();
        }
        assert!(from_yaml("f.yaml", &chain).unwrap_err().message.contains("nested deeper"));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,200}") {
            let _ = from_yaml("f.yaml", &text);
        }

        #[test]
        fn no_yaml_like_text_makes_the_reader_panic(text in "([a-c&*<\\[\\]{}:,'\"|>!# \\n-]|: |\\n  ){0,80}") {
            let _ = from_yaml("f.yaml", &text);
        }
    }
}
