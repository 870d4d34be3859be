//! What is heard of a lane becomes events, and the lane's book is kept.

use std::collections::VecDeque;
use std::time::Duration;

use testbed_model::case::{Case, CaseResult, Counts, Outcome};
use testbed_model::event::{Event, Finding, LaneFailure, LogWindow};
use testbed_model::lane::{Cases, Lane, LaneId};
use testbed_model::stack::Millis;

use super::{Ends, red};
use crate::events::Events;
use crate::exec::heard::{Decoder, Heard, bare_case};
use crate::exec::job::Said;
use crate::exec::ledger::{Cut, Ledger};
use crate::exec::rounds::LaneRounds;
use crate::stack::LiveStack;

/// How many lines of each service's log a red case shows.
const WINDOW_LINES: usize = 20;

/// Logs arrive a moment after they were written. So many red cases wait that long for theirs; when there are more, what
/// is wrong is in the first ones.
const LOG_DELAY: Duration = Duration::from_millis(120);
const PATIENT_CASES: u32 = 20;

/// How long the daemon may take to show its containers.
const LOOK_PATIENCE: Duration = Duration::from_secs(2);

/// How many of the tool's last lines a failure of the lane shows.
const LAST_LINES: usize = 40;

/// One lane's book.
pub(super) struct Book<'a> {
    events: &'a Events,
    lane: &'a LaneId,
    /// The cases that the plan names, where it does.
    planned: Option<&'a Cases>,
    withheld_told: bool,
    /// The profile of the lane's stack.
    profile: Option<&'a str>,
    /// The stack itself, where it can be looked at.
    stack: Option<&'a LiveStack>,
    decoder: Box<dyn Decoder>,
    ledger: Ledger,
    ends: Ends,
    last_lines: VecDeque<String>,
    agent_failed: Option<String>,
    exited: bool,
    rounds: Option<&'a LaneRounds>,
}

impl<'a> Book<'a> {
    pub(super) fn new(
        events: &'a Events,
        lane: &'a Lane,
        profile: Option<&'a str>,
        decoder: Box<dyn Decoder>,
    ) -> Self {
        Self {
            events,
            lane: &lane.id,
            planned: lane.cases.as_ref(),
            withheld_told: false,
            profile,
            stack: None,
            decoder,
            ledger: Ledger::default(),
            ends: Ends::new(),
            last_lines: VecDeque::new(),
            agent_failed: None,
            exited: false,
            rounds: None,
        }
    }

    /// Of a lane that is executed several times.
    pub(super) const fn in_rounds(mut self, rounds: Option<&'a LaneRounds>) -> Self {
        self.rounds = rounds;
        self
    }

    /// With the stack to look at when a case is red.
    pub(super) const fn beside(mut self, stack: Option<&'a LiveStack>) -> Self {
        self.stack = stack;
        self
    }

    /// Takes one thing that the agent said.
    pub(super) async fn hear(&mut self, said: Said) {
        match &said {
            Said::StepFinished { step, end, .. } => {
                self.ends.insert(step.clone(), end.clone());
            }
            Said::Full { path, total_bytes } => {
                let finding = Finding::DiskFull { path: path.clone(), total_bytes: *total_bytes };
                self.events.emit(Event::Found { lane: self.lane.clone(), service: None, finding });
            }
            Said::Failed { message } => self.agent_failed = Some(message.clone()),
            Said::Exit { .. } => self.exited = true,
            Said::Line { line, .. } => {
                self.last_lines.push_back(line.clone());
                if self.last_lines.len() > LAST_LINES {
                    self.last_lines.pop_front();
                }
            }
            _ => {}
        }
        for heard in self.decoder.hear(&said) {
            self.take(heard).await;
        }
    }

