//! The agent in a lane's container of the fake, and pytest with Testbed's plugin under it: it tells the cases that the script has,
//! and executes those that it is asked for, each in no time.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use testbed_engine::exec::job::{Job, Said, StepEnd};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{Books, TestCase, frame};

/// What the plugin is asked for with: a list of cases, or a file with those to execute.
const CATALOG_VARIABLE: &str = "TESTBED_CATALOG";
const SELECTION_VARIABLE: &str = "TESTBED_SELECTION";

/// Does the job that comes as first line, and says how it went.
pub(super) async fn play(
    books: &Arc<Books>,
    input: impl AsyncBufRead + Unpin,
    mut output: impl AsyncWrite + Unpin,
) {
    let Ok(Some(line)) = input.lines().next_line().await else { return };
    let job: Job = serde_json::from_str(&line).unwrap();
    let (events, code) = match selection(&job) {
        None if job.environment.contains_key(CATALOG_VARIABLE) => (catalog(&books.script.cases), 0),
        chosen => executed(&books.script.cases, chosen.as_deref()),
    };
    let step = job.steps.first().map(|step| step.id.clone()).unwrap_or_default();
    let mut said =
        vec![Said::Prepared { files: 1, bytes: 1, took_ms: 1 }, Said::StepStarted { step: step.clone() }];
    said.extend(events.into_iter().map(|event| Said::Event { event }));
    said.extend([Said::StepFinished { step, end: StepEnd::Code(code), took_ms: 1 }, Said::Exit { code }]);
    for said in said {
        let mut line = serde_json::to_vec(&said).unwrap();
        line.push(b'\n');
        if output.write_all(&frame(1, &line)).await.is_err() {
            return;
        }
    }
}

/// The cases that are asked for; none where all are.
fn selection(job: &Job) -> Option<Vec<String>> {
    let file = job.files.get(job.environment.get(SELECTION_VARIABLE)?)?;
    let content: Value = serde_json::from_str(file).unwrap();
    serde_json::from_value(content["cases"].clone()).ok()
}

fn catalog(cases: &[TestCase]) -> Vec<Value> {
    let told: Vec<Value> = cases
        .iter()
        .map(|case| json!({ "id": case.id, "file": case.file(), "line": 1, "marks": case.marks }))
        .collect();
    let sources = json!({
        "event": "sources", "cases": cases.len(), "files": [], "folders": [], "imports": {}, "declared": {},
    });
    vec![json!({ "event": "cataloged", "cases": told }), sources]
}

fn executed(cases: &[TestCase], chosen: Option<&[String]>) -> (Vec<Value>, i32) {
    let wanted = |case: &&TestCase| chosen.is_none_or(|chosen| chosen.iter().any(|id| id == case.id));
    let cases: Vec<&TestCase> = cases.iter().filter(wanted).collect();
    let announced: Vec<Value> = cases
        .iter()
        .map(|case| json!({ "id": case.id, "file": case.file(), "line": 1, "markers": [] }))
        .collect();
    let mut events = vec![json!({ "event": "collected", "cases": announced, "deselected": 0 })];
    for case in &cases {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
        let at = u64::try_from(at).unwrap();
        events.push(json!({ "event": "started", "id": case.id, "attempt": 1, "at_us": at }));
        events.push(json!({
            "event": "finished", "id": case.id, "file": case.file(), "line": 1, "attempt": 1, "duration_s": 0.001,
            "outcome": if case.fails.is_some() { "failed" } else { "passed" },
            "phase": "call", "message": case.fails,
        }));
    }
    let code = i32::from(cases.iter().any(|case| case.fails.is_some()));
    events.push(json!({ "event": "session_finished", "exit_code": code }));
    (events, code)
}
