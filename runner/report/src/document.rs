//! A whole run as one JSON document, for programs: what decided it, what came out, case by case. Equal records give equal bytes.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;
use testbed_model::case::{CaseResult, Counts};
use testbed_model::event::{Event, LaneFailure, LogWindow, StackFailure};
use testbed_model::lane::LaneId;
use testbed_model::plan::SkippedLane;
use testbed_model::record::{EnvironmentId, Manifest, Record};
use testbed_model::stack::Millis;
use testbed_model::triage::{Cause, Diagnoses, Diagnosis, Evidence, Subject};

use crate::story::{LanePhase, Story};
use crate::verdict::{Verdict, environment_fault, sentence};

/// The version of the document's format.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Document<'r> {
    schema: u32,
    verdict: &'static str,
    sentence: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment_fault: Option<String>,
    /// How many failures have which cause.
    causes: BTreeMap<&'static str, usize>,
    /// Why the run broke as a whole, where none of its parts says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    diagnosis: Option<Told>,
    /// Lines of the journal that could not be read: then the run may have had more to say.
    damaged: usize,
    manifest: &'r Manifest,
    lanes: Vec<Lane<'r>>,
    stacks: Vec<Stack<'r>>,
    skipped: Vec<SkippedLane>,
    left_out: Vec<LeftOut>,
    warnings: Vec<&'r str>,
}

#[derive(Serialize)]
struct Lane<'r> {
    #[serde(rename = "lane")]
    id: LaneId,
    finished: bool,
    counts: Counts,
    waited_ms: Option<Millis>,
    took_ms: Option<Millis>,
    environment: Option<EnvironmentId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<LaneFailure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diagnosis: Option<Told>,
    cases: Vec<Case<'r>>,
    /// Announced, and never heard of again.
    without_result: Vec<String>,
}

#[derive(Serialize)]
struct Case<'r> {
    /// When it ended, in microseconds since the run's start.
    ended_us: u64,
    #[serde(flatten)]
    result: &'r CaseResult,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    service_logs: &'r [LogWindow],
    #[serde(skip_serializing_if = "Option::is_none")]
    diagnosis: Option<Told>,
}

/// Whose fault a failure is, and what shows it.
#[derive(Serialize)]
struct Told {
    cause: Cause,
    rule: &'static str,
    because: String,
    evidence: Vec<Evidence>,
}

impl Told {
    fn new(diagnosis: &Diagnosis) -> Self {
        let Diagnosis { cause, rule, because, evidence, .. } = diagnosis.clone();
        Self { cause, rule, because, evidence }
    }
}

#[derive(Serialize)]
struct Stack<'r> {
    #[serde(rename = "stack")]
    name: &'r str,
    ready_ms: Option<Millis>,
    stop_ms: Option<Millis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'r StackFailure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diagnosis: Option<Told>,
}

#[derive(Serialize)]
struct LeftOut {
    what: String,
    reason: String,
    planned: bool,
}

/// Writes the document, indented and with a line end.
pub fn write(record: &Record, mut out: impl Write) -> io::Result<()> {
    let story = Story::of(&record.events);
    let told = story.diagnoses();
    let document = Document {
        schema: SCHEMA,
        verdict: Verdict::of(&story).word(),
        sentence: sentence(&story),
        environment_fault: environment_fault(&story),
        causes: Cause::ALL.into_iter().map(|cause| (cause.word(), told.count(cause))).collect(),
        diagnosis: told.of(&Subject::Run).map(Told::new),
        damaged: record.damaged,
        manifest: &record.manifest,
        lanes: lanes(record, &story, told),
        stacks: stacks(&story, told),
        skipped: story.head.iter().flat_map(|head| head.skipped.clone()).collect(),
        left_out: story
            .left_out()
            .into_iter()
            .map(|left| LeftOut { what: left.what, reason: left.reason, planned: left.planned })
            .collect(),
        warnings: record
            .events
            .iter()
            .filter_map(|stamped| match &stamped.event {
                Event::Warning { message, .. } => Some(message.as_str()),
                _ => None,
            })
            .collect(),
    };
    serde_json::to_writer_pretty(&mut out, &document)?;
    out.write_all(b"\n")
}

/// The story forgets what green cases printed; the document takes them from the events.
fn lanes<'r>(record: &'r Record, story: &Story, told: &Diagnoses) -> Vec<Lane<'r>> {
    let mut cases: std::collections::HashMap<&LaneId, Vec<Case<'r>>> = std::collections::HashMap::new();
    for stamped in &record.events {
        if let Event::CaseFinished { lane, result, service_logs } = &stamped.event {
            let diagnosis = told.of_case(lane, &result.case.id).map(Told::new);
            let case = Case { ended_us: stamped.elapsed_us, result, service_logs, diagnosis };
            cases.entry(lane).or_default().push(case);
        }
    }
    let of_story = story.lanes.iter().map(|lane| Lane {
        id: lane.id.clone(),
        finished: lane.phase == LanePhase::Finished,
        counts: lane.counts,
        waited_ms: lane.waited_ms,
        took_ms: lane.took_ms,
        environment: lane.environment.clone(),
        failure: lane.failure.clone(),
        diagnosis: told.of_lane(&lane.id).map(Told::new),
        cases: cases.remove(&lane.id).unwrap_or_default(),
        without_result: lane.without_result().into_iter().map(|case| case.id.clone()).collect(),
    });
    of_story.collect()
}

fn stacks<'s>(story: &'s Story, told: &Diagnoses) -> Vec<Stack<'s>> {
    let of_story = story.stacks.iter().map(|stack| Stack {
        name: &stack.name,
        ready_ms: stack.ready_ms,
        stop_ms: stack.stop_ms,
        failure: stack.failure.as_ref(),
        diagnosis: told.of_stack(&stack.name).map(Told::new),
    });
    of_story.collect()
}
