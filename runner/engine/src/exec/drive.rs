//! A lane at work: its container, what the agent in it says, and everything that can end it early.

mod book;

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::OptionFuture;
use futures_util::stream::FuturesUnordered;
use serde_json::{Map, Value, json};
use testbed_model::case::Counts;
use testbed_model::event::{LaneFailure, StackFailure, StackFailureCause};
use testbed_model::lane::Lane;
use testbed_model::stack::Millis;
use testbed_model::triage::{self, Cause};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use self::book::Book;
use super::heard::{Decoder, Red};
use super::job::{Order, Said, StepEnd};
use super::ledger::Cut;
use super::rounds::LaneRounds;
use super::site::{Assembly, GRACE_MS};
use crate::docker::{Attached, Chunks, ContainerId, Daemon, DaemonError, StdStream};
use crate::events::Events;
use crate::host::lines::LineSplitter;
use crate::stack::{ControlOp, LiveStack, StackHealth};

/// The longest line of an agent: an event of a tool in its envelope.
const MAX_SAID: usize = 20 * 1024 * 1024;

/// How long the agent may take beyond its tool's grace to say its last word.
const AGENT_GRACE: Duration = Duration::from_secs(2);

/// How often a lane looks for a case that its tool does not end.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How a lane ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneEnd {
    /// Its cases.
    pub counts: Counts,
    /// Why it failed beyond its cases.
    pub failure: Option<LaneFailure>,
    /// Why its stack cannot serve another lane.
    pub broken_stack: Option<String>,
    /// How long each executed case took.
    pub times: Vec<(String, Millis)>,
}

impl LaneEnd {
    /// A lane that ended before any of its cases was known.
    pub fn without_cases(failure: LaneFailure) -> Self {
        Self { counts: Counts::default(), failure: Some(failure), broken_stack: None, times: Vec::new() }
    }
}

/// What a lane at work needs.
pub struct Drive<'a> {
    /// Daemon.
    pub daemon: &'a Daemon,
    /// Way out.
    pub events: &'a Events,
    /// Lane.
    pub lane: &'a Lane,
    /// Its stack.
    pub stack: Option<&'a LiveStack>,
    /// Ends it.
    pub cancel: &'a CancellationToken,
    /// Its rounds, where its cases are executed several times.
    pub rounds: Option<&'a LaneRounds>,
}

