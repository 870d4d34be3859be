//! JUnit XML for other tools: a suite per lane, with run, plan, profile and images as properties.
//!
//! What a tool of the field reads as red is red here: failures, errors and timeouts; besides them an error of its own type
//! for an environment that broke, so that a run without a verdict never looks green. Cases that did not run are there as
//! skipped, with the reason.

use std::io::{self, Write};
use std::time::Duration;

use chrono::{DateTime, Utc};
use jiff::Timestamp;
use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestRerun, TestSuite};
use testbed_model::case::{Case, CaseResult, Outcome};
use testbed_model::lane::LaneId;
use testbed_model::plan::SkippedLane;
use testbed_model::stack::Millis;
use testbed_model::triage::{Diagnoses, Diagnosis, Subject};

use crate::neutral;
use crate::stack_failure;
use crate::story::{CaseStory, ImageState, LanePhase, LaneStory, Story};
use crate::style::{Glyphs, Style};
use crate::verdict::{environment_fault, exited};

/// The case that stands for a lane as a whole.
const WHOLE_LANE: &str = "[lane]";

/// Writes the story as JUnit XML.
pub fn write(story: &Story, out: impl Write) -> io::Result<()> {
    report(story).serialize(out).map_err(io::Error::other)
}

fn report(story: &Story) -> Report {
    let mut report = Report::new(format!("testbed {}", story.subject()));
    report.set_time(Duration::from_millis(story.took_ms()));
    if let Some(at) = story.head.as_ref().and_then(|head| chrono_time(head.at, 0)) {
        report.set_timestamp(at);
    }
    let told = story.diagnoses();
    let mut properties = run_properties(story);
    if let Some(diagnosis) = told.of(&Subject::Run) {
        properties.extend(cause(diagnosis));
    }
    for lane in &story.lanes {
        report.add_test_suite(lane_suite(story, lane, told, &properties));
    }
    for skip in story.head.iter().flat_map(|head| &head.skipped) {
        report.add_test_suite(skipped_suite(skip, &properties));
    }
    if let Some(suite) = stacks_suite(story, told, &properties) {
        report.add_test_suite(suite);
    }
    report
}

fn run_properties(story: &Story) -> Vec<Property> {
    let mut out = Vec::new();
    let mut add = |name: &str, value: &str| out.push(Property::new(format!("testbed.{name}"), value));
    if let Some(head) = &story.head {
        add("run", head.run.as_str());
        if let Some(tier) = head.tier {
            add("tier", tier.name());
        }
        if let Some(plan) = &head.plan {
            add("plan", plan);
        }
        add("profiles", &head.profiles.join(" "));
        add("record", &head.folder);
    }
    for image in &story.images {
        if let ImageState::Ready { reference, id, .. } = &image.state {
            add(&format!("image.{}", image.name), &format!("{reference} {id}"));
        }
    }
    match story.end {
        Some(end) => add("exit_code", &end.exit_code.number().to_string()),
        None => add("unfinished", "the run has no end"),
    }
    if let Some(fault) = environment_fault(story) {
        add("environment_fault", &neutral::line(&fault));
    }
    out
}

/// Whose fault a failure is, and what shows it, as properties of its own.
fn cause(diagnosis: &Diagnosis) -> Vec<Property> {
    let mut out = vec![
        Property::new("testbed.cause", diagnosis.cause.word()),
        Property::new("testbed.cause.because", diagnosis.because.as_str()),
    ];
    out.extend(diagnosis.evidence.iter().map(|one| {
        let text = format!("{} {}: {}", one.at, one.source, one.quote);
        Property::new("testbed.evidence", neutral::line(&text).as_str())
    }));
    out
}

