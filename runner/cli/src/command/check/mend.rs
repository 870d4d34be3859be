//! Mending what needs no thought: the edits of all findings, file by file.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use testbed_engine::host::texts;
use testbed_model::check::{self, Edit, Finding, FixError};
use testbed_model::exit_code::ExitCode;
use testbed_model::hint::Hint;
use testbed_report::style::Tone;
use testbed_report::{Style, neutral};

use crate::failure::Failure;

/// A file that is to be mended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mended {
    /// Its text then.
    pub(super) text: String,
    /// What is done to it.
    pub(super) what: BTreeSet<String>,
}

/// A file cannot be mended.
#[derive(Debug, thiserror::Error)]
#[error("cannot mend `{file}`: {source}")]
struct Unmended {
    file: String,
    source: io::Error,
}

impl Hint for Unmended {
    fn hint(&self) -> Option<String> {
        Some(match self.source.kind() {
            io::ErrorKind::ResourceBusy => "check again".to_owned(),
            _ => "make its folder writable for this user, or check without `--fix`".to_owned(),
        })
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Environment
    }
}

/// Applies every fix, tells of each, and gives the findings that are left. Edits replace one spelling of a
/// marker by another with the same meaning, so what else was found stays as it is.
pub(super) fn mend(
    root: &Path,
    texts: &BTreeMap<String, String>,
    findings: Vec<Finding>,
    style: &Style,
    mut tell: impl FnMut(&str),
) -> Result<Vec<Finding>, Failure> {
    let mended = mended(&findings, texts)?;
    for (file, Mended { text, what }) in &mended {
        let old = texts.get(file).map_or("", String::as_str);
        texts::replace(root, file, old, text).map_err(|source| Unmended { file: file.clone(), source })?;
        for what in what {
            let done = neutral::line(&format!("{file}: {what}"));
            tell(&format!("{} {done}", style.paint(Tone::Good, "mended")));
        }
    }
    if !mended.is_empty() {
        let hint = style.paint(Tone::Step, "hint:");
        tell(&format!("{hint} the cases of mended files are collected anew at the next call"));
    }
    Ok(findings.into_iter().filter(|finding| finding.fix.is_none()).collect())
}

/// The files that fixes change. All of them fit, or none is changed.
pub(super) fn mended(
    findings: &[Finding],
    texts: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, Mended>, FixError> {
    let mut edits: BTreeMap<&str, (Vec<Edit>, BTreeSet<String>)> = BTreeMap::new();
    for fix in findings.iter().filter_map(|finding| finding.fix.as_ref()) {
        for edit in &fix.edits {
            let (of_file, what) = edits.entry(&edit.file).or_default();
            of_file.push(edit.clone());
            what.insert(fix.description.clone());
        }
    }
    let mend = |(file, (edits, what)): (&str, (Vec<Edit>, BTreeSet<String>))| {
        let text = check::apply(texts.get(file).map_or("", String::as_str), &edits)?;
        Ok((file.to_owned(), Mended { text, what }))
    };
    edits.into_iter().map(mend).collect()
}
