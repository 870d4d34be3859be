//! The job of an executor's container, and what it and the runner say to each other: one JSON object a line each way.
//!
//! The first line to the agent is a [`Job`], each further line an [`Order`]. Every line from the agent is a [`Said`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use testbed_model::stack::Millis;

pub use crate::host::process::Stream;
pub use crate::host::tool::Output;

/// The variable that tells a tool the number of the descriptor that takes its events.
pub const EVENTS_VARIABLE: &str = "TESTBED_EVENTS_FD";

/// What an agent is to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The project's files, to be copied to where the tools may write.
    pub project: Option<ProjectCopy>,
    /// Folders to be made.
    pub folders: Vec<String>,
    /// Small files to be written, path to content.
    pub files: BTreeMap<String, String>,
    /// Environment of every tool, over the container's.
    pub environment: BTreeMap<String, String>,
    /// Folders in front of the container's PATH.
    pub path: Vec<String>,
    /// Folders in front of PYTHONPATH: after them comes what the environment above says, then the container's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub python_path: Vec<String>,
    /// Working folder of every tool.
    pub folder: String,
    /// Commands that must succeed before the first step; what they print is kept for the case that one does not.
    pub setup: Vec<Vec<String>>,
    /// Tools, one after another.
    pub steps: Vec<Step>,
    /// Path of the unix socket that takes control requests, if the stack offers control.
    pub control: Option<String>,
    /// How long a tool may take to end after it was asked to.
    pub grace_ms: Millis,
}

/// A copy of the project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectCopy {
    /// Its root, mounted read-only.
    pub from: String,
    /// Where the copy goes: an empty folder.
    pub to: String,
    /// Files and links, relative to the root.
    pub files: Vec<String>,
}

/// One tool's execution.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Name, unique in the job.
    pub id: String,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// How its output is read.
    #[serde(default)]
    pub output: Output,
    /// Whether the tool tells events itself.
    #[serde(default)]
    pub events: EventPipe,
    /// How long it may take.
    pub timeout_ms: Option<Millis>,
    /// What comes after it when it fails.
    #[serde(default)]
    pub on_failure: OnFailure,
}

/// Whether a tool gets a descriptor for events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventPipe {
    /// No.
    #[default]
    Closed,
    /// Yes, under the number that [`EVENTS_VARIABLE`] names.
    Open,
}

/// What comes after a step that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// The next step.
    #[default]
    GoOn,
    /// The end.
    Stop,
}

/// What the runner tells an agent at work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "t", rename_all = "snake_case")]
pub enum Order {
    /// The answer to a control request.
    Reply {
        /// The request's number.
        id: u64,
        /// The answer, passed on as it is.
        answer: Map<String, Value>,
    },
    /// End everything. The end of the input means the same: then nobody is left to answer.
    Cancel,
}

/// What an agent says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "t", rename_all = "snake_case")]
pub enum Said {
    /// The project is copied and the setup is done.
    Prepared {
        /// Files.
        files: u64,
        /// Bytes.
        bytes: u64,
        /// Time.
        took_ms: Millis,
    },
    /// A step begins.
    StepStarted {
        /// Step.
        step: String,
    },
    /// The tool printed a line.
    Line {
        /// Where.
        #[serde(default = "out")]
        stream: Stream,
        /// The line, without its end.
        line: String,
    },
    /// The tool told an event.
    Event {
        /// The event as the tool wrote it.
        event: Value,
    },
    /// A case asks for a change of its stack.
    Control {
        /// The request's number, for its reply.
        id: u64,
        /// `op` and `service`, as the case wrote them.
        #[serde(flatten)]
        request: Map<String, Value>,
    },
    /// A file system of the container has no room left.
    Full {
        /// Where it is mounted.
        path: String,
        /// Its size.
        total_bytes: u64,
    },
    /// A step ended.
    StepFinished {
        /// Step.
        step: String,
        /// How.
        end: StepEnd,
        /// Time.
        took_ms: Millis,
    },
    /// The job could not be done.
    Failed {
        /// Why.
        message: String,
    },
    /// Nothing more comes.
    Exit {
        /// The last step's code; 125 if there was none to execute.
        code: i32,
    },
}

const fn out() -> Stream {
    Stream::Out
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepEnd {
    /// By itself.
    Code(i32),
    /// By a signal that nobody here sent.
    Signal(i32),
    /// Ended because it took too long.
    TimedOut,
    /// Ended because the run is.
    Cancelled,
    /// It could not be started.
    NotStarted(String),
}

impl StepEnd {
    /// Whether the tool ended by itself with code 0.
    pub const fn is_success(&self) -> bool {
        matches!(self, Self::Code(0))
    }
}

/// A verb phrase, for `pytest {end}`.
impl std::fmt::Display for StepEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "ended with exit code {code}"),
            Self::Signal(9) => f.write_str("was killed by signal 9, perhaps for lack of memory"),
            Self::Signal(signal) => write!(f, "was ended by signal {signal}"),
            Self::TimedOut => f.write_str("took too long"),
            Self::Cancelled => f.write_str("was cancelled"),
            Self::NotStarted(why) => write!(f, "could not be started: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Order, Said, StepEnd, Stream};

    fn line(said: &Said) -> String {
        serde_json::to_string(said).unwrap()
    }

    #[test]
    fn what_is_said_is_one_flat_object_a_line() {
        let said = Said::Line { stream: Stream::Err, line: "a\nb".to_owned() };
        assert_eq!(line(&said), r#"{"t":"line","stream":"err","line":"a\nb"}"#);
        let said = Said::StepFinished { step: "x".to_owned(), end: StepEnd::Code(1), took_ms: 2 };
        assert_eq!(line(&said), r#"{"t":"step_finished","step":"x","end":{"code":1},"took_ms":2}"#);
        let text = r#"{"t":"control","id":3,"op":"stop","service":"worker-1"}"#;
        let said: Said = serde_json::from_str(text).unwrap();
        assert_eq!(line(&said), text);
    }

    #[test]
    fn a_line_without_a_stream_is_standard_output() {
        let said: Said = serde_json::from_str(r#"{"t":"line","line":"a"}"#).unwrap();
        assert_eq!(said, Said::Line { stream: Stream::Out, line: "a".to_owned() });
    }

    #[test]
    fn an_order_reads_back() {
        let reply: Order = serde_json::from_str(r#"{"t":"reply","id":3,"answer":{"ok":true}}"#).unwrap();
        assert_eq!(serde_json::to_string(&reply).unwrap(), r#"{"t":"reply","id":3,"answer":{"ok":true}}"#);
        assert_eq!(serde_json::from_str::<Order>(r#"{"t":"cancel"}"#).unwrap(), Order::Cancel);
    }
}
