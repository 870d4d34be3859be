//! Simulated inventories, as TOML and as JSON: a fault lies in the text, what is read can be put in the place of facts, twice as
//! well as once, and every GPU can be held against a need.
#![no_main]

use libfuzzer_sys::fuzz_target;
use testbed_fuzz::check_fault;
use testbed_model::doctor::warnings;
use testbed_model::facts::Facts;
use testbed_model::fitness::{Need, fit, reasons};
use testbed_model::inventory;
use testbed_model::passthrough::way;

fuzz_target!(|text: &str| {
    for file in ["host.toml", "host.json"] {
        match inventory::parse(file, text) {
            Ok(inventory) => {
                let mut once = Facts::default();
                inventory.apply(&mut once);
                let mut twice = once.clone();
                inventory.apply(&mut twice);
                assert_eq!(once, twice);
                assert_eq!(once.gpus as usize, once.accelerators.iter().map(|it| it.gpus.len()).sum::<usize>());
                let _ = (way(&once), warnings(&once));
                if let Some(accelerators) = &once.accelerators {
                    let need = Need { vram_bytes: 1 << 34, ..Need::default() };
                    let fit = fit(accelerators, &need).len();
                    assert_eq!(fit == accelerators.gpus.len(), reasons(accelerators, &need).is_empty());
                }
                let json = serde_json::to_string(&once).expect("facts are JSON");
                assert_eq!(serde_json::from_str::<Facts>(&json).expect("written by us"), once);
            }
            Err(error) => check_fault(&error.0, text),
        }
    }
});
