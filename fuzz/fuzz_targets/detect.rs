//! Detection of a project without a file: any layout and any texts give a project that the reader takes, or a fault.
#![no_main]

use std::collections::BTreeMap;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use testbed_model::project::detect::{Layout, detect};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    name: &'a str,
    files: Vec<(u8, &'a str)>,
    pyproject: &'a str,
    cargo: &'a str,
    other: &'a str,
}

/// Names that mean something; the others are the fuzzer's.
const KNOWN: [&str; 12] = [
    ".pre-commit-config.yaml",
    "Cargo.toml",
    "lib/a/Cargo.toml",
    "lib/bindings/python/Cargo.toml",
    ".github/filters.yaml",
    "components/x.py",
    "lib/runtime/src/lib.rs",
    "tests/test_a.py",
    "a/b/c_test.py",
    "pytest.ini",
    "setup.cfg",
    "tox.ini",
];

fuzz_target!(|input: Input<'_>| {
    let mut files: Vec<String> = input
        .files
        .iter()
        .map(|(known, name)| {
            KNOWN.get(usize::from(*known)).map_or_else(|| (*name).to_owned(), |n| (*n).to_owned())
        })
        .collect();
    // What is below a folder has neither an empty part nor one that climbs.
    files.retain(|file| file.split('/').all(|part| !matches!(part, "" | "." | "..")));
    files.push("pyproject.toml".to_owned());
    files.sort();
    files.dedup();
    let text = |file: &String| match file.rsplit('/').next() {
        Some("pyproject.toml") => input.pyproject,
        Some("Cargo.toml") => input.cargo,
        _ => input.other,
    };
    let wanted = files.iter().filter(|file| Layout::wants(file));
    let texts: BTreeMap<String, String> = wanted.map(|file| (file.clone(), text(file).to_owned())).collect();
    let layout = Layout { name: input.name.to_owned(), files, texts };
    match detect(&layout) {
        Ok(project) => {
            assert!(project.detected.is_some() && !project.suites.is_empty());
            let again = detect(&layout).expect("the same layout");
            assert_eq!(format!("{project:?}"), format!("{again:?}"));
        }
        // The texts are the user's, the file that detection writes for itself is not.
        Err(error) => {
            let own = error.0.place.file == "testbed.toml";
            assert!(!own || error.0.message.contains("nothing in it looks like tests"), "{error}");
        }
    }
});