impl Drive<'_> {
    /// Executes a lane in its container and returns when the container is gone.
    pub async fn run(&self, assembly: &Assembly, decoder: Box<dyn Decoder>) -> LaneEnd {
        let mut book = Book::new(self.events, self.lane, self.stack.map(LiveStack::profile), decoder)
            .in_rounds(self.rounds)
            .beside(self.stack);
        let container = match self.daemon.create_container(&assembly.container).await {
            Ok(container) => container,
            Err(error) => return self.end_of_daemon(&mut book, &error).await,
        };
        let end = match self.converse(&container, assembly, &mut book).await {
            Ok(end) => end,
            Err(error) => self.end_of_daemon(&mut book, &error).await,
        };
        if let Err(error) = self.daemon.remove(&container).await {
            book.warn(format!("the container of lane `{}` is left: {error}", self.lane.id), "testbed gc");
        }
        end
    }

    /// Starts the container, gives it its job and listens to it until it has nothing more to say.
    async fn converse(
        &self,
        container: &ContainerId,
        assembly: &Assembly,
        book: &mut Book<'_>,
    ) -> Result<LaneEnd, DaemonError> {
        let Attached { mut input, output } = self.daemon.attach(container).await?;
        self.daemon.start(container).await?;
        let mut agent = Agent::new(output);
        let mut orders = Orders::default();
        orders.say(&assembly.job);
        let mut health = self.stack.map(LiveStack::health);
        let mut answers = FuturesUnordered::new();
        let mut look = tokio::time::interval(LOOK_EVERY);
        let lane_ends = Instant::now() + Duration::from_millis(self.lane.timeouts.suite_ms);
        let mut patience: Option<Instant> = None;
        let mut cut: Option<Cut> = None;
        loop {
            let asked_to_end = cut.is_some();
            let order = orders.next();
            let early = tokio::select! {
                said = agent.next() => match said? {
                    Some(Said::Control { id, request }) => {
                        answers.push(self.control(id, request));
                        None
                    }
                    Some(said) => {
                        book.hear(said).await;
                        None
                    }
                    None => break,
                },
                written = async { input.write(order).await }, if !order.is_empty() => {
                    orders.written(written.unwrap_or(usize::MAX));
                    None
                }
                Some(reply) = answers.next() => {
                    orders.say(&reply);
                    None
                }
                broken = broken(&mut health), if !asked_to_end => {
                    // Nothing that the tool could still say is of use.
                    return Ok(self.end_of_stack(book, broken).await);
                }
                () = self.cancel.cancelled(), if !asked_to_end => Some(Cut::Cancelled),
                () = sleep_until(lane_ends), if !asked_to_end => Some(Cut::TimedOut(self.lane.timeouts.suite_ms)),
                _ = look.tick(), if !asked_to_end => book.overdue(self.watched_case_ms(), self.lane.timeouts.case_ms),
                Some(()) = OptionFuture::from(patience.map(sleep_until)) => break,
            };
            if let Some(early) = early {
                cut = Some(early);
                orders.say(&Order::Cancel);
                patience = Some(Instant::now() + Duration::from_millis(GRACE_MS) + AGENT_GRACE);
            }
        }
        Ok(self.conclude(container, book, cut).await)
    }

    async fn conclude(&self, container: &ContainerId, book: &mut Book<'_>, cut: Option<Cut>) -> LaneEnd {
        if let Some(cut) = cut {
            let failure = book.failure(cut.reason(), false);
            book.close(&cut).await;
            return LaneEnd {
                counts: book.counts(),
                failure: Some(failure),
                broken_stack: None,
                times: book.take_times(),
            };
        }
        let (judged, environment) = self.judge(container, book).await;
        let reason = judged.clone().unwrap_or_else(|| "its tool ended without executing it".to_owned());
        book.close(&Cut::ToolEnded(reason)).await;
        let failure = judged.map(|message| book.failure(message, environment));
        LaneEnd { counts: book.counts(), failure, broken_stack: None, times: book.take_times() }
    }

    /// The end of a lane whose stack broke: what the service said last explains it, not what the tool said.
    async fn end_of_stack(&self, book: &mut Book<'_>, broken: Broken) -> LaneEnd {
        let Broken { message, log, cause } = broken;
        book.close(&Cut::Environment(message.clone())).await;
        let failure = LaneFailure { message: message.clone(), environment: cause.excuses(), log };
        LaneEnd {
            counts: book.counts(),
            failure: Some(failure),
            broken_stack: Some(message),
            times: book.take_times(),
        }
    }

    /// Why a lane that ended by itself failed beyond its cases, and whether the environment is at fault.
    async fn judge(&self, container: &ContainerId, book: &Book<'_>) -> (Option<String>, bool) {
        if let Some(message) = book.agent_failed() {
            return (Some(message.to_owned()), true);
        }
        let judged = book.judge();
        let state = self.daemon.state(container).await.ok();
        let exit = state.and_then(|state| state.exit);
        if judged.is_some() && exit.is_some_and(|exit| exit.oom_killed) {
            let limit = testbed_model::document::bytes_text(self.lane.limits.memory_bytes);
            return (Some(format!("the lane's container ran out of its {limit} of memory")), true);
        }
        if !book.has_exited() {
            let code = exit.map_or_else(String::new, |exit| format!(" with code {}", exit.code));
            return (Some(format!("the lane's container ended{code} before its tool did")), true);
        }
        let environment = judged.is_some() && book.blames_environment();
        (judged, environment)
    }

    async fn end_of_daemon(&self, book: &mut Book<'_>, error: &DaemonError) -> LaneEnd {
        let failure = book.failure(error.to_string(), true);
        book.close(&Cut::Environment(error.to_string())).await;
        LaneEnd {
            counts: book.counts(),
            failure: Some(failure),
            broken_stack: None,
            times: book.take_times(),
        }
    }

    /// Does what a case asked for and gives the order that answers it.
    async fn control(&self, id: u64, request: Map<String, Value>) -> Order {
        let answer = match self.do_control(&request).await {
            Ok(()) => json!({ "ok": true }),
            Err(error) => json!({ "ok": false, "error": error }),
        };
        let answer = answer.as_object().cloned().unwrap_or_default();
        Order::Reply { id, answer }
    }

    async fn do_control(&self, request: &Map<String, Value>) -> Result<(), String> {
        let text = |key: &str| request.get(key).and_then(Value::as_str).unwrap_or_default();
        let op: ControlOp = serde_json::from_value(text("op").into())
            .map_err(|_| format!("unknown operation `{}`", text("op")))?;
        let stack = self.stack.ok_or("this lane has no stack")?;
        stack.control(op, text("service")).await.map_err(|error| error.to_string())
    }

    /// When a case that its tool does not end is ended from here, with its tool. Late: after its time the case may still
    /// clean up, and nextest may have longer limits of the project's own.
    const fn watched_case_ms(&self) -> Millis {
        3 * self.lane.timeouts.case_ms + 30_000
    }
}

