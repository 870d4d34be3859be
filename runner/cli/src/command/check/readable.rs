//! Findings for a person: file by file, each hint once.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use testbed_model::catalog::Catalog;
use testbed_model::check::{Finding, Level, Rule};
use testbed_report::style::Tone;
use testbed_report::{Style, neutral};

/// The whole text.
pub(super) fn readable(findings: &[Finding], catalog: &Catalog, style: &Style) -> String {
    let mut out = String::new();
    // A hint that holds for many findings of a rule is read once.
    let mut hints: BTreeSet<(Rule, &str)> = BTreeSet::new();
    for group in findings.chunk_by(|a, b| a.file == b.file) {
        let places: Vec<String> = group.iter().map(place).collect();
        let width = places.iter().map(|place| place.chars().count()).max().unwrap_or_default();
        let of_rule = group.iter().map(|finding| finding.rule.name().len()).max().unwrap_or_default();
        for (finding, place) in group.iter().zip(&places) {
            let level = style.paint(tone(finding.level), &format!("{:<7}", finding.level.name()));
            let rule = style.paint(Tone::Dim, &format!("{:<of_rule$}", finding.rule.name()));
            let place = style.paint(Tone::Strong, &format!("{place:<width$}"));
            let _ = writeln!(out, "{place}  {level}  {rule}  {}", neutral::line(&finding.message));
            if let Some(hint) = &finding.hint
                && hints.insert((finding.rule, hint))
            {
                let _ = writeln!(out, "  {} {}", style.paint(Tone::Step, "hint:"), neutral::line(hint));
            }
        }
        out.push('\n');
    }
    out + &last(findings, catalog, style)
}

fn place(finding: &Finding) -> String {
    match (&finding.file, finding.line) {
        (Some(file), Some(line)) => format!("{}:{line}", neutral::line(file)),
        (Some(file), None) => neutral::line(file),
        (None, _) => "-".to_owned(),
    }
}

const fn tone(level: Level) -> Tone {
    match level {
        Level::Error => Tone::Bad,
        Level::Warning => Tone::Warn,
    }
}

/// The counts.
fn last(findings: &[Finding], catalog: &Catalog, style: &Style) -> String {
    let cases: usize = catalog.suites.values().map(|suite| suite.cases.len()).sum();
    let looked = format!("{} of {}", counted(cases, "case"), counted(catalog.suites.len(), "suite"));
    if findings.is_empty() {
        return format!("{} in {looked}\n", style.paint(Tone::Good, "nothing found"));
    }
    let of_level = |level: Level| {
        let count = findings.iter().filter(|finding| finding.level == level).count();
        (count > 0).then(|| style.paint(tone(level), &counted(count, level.name())))
    };
    let counts: Vec<String> = [Level::Error, Level::Warning].into_iter().filter_map(of_level).collect();
    let fixes = findings.iter().filter(|finding| finding.fix.is_some()).count();
    let way_out = if fixes == 0 { String::new() } else { format!("; `--fix` mends {fixes} of them") };
    format!("{} in {looked}{way_out}\n", counts.join(" and "))
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
