//! Events become facts, and what is to be judged by them.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::account::Account;
use super::fact::{self, Fact, FactKind};
use super::{Diagnoses, Evidence, Subject};
use crate::case::{CaseResult, Outcome};
use crate::event::{Event, LaneFailure, LogWindow, StackFailure, StackFailureCause, Stamped};
use crate::exit_code::ExitCode;
use crate::lane::LaneId;

/// What a run's events say of its failures so far. It keeps nothing of what went well.
#[derive(Clone, Debug, Default)]
pub struct Triage {
    pub(super) facts: Vec<Fact>,
    pub(super) troubles: Vec<Trouble>,
    /// When cases began that have not ended.
    began: HashMap<(LaneId, String), u64>,
    /// When lanes began.
    lanes: HashMap<LaneId, u64>,
    /// Stacks of which a service died already: what dies after it is a consequence.
    broken: HashSet<String>,
    interrupted: bool,
}

/// Something that is to be judged.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Trouble {
    pub(super) subject: Subject,
    /// The profile that it has to do with.
    pub(super) stack: Option<String>,
    /// For a stack: the service at fault.
    pub(super) service: Option<String>,
    /// How the case ended.
    pub(super) outcome: Option<Outcome>,
    pub(super) from_us: u64,
    pub(super) to_us: u64,
    pub(super) at: Timestamp,
    pub(super) seq: u64,
    pub(super) account: Account,
}

impl Trouble {
    /// What it says of itself as evidence.
    pub(super) fn quote(&self, source: &str, quote: &str) -> Evidence {
        let (source, quote) = (source.to_owned(), quote.to_owned());
        Evidence { at: self.at, elapsed_us: self.to_us, seq: self.seq, source, quote }
    }
}

impl Triage {
    /// What is concluded of all failures that were heard of.
    pub fn diagnoses(&self) -> Diagnoses {
        Diagnoses::new(self.judge())
    }

    /// Takes in one event.
    pub fn hear(&mut self, stamped: &Stamped) {
        let (at, event) = (Moment::of(stamped), &stamped.event);
        match event {
            Event::StackStarting { stack, .. } | Event::StackAdopted { stack, .. } => {
                self.broken.remove(stack);
            }
            Event::ServiceExited { stack, service, exit_code, oom_killed, expected: false } => {
                self.service_died(at, stack, service, (*exit_code, *oom_killed));
            }
            Event::StackFailed { stack, failure } => self.stack_failed(at, stack, failure),
            Event::Found { lane, service, finding } => {
                let kind = finding.fact();
                let words = fact::finding(service.as_deref(), finding);
                let stack = service.as_ref().and(lane.profile.clone());
                let (service, lane) = (service.clone(), Some(lane.clone()));
                self.facts.push(Fact { stack, service, lane, ..at.fact(kind, words) });
            }
            Event::LaneStarted { lane, .. } => {
                self.lanes.insert(lane.clone(), at.elapsed_us);
            }
            Event::CaseStarted { lane, case } => {
                self.began.insert((lane.clone(), case.clone()), at.elapsed_us);
            }
            Event::CaseFinished { lane, result, service_logs } => {
                self.case_finished(at, lane, result, service_logs);
            }
            Event::LaneFinished { lane, failure: Some(failure), .. } if !self.interrupted => {
                self.lane_failed(at, lane, failure);
            }
            Event::Warning { message, .. } => {
                self.facts.push(at.fact(FactKind::Broken, first_line(message)));
            }
            Event::Interrupted { .. } => self.interrupted = true,
            Event::RunFinished { exit_code: ExitCode::Environment, .. } => {
                let trouble = at.trouble(Subject::Run);
                self.troubles.push(Trouble { from_us: 0, ..trouble });
            }
            _ => {}
        }
    }

    fn service_died(&mut self, at: Moment, stack: &str, service: &str, (exit_code, memory): (i64, bool)) {
        if !self.broken.insert(stack.to_owned()) {
            return;
        }
        let words = fact::death(stack, service, exit_code, memory);
        self.facts.push(Fact {
            stack: Some(stack.to_owned()),
            service: Some(service.to_owned()),
            exit_code: Some(exit_code),
            memory,
            ..at.fact(FactKind::ServiceDied, words)
        });
        let subject = Subject::Service { stack: stack.to_owned(), service: service.to_owned() };
        let (stack, service) = (Some(stack.to_owned()), Some(service.to_owned()));
        self.troubles.push(Trouble { stack, service, ..at.trouble(subject) });
    }

