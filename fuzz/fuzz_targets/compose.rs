//! Compose files: a fault lies in the text, dependencies name services, and reading twice gives the same.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use testbed_fuzz::check_fault;
use testbed_model::compose::parse;

fuzz_target!(|text: &str| {
    let variables: BTreeMap<String, String> = [("MODEL", "tiny"), ("EMPTY", ""), ("PORT", "8000")]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .into();
    match parse("compose/fuzz.yaml", text, &variables) {
        Ok(file) => {
            assert!(!file.services.is_empty());
            for service in file.services.values() {
                assert!(service.depends_on.keys().all(|name| file.services.contains_key(name)));
            }
            assert_eq!(parse("compose/fuzz.yaml", text, &variables).as_ref(), Ok(&file));
        }
        Err(error) => check_fault(&error.0, text),
    }
});
