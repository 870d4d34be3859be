//! `testbed report`: everything that was shown, made from the record again; and what differs between two records.

use testbed_engine::host::files;
use testbed_engine::store;
use testbed_model::exit_code::ExitCode;
use testbed_model::hint::Hint;
use testbed_model::record::Record;
use testbed_model::record::compare::compare;
use testbed_report::Style;

use crate::args::ReportArgs;
use crate::failure::{Failure, OutputError};
use crate::reporting::Source;
use crate::settings::Settings;

/// A report cannot be put where it was asked for.
#[derive(Debug, thiserror::Error)]
#[error("cannot write `{path}`: {source}")]
struct Unwritable {
    path: String,
    source: std::io::Error,
}

impl Hint for Unwritable {
    fn hint(&self) -> Option<String> {
        Some("name a file in a folder that exists and can be written".to_owned())
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Environment
    }
}

/// Makes a report. The exit code says whether it could be made, not what the run came to.
pub fn report(settings: &Settings, args: &ReportArgs) -> Result<ExitCode, Failure> {
    if let [before, after] = args.compare.as_slice() {
        return differ(settings, before, after, args.json);
    }
    let folder = store::find(&settings.state, &args.run)?;
    let record = read(settings, &args.run)?;
    let style = if args.output.is_some() { Style::plain(110) } else { settings.output };
    let bytes = Source { record: &record, folder: &folder }.report(args.format, style)?;
    match &args.output {
        None => super::print_bytes(&bytes)?,
        Some(path) => files::write_atomically(path, &bytes)
            .map_err(|source| Unwritable { path: path.display().to_string(), source })?,
    }
    Ok(ExitCode::Passed)
}

/// Reads a record, and says what of it is lost.
fn read(settings: &Settings, run: &str) -> Result<Record, Failure> {
    let record = store::open(&store::find(&settings.state, run)?)?;
    let mut remarks = Vec::new();
    if record.damaged > 0 {
        let lines =
            if record.damaged == 1 { "1 line".to_owned() } else { format!("{} lines", record.damaged) };
        remarks
            .push(format!("{lines} of the journal of `{run}` cannot be read: it was cut, or changed later"));
    }
    if record.manifest.finished.is_none() {
        remarks.push(format!("the run `{run}` has no end: it goes on, or it was killed"));
    }
    super::remark(settings, &remarks);
    Ok(record)
}

/// What differs between two runs. That they differ is an answer and no failure.
fn differ(settings: &Settings, before: &str, after: &str, json: bool) -> Result<ExitCode, Failure> {
    let (before, after) = (read(settings, before)?, read(settings, after)?);
    let comparison = compare(&before, &after);
    if json {
        super::print_json(&comparison)?;
        return Ok(ExitCode::Passed);
    }
    let mut out = Vec::new();
    testbed_report::comparison::write(&comparison, &settings.output, &mut out).map_err(OutputError)?;
    super::print_bytes(&out)?;
    Ok(ExitCode::Passed)
}
