//! Quarantine: a case's own id, with brackets and all, fits itself; the day is the one that was written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use testbed_fuzz::{check_fault, parts, quoted};
use testbed_model::project::parse;

fuzz_target!(|input: &str| {
    let (case, rest) = parts(input);
    let (day, reason) = parts(rest);
    let text = format!(
        "[project]\nname = \"p\"\n[[suite]]\nname = \"s\"\nkind = \"pytest\"\ntype = \"unit\"\npaths = [\"tests\"]\n\
         [[quarantine]]\ncases = [{}]\nticket = \"#1\"\nuntil = {}\nreason = {}\n",
        quoted(case),
        quoted(day),
        quoted(reason)
    );
    match parse("testbed.toml", &text) {
        Ok(project) => {
            let quarantine = &project.quarantines[0];
            assert_eq!(quarantine.until.to_string(), day);
            assert_eq!(quarantine.cases[0].text, case);
            if !case.contains(['*', '?']) {
                assert!(quarantine.cases[0].matcher.is_match(case), "a case does not fit its own id");
            }
        }
        Err(error) => {
            assert!(error.0.message.contains("quarantine[0]"), "{error}");
            check_fault(&error.0, &text);
        }
    }
});
