//! The time axis of a run in Chrome's trace event format, for Perfetto (ui.perfetto.dev) and `chrome://tracing`: a process per
//! stack with a thread per service, one for the tests with a thread per worker slot, one for the images; probes and deaths as
//! instants, figures as counters.
//!
//! The format is that of "Trace Event Format" (Google, 2016): a JSON object with `traceEvents`, times in microseconds.

use std::io::{self, Write};

use serde_json::{Value, json};
use testbed_model::event::Stamped;
use testbed_model::record::Series;

use crate::axis::{Axis, CaseSpan, LaneTrack, Moment, MomentKind, Track};
use crate::neutral::{self, neutral, shows};

/// The process of the run itself: images, warnings, signals.
const RUN: usize = 1;
/// The process of the tests.
const TESTS: usize = 2;
/// The process of the first stack; each further one has the next.
const STACKS: usize = 3;

/// Writes the trace of a run's events, and of the figures that were sampled meanwhile.
pub fn write(events: &[Stamped], series: &[Series], out: &mut dyn Write) -> io::Result<()> {
    let harmless = |stamped: &Stamped| Stamped { event: neutral(&stamped.event), ..*stamped };
    let events: Vec<Stamped> = events.iter().filter(|stamped| shows(&stamped.event)).map(harmless).collect();
    let axis = Axis::of(&events);
    let mut trace = Trace { out, first: true };
    let zero = axis.zero.map(|zero| zero.to_string()).unwrap_or_default();
    write!(
        trace.out,
        "{{\"displayTimeUnit\":\"ms\",\"otherData\":{},\"traceEvents\":[",
        json!({ "producer": "testbed", "zero": zero })
    )?;
    trace.run(&axis)?;
    trace.tests(&axis)?;
    for (number, stack) in axis.stacks.iter().enumerate() {
        let process = STACKS + number;
        trace.process(process, &format!("stack {}", stack.track.name))?;
        trace.track(process, 0, "stack", &stack.track)?;
        for (thread, service) in stack.services.iter().enumerate() {
            trace.track(process, thread + 1, service.name, service)?;
        }
    }
    for series in series {
        trace.counter(&axis, series)?;
    }
    trace.out.write_all(b"\n]}\n")
}

struct Trace<'o> {
    out: &'o mut dyn Write,
    first: bool,
}

