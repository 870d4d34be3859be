//! Patterns of case ids: an id fits itself, and no file is passed over that has a case which fits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use testbed_fuzz::parts;
use testbed_model::selection::CasePattern;

fuzz_target!(|input: &str| {
    let (text, id) = parts(input);
    let pattern = CasePattern::new(text);
    assert_eq!(pattern.text(), text);
    let filled = text.replace('*', "q/r").replace('?', "x");
    assert!(pattern.matches(&filled), "`{text}` does not fit `{filled}`");
    for (at, _) in id.match_indices("::") {
        if pattern.matches(id) {
            assert!(pattern.may_be_in(&id[..at]), "`{text}` fits `{id}`, which may be in its file");
        }
    }
});