fn lane_suite(story: &Story, lane: &LaneStory, told: &Diagnoses, properties: &[Property]) -> TestSuite {
    let mut suite = TestSuite::new(lane.id.to_string());
    suite.add_properties(properties.iter().cloned());
    suite.add_property(("testbed.suite", lane.id.suite.as_str()));
    if let Some(profile) = &lane.id.profile {
        suite.add_property(("testbed.profile", profile.as_str()));
    }
    if let Some(environment) = &lane.environment {
        suite.add_property(("testbed.environment", environment.0.as_str()));
    }
    if let Some(waited) = lane.waited_ms {
        suite.add_property(("testbed.waited_ms", waited.to_string().as_str()));
    }
    if let Some(at) = lane.started.and_then(|at| chrono_time(at, 0)) {
        suite.set_timestamp(at);
    }
    if let Some(took) = lane.took_ms {
        suite.set_time(Duration::from_millis(took));
    }
    for case in &lane.results {
        let mut one = finished_case(lane, case);
        if let Some(diagnosis) = told.of_case(&lane.id, &case.result.case.id) {
            one.properties.extend(cause(diagnosis));
        }
        suite.add_test_case(one);
    }
    let reason = format!("not run: {}", story.why_cut_short(lane));
    for case in lane.without_result() {
        let mut status = TestCaseStatus::skipped();
        status.set_message(reason.as_str()).set_type("not run");
        suite.add_test_case(located(case, &lane.id.to_string(), status));
    }
    let unheard = lane.interrupted || lane.phase != LanePhase::Finished;
    if !lane.failed_itself() && unheard && suite.test_cases.is_empty() {
        suite.add_test_case(whole_lane(&lane.id, "not run", &reason));
    }
    if let Some(failure) = lane.failure.as_ref().filter(|_| lane.failed_itself()) {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        let kind = if failure.environment { "environment" } else { "tool" };
        status.set_type(kind).set_message(neutral::line(&failure.message));
        status.set_description([failure.message.as_str(), &failure.log.join("\n")].join("\n"));
        let mut case = TestCase::new(WHOLE_LANE, status);
        case.set_classname(lane.id.to_string());
        if let Some(diagnosis) = told.of_lane(&lane.id) {
            case.properties.extend(cause(diagnosis));
        }
        suite.add_test_case(case);
    }
    suite
}

fn finished_case(lane: &LaneStory, case: &CaseStory) -> TestCase {
    let result = &case.result;
    let mut out = located(&result.case, &lane.id.to_string(), status(result));
    out.set_time(Duration::from_millis(result.duration_ms));
    if let Some(rounds) = result.rounds {
        out.add_property(("testbed.rounds", rounds.executed.to_string().as_str()));
        out.add_property(("testbed.rounds_failed", rounds.failed.to_string().as_str()));
    }
    if let Some(started) = chrono_time(case.ended, result.duration_ms) {
        out.set_timestamp(started);
    }
    let windows = case.service_logs.iter().map(|window| {
        let more =
            if window.omitted > 0 { format!(" ({} lines before)", window.omitted) } else { String::new() };
        format!("--- log of {}{more} ---\n{}", window.service, window.lines.join("\n"))
    });
    let printed = Some(result.output.trim_end().to_owned()).filter(|output| !output.is_empty());
    let printed: Vec<String> = printed.into_iter().chain(windows).collect();
    if !printed.is_empty() {
        out.set_system_out(printed.join("\n"));
    }
    out
}

