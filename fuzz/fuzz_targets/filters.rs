//! Filters files: without negation every reading is one, and a covered file is not among the uncovered.
#![no_main]

use libfuzzer_sys::fuzz_target;
use testbed_fuzz::{check_fault, parts};
use testbed_model::changes::{ChangeKind, ChangedFile, Filters, Reading};

fuzz_target!(|input: &str| {
    let (text, path) = parts(input);
    let path = if path.is_empty() { "lib/runtime/src/lib.rs" } else { path };
    let file = ChangedFile { path: path.to_owned(), kind: ChangeKind::Modified };
    let read = |reading| Filters::parse("filters.yaml", text, reading);
    match read(Reading::InOrder) {
        Ok(filters) => {
            let covering = filters.covering(&file);
            for filter in filters.iter() {
                let covers = filters.covers(&filter.name, &file).expect("the filter is there");
                assert_eq!(covers, covering.contains(&filter.name.as_str()));
            }
            let files = [file.clone()];
            if covering.is_empty() {
                assert_eq!(filters.uncovered(&files).len(), 1);
            }
            if !text.contains('!') {
                assert_eq!(read(Reading::Some).expect("the same text").covering(&file), covering);
            }
            assert!(read(Reading::Every).is_ok());
        }
        Err(error) => check_fault(&error.0, text),
    }
});
