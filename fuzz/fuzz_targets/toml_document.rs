//! TOML: every mark is true, a fault lies in the text, and any text survives being quoted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use testbed_fuzz::{check_fault, check_marks, quoted};
use testbed_model::document::{Value, from_toml};

fuzz_target!(|text: &str| {
    match from_toml("fuzz.toml", text) {
        Ok(document) => {
            check_marks(&document);
            assert_eq!(from_toml("fuzz.toml", text).as_ref(), Ok(&document));
        }
        Err(fault) => check_fault(&fault, text),
    }
    let document = from_toml("fuzz.toml", &format!("a = {}", quoted(text))).expect("quoted text is TOML");
    let Value::Map(entries) = &document.root.value else { panic!("a file is a map") };
    assert!(matches!(&entries[0].value.value, Value::Scalar(scalar) if scalar.text == text));
});
