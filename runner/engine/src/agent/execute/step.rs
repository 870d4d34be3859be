//! One tool from its start to its end, with everything that can happen meanwhile.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;
use tokio::time::{Instant, sleep_until};

use super::{Agent, Voice};
use crate::exec::job::{EVENTS_VARIABLE, EventPipe, Order, Said, Step, StepEnd, Stream};
use crate::host::lines::{LineSplitter, MAX_LINE};
use crate::host::process::Ended;
use crate::host::tool::{Tool, ToolSpec};

/// The longest event of a tool. A failure's account with all that its case printed is one event.
const MAX_EVENT: usize = 16 * 1024 * 1024;

/// How long output may still come after a tool has ended, from processes that it left behind.
const DRAIN: Duration = Duration::from_millis(500);

/// Where a tool is on its way.
#[derive(Clone, Debug)]
enum Phase {
    /// It works.
    Working,
    /// It was asked to end, with this as the reason.
    Asked(StepEnd),
    /// It was killed.
    Killed(StepEnd),
    /// It has ended, and its pipes are read to their ends.
    Ended(StepEnd),
}

impl<W: Write> Agent<'_, W> {
    /// Starts a tool and attends to it until its end.
    pub(super) async fn attend(&mut self, step: &Step, mut tell: impl FnMut(&mut Voice<W>, Said)) -> StepEnd {
        let spec = ToolSpec {
            argv: &step.argv,
            environment: &self.job.environment,
            folder: Path::new(&self.job.folder),
            output: step.output,
            events_variable: (step.events == EventPipe::Open).then_some(EVENTS_VARIABLE),
        };
        let mut tool = match Tool::start(&spec) {
            Ok(tool) => tool,
            Err(error) => return StepEnd::NotStarted(self.not_started(step, &error)),
        };
        let mut pipes = Pipes::of(&mut tool);
        let mut phase = Phase::Working;
        let mut timer = step.timeout_ms.map(|ms| Instant::now() + Duration::from_millis(ms));
        loop {
            let ended = matches!(phase, Phase::Ended(_));
            tokio::select! {
                said = pipes.next(), if pipes.are_open() => {
                    for said in said {
                        tell(self.voice, said);
                    }
                }
                status = self.reaper.ended(tool.pid), if !ended => {
                    phase = Phase::Ended(phase.end(status));
                    timer = Some(Instant::now() + DRAIN);
                }
                order = self.orders.recv(), if !self.cancelled => match order {
                    Some(Order::Reply { id, answer }) => self.control.reply(id, answer),
                    Some(Order::Cancel) | None => {
                        self.cancelled = true;
                        self.ask_to_end(&tool, &mut phase, &mut timer, StepEnd::Cancelled);
                    }
                },
                _ = self.terminate.recv() => {
                    self.cancelled = true;
                    self.ask_to_end(&tool, &mut phase, &mut timer, StepEnd::Cancelled);
                }
                (id, request) = self.control.request() => tell(self.voice, Said::Control { id, request }),
                () = until(timer) => match phase {
                    Phase::Working => self.ask_to_end(&tool, &mut phase, &mut timer, StepEnd::TimedOut),
                    Phase::Asked(reason) => {
                        tool.signal(Signal::KILL);
                        phase = Phase::Killed(reason);
                        timer = None;
                    }
                    Phase::Killed(_) => timer = None,
                    Phase::Ended(_) => pipes.close(),
                },
            }
            if let Phase::Ended(end) = &phase
                && !pipes.are_open()
            {
                // What the tool left behind in its group ends with it.
                tool.signal(Signal::KILL);
                pipes.finish().into_iter().for_each(|said| tell(self.voice, said));
                return end.clone();
            }
        }
    }

    /// Why a tool could not be started: the system says the same of a program and of a folder that are not there.
    fn not_started(&self, step: &Step, error: &io::Error) -> String {
        let folder = &self.job.folder;
        let program = step.argv.first().map_or("", String::as_str);
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory if !Path::new(folder).is_dir() => {
                format!("there is no folder `{folder}`")
            }
            io::ErrorKind::NotFound => format!("there is no program `{program}`"),
            _ => error.to_string(),
        }
    }

    fn ask_to_end(&self, tool: &Tool, phase: &mut Phase, timer: &mut Option<Instant>, reason: StepEnd) {
        if matches!(phase, Phase::Working) {
            tool.signal(Signal::TERM);
            *phase = Phase::Asked(reason);
            *timer = Some(Instant::now() + self.grace());
        }
    }
}

impl Phase {
    /// The end of a tool that was in this phase when its process ended.
    fn end(&self, status: io::Result<Ended>) -> StepEnd {
        match (self, status) {
            (Self::Asked(reason) | Self::Killed(reason) | Self::Ended(reason), _) => reason.clone(),
            (Self::Working, Ok(Ended::Code(code))) => StepEnd::Code(code),
            (Self::Working, Ok(Ended::Signal(signal))) => StepEnd::Signal(signal),
            (Self::Working, Err(error)) => StepEnd::NotStarted(format!("its end is not known: {error}")),
        }
    }
}