    async fn take(&mut self, heard: Heard) {
        let lane = self.lane.clone();
        match heard {
            Heard::Collected { cases, deselected } => {
                self.ledger.collected(&cases);
                // What a lane is to execute is the plan's word; what else is in its files, the plan has told.
                let deselected = if self.planned.is_some() { 0 } else { deselected };
                if self.is_first_round() {
                    self.events.emit(Event::CasesCollected { lane, cases, deselected });
                }
                self.tell_withheld().await;
            }
            Heard::Started { case, at } => {
                let began_ms =
                    at.map_or_else(|| self.now_ms(), |at| self.events.clock().elapsed_us_at(at) / 1000);
                if self.ledger.started(&case, began_ms) && self.is_first_round() {
                    self.events.emit(Event::CaseStarted { lane, case });
                }
            }
            Heard::Finished(result) => {
                if let Some((result, began)) = self.ledger.finished(result, self.now_ms()) {
                    self.tell(result, began).await;
                }
            }
            Heard::Output(printed) => self.events.emit(Event::LaneOutput { lane, line: printed }),
        }
    }

    /// Ends what has not ended.
    pub(super) async fn close(&mut self, cut: &Cut) {
        self.tell_withheld().await;
        self.tell_missing(cut).await;
        for (result, began) in self.ledger.close(cut, self.now_ms()) {
            self.tell(result, began).await;
        }
    }

    /// Cases that were asked for and are not executed end at once, with their reason.
    async fn tell_withheld(&mut self) {
        let Some(planned) = self.planned.filter(|_| !self.withheld_told) else { return };
        self.withheld_told = true;
        let cases: Vec<Case> = planned.withheld.iter().map(|withheld| bare_case(&withheld.id)).collect();
        self.announce(cases);
        for withheld in &planned.withheld {
            let reason = Some(withheld.reason.clone());
            self.end(bare_case(&withheld.id), Outcome::Skipped, reason).await;
        }
    }

    /// Cases that the plan names and the tool never announced are not lost. Where the tool ended by itself, it does not know
    /// them any more; otherwise they share the fate of those that did not start.
    async fn tell_missing(&mut self, cut: &Cut) {
        let Some(planned) = self.planned else { return };
        let unknown = planned.ids.iter().filter(|id| !self.ledger.knows(id));
        let missing: Vec<Case> = unknown.map(bare_case).collect();
        self.announce(missing.clone());
        if matches!(cut, Cut::ToolEnded(_)) {
            for case in missing {
                let message = "it was planned, and its tool did not collect it".to_owned();
                self.end(case, Outcome::Error, Some(message)).await;
            }
        }
    }

    fn announce(&mut self, cases: Vec<Case>) {
        if cases.is_empty() {
            return;
        }
        self.ledger.collected(&cases);
        if self.is_first_round() {
            self.events.emit(Event::CasesCollected { lane: self.lane.clone(), cases, deselected: 0 });
        }
    }

    async fn end(&mut self, case: Case, outcome: Outcome, message: Option<String>) {
        let result = CaseResult { message, ..CaseResult::new(case, outcome) };
        if let Some((result, began)) = self.ledger.finished(result, self.now_ms()) {
            self.tell(result, began).await;
        }
    }

    /// The case that should have been ended by its tool `watched_ms` after its start, if there is one.
    pub(super) fn overdue(&self, watched_ms: Millis, limit_ms: Millis) -> Option<Cut> {
        let case = self.ledger.overdue(self.now_ms(), watched_ms)?.to_owned();
        Some(Cut::CaseOverdue { case, limit_ms })
    }

    pub(super) fn take_times(&mut self) -> Vec<(String, Millis)> {
        self.ledger.take_times()
    }

    pub(super) const fn counts(&self) -> Counts {
        self.ledger.counts()
    }

    pub(super) fn agent_failed(&self) -> Option<&str> {
        self.agent_failed.as_deref()
    }

    pub(super) const fn has_exited(&self) -> bool {
        self.exited
    }

    /// Why the lane failed beyond its cases, by what its tool said.
    pub(super) fn judge(&self) -> Option<String> {
        self.decoder.judge(&self.ends, red(&self.ledger.counts()))
    }

    /// Whether that is its environment's fault.
    pub(super) fn blames_environment(&self) -> bool {
        self.decoder.blames_environment(&self.ends)
    }

    pub(super) fn failure(&self, message: String, environment: bool) -> LaneFailure {
        LaneFailure { message, environment, log: self.last_lines.iter().cloned().collect() }
    }

    pub(super) fn warn(&self, message: String, hint: &str) {
        self.events.emit(Event::Warning { message, hint: Some(hint.to_owned()) });
    }

