//! What `cargo metadata` says: joining is idempotent, and a package is among its own dependents.
#![no_main]

use libfuzzer_sys::fuzz_target;
use testbed_fuzz::parts;
use testbed_model::changes::Crates;

fuzz_target!(|input: &str| {
    let (json, root) = parts(input);
    let root = if root.is_empty() { "/p" } else { root };
    let Ok(crates) = Crates::from_metadata(json, root) else { return };
    let mut twice = crates.clone();
    twice.join(crates.clone());
    assert_eq!(twice, crates);
    for folder in crates.packages.keys() {
        assert!(crates.dependents(folder).contains(folder.as_str()));
        let inside = if folder.is_empty() { "src/lib.rs".to_owned() } else { format!("{folder}/src/lib.rs") };
        let holding = crates.holding(&inside).expect("a folder holds its own files");
        assert!(holding.len() >= folder.len());
    }
});