async fn until(timer: Option<Instant>) {
    match timer {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// What a tool writes, from all its pipes.
struct Pipes {
    out: Pipe,
    err: Pipe,
    events: Pipe,
}

/// One pipe and the line that it is in the middle of.
struct Pipe {
    receiver: Option<Receiver>,
    splitter: LineSplitter,
    buffer: Vec<u8>,
}

impl Pipes {
    fn of(tool: &mut Tool) -> Self {
        // The tool keeps its process id; its pipes are read here.
        let Tool { stdout, stderr, events, .. } = tool;
        Self {
            out: Pipe::new(stdout.take(), MAX_LINE),
            err: Pipe::new(stderr.take(), MAX_LINE),
            events: Pipe::new(events.take(), MAX_EVENT),
        }
    }

    const fn are_open(&self) -> bool {
        self.out.receiver.is_some() || self.err.receiver.is_some() || self.events.receiver.is_some()
    }

    fn close(&mut self) {
        for pipe in [&mut self.out, &mut self.err, &mut self.events] {
            pipe.receiver = None;
        }
    }

    async fn next(&mut self) -> Vec<Said> {
        tokio::select! {
            lines = self.out.lines(), if self.out.receiver.is_some() => printed(Stream::Out, lines),
            lines = self.err.lines(), if self.err.receiver.is_some() => printed(Stream::Err, lines),
            lines = self.events.lines(), if self.events.receiver.is_some() => told(lines),
            else => Vec::new(),
        }
    }

    /// Last lines that had no end.
    fn finish(&mut self) -> Vec<Said> {
        let rest = |pipe: &mut Pipe| pipe.splitter.finish().into_iter().collect::<Vec<_>>();
        let mut said = printed(Stream::Out, rest(&mut self.out));
        said.extend(printed(Stream::Err, rest(&mut self.err)));
        said.extend(told(rest(&mut self.events)));
        said
    }
}

impl Pipe {
    fn new(receiver: Option<Receiver>, limit: usize) -> Self {
        Self { receiver, splitter: LineSplitter::new(limit), buffer: vec![0; 16 * 1024] }
    }

    async fn lines(&mut self) -> Vec<String> {
        let Some(receiver) = &mut self.receiver else {
            return std::future::pending().await;
        };
        match receiver.read(&mut self.buffer).await {
            Ok(n) if n > 0 => self.splitter.push(self.buffer.get(..n).unwrap_or_default()),
            // A pipe that cannot be read is at its end.
            _ => {
                self.receiver = None;
                Vec::new()
            }
        }
    }
}

fn printed(stream: Stream, lines: Vec<String>) -> Vec<Said> {
    lines.into_iter().map(|line| Said::Line { stream, line }).collect()
}

/// Events, and as output what is none: somebody wrote to the descriptor by mistake, and wants to see it.
fn told(lines: Vec<String>) -> Vec<Said> {
    let said = |line: String| {
        let parsed =
            serde_json::from_str(&line).or_else(|_| serde_json::from_str(&without_lone_surrogates(&line)));
        match parsed {
            Ok(Value::Object(event)) => Said::Event { event: Value::Object(event) },
            _ => Said::Line { stream: Stream::Err, line },
        }
    };
    lines.into_iter().map(said).collect()
}

/// Replaces halves of surrogate pairs, which Python writes for bytes that are not UTF-8 and which no JSON parser here
/// accepts, by the replacement character. All else stays, escaped backslashes included.
fn without_lone_surrogates(json: &str) -> String {
    let unit =
        |text: &str| text.strip_prefix("\\u").and_then(|rest| u16::from_str_radix(rest.get(..4)?, 16).ok());
    let mut repaired = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        repaired.push_str(before);
        let low = escape.get(6..).and_then(unit);
        let (kept, taken) = match unit(escape) {
            Some(0xd800..=0xdbff) if matches!(low, Some(0xdc00..=0xdfff)) => (escape.get(..12), 12),
            Some(0xd800..=0xdfff) => (Some("\\ufffd"), 6),
            _ => (escape.get(..2), 2),
        };
        repaired.push_str(kept.unwrap_or(escape));
        rest = escape.get(taken..).unwrap_or_default();
    }
    repaired + rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Said, told, without_lone_surrogates};

    #[test]
    fn an_event_with_half_a_surrogate_pair_is_not_lost() {
        let line = r#"{"out":"a\udcff \ud83d\ude00 \\ud800 \n\ud83d"}"#.to_owned();
        let said = told(vec![line]);
        let Said::Event { event } = &said[0] else { panic!("{said:?}") };
        assert_eq!(event["out"], "a\u{fffd} \u{1f600} \\ud800 \n\u{fffd}");
    }

    proptest! {
        #[test]
        fn what_is_whole_stays_as_it_is(text: String) {
            let json = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(without_lone_surrogates(&json), json);
        }

        #[test]
        fn no_text_breaks_the_repair(text in r#"(\\|\\u|d8|dc|00|é|"|x){0,12}"#) {
            let _ = without_lone_surrogates(&text);
        }
    }
}