    async fn tell(&self, result: CaseResult, began: Millis) {
        let service_logs = self.logs_of(&result, began).await;
        let told = match self.rounds {
            Some(rounds) => rounds.take(result, service_logs),
            None => Some((result, service_logs)),
        };
        let Some((result, service_logs)) = told else { return };
        self.events.emit(Event::CaseFinished { lane: self.lane.clone(), result, service_logs });
    }

    fn is_first_round(&self) -> bool {
        self.rounds.is_none_or(LaneRounds::is_first)
    }

    async fn logs_of(&self, result: &CaseResult, began_ms: Millis) -> Vec<LogWindow> {
        let Some(profile) = self.profile.filter(|_| result.outcome.is_red()) else { return Vec::new() };
        let ended_us = self.events.clock().elapsed_us();
        if self.ledger.counts().red() <= PATIENT_CASES {
            tokio::join!(tokio::time::sleep(LOG_DELAY), self.look_at_stack());
        }
        self.events.recent_logs(profile, began_ms * 1000, ended_us, WINDOW_LINES)
    }

    /// Tells what the machine shows of the services that a red case has to do with.
    async fn look_at_stack(&self) {
        let Some(stack) = self.stack else { return };
        let found = tokio::time::timeout(LOOK_PATIENCE, stack.findings()).await.unwrap_or_default();
        for (service, finding) in found {
            self.events.emit(Event::Found { lane: self.lane.clone(), service: Some(service), finding });
        }
    }

    fn now_ms(&self) -> Millis {
        self.events.clock().elapsed_ms()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use testbed_model::case::Outcome;
    use testbed_model::event::Event;
    use testbed_model::lane::SuiteKind;

    use super::Book;
    use crate::events::Events;
    use crate::exec::job::{Said, StepEnd};
    use crate::exec::ledger::Cut;
    use crate::exec::pytest::Pytest;
    use crate::exec::site::tests::lane;
    use crate::host::clock::Clock;

    fn event(event: serde_json::Value) -> Said {
        Said::Event { event }
    }

    #[tokio::test]
    async fn a_red_case_shows_what_its_services_logged_meanwhile_and_a_cut_one_is_not_lost() {
        let (events, mut receiver) = Events::channel(Clock::start());
        let lane = lane(SuiteKind::Pytest, "e2e", Some("mocker"));
        let mut book = Book::new(&events, &lane, Some("mocker"), Box::new(Pytest::default()));
        let logged = |line: &str| {
            let (stack, service) = ("mocker".to_owned(), "worker-0".to_owned());
            Event::ServiceLog { stack, service, line: line.to_owned() }
        };
        let log = |text: &str| events.emit(logged(text));
        let cases = json!([{"id": "a"}, {"id": "b"}]);
        book.hear(event(json!({"event": "collected", "cases": cases, "deselected": 1}))).await;
        log("too early");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        book.hear(event(json!({"event": "started", "id": "a"}))).await;
        log("meanwhile");
        // What counts is when a line was written, not when it arrived.
        let (written, telling) = (events.clock().now(), events.clone());
        let (of_the_case, of_the_next) = (logged("late"), logged("too late"));
        let logging = tokio::spawn(async move {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            telling.emit_written(of_the_case, written);
            telling.emit(of_the_next);
        });
        book.hear(event(json!({"event": "finished", "id": "a", "outcome": "failed"}))).await;
        logging.await.unwrap();
        book.hear(event(json!({"event": "started", "id": "b"}))).await;
        let end = StepEnd::Signal(11);
        book.hear(Said::StepFinished { step: "pytest".to_owned(), end, took_ms: 1 }).await;
        let judged = book.judge().unwrap();
        book.close(&Cut::ToolEnded(judged)).await;
        let mut finished = Vec::new();
        while let Ok(stamped) = receiver.try_recv() {
            if let Event::CaseFinished { result, service_logs, .. } = stamped.event {
                finished.push((result.case.id, result.outcome, result.message, service_logs));
            }
        }
        assert_eq!(finished.len(), 2);
        assert_eq!(finished[0].3[0].lines, ["meanwhile", "late"]);
        let message = "it was running when pytest was ended by signal 11";
        assert_eq!((finished[1].1, finished[1].2.as_deref()), (Outcome::Error, Some(message)));
        assert_eq!(book.counts().red(), 2);
    }
}
