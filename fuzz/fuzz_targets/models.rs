//! `models.toml`: a fault lies in the text, files stay in their folder, and pins that are written are read back.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use testbed_fuzz::check_fault;
use testbed_model::models::{FILE, Models, Pin, Source, with_pins};

fuzz_target!(|text: &str| {
    match Models::parse(FILE, text) {
        Ok(models) => {
            assert_eq!(Models::parse(FILE, text).as_ref(), Ok(&models));
            for (name, model) in &models.models {
                assert_eq!(models.find(name), Some(model));
                assert!(!name.contains('/') && !name.starts_with('.'), "{name}");
                let folder = if let Source::Folder(folder) = &model.source { Some(folder) } else { None };
                for path in model.files.iter().map(|file| &file.path).chain(folder) {
                    let inside = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
                    assert!(!path.starts_with('/') && inside, "{path}");
                }
                assert_eq!(model.is_pinned(), model.content().is_some());
                let pin = Pin { sha256: "0a".repeat(32), size: 7 };
                let pins: BTreeMap<String, Pin> =
                    model.files.iter().map(|file| (file.path.clone(), pin.clone())).collect();
                if let Some(written) = with_pins(text, name, &pins) {
                    let again = Models::parse(FILE, &written).expect("what is written can be read");
                    assert!(again.models[name].files.iter().all(|file| file.pin.as_ref() == Some(&pin)));
                }
            }
        }
        Err(fault) => check_fault(&fault, text),
    }
});
