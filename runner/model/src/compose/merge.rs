//! One compose file over another, by the rules of the Compose Specification ("Merge and override"): maps are merged key by key, lists
//! are joined, what a container executes is replaced, and what names the same place or thing is replaced as well.

use crate::document::{Document, Entry, Form, Mark, Node, Scalar, Value};

/// Replaced as a whole: words of a command line, and Testbed's own alternatives, of which one holds.
const REPLACED: [&str; 5] = ["command", "entrypoint", "test", "probe", "ready"];

/// Maps that can also be written as lists of `NAME=VALUE`.
const ASSIGNMENTS: [&str; 2] = ["environment", "labels"];

/// Maps that can also be written as lists of names.
const NAMES: [&str; 2] = ["depends_on", "networks"];

/// Lists whose items have a place in the container; a second item for a place replaces the first.
const PLACES: [&str; 3] = ["volumes", "configs", "tmpfs"];

/// Merges `over` into `document`.
pub(super) fn merge(document: &mut Document, over: Document) {
    let over = document.adopt(over);
    merge_node("", &mut document.root, over);
}

fn merge_node(key: &str, node: &mut Node, over: Node) {
    if REPLACED.contains(&key) {
        *node = over;
        return;
    }
    let mark = over.mark;
    let mut over = over.value;
    if ASSIGNMENTS.contains(&key) {
        unfold(&mut node.value, assignment);
        unfold(&mut over, assignment);
    } else if NAMES.contains(&key) {
        unfold(&mut node.value, name_alone);
        unfold(&mut over, name_alone);
    }
    match (&mut node.value, over) {
        (Value::Map(entries), Value::Map(others)) => {
            for other in others {
                match entries.iter_mut().find(|entry| entry.key == other.key) {
                    Some(entry) => merge_node(&other.key, &mut entry.value, other.value),
                    None => entries.push(other),
                }
            }
        }
        (Value::List(items), Value::List(others)) => {
            for other in others {
                let is_replaced = |item: &Node| {
                    let same_place = place(item).is_some() && place(item) == place(&other);
                    if PLACES.contains(&key) { same_place } else { is_scalar_like(item, &other) }
                };
                match items.iter_mut().find(|item| is_replaced(item)) {
                    Some(item) => *item = other,
                    None => items.push(other),
                }
            }
        }
        (_, value) => *node = Node { mark, value },
    }
}

/// Makes a map of a list of texts. What is no such list stays, for the reader to refuse.
fn unfold(value: &mut Value, entry: impl Fn(&str, Mark) -> Entry) {
    let Value::List(items) = value else { return };
    let text = |item: &Node| match &item.value {
        Value::Scalar(scalar) => Some(entry(&scalar.text, item.mark)),
        Value::List(_) | Value::Map(_) => None,
    };
    if let Some(entries) = items.iter().map(text).collect::<Option<Vec<Entry>>>() {
        *value = Value::Map(entries);
    }
}

/// `NAME=VALUE`. A name alone has nothing, which the reader refuses in the same words as in a map.
fn assignment(text: &str, mark: Mark) -> Entry {
    let (key, value) = match text.split_once('=') {
        Some((key, value)) => (key, Scalar { text: value.to_owned(), form: Form::Quoted }),
        None => (text, nothing()),
    };
    Entry { key: key.to_owned(), mark, value: Node { mark, value: Value::Scalar(value) } }
}

fn name_alone(text: &str, mark: Mark) -> Entry {
    Entry { key: text.to_owned(), mark, value: Node { mark, value: Value::Scalar(nothing()) } }
}

fn nothing() -> Scalar {
    Scalar { text: String::new(), form: Form::Plain }
}

/// Where in the container an item of `volumes`, `configs` or `tmpfs` is.
fn place(item: &Node) -> Option<&str> {
    match &item.value {
        Value::Scalar(scalar) => {
            let mut parts = scalar.text.split(':');
            let first = parts.next();
            // `SOURCE:TARGET:ro` of a volume, `TARGET:OPTIONS` of a memory file system.
            if first.is_some_and(|first| first.starts_with('/')) { first } else { parts.next().or(first) }
        }
        Value::Map(entries) => {
            let value = |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value);
            match &value("target").or_else(|| value("source"))?.value {
                Value::Scalar(scalar) => Some(&scalar.text),
                Value::List(_) | Value::Map(_) => None,
            }
        }
        Value::List(_) => None,
    }
}

