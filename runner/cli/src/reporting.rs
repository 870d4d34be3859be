//! Reports made from records: the same bytes at the end of a run and at any time later.

use std::path::{Path, PathBuf};

use testbed_engine::store::{self, RunFolder, case_log_name};
use testbed_model::case::Case;
use testbed_model::lane::LaneId;
use testbed_model::record::headline::headlines;
use testbed_model::record::{Record, Series, sample};
use testbed_model::tier::Tier;
use testbed_report::html::{self, Page};
use testbed_report::json::JsonLines;
use testbed_report::log::Log;
use testbed_report::summary::{self, Options};
use testbed_report::{Reporter, Story, Style, document, github, junit, markdown, trace};

use crate::args::ReportFormat;
use crate::failure::{Failure, OutputError};

/// The file of the record that holds the run as one page.
pub const PAGE: &str = "report.html";

/// A record, and where its files lie.
pub struct Source<'r> {
    /// What is told.
    pub record: &'r Record,
    /// Its folder.
    pub folder: &'r Path,
}

impl Source<'_> {
    /// The report of a format.
    pub fn report(&self, format: ReportFormat, style: Style) -> Result<Vec<u8>, Failure> {
        let mut out = Vec::new();
        self.write(format, style, &mut out).map_err(OutputError)?;
        Ok(out)
    }

    fn write(&self, format: ReportFormat, style: Style, out: &mut Vec<u8>) -> std::io::Result<()> {
        let events = &self.record.events;
        let story = || Story::of(events);
        let rerun = |lane: &LaneId, case: Option<&Case>| Some(rerun(self.record.manifest.tier?, lane, case));
        match format {
            ReportFormat::Summary => summarize(&story(), self.folder, style, out),
            ReportFormat::Log => self.tell(&mut Log::new(out, style)),
            ReportFormat::Events => self.tell(&mut JsonLines::new(out)),
            ReportFormat::Json => document::write(self.record, out),
            ReportFormat::Junit => junit::write(&story(), out),
            ReportFormat::Github => github::write(&story(), out),
            ReportFormat::Markdown => markdown::write(&story(), Some(&rerun), out),
            ReportFormat::Html => {
                let logs = store::logs(self.folder);
                let series = self.series();
                html::write(
                    &Page { record: self.record, logs: &logs, series: &series, rerun: Some(&rerun) },
                    out,
                )
            }
            ReportFormat::Trace => trace::write(events, &self.series(), out),
        }
    }

    /// The figures of services that a person looks at first.
    fn series(&self) -> Vec<Series> {
        headlines(&sample::series(&store::samples(self.folder)))
    }

    /// Tells a reporter the events.
    fn tell(&self, reporter: &mut dyn Reporter) -> std::io::Result<()> {
        for stamped in &self.record.events {
            reporter.on(stamped)?;
        }
        reporter.finish()
    }
}

/// Writes the page of a record into its folder, made from what the folder now holds: so it can be made again byte for byte.
pub fn keep_page(folder: &RunFolder) -> Result<(), Failure> {
    let record = store::open(folder.path())?;
    let style = Style::plain(0);
    let bytes = Source { record: &record, folder: folder.path() }.report(ReportFormat::Html, style)?;
    Ok(folder.write(PAGE, &bytes)?)
}

/// Writes the summary of a story whose record lies in `folder`.
pub fn summarize(story: &Story, folder: &Path, style: Style, out: &mut Vec<u8>) -> std::io::Result<()> {
    let tier = story.head.as_ref().and_then(|head| head.tier);
    let rerun = |lane: &LaneId, case: Option<&Case>| Some(rerun(tier?, lane, case));
    let case_log = |lane: &LaneId, case: &Case| {
        let path: PathBuf = folder.join(case_log_name(lane, &case.id));
        path.is_file().then(|| path.display().to_string())
    };
    let page = folder.join(PAGE);
    let page = page.is_file().then(|| page.display().to_string());
    let options = Options { style, rerun: Some(&rerun), case_log: Some(&case_log), page: page.as_deref() };
    summary::write(story, &options, out)
}

/// The command that repeats a lane, or one case of it, for a shell.
pub fn rerun(tier: Tier, lane: &LaneId, case: Option<&Case>) -> String {
    let mut words = vec!["testbed".to_owned(), tier.to_string(), "--suite".to_owned(), lane.suite.clone()];
    let named = [
        ("--lane", lane.part.as_ref()),
        ("--profile", lane.profile.as_ref()),
        ("--case", case.map(|case| &case.id)),
    ];
    for (flag, value) in named {
        words.extend(value.into_iter().flat_map(|value| [flag.to_owned(), value.clone()]));
    }
    let plain = words.join(" ");
    // A name that no shell can be given, with a zero byte, is shown as it is.
    shlex::try_join(words.iter().map(String::as_str)).unwrap_or(plain)
}

#[cfg(test)]
mod tests {
    use testbed_model::case::Case;
    use testbed_model::lane::LaneId;
    use testbed_model::tier::Tier;

    use super::rerun;

    #[test]
    fn one_case_is_repeated_by_a_command_that_a_shell_understands() {
        let lane = LaneId { suite: "e2e".into(), part: Some("fast".into()), profile: Some("mocker".into()) };
        let case = Case { id: "a.py::test_b[it's x]".into(), file: None, line: None, markers: Vec::new() };
        let command = rerun(Tier::Premerge, &lane, Some(&case));
        assert!(
            command.starts_with("testbed premerge --suite e2e --lane fast --profile mocker --case "),
            "{command}"
        );
        assert_eq!(shlex::split(&command).unwrap().last(), Some(&case.id));
        let lint = LaneId { suite: "lint".into(), part: None, profile: None };
        assert_eq!(rerun(Tier::Precommit, &lint, None), "testbed precommit --suite lint");
    }
}