/// Why a stack does not serve any more.
struct Broken {
    message: String,
    /// The last lines of the service at fault.
    log: Vec<String>,
    /// Whose fault it is: a service that crashes by itself is the product's failure.
    cause: Cause,
}

/// Waits until the stack does not serve any more, and says why.
async fn broken(health: &mut Option<watch::Receiver<StackHealth>>) -> Broken {
    let Some(health) = health else { return std::future::pending().await };
    let change = health.wait_for(|health| !matches!(health, StackHealth::Serving)).await;
    match change.map(|health| health.clone()) {
        Ok(StackHealth::Broken(failure)) => {
            let cause = triage::of_death(&failure);
            Broken { message: broken_words(&failure), log: failure.log, cause }
        }
        Ok(StackHealth::Unwatched(message)) => Broken {
            message: format!("the container engine does not watch the stack any more: {message}"),
            log: Vec::new(),
            cause: Cause::Infrastructure,
        },
        // The stack's watcher ends only with the stack, whose user this lane is.
        Ok(StackHealth::Serving) | Err(_) => std::future::pending().await,
    }
}

fn broken_words(failure: &StackFailure) -> String {
    let service = failure.service.as_deref().unwrap_or("a service");
    match &failure.cause {
        StackFailureCause::Exited { oom_killed: true, .. } => {
            format!("`{service}` was killed for lack of memory")
        }
        StackFailureCause::Exited { exit_code, .. } => format!("`{service}` ended with code {exit_code}"),
        StackFailureCause::Unhealthy => format!("the health check of `{service}` gave up"),
        StackFailureCause::Daemon { message } => message.clone(),
        StackFailureCause::TimedOut { waiting_for, .. } => {
            format!("the stack waited in vain for {waiting_for}")
        }
    }
}

/// What the agent says, line by line.
struct Agent {
    output: Chunks,
    lines: LineSplitter,
    said: std::collections::VecDeque<String>,
}

impl Agent {
    fn new(output: Chunks) -> Self {
        Self { output, lines: LineSplitter::new(MAX_SAID), said: std::collections::VecDeque::new() }
    }

    /// The next thing; none when the container has ended. What it cannot say in the protocol (a panic) comes as a line.
    async fn next(&mut self) -> Result<Option<Said>, DaemonError> {
        loop {
            if let Some(line) = self.said.pop_front() {
                let stream = super::job::Stream::Err;
                return Ok(Some(serde_json::from_str(&line).unwrap_or(Said::Line { stream, line })));
            }
            match self.output.next().await {
                Some(Ok((StdStream::Stdout, bytes))) => self.said.extend(self.lines.push(&bytes)),
                Some(Ok((StdStream::Stderr, bytes))) => {
                    self.said.extend(String::from_utf8_lossy(&bytes).lines().map(str::to_owned));
                }
                Some(Err(error)) => return Err(error),
                None => return Ok(None),
            }
        }
    }
}

/// Lines that wait to be written to the agent.
#[derive(Default)]
struct Orders {
    bytes: Vec<u8>,
    written: usize,
}

impl Orders {
    fn say(&mut self, order: &impl serde::Serialize) {
        self.bytes.drain(..self.written);
        self.written = 0;
        // Jobs and orders are plain values; they always have a JSON form.
        if serde_json::to_writer(&mut self.bytes, order).is_ok() {
            self.bytes.push(b'\n');
        }
    }

    fn next(&self) -> &[u8] {
        self.bytes.get(self.written..).unwrap_or_default()
    }

    fn written(&mut self, count: usize) {
        self.written = self.written.saturating_add(count).min(self.bytes.len());
    }
}

/// The steps' ends and whether a case was red, for the decoder's judgement.
type Ends = BTreeMap<String, StepEnd>;

const fn red(counts: &Counts) -> Red {
    if counts.red() > 0 { Red::Some } else { Red::None }
}

#[cfg(test)]
mod tests {
    use super::{Order, Orders};

    #[test]
    fn orders_are_written_in_pieces_and_in_order() {
        let mut orders = Orders::default();
        orders.say(&Order::Cancel);
        assert_eq!(orders.next(), b"{\"t\":\"cancel\"}\n");
        orders.written(5);
        orders.say(&1);
        assert_eq!(orders.next(), b"\"cancel\"}\n1\n");
        orders.written(usize::MAX);
        assert!(orders.next().is_empty());
    }
}
