//! Findings as annotations of GitHub Actions: workflow commands on standard output.
//!
//! A step shows at most 10 annotations of each kind (github.com/actions/toolkit, `docs/problem-matchers.md`), and drops the rest
//! without a word. So the errors and warnings beyond are counted in a notice, which has a limit of its own.

use super::{Finding, Level};

/// Annotations of one kind that a step shows.
const SHOWN: usize = 10;

/// The lines to print, errors first.
pub fn annotations(findings: &[Finding]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut left_out = Vec::new();
    for (level, word, one, many) in
        [(Level::Error, "error", "error", "errors"), (Level::Warning, "warning", "warning", "warnings")]
    {
        let of_level: Vec<&Finding> = findings.iter().filter(|finding| finding.level == level).collect();
        lines.extend(of_level.iter().take(SHOWN).map(|finding| annotation(word, finding)));
        match of_level.len().saturating_sub(SHOWN) {
            0 => {}
            1 => left_out.push(format!("1 more {one}")),
            more => left_out.push(format!("{more} more {many}")),
        }
    }
    if !left_out.is_empty() {
        lines.push(format!("::notice title=testbed check::{} in the log", left_out.join(" and ")));
    }
    lines
}

fn annotation(word: &str, finding: &Finding) -> String {
    let mut properties = Vec::new();
    if let Some(file) = &finding.file {
        properties.push(format!("file={}", property(file)));
        // A line without a file means nothing.
        properties.extend(finding.line.map(|line| format!("line={line}")));
    }
    properties.push(format!("title={}", property(finding.rule.name())));
    let hint = finding.hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
    format!("::{word} {}::{}", properties.join(","), data(&format!("{}{hint}", finding.message)))
}

/// Escapes a message (actions/toolkit, `packages/core/src/command.ts`).
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes the value of a property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::annotations;
    use crate::check::{Finding, Rule};

    fn finding(rule: Rule, file: Option<&str>, message: &str) -> Finding {
        Finding {
            file: file.map(str::to_owned),
            line: Some(3),
            ..Finding::of(rule, Some("s"), message.to_owned())
        }
    }

    #[test]
    fn what_would_end_a_command_is_escaped() {
        let mut told = finding(Rule::NeverRun, Some("a,b:c%.py"), "50% of `x`\r\nand, so: on");
        told.hint = Some("look".to_owned());
        insta::assert_snapshot!(annotations(&[told]).join("\n"), @"::error file=a%2Cb%3Ac%25.py,line=3,title=never-run::50%25 of `x`%0D%0Aand, so: on%0Ahint: look");
        let nowhere = finding(Rule::FeatureName, None, "m");
        insta::assert_snapshot!(annotations(&[nowhere]).join("\n"), @"::warning title=feature-name::m");
    }

    #[test]
    fn what_github_would_drop_is_counted() {
        let mut findings = vec![finding(Rule::NeverRun, None, "m"); 12];
        findings.extend(vec![finding(Rule::FileName, None, "m"); 11]);
        let lines = annotations(&findings);
        assert_eq!(lines.len(), 21);
        insta::assert_snapshot!(lines[20], @"::notice title=testbed check::2 more errors and 1 more warning in the log");
        assert_eq!(annotations(&findings[2..22]).len(), 20);
    }
}
