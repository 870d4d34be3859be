//! Assignments over a profile (`key=value`): a value that holds is shown as TOML that means the same.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use testbed_model::profile::{BASE, ProfileError, resolve};

const DEFAULT: &str = include_str!("../../envs/default.toml");

fuzz_target!(|text: &str| {
    let sources: BTreeMap<String, String> = [(BASE.to_owned(), DEFAULT.to_owned())].into();
    match resolve(BASE, &sources, &[text.to_owned()]) {
        Ok(resolved) => {
            let set: Vec<String> =
                resolved.explain().iter().map(|line| format!("{}={}", line.key, line.value)).collect();
            let again = resolve(BASE, &sources, &set).unwrap_or_else(|error| panic!("{error}: {set:?}"));
            let values: Vec<String> =
                again.explain().iter().map(|line| format!("{}={}", line.key, line.value)).collect();
            assert_eq!(values, set);
        }
        Err(ProfileError::At(fault)) => assert!(!fault.message.is_empty() && fault.place.line > 0),
        Err(_) => {}
    }
});
