//! `testbed merge`: the records of all shards become the record of the whole.

use testbed_engine::host::clock;
use testbed_engine::store::{self, Store};
use testbed_model::exit_code::ExitCode;
use testbed_model::history::PastRun;
use testbed_model::id::RunId;
use testbed_model::record::merge::{self, stack_name};
use testbed_model::record::{Record, RecordedLog};
use testbed_report::Story;

use crate::args::MergeArgs;
use crate::failure::{Failure, OutputError};
use crate::recording;
use crate::reporting;
use crate::run_session::random_bytes;
use crate::settings::Settings;

/// Merges records. The exit code is the whole's, as if it had been one run.
pub fn merge(settings: &Settings, args: &MergeArgs) -> Result<ExitCode, Failure> {
    let mut folders = Vec::new();
    for run in &args.runs {
        let folder = store::find(&settings.state, run)?;
        folders.push((store::open(&folder)?, folder));
    }
    // Their order decides nothing, so stacks are told apart in the order of the runs.
    folders.sort_by(|a, b| a.0.manifest.run.cmp(&b.0.manifest.run));
    let samples: Vec<_> =
        folders.iter().map(|(record, folder)| (record.manifest.started, store::samples(folder))).collect();
    let shares: Vec<(Record, Vec<RecordedLog>)> =
        folders.into_iter().map(|(record, folder)| (record, store::logs(&folder))).collect();
    let run = RunId::new(clock::now(), u32::from_le_bytes(random_bytes()?));
    let records: Vec<Record> = shares.iter().map(|(record, _)| record.clone()).collect();
    let place = store::folder_of(&settings.state, &run);
    let whole = merge::merge(run, &place.display().to_string(), &records)?;
    let samples = merge::samples(&samples);
    let folder = Store::create_from(&settings.state, &whole, &logs(shares), &samples)?;
    let story = Story::of(&whole.events);
    let mut junit = Vec::new();
    testbed_report::junit::write(&story, &mut junit).map_err(OutputError)?;
    folder.write("junit.xml", &junit)?;
    if let Err(error) = recording::remember(settings, &PastRun::of_record(&whole)) {
        super::remark(settings, &[format!("the whole is not added to the history: {error}")]);
    }
    reporting::keep_page(&folder)?;
    let mut text = Vec::new();
    reporting::summarize(&story, folder.path(), settings.output, &mut text).map_err(OutputError)?;
    super::print_bytes(&text)?;
    Ok(whole.manifest.exit_code.unwrap_or(ExitCode::Interrupted))
}

/// The logs of all shares: services by the names that the whole has for their stacks, lanes one share after the other.
fn logs(shares: Vec<(Record, Vec<RecordedLog>)>) -> Vec<RecordedLog> {
    let mut out = Vec::new();
    for (number, (_, logs)) in shares.into_iter().enumerate() {
        let named = |log: RecordedLog| RecordedLog {
            stack: log.stack.as_deref().map(|stack| stack_name(stack, number)),
            ..log
        };
        out.extend(logs.into_iter().map(named));
    }
    out
}
