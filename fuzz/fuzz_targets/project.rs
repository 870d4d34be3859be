//! The project file: a fault lies in the text, and what is read is whole.
#![no_main]

use libfuzzer_sys::fuzz_target;
use testbed_fuzz::check_fault;
use testbed_model::project::parse;

fuzz_target!(|text: &str| {
    match parse("testbed.toml", text) {
        Ok(project) => {
            assert!(!project.name.is_empty() && !project.suites.is_empty());
            for suite in &project.suites {
                assert_eq!(
                    project.suite(&suite.name).map(|one| &one.paths),
                    Some(&suite.paths),
                    "a name twice"
                );
                assert!(suite.paths.iter().all(|path| !path.split('/').any(|part| part == "..")));
            }
            for lane in &project.lanes {
                assert!(project.suite(&lane.suite).is_some(), "a lane of no suite");
            }
            let again = parse("testbed.toml", text).expect("the same text");
            assert_eq!(format!("{project:?}"), format!("{again:?}"));
        }
        Err(error) => check_fault(&error.0, text),
    }
});
