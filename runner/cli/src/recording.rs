//! The run's record: its manifest at the start and at the end, and what is made from the events when they are over.

use std::collections::BTreeMap;
use std::io::Write as _;

use testbed_engine::host::{clock, environment};
use testbed_engine::image::Provided;
use testbed_engine::store::{Store, case_log_name};
use testbed_model::case::{Case, Counts};
use testbed_model::exit_code::ExitCode;
use testbed_model::facts::Facts;
use testbed_model::id::RunId;
use testbed_model::lane::LaneId;
use testbed_model::plan::Plan;
use testbed_model::record::{Manifest, RecordedImage};
use testbed_model::tier::Tier;
use testbed_report::summary::{self, Options};

use crate::failure::{Bug, Failure, OutputError};
use crate::settings::Screen;
use crate::telling::{Show, Told};

/// The version of the manifest's format.
const SCHEMA: u32 = 1;

/// The seed of hashes and of the order of cases. Fixed, so that two runs of one plan do the same.
pub const SEED: u64 = 0;

/// The manifest of a run that begins now.
pub fn manifest(run: &RunId, plan: &Plan, facts: Facts) -> Result<Manifest, Failure> {
    Ok(Manifest {
        schema: SCHEMA,
        run: run.clone(),
        testbed: env!("CARGO_PKG_VERSION").to_owned(),
        arguments: environment::arguments(),
        tier: Some(plan.tier),
        plan: Some(plan.id().map_err(|error| Bug(error.to_string()))?),
        images: BTreeMap::new(),
        facts,
        seed: SEED,
        started: clock::now(),
        finished: None,
        counts: None,
        exit_code: None,
    })
}

/// The images as the run uses them.
pub fn images(provided: &[Provided]) -> BTreeMap<String, RecordedImage> {
    let recorded =
        |image: &Provided| RecordedImage { reference: image.reference.clone(), id: image.id.clone() };
    provided.iter().map(|image| (image.name.clone(), recorded(image))).collect()
}

/// Completes the record: the manifest with its end, and JUnit.
pub fn complete(
    told: &mut Told,
    manifest: &mut Manifest,
    counts: Counts,
    code: ExitCode,
) -> Result<(), Failure> {
    manifest.finished = Some(clock::now());
    manifest.counts = Some(counts);
    manifest.exit_code = Some(code);
    let Some(store) = &mut told.store else { return Ok(()) };
    let mut junit = Vec::new();
    testbed_report::junit::write(&told.story, &mut junit).map_err(OutputError)?;
    store.write("junit.xml", &junit)?;
    Ok(store.finish(manifest)?)
}

/// Shows the summary on standard error, where progress was; programs that read events get none.
pub fn summarize(told: &Told, show: Show, screen: Screen, tier: Tier) -> Result<(), Failure> {
    if show == Show::Json {
        return Ok(());
    }
    let rerun = |lane: &LaneId, case: Option<&Case>| Some(rerun(tier, lane, case));
    let case_log = |lane: &LaneId, case: &Case| {
        let path = told.store.as_ref()?.folder().join(case_log_name(lane, &case.id));
        path.is_file().then(|| path.display().to_string())
    };
    let options = Options { style: screen.style, rerun: Some(&rerun), case_log: Some(&case_log) };
    let mut text = Vec::new();
    summary::write(&told.story, &options, &mut text).map_err(OutputError)?;
    let mut out = std::io::stderr().lock();
    match out.write_all(&text).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(|error| OutputError(error).into()),
    }
}

/// The command that repeats a lane, or one case of it, for a shell.
fn rerun(tier: Tier, lane: &LaneId, case: Option<&Case>) -> String {
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

/// Where the record stays, as a person would name it.
pub fn folder(store: &Store) -> String {
    store.folder().display().to_string()
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
