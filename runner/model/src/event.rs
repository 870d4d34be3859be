//! Events: one thing each that happened in a run. They are the only channel from the engine to anything that shows.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::case::{Case, CaseResult, Counts};
use crate::exit_code::ExitCode;
use crate::id::RunId;
use crate::lane::LaneId;
use crate::models::ModelContent;
use crate::plan::PlanId;
use crate::record::EnvironmentId;
use crate::stack::Millis;
use crate::tier::Tier;

/// An event with its place in the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stamped {
    /// Position, from zero, without gaps.
    pub seq: u64,
    /// Wall time.
    pub at: Timestamp,
    /// Microseconds since the run's start, by the monotonic clock.
    pub elapsed_us: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The plan is made and execution begins.
    RunStarted {
        /// Run.
        run: RunId,
        /// Tier, none for `up`.
        tier: Option<Tier>,
        /// Plan.
        plan: Option<PlanId>,
        /// Profiles whose stacks will come up.
        profiles: Vec<String>,
        /// Lanes in order.
        lanes: Vec<LaneId>,
        /// Left out, with reasons.
        skipped: Vec<crate::plan::SkippedLane>,
        /// How many cases the plan leaves out, by suite and reason, besides those that a lane tells one by one.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left_out: Vec<crate::plan::SkipCount>,
        /// The record's folder.
        folder: String,
    },
    /// All that can decide the results of a lane is known.
    EnvironmentResolved {
        /// Lane.
        lane: LaneId,
        /// The hash of its environment, whose parts are in the manifest.
        environment: EnvironmentId,
    },
    /// A step of making or fetching an image.
    ImageProgress {
        /// Name in the lock.
        image: String,
        /// What is being done, such as `layer 2/3: wheels` or `loading`.
        step: String,
        /// Bytes done.
        done: Option<u64>,
        /// Bytes in all.
        total: Option<u64>,
    },
    /// An image is in the daemon.
    ImageReady {
        /// Name in the lock.
        image: String,
        /// Reference.
        reference: String,
        /// Content id, `sha256:...`.
        id: String,
        /// How it came to be there.
        origin: ImageOrigin,
    },
    /// A step of having a model here.
    ModelProgress {
        /// Name in `models.toml`.
        model: String,
        /// What is being done: the file that is fetched, or what is waited for.
        step: String,
        /// Bytes done.
        done: Option<u64>,
        /// Bytes in all.
        total: Option<u64>,
    },
    /// A model is here, and each of its files is the one that it must be.
    ModelReady {
        /// Name in `models.toml`.
        model: String,
        /// The hash of its files.
        content: ModelContent,
        /// How it came to be here.
        origin: ModelOrigin,
    },
    /// A stack's bring-up begins.
    StackStarting {
        /// Profile.
        stack: String,
        /// Services.
        services: Vec<String>,
    },
    /// A container is being created.
    ServiceStarting {
        /// Profile.
        stack: String,
        /// Service.
        service: String,
    },
    /// A container runs.
    ServiceStarted {
        /// Profile.
        stack: String,
        /// Service.
        service: String,
        /// Container id.
        container: String,
    },
    /// A probe's answer changed.
    ProbeAnswered {
        /// Profile.
        stack: String,
        /// Service.
        service: String,
        /// What was last heard: `connection refused`, `503 {"status":"notready"}`.
        answer: String,
    },
    /// A service's probe or health check succeeded.
    ServiceReady {
        /// Profile.
        stack: String,
        /// Service.
        service: String,
    },
    /// A service's container ended while the stack was to be up.
    ServiceExited {
        /// Profile.
        stack: String,
        /// Service.
        service: String,
        /// Exit code.
        exit_code: i64,
        /// Whether the kernel killed it for lack of memory.
        oom_killed: bool,
        /// Whether a case asked for it.
        expected: bool,
    },
    /// The stack answered its ready probe.
    StackReady {
        /// Profile.
        stack: String,
        /// From the first request to the daemon to the answer.
        took_ms: Millis,
    },
    /// The stack could not be brought up.
    StackFailed {
        /// Profile.
        stack: String,
        /// Why.
        failure: StackFailure,
    },
    /// A stack's teardown begins.
    StackStopping {
        /// Profile.
        stack: String,
    },
    /// Nothing of the stack is left.
    StackStopped {
        /// Profile.
        stack: String,
        /// Teardown's time.
        took_ms: Millis,
    },
    /// GPUs were given to services of a stack, which has them until it is gone.
    GpusGranted {
        /// Stack.
        stack: String,
        /// Indices of the host's GPUs, by service.
        services: BTreeMap<String, Vec<u32>>,
    },
    /// Lanes go into a stack that another run left standing; it stays when they have ended.
    StackAdopted {
        /// Profile.
        stack: String,
        /// The run that brought it up.
        run: RunId,
        /// Its services that run.
        services: Vec<String>,
        /// Its services that do not.
        down: Vec<String>,
    },
    /// A stack is left standing after the run, for a person to look into it.
    StackKept {
        /// Profile.
        stack: String,
        /// Its network.
        network: String,
        /// When it may be removed.
        until: Timestamp,
    },
    /// A line of a service's log. Kept in the service's log file, not in the journal.
    ServiceLog {
        /// Profile.
        stack: String,
        /// Service.
        service: String,
        /// The line, without its end, with escape sequences as the service wrote them.
        line: String,
    },
    /// Figures of a service, while its stack is up. Kept in the record's samples, not in the journal.
    Sampled {
        /// Profile.
        stack: String,
        /// Service.
        service: String,
        /// Who told them.
        source: crate::record::sample::Source,
        /// Those that are not as they were at the sample before.
        figures: crate::record::sample::Figures,
    },
    /// A step before a lane can start, such as compiling a Rust suite.
    LanePreparing {
        /// Lane.
        lane: LaneId,
        /// What is being done.
        step: String,
    },
    /// A lane waits for its stack (`waited_ms` is then not zero) or found it ready.
    LaneStarted {
        /// Lane.
        lane: LaneId,
        /// How long the lane, otherwise able to start, waited for its stack.
        waited_ms: Millis,
    },
    /// The tool announced its cases.
    CasesCollected {
        /// Lane.
        lane: LaneId,
        /// Cases to be executed.
        cases: Vec<Case>,
        /// Cases that the tool left out by expression or because another profile executes them.
        deselected: u32,
    },
    /// A case began.
    CaseStarted {
        /// Lane.
        lane: LaneId,
        /// Case id.
        case: String,
    },
    /// A case ended.
    CaseFinished {
        /// Lane.
        lane: LaneId,
        /// How.
        #[serde(flatten)]
        result: CaseResult,
        /// For a red case with a stack: the last lines of its services' logs in the case's time window.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        service_logs: Vec<LogWindow>,
    },
    /// A line that a lane's tool printed outside of any case. Kept in the lane's log file, not in the journal.
    LaneOutput {
        /// Lane.
        lane: LaneId,
        /// The line.
        line: String,
    },
    /// What the machine itself showed when a case was in trouble, and no case had asked for.
    Found {
        /// The lane whose case it was.
        lane: LaneId,
        /// The service of its stack; none for the lane's own container.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        service: Option<String>,
        /// What.
        #[serde(flatten)]
        finding: Finding,
    },
    /// A lane ended.
    LaneFinished {
        /// Lane.
        lane: LaneId,
        /// Counts of its cases.
        counts: Counts,
        /// Time.
        took_ms: Millis,
        /// Why the lane as a whole failed, beyond its cases: the tool crashed, a timeout, its stack died.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<LaneFailure>,
    },
    /// Something that a person should know and that ends nothing.
    Warning {
        /// Message.
        message: String,
        /// Way out.
        hint: Option<String>,
    },
    /// A signal arrived; teardown begins.
    Interrupted {
        /// `SIGINT`, `SIGTERM`, `SIGHUP`.
        signal: String,
    },
    /// Everything is torn down and written.
    RunFinished {
        /// Run.
        run: RunId,
        /// Counts over all lanes.
        counts: Counts,
        /// Exit code.
        exit_code: ExitCode,
        /// Time.
        took_ms: Millis,
    },
}