impl Trace<'_> {
    fn put(&mut self, event: &Value) -> io::Result<()> {
        let separator = if std::mem::replace(&mut self.first, false) { "\n" } else { ",\n" };
        write!(self.out, "{separator}{event}")
    }

    fn process(&mut self, process: usize, name: &str) -> io::Result<()> {
        self.put(&json!({ "ph": "M", "pid": process, "name": "process_name", "args": { "name": name } }))?;
        self.put(&json!({ "ph": "M", "pid": process, "name": "process_sort_index", "args": { "sort_index": process } }))
    }

    fn thread(&mut self, process: usize, thread: usize, name: &str) -> io::Result<()> {
        self.put(&json!({ "ph": "M", "pid": process, "tid": thread, "name": "thread_name", "args": { "name": name } }))?;
        let sort = json!({ "sort_index": thread });
        self.put(
            &json!({ "ph": "M", "pid": process, "tid": thread, "name": "thread_sort_index", "args": sort }),
        )
    }

    fn run(&mut self, axis: &Axis<'_>) -> io::Result<()> {
        self.process(RUN, "run")?;
        self.thread(RUN, 0, "run")?;
        if let Some(planned) = axis.planned_us {
            self.span(RUN, 0, ("collect and plan", "run"), (0, planned), &json!({}))?;
        }
        for moment in &axis.moments {
            self.moment(RUN, 0, moment)?;
        }
        for (thread, image) in axis.images.iter().enumerate() {
            self.track(RUN, thread + 1, &format!("image {}", image.name), image)?;
        }
        Ok(())
    }

    fn tests(&mut self, axis: &Axis<'_>) -> io::Result<()> {
        self.process(TESTS, "tests")?;
        // Each lane has a thread for itself, and one for each slot after it.
        let mut threads = Vec::new();
        let mut next = 0;
        for lane in &axis.lanes {
            threads.push(next);
            self.lane(next, lane)?;
            next += 1 + usize::try_from(lane.slots).unwrap_or_default();
        }
        for case in &axis.cases {
            let first = threads.get(case.lane).copied().unwrap_or_default();
            self.case(first + 1 + usize::try_from(case.slot).unwrap_or_default(), case)?;
        }
        Ok(())
    }

    fn lane(&mut self, thread: usize, lane: &LaneTrack<'_>) -> io::Result<()> {
        self.track(TESTS, thread, &lane.id.to_string(), &lane.track)?;
        for slot in 0..usize::try_from(lane.slots).unwrap_or_default() {
            self.thread(TESTS, thread + 1 + slot, &format!("{} · {}", lane.id, slot + 1))?;
        }
        Ok(())
    }

    fn case(&mut self, thread: usize, case: &CaseSpan<'_>) -> io::Result<()> {
        let outcome = case.result.map_or("no end", |result| result.outcome.word());
        let mut arguments = json!({ "id": case.id, "outcome": outcome });
        if let Some(result) = case.result {
            if let Some(message) = &result.message {
                arguments["message"] = json!(message);
            }
            if let Some(file) = &result.case.file {
                let line = result.case.line.map(|line| format!(":{line}")).unwrap_or_default();
                arguments["place"] = json!(format!("{file}{line}"));
            }
            if result.attempts > 1 {
                arguments["attempts"] = json!(result.attempts);
            }
        }
        let name = case.id.rsplit("::").next().unwrap_or(case.id);
        self.span(TESTS, thread, (name, outcome), (case.begin_us, case.end_us), &arguments)
    }

    fn track(&mut self, process: usize, thread: usize, name: &str, track: &Track<'_>) -> io::Result<()> {
        self.thread(process, thread, name)?;
        for span in &track.spans {
            let word = span.state.word();
            let arguments = if span.note.is_empty() { json!({}) } else { json!({ "note": span.note }) };
            self.span(process, thread, (word, word), (span.begin_us, span.end_us), &arguments)?;
        }
        for moment in &track.moments {
            self.moment(process, thread, moment)?;
        }
        Ok(())
    }

    fn span(
        &mut self,
        process: usize,
        thread: usize,
        (name, category): (&str, &str),
        (begin_us, end_us): (u64, u64),
        arguments: &Value,
    ) -> io::Result<()> {
        self.put(&json!({
            "ph": "X", "pid": process, "tid": thread, "name": name, "cat": category,
            "ts": begin_us, "dur": end_us.saturating_sub(begin_us), "args": arguments,
        }))
    }

    fn moment(&mut self, process: usize, thread: usize, moment: &Moment<'_>) -> io::Result<()> {
        let word = moment.kind.word();
        let text = moment.text.to_string();
        let name = if moment.kind == MomentKind::Probe { text.clone() } else { format!("{word}: {text}") };
        self.put(&json!({
            "ph": "i", "s": "t", "pid": process, "tid": thread, "name": name, "cat": word,
            "ts": moment.at_us, "args": { "text": text },
        }))
    }

    fn counter(&mut self, axis: &Axis<'_>, series: &Series) -> io::Result<()> {
        let stack = axis.stacks.iter().position(|stack| stack.track.name == series.stack);
        let process = stack.map_or(RUN, |stack| STACKS + stack);
        let name = neutral::line(&format!("{} {}", series.service, series.figure));
        for (millis, value) in series.points.iter().filter(|(_, value)| value.is_finite()) {
            self.put(&json!({
                "ph": "C", "pid": process, "name": name, "ts": millis * 1000, "args": { "value": value },
            }))?;
        }
        Ok(())
    }
}
