//! The configuration of pre-commit: hooks have names, and reading twice gives the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use testbed_engine::exec::pre_commit::hooks;

fuzz_target!(|text: &str| {
    match hooks(".pre-commit-config.yaml", text) {
        Ok(found) => assert_eq!(hooks(".pre-commit-config.yaml", text).expect("the same text"), found),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