fn is_scalar_like(one: &Node, other: &Node) -> bool {
    matches!((&one.value, &other.value), (Value::Scalar(one), Value::Scalar(other)) if one.text == other.text)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use crate::compose::{ComposeFile, Text, parse_layers};
    use crate::hint::Hint as _;
    use crate::stack::Mount;

    const BASE: &str = "\
x-testbed: {ready: {chat: {service: a, port: 1, model: m}}, facts: {mode: agg, plane: tcp}}
volumes: {data: {}}
services:
  a:
    image: testbed/a
    command: [one, two]
    environment: [A=1, B=2]
    volumes: ['data:/data', '../models:/models:ro']
    tmpfs: [/tmp, '/run:size=1m']
    depends_on: [b]
    cap_drop: [ALL]
  b: {image: testbed/b, healthcheck: {test: [CMD, 'true'], retries: 2}}
";

    fn merged(layers: &[&str]) -> ComposeFile {
        read(layers).unwrap_or_else(|message| panic!("{message}"))
    }

    fn read(layers: &[&str]) -> Result<ComposeFile, String> {
        let names: Vec<String> = (1..=layers.len()).map(|n| format!("compose/over-{n}.yaml")).collect();
        let texts: Vec<Text<'_>> = names.iter().zip(layers).map(|(file, text)| Text { file, text }).collect();
        let base = Text { file: "compose/base.yaml", text: BASE };
        parse_layers(base, &texts, &BTreeMap::new()).map_err(|error| format!("{}: {error}", error.0.place))
    }

    #[test]
    fn nothing_merged_is_the_file_itself() {
        assert_eq!(merged(&[]).file, "compose/base.yaml");
        let merged = merged(&["services: {}"]);
        assert_eq!(merged.file, "compose/base.yaml + compose/over-1.yaml");
        assert_eq!(merged.services.len(), 2);
    }

    #[test]
    fn a_layer_for_a_service_that_is_not_there_says_whose_fault_that_is() {
        let base = Text { file: "compose/base.yaml", text: BASE };
        let over = Text { file: "compose/over.yaml", text: "services: {etcd: {command: [etcd]}}" };
        let error = parse_layers(base, &[over], &BTreeMap::new()).unwrap_err();
        assert_eq!(error.to_string(), "compose/over.yaml:1:12: the service `etcd` has no `image`");
        assert!(error.hint().is_some_and(|hint| hint.starts_with("no file under this one has that service")));
    }

    #[test]
    fn maps_are_merged_in_either_form_and_commands_are_replaced() {
        let merged = merged(&["services: {a: {command: [three], environment: {B: 3, C: 4}}}"]);
        let a = &merged.services["a"];
        assert_eq!(a.command.as_deref(), Some(&["three".to_owned()][..]));
        let expected = [("A", "1"), ("B", "3"), ("C", "4")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(a.environment, BTreeMap::from(expected));
        assert!(a.depends_on.contains_key("b"));
    }

    #[test]
    fn a_place_in_the_container_is_taken_once() {
        let over = "services: {a: {volumes: [{type: bind, source: ../other, target: /models, read_only: true}], tmpfs: ['/run:size=2m']}}";
        let merged = merged(&[over]);
        let a = &merged.services["a"];
        let sources: Vec<&str> = a
            .mounts
            .iter()
            .map(|mount| match mount {
                Mount::Bind { source, .. } => source.as_str(),
                Mount::Volume { volume, .. } => volume.as_str(),
                Mount::Model { model, .. } => model.as_str(),
            })
            .collect();
        assert_eq!(sources, ["data", "other"]);
        assert_eq!(a.tmpfs["/run"], "size=2m");
        assert_eq!(a.tmpfs.len(), 2);
    }

    #[test]
    fn facts_are_merged_and_readiness_is_replaced() {
        let merged =
            merged(&["x-testbed: {ready: {tcp: {service: b, port: 2}}, facts: {plane: nats}}\nservices: {}"]);
        assert_eq!(merged.ready.unwrap().service, "b");
        assert_eq!(merged.facts["plane"], "nats");
        assert_eq!(merged.facts["mode"], "agg");
    }

    #[test]
    fn a_service_is_turned_off_by_a_compose_profile_that_nobody_turns_on() {
        let over = "services: {c: {image: testbed/c}}";
        let off = "services: {c: {profiles: [unused]}}";
        let enabled = |layers: &[&str]| {
            let merged = merged(layers);
            merged.enabled(&BTreeSet::new()).map(|(name, _)| name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(enabled(&[over]), ["a", "b", "c"]);
        assert_eq!(enabled(&[over, off]), ["a", "b"]);
    }

    #[test]
    fn a_later_file_has_the_last_word() {
        let merged = merged(&[
            "services: {b: {image: testbed/c}}",
            "services: {b: {image: testbed/d}, e: {image: testbed/e}}",
        ]);
        assert_eq!(merged.services["b"].image.value, "d");
        assert!(merged.services.contains_key("e"));
    }

    #[test]
    fn what_is_wrong_is_told_of_the_file_that_it_is_in() {
        let cases = [
            ("services:\n  a: {privileged: true}", "compose/over-1.yaml:2:7: "),
            ("services:\n  b:\n    healthcheck:\n      retries: many", "compose/over-1.yaml:4:16: "),
            ("services:\n  a: {environment: [HOME]}", "compose/over-1.yaml:2:21: "),
            ("services:\n  c: {}", "compose/over-1.yaml:2:"),
        ];
        for (over, place) in cases {
            let message = read(&[over]).unwrap_err();
            assert!(message.starts_with(place), "{over}: {message}");
        }
    }
}