/// What the machine itself showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "finding", rename_all = "snake_case")]
pub enum Finding {
    /// All processes of a service were halted, by a signal or by the daemon.
    Halted {
        /// Their state, as the system or the daemon names it: `T`, `paused`.
        state: String,
    },
    /// A file system had no room left.
    DiskFull {
        /// Where it is mounted.
        path: String,
        /// Its size.
        total_bytes: u64,
    },
}

/// How an image came to be in the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageOrigin {
    /// It was there.
    Present,
    /// Built from its recipe.
    Built,
    /// Loaded from an archive.
    Loaded,
    /// Pulled by digest.
    Pulled,
}

/// How a model came to be here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelOrigin {
    /// It was here.
    Present,
    /// Made by Testbed.
    Made,
    /// Fetched.
    Fetched,
    /// Copied from a folder.
    Imported,
}

/// The last log lines of one service in a time window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogWindow {
    /// Service.
    pub service: String,
    /// Lines, oldest first.
    pub lines: Vec<String>,
    /// How many lines of the window came before them and were left out.
    pub omitted: u32,
}

/// Why a stack could not be brought up, with all that a person needs to see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackFailure {
    /// The service at fault, where one is.
    pub service: Option<String>,
    /// What happened.
    pub cause: StackFailureCause,
    /// What the service was last heard to say to a probe.
    pub last_answer: Option<String>,
    /// Its last log lines, oldest first.
    pub log: Vec<String>,
    /// The chain of dependencies at fault: who waits for whom, the waiting one first, the culprit last.
    pub chain: Vec<String>,
}

impl StackFailure {
    /// The way out, where the cause alone says one.
    pub fn way_out(&self) -> Option<String> {
        match &self.cause {
            StackFailureCause::Exited { oom_killed: true, .. } => {
                let service = self.service.as_deref()?;
                Some(format!("raise the memory limit of `{service}` in the profile or the compose file"))
            }
            StackFailureCause::TimedOut { .. } => {
                Some("a larger `timeouts.ready` in the profile gives it more time".to_owned())
            }
            _ => None,
        }
    }
}

/// What kind of failure it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum StackFailureCause {
    /// A container ended.
    Exited {
        /// Its code.
        exit_code: i64,
        /// Whether the kernel killed it for lack of memory.
        oom_killed: bool,
    },
    /// Nothing died, and the time ran out.
    TimedOut {
        /// The time.
        after_ms: Millis,
        /// What was still missing, such as ``probe of `worker-0` ``.
        waiting_for: String,
    },
    /// The daemon's health check gave up.
    Unhealthy,
    /// The daemon refused or failed.
    Daemon {
        /// Its words.
        message: String,
    },
}

/// Why a lane failed beyond its cases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneFailure {
    /// Message, lower case, without final dot.
    pub message: String,
    /// Whether the environment is at fault, not the tests.
    pub environment: bool,
    /// The tool's last lines.
    pub log: Vec<String>,
}
