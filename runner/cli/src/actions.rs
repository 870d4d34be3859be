//! What GitHub Actions is told at the end of a run that it started: annotations, and the job's summary.
//!
//! The runner sets `GITHUB_ACTIONS`, reads workflow commands from both output streams, and shows what a step appends to the file that
//! `GITHUB_STEP_SUMMARY` names (docs.github.com, "Workflow commands").

use std::io::Write as _;
use std::path::Path;

use testbed_engine::host::{environment, files};
use testbed_model::case::Case;
use testbed_model::lane::LaneId;
use testbed_report::{Story, github, markdown};

use crate::reporting::rerun;

/// Tells it, where it is there. That it cannot be told is no failure of the run: what is missing is said on standard error.
pub fn tell(story: &Story) {
    if environment::variable("GITHUB_ACTIONS").as_deref() != Some("true") {
        return;
    }
    let mut annotations = Vec::new();
    // On standard error, where the run was told: standard output may be read by a program.
    let written = github::write(story, &mut annotations)
        .and_then(|()| std::io::stderr().lock().write_all(&annotations));
    let summed = match environment::variable("GITHUB_STEP_SUMMARY") {
        Some(file) => summarize(story, Path::new(&file)),
        None => Ok(()),
    };
    if let Err(error) = written.and(summed) {
        let _ = writeln!(std::io::stderr(), "warning: GitHub Actions could not be told: {error}");
    }
}

fn summarize(story: &Story, file: &Path) -> std::io::Result<()> {
    let tier = story.head.as_ref().and_then(|head| head.tier);
    let command = |lane: &LaneId, case: Option<&Case>| Some(rerun(tier?, lane, case));
    let mut text = Vec::new();
    markdown::write(story, Some(&command), &mut text)?;
    files::append(file, &text)
}
