//! The log of one case: how it ended, what it printed, and what its stack's services logged meanwhile.

use std::path::Path;

use sha2::{Digest as _, Sha256};
use testbed_model::case::CaseResult;
use testbed_model::event::LogWindow;
use testbed_model::lane::LaneId;

use super::error::StoreError;
use super::{make_folder, name};

/// The longest part of a case's id that is kept in its file's name.
const READABLE: usize = 100;

/// The path of a case's log below its run's folder. Different cases never share one.
pub fn case_log_name(lane: &LaneId, case: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    // The end of an id tells more than its beginning, which cases of one file share.
    let skipped = case.chars().count().saturating_sub(READABLE);
    let readable: String = case.chars().skip(skipped).map(plain).collect();
    let hash = Sha256::digest(case.as_bytes());
    let [a, b, c, d] = [hash[0], hash[1], hash[2], hash[3]];
    format!(
        "cases/{}/{}-{a:02x}{b:02x}{c:02x}{d:02x}.log",
        name(&lane.to_string()),
        readable.trim_matches(['-', '.'])
    )
}

/// Writes the log of a case that has something to say.
pub(super) fn write(
    run: &Path,
    lane: &LaneId,
    result: &CaseResult,
    services: &[LogWindow],
) -> Result<(), StoreError> {
    if result.output.is_empty() && result.details.is_none() && services.is_empty() {
        return Ok(());
    }
    let path = run.join(case_log_name(lane, &result.case.id));
    make_folder(path.parent().unwrap_or(run))?;
    std::fs::write(&path, text(result, services)).map_err(StoreError::writing(&path))
}

fn text(result: &CaseResult, services: &[LogWindow]) -> String {
    let attempt = if result.attempts > 1 { format!(", attempt {}", result.attempts) } else { String::new() };
    let (outcome, took_ms) = (result.outcome.word(), result.duration_ms);
    let mut parts = vec![format!("{}: {outcome}, {took_ms} ms{attempt}\n", result.case.id)];
    parts.extend(result.message.as_ref().map(|message| format!("{message}\n")));
    parts.extend(part("details", result.details.as_deref().unwrap_or_default()));
    parts.extend(part("output", &result.output));
    for window in services {
        let omitted = match window.omitted {
            0 => String::new(),
            n => format!("({n} earlier lines are in the service's log)\n"),
        };
        let lines = format!("{omitted}{}", window.lines.join("\n"));
        parts.extend(part(&format!("log of {}", window.service), &lines));
    }
    parts.concat()
}

fn part(title: &str, body: &str) -> Option<String> {
    let body = body.trim_end_matches('\n');
    (!body.is_empty()).then(|| format!("\n=== {title} ===\n{body}\n"))
}