fn status(result: &CaseResult) -> TestCaseStatus {
    let mut status = match result.outcome {
        Outcome::Passed => TestCaseStatus::success(),
        Outcome::Failed | Outcome::TimedOut => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Outcome::Error => TestCaseStatus::non_success(NonSuccessKind::Error),
        Outcome::Skipped | Outcome::ExpectedFailure | Outcome::Interrupted => TestCaseStatus::skipped(),
    };
    let message = result.message.as_deref().unwrap_or_default();
    status.set_type(result.outcome.word());
    if !message.is_empty() {
        status.set_message(neutral::line(message));
    }
    if result.outcome.is_red() {
        status.set_description(result.details.as_deref().unwrap_or(message));
    }
    for round in (1..result.rounds.map_or(0, |rounds| rounds.failed)).take(10) {
        let mut rerun = TestRerun::new(NonSuccessKind::Failure);
        let of = result.rounds.map_or(0, |rounds| rounds.executed);
        rerun.set_type("failed").set_message(format!("failure {} of {of} rounds", round + 1));
        status.add_rerun(rerun);
    }
    // A tool reports what its last attempt came to, and for a flaky case, where it can, what the failed one said.
    for attempt in (1..result.attempts).take(10) {
        let mut rerun = TestRerun::new(NonSuccessKind::Failure);
        rerun.set_type("failed").set_message(format!("attempt {attempt} of {}", result.attempts));
        if result.outcome == Outcome::Passed && attempt + 1 == result.attempts {
            if !message.is_empty() {
                rerun.set_message(neutral::line(message));
            }
            if let Some(details) = &result.details {
                rerun.set_description(details.as_str());
            }
        }
        status.add_rerun(rerun);
    }
    status
}

/// A case with its id, place and markers.
fn located(case: &Case, class: &str, status: TestCaseStatus) -> TestCase {
    let mut out = TestCase::new(case.id.as_str(), status);
    out.set_classname(class);
    if let Some(file) = &case.file {
        out.extra.insert("file".into(), file.as_str().into());
    }
    if let Some(line) = case.line {
        out.extra.insert("line".into(), line.to_string().into());
    }
    if !case.markers.is_empty() {
        out.add_property(("markers", case.markers.join(" ").as_str()));
    }
    out
}

fn skipped_suite(skip: &SkippedLane, properties: &[Property]) -> TestSuite {
    let mut suite = TestSuite::new(skip.lane.to_string());
    suite.add_properties(properties.iter().cloned());
    suite.add_test_case(whole_lane(&skip.lane, "not planned", &skip.reason));
    suite
}

/// The skipped case that stands for a lane of which no case is known.
fn whole_lane(lane: &LaneId, kind: &str, reason: &str) -> TestCase {
    let mut status = TestCaseStatus::skipped();
    status.set_type(kind).set_message(reason);
    let mut case = TestCase::new(WHOLE_LANE, status);
    case.set_classname(lane.to_string());
    case
}

/// Stacks that did not come up and services that died, as errors of the environment; none where all was well.
fn stacks_suite(story: &Story, told: &Diagnoses, properties: &[Property]) -> Option<TestSuite> {
    let style = Style { colours: false, glyphs: Glyphs::Unicode, width: 120 };
    let mut suite = TestSuite::new("testbed.environment");
    suite.add_properties(properties.iter().cloned());
    let mut add = |name: String, message: String, description: String, its: Option<&Diagnosis>| {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_type("environment").set_message(message).set_description(description);
        let mut case = TestCase::new(name, status);
        case.set_classname("testbed.environment");
        case.properties.extend(its.into_iter().flat_map(cause));
        suite.add_test_case(case);
    };
    for stack in &story.stacks {
        if let Some(failure) = &stack.failure {
            let lines = stack_failure::lines(failure, &style);
            let message = format!("stack `{}` did not come up", stack.name);
            let its = told.of_stack(&stack.name);
            add(format!("[stack {}]", stack.name), message, lines.join("\n"), its);
        }
    }
    for (stack, service) in story.dead_services().filter(|(stack, _)| stack.failure.is_none()) {
        let message = format!("`{}` of stack `{}` {}", service.name, stack.name, exited(&service.phase));
        let its = told.of_service(&stack.name, &service.name);
        add(format!("[stack {}] {}", stack.name, service.name), message.clone(), message, its);
    }
    (!suite.test_cases.is_empty()).then_some(suite)
}

/// A time, `earlier_ms` before; none before 1970, which no clock of a run shows.
fn chrono_time(at: Timestamp, earlier_ms: Millis) -> Option<DateTime<Utc>> {
    let millis = at.as_millisecond().checked_sub(i64::try_from(earlier_ms).ok()?)?;
    DateTime::from_timestamp_millis(millis).filter(|_| millis >= 0)
}
