//! Interpolation: text without `$` stays, `$$` is a dollar, and every variable that takes part is told.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use testbed_fuzz::{check_fault, parts};
use testbed_model::compose::parse;

/// A text for YAML's double quotes. Beyond what must be escaped there, what cannot be printed may not stand in a file at all.
fn escaped(text: &str) -> String {
    let plain = |c: char| match c {
        '"' | '\\' => format!("\\{c}"),
        ' '..='~' => c.to_string(),
        c if c.is_alphanumeric() => c.to_string(),
        c => format!("\\U{:08X}", u32::from(c)),
    };
    text.chars().map(plain).collect()
}

fuzz_target!(|input: &str| {
    let (text, value) = parts(input);
    let variables: BTreeMap<String, String> =
        [("X", value), ("EMPTY", "")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    let read = |text: &str| {
        let file = format!(
            "services:\n  s:\n    image: testbed/nats\nx-testbed:\n  facts:\n    fact: \"{}\"\n",
            escaped(text)
        );
        (parse("compose/fuzz.yaml", &file, &variables), file)
    };
    match read(text) {
        (Ok(file), _) => {
            let fact = &file.facts["fact"];
            if !text.contains('$') {
                assert_eq!(fact, text);
            }
            if text == "${X}" || text == "$X" {
                assert_eq!(fact, value);
                assert!(file.variables.contains("X"));
            }
            let escaped = text.replace('$', "$$");
            let (file, _) = read(&escaped);
            assert_eq!(&file.expect("nothing is left to fill").facts["fact"], text);
        }
        (Err(error), file) => {
            assert_eq!(error.0.place.line, 6, "{error}");
            assert!(text.contains('$'), "{error}");
            check_fault(&error.0, &file);
        }
    }
});