    fn stack_failed(&mut self, at: Moment, stack: &str, failure: &StackFailure) {
        let service = failure.service.as_deref();
        let mut log = Account::default();
        log.hear(failure.log.iter().map(String::as_str));
        log.gist = last_line(&failure.log);
        let who = service.unwrap_or("a service");
        match &failure.cause {
            StackFailureCause::Exited { exit_code, oom_killed } => {
                if let Some(known) = self.last_death(stack, who) {
                    known.log = log;
                } else {
                    let words = fact::death(stack, who, *exit_code, *oom_killed);
                    self.facts.push(Fact {
                        stack: Some(stack.to_owned()),
                        service: Some(who.to_owned()),
                        exit_code: Some(*exit_code),
                        memory: *oom_killed,
                        log,
                        ..at.fact(FactKind::ServiceDied, words)
                    });
                }
                self.broken.insert(stack.to_owned());
            }
            StackFailureCause::TimedOut { .. } | StackFailureCause::Unhealthy => {
                let mut words = match &failure.cause {
                    StackFailureCause::TimedOut { after_ms, waiting_for } => {
                        format!("after {after_ms} ms, stack `{stack}` still waited for {waiting_for}")
                    }
                    _ => format!("the health check of `{who}` of stack `{stack}` gave up"),
                };
                if let Some(answer) = &failure.last_answer {
                    words.push_str(&format!("; last heard: {answer}"));
                }
                let (stack, service) = (Some(stack.to_owned()), failure.service.clone());
                self.facts.push(Fact { stack, service, log, ..at.fact(FactKind::NeverServed, words) });
            }
            StackFailureCause::Daemon { message } => {
                let (stack, service) = (Some(stack.to_owned()), failure.service.clone());
                let words = first_line(message);
                self.facts.push(Fact { stack, service, log, ..at.fact(FactKind::Broken, words) });
            }
        }
        let trouble = at.trouble(Subject::Stack(stack.to_owned()));
        let (stack, service) = (Some(stack.to_owned()), failure.service.clone());
        self.troubles.push(Trouble { stack, service, ..trouble });
    }

    fn case_finished(&mut self, at: Moment, lane: &LaneId, result: &CaseResult, windows: &[LogWindow]) {
        let id = &result.case.id;
        let began = self.began.remove(&(lane.clone(), id.clone()));
        if !result.outcome.is_red() {
            return;
        }
        let message = result.message.as_deref().unwrap_or_default();
        let details = result.details.as_deref().unwrap_or_default();
        let file = result.case.file.as_deref();
        let mut account = Account::of_file(file);
        account.hear(std::iter::once(id.as_str()).filter(|id| Some(*id) == file));
        account.hear(message.lines());
        account.hear(details.lines());
        for window in windows {
            account.hear_service(&window.service, window.lines.iter().map(String::as_str));
        }
        account.gist = Some(first_line(if message.is_empty() { details } else { message }));
        let subject = Subject::Case { lane: lane.clone(), case: id.clone() };
        let trouble = at.trouble(subject);
        let earlier = at.elapsed_us.saturating_sub(result.duration_ms.saturating_mul(1000));
        self.troubles.push(Trouble {
            stack: lane.profile.clone(),
            outcome: Some(result.outcome),
            from_us: began.unwrap_or(earlier).min(at.elapsed_us),
            account,
            ..trouble
        });
    }

    fn lane_failed(&mut self, at: Moment, lane: &LaneId, failure: &LaneFailure) {
        let mut account = Account::default();
        account.hear(failure.message.lines());
        account.hear(failure.log.iter().map(String::as_str));
        account.gist = Some(first_line(&failure.message));
        let kind = if failure.environment { FactKind::Broken } else { FactKind::LaneFailed };
        self.facts.push(Fact {
            lane: Some(lane.clone()),
            log: account.clone(),
            ..at.fact(kind, first_line(&failure.message))
        });
        // What the service at fault wrote last comes with the first lane that it broke.
        if let Some(profile) = &lane.profile {
            let its = |fact: &&mut Fact| {
                let name = fact.service.as_ref().map(|service| format!("`{service}`"));
                fact.kind == FactKind::ServiceDied
                    && fact.is_of_stack(profile)
                    && fact.log == Account::default()
                    && name.is_some_and(|name| failure.message.contains(&name))
            };
            if let Some(death) = self.facts.iter_mut().rev().find(its) {
                death.log.hear(failure.log.iter().map(String::as_str));
                death.log.gist = last_line(&failure.log);
            }
        }
        let from_us = self.lanes.get(lane).copied().unwrap_or(at.elapsed_us);
        let trouble = at.trouble(Subject::Lane(lane.clone()));
        self.troubles.push(Trouble { stack: lane.profile.clone(), from_us, account, ..trouble });
    }

    fn last_death(&mut self, stack: &str, service: &str) -> Option<&mut Fact> {
        let its = |fact: &&mut Fact| {
            fact.kind == FactKind::ServiceDied
                && fact.stack.as_deref() == Some(stack)
                && fact.service.as_deref() == Some(service)
        };
        self.facts.iter_mut().rev().find(its).filter(|_| self.broken.contains(stack))
    }
}

/// The place of an event in its run.
#[derive(Clone, Copy)]
struct Moment {
    seq: u64,
    at: Timestamp,
    elapsed_us: u64,
}

impl Moment {
    const fn of(stamped: &Stamped) -> Self {
        Self { seq: stamped.seq, at: stamped.at, elapsed_us: stamped.elapsed_us }
    }

    fn fact(self, kind: FactKind, words: String) -> Fact {
        Fact {
            kind,
            seq: self.seq,
            at: self.at,
            elapsed_us: self.elapsed_us,
            stack: None,
            service: None,
            lane: None,
            exit_code: None,
            memory: false,
            words,
            log: Account::default(),
        }
    }

    fn trouble(self, subject: Subject) -> Trouble {
        Trouble {
            subject,
            stack: None,
            service: None,
            outcome: None,
            from_us: self.elapsed_us,
            to_us: self.elapsed_us,
            at: self.at,
            seq: self.seq,
            account: Account::default(),
        }
    }
}

/// The first line that says anything.
fn first_line(text: &str) -> String {
    text.lines().map(super::account::plain).find(|line| !line.is_empty()).unwrap_or_default()
}

/// The last one.
fn last_line(lines: &[String]) -> Option<String> {
    lines.iter().map(|line| super::account::plain(line)).rfind(|line| !line.is_empty())
}
