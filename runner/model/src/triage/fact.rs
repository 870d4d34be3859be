//! Facts: what the kernel, the container engine or the runner itself found out, with its time.

use jiff::Timestamp;
use serde::Deserialize;

use super::account::Account;
use crate::document::bytes_text;
use crate::event::Finding;
use crate::lane::LaneId;

/// What kind of fact it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FactKind {
    /// A service ended, and no case had asked for it; the first one of its stack.
    ServiceDied,
    /// All processes of a service were halted, and no case had asked for it.
    ServiceHalted,
    /// A file system had no room left.
    DiskFull,
    /// The environment broke, in the runner's or the engine's words.
    Broken,
    /// A stack's services ran, and it never served.
    NeverServed,
    /// A lane failed beyond its cases, in its environment's absence of fault.
    LaneFailed,
}

/// One fact.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fact {
    pub(super) kind: FactKind,
    /// Of which event.
    pub(super) seq: u64,
    pub(super) at: Timestamp,
    pub(super) elapsed_us: u64,
    /// Profile.
    pub(super) stack: Option<String>,
    pub(super) service: Option<String>,
    pub(super) lane: Option<LaneId>,
    pub(super) exit_code: Option<i64>,
    /// Whether the kernel killed it for lack of memory.
    pub(super) memory: bool,
    /// The fact in a line.
    pub(super) words: String,
    /// The last lines of its service, or of its lane's tool.
    pub(super) log: Account,
}

impl Fact {
    /// Whether its stack is the one of a profile. In a record put together from shares, a stack has its share's number behind
    /// its name.
    pub(super) fn is_of_stack(&self, profile: &str) -> bool {
        let numbered = |name: &str| {
            let number = name.strip_prefix(profile).and_then(|rest| rest.strip_prefix('.'));
            number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
        };
        self.stack.as_deref().is_some_and(|name| name == profile || numbered(name))
    }
}

impl Finding {
    /// What kind of fact it is.
    pub(super) const fn fact(&self) -> FactKind {
        match self {
            Self::Halted { .. } => FactKind::ServiceHalted,
            Self::DiskFull { .. } => FactKind::DiskFull,
        }
    }
}

/// The end of a service in words.
pub(super) fn death(stack: &str, service: &str, exit_code: i64, memory: bool) -> String {
    let how = match exit_code {
        _ if memory => format!("was killed for lack of memory (exit code {exit_code})"),
        137 => "ended with exit code 137 (SIGKILL)".to_owned(),
        143 => "ended with exit code 143 (SIGTERM)".to_owned(),
        139 => "ended with exit code 139 (SIGSEGV)".to_owned(),
        134 => "ended with exit code 134 (SIGABRT)".to_owned(),
        _ => format!("ended with exit code {exit_code}"),
    };
    format!("`{service}` of stack `{stack}` {how}, and no case had asked for it")
}

/// What was found, in words; `service` is none for the container of the tests.
pub fn finding(service: Option<&str>, finding: &Finding) -> String {
    let whose = service.map_or_else(|| "the tests' container".to_owned(), |service| format!("`{service}`"));
    match finding {
        Finding::Halted { state } => format!("{whose} was halted (its first process is in state `{state}`)"),
        Finding::DiskFull { path, total_bytes } => {
            format!("`{path}` of {whose} had no room left, of {}", bytes_text(*total_bytes))
        }
    }
}
