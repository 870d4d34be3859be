//! The check: every fix that it proposes can be applied, all of them together, and leaves nothing to be mended.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jiff::civil::date;
use libfuzzer_sys::fuzz_target;
use testbed_fuzz::parts;
use testbed_model::catalog::{Announced, Catalog, Gathering};
use testbed_model::check::{Edit, Feature, Inputs, annotations, apply, check, features, sarif};
use testbed_model::project::{Project, parse};
use testbed_model::selection::Mark;

const FILE: &str = "t/test_a.py";

const PROJECT: &str = "[project]\nname = \"p\"\n[[suite]]\nname = \"unit\"\nkind = \"pytest\"\ntype = \"unit\"\npaths = [\"t\"]\n\
[[quarantine]]\ncases = [\"t/*\"]\nticket = \"#1\"\nuntil = \"2026-01-01\"\n";

static PARSED: LazyLock<Project> = LazyLock::new(|| parse("testbed.toml", PROJECT).expect("a project"));

fn fixes(project: &Project, catalog: &Catalog, declared: &[Feature], text: &str) -> Vec<Edit> {
    let texts: BTreeMap<String, String> = [(FILE.to_owned(), text.to_owned())].into();
    let findings = check(&Inputs {
        project_file: "testbed.toml",
        suites: &project.suites,
        catalog,
        vocabulary: &project.vocabulary,
        lanes: &project.lanes,
        naming: &project.naming,
        quarantine: &project.quarantines,
        today: date(2026, 11, 20),
        durations: &BTreeMap::new(),
        features: declared,
        texts: &texts,
    });
    let _ = (annotations(&findings), sarif(&findings, "0"));
    assert!(findings.iter().all(|finding| !finding.message.is_empty() && !finding.message.ends_with('.')));
    findings.into_iter().filter_map(|finding| finding.fix).flat_map(|fix| fix.edits).collect()
}

fuzz_target!(|input: &str| {
    let (names, rest) = parts(input);
    let (manifest, text) = parts(rest);
    let mut gathering = Gathering::default();
    for (at, name) in names.split(',').enumerate() {
        gathering.add(Announced {
            id: format!("{FILE}::test_{at}"),
            file: Some(FILE.to_owned()),
            line: Some(1),
            marks: vec![Mark { name: name.to_owned(), ..Mark::default() }],
            ..Announced::default()
        });
    }
    let suites = [("unit".to_owned(), gathering.finish())].into();
    let catalog = Catalog { suites, uncollected: BTreeMap::new() };
    let declared = features("Cargo.toml", manifest);
    let lines = manifest.split('\n').count();
    assert!(declared.iter().all(|feature| (1..=lines).contains(&(feature.line as usize))));
    let edits = fixes(&PARSED, &catalog, &declared, text);
    let mended = apply(text, &edits).expect("what the check proposes fits");
    assert_eq!(fixes(&PARSED, &catalog, &declared, &mended), [], "{edits:?}");
});
