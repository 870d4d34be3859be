//! Profiles: what `--explain` shows of one is itself TOML, and gives the same values again.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use testbed_fuzz::check_fault;
use testbed_model::profile::{BASE, ProfileError, resolve};

const DEFAULT: &str = include_str!("../../envs/default.toml");

fuzz_target!(|text: &str| {
    let sources: BTreeMap<String, String> =
        [(BASE, DEFAULT), ("fuzz", text)].map(|(name, text)| (name.to_owned(), text.to_owned())).into();
    match resolve("fuzz", &sources, &[]) {
        Ok(resolved) => {
            let explained = resolved.explain();
            let set: Vec<String> = explained
                .iter()
                .filter(|line| line.key != "extends")
                .map(|line| format!("{}={}", line.key, line.value))
                .collect();
            let again = resolve(BASE, &sources, &set).unwrap_or_else(|error| panic!("{error}: {set:?}"));
            let values = |lines: Vec<testbed_model::profile::Explained>| -> Vec<(String, String)> {
                let kept = lines.into_iter().filter(|line| line.key != "extends");
                kept.map(|line| (line.key, line.value)).collect()
            };
            assert_eq!(values(again.explain()), values(explained));
        }
        Err(ProfileError::At(fault)) if fault.place.file == "envs/fuzz.toml" => check_fault(&fault, text),
        Err(ProfileError::At(fault)) => check_fault(&fault, DEFAULT),
        Err(_) => {}
    }
});
