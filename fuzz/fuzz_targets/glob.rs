//! Patterns of files in the project file: one that is taken compiles and can be asked of any path.
#![no_main]

use libfuzzer_sys::fuzz_target;
use testbed_fuzz::{check_fault, parts, quoted};
use testbed_model::project::{ChangedFiles, parse};

fuzz_target!(|input: &str| {
    let (pattern, path) = parts(input);
    let text = format!(
        "[project]\nname = \"p\"\n[[suite]]\nname = \"s\"\nkind = \"pytest\"\ntype = \"unit\"\npaths = [\"tests\"]\n\
         [[changes.rule]]\nfiles = [{}]\nnothing = true\n",
        quoted(pattern)
    );
    match parse("testbed.toml", &text) {
        Ok(project) => {
            for rule in &project.changes.rules {
                let ChangedFiles::Patterns(patterns) = &rule.files else { panic!("patterns were written") };
                assert_eq!(patterns[0].text, pattern);
                let matcher = &patterns[0].matcher;
                assert_eq!(matcher.is_match(path), matcher.is_match(path));
                if !pattern.contains(['*', '?', '[', ']', '{', '}', ',', '\\']) {
                    assert!(matcher.is_match(pattern), "a plain path does not fit itself");
                }
            }
        }
        Err(error) => {
            assert!(error.0.message.contains("files[0]"), "{error}");
            check_fault(&error.0, &text);
        }
    }
});
