//! Rules about quarantine: over, or of nothing.

use super::{Finding, Inputs, Rule};
use crate::project::{FilePattern, Quarantine};

pub(super) fn check(inputs: &Inputs<'_>, findings: &mut Vec<Finding>) {
    for quarantine in inputs.quarantine {
        if quarantine.until < inputs.today {
            let message = format!("the quarantine for `{}` ended on {}", quarantine.ticket, quarantine.until);
            let hint = "mend the cases and take it out, or give it a later day with a reason";
            findings.push(in_project(inputs, quarantine, Rule::QuarantineExpired, message, hint));
        }
        // While a suite cannot be collected, nobody knows what it holds.
        if inputs.catalog.uncollected.is_empty() {
            for pattern in quarantine.cases.iter().filter(|pattern| !matches_any(inputs, pattern)) {
                let message = format!(
                    "the quarantine for `{}` names `{}`, which no case fits",
                    quarantine.ticket, pattern.text
                );
                let hint = "take the pattern out, or write it as the ids that `testbed list` shows";
                findings.push(in_project(inputs, quarantine, Rule::QuarantineMatchesNothing, message, hint));
            }
        }
    }
}

fn matches_any(inputs: &Inputs<'_>, pattern: &FilePattern) -> bool {
    let mut cases = inputs.catalog.suites.values().flat_map(|suite| &suite.cases);
    cases.any(|case| case.id == pattern.text || pattern.matcher.is_match(&case.id))
}

fn in_project(
    inputs: &Inputs<'_>,
    quarantine: &Quarantine,
    rule: Rule,
    message: String,
    hint: &str,
) -> Finding {
    Finding {
        file: Some(inputs.project_file.to_owned()),
        line: Some(quarantine.mark.line),
        hint: Some(hint.to_owned()),
        ..Finding::of(rule, None, message)
    }
}
