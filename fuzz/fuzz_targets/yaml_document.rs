//! YAML: every mark is true, a fault lies in the text, and JSON means what a reader of JSON takes it for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value as Json;
use testbed_fuzz::{check_fault, check_marks};
use testbed_model::document::{Node, Value, from_yaml};

fuzz_target!(|text: &str| {
    match from_yaml("fuzz.yaml", text) {
        Ok(document) => {
            check_marks(&document);
            assert_eq!(from_yaml("fuzz.yaml", text).as_ref(), Ok(&document));
            if let Ok(json) = serde_json::from_str(text) {
                check_same(&json, &document.root);
            }
        }
        Err(fault) => check_fault(&fault, text),
    }
});

fn check_same(json: &Json, node: &Node) {
    match (json, &node.value) {
        (Json::String(text), Value::Scalar(scalar)) => assert_eq!(text, &scalar.text),
        (Json::Null | Json::Bool(_) | Json::Number(_), Value::Scalar(_)) => {}
        (Json::Array(items), Value::List(nodes)) => {
            assert_eq!(items.len(), nodes.len());
            items.iter().zip(nodes).for_each(|(item, node)| check_same(item, node));
        }
        (Json::Object(members), Value::Map(entries)) => {
            assert_eq!(members.len(), entries.len());
            for entry in entries {
                check_same(&members[&entry.key], &entry.value);
            }
        }
        (json, value) => panic!("{json} became {value:?}"),
    }
}
