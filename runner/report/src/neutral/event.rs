//! A whole event made harmless, so that nothing that shows can forget a field.

use testbed_model::case::{Case, CaseResult};
use testbed_model::event::{Event, Finding, LaneFailure, LogWindow, StackFailure, StackFailureCause};
use testbed_model::lane::LaneId;
use testbed_model::models::ModelContent;
use testbed_model::plan::{PlanId, SkipCount, SkippedLane};
use testbed_model::record::EnvironmentId;

use super::{line, text};

/// Whether a person is shown anything of the event. Services write their logs into the record; only excerpts are shown.
pub const fn shows(event: &Event) -> bool {
    !matches!(event, Event::ServiceLog { .. } | Event::Sampled { .. })
}

/// The event with every text in it made harmless.
pub fn neutral(event: &Event) -> Event {
    run(event)
        .or_else(|| image(event))
        .or_else(|| model(event))
        .or_else(|| stack(event))
        .unwrap_or_else(|| lane(event))
}

fn run(event: &Event) -> Option<Event> {
    Some(match event {
        Event::RunStarted { run, tier, plan, profiles, lanes, skipped, left_out, folder } => {
            Event::RunStarted {
                run: run.clone(),
                tier: *tier,
                plan: plan.as_ref().map(|id| PlanId(line(&id.0))),
                profiles: each(profiles),
                lanes: lanes.iter().map(lane_id).collect(),
                skipped: skipped
                    .iter()
                    .map(|skip| SkippedLane { lane: lane_id(&skip.lane), reason: line(&skip.reason) })
                    .collect(),
                left_out: left_out
                    .iter()
                    .map(|left| SkipCount {
                        suite: line(&left.suite),
                        reason: line(&left.reason),
                        cases: left.cases,
                    })
                    .collect(),
                folder: line(folder),
            }
        }
        Event::EnvironmentResolved { lane, environment } => Event::EnvironmentResolved {
            lane: lane_id(lane),
            environment: EnvironmentId(line(&environment.0)),
        },
        Event::Warning { message, hint } => {
            Event::Warning { message: text(message), hint: hint.as_deref().map(text) }
        }
        Event::Interrupted { signal } => Event::Interrupted { signal: line(signal) },
        Event::RunFinished { .. } => event.clone(),
        _ => return None,
    })
}

fn image(event: &Event) -> Option<Event> {
    Some(match event {
        Event::ImageProgress { image, step, done, total } => {
            Event::ImageProgress { image: line(image), step: line(step), done: *done, total: *total }
        }
        Event::ImageReady { image, reference, id, origin } => Event::ImageReady {
            image: line(image),
            reference: line(reference),
            id: line(id),
            origin: *origin,
        },
        _ => return None,
    })
}

fn model(event: &Event) -> Option<Event> {
    Some(match event {
        Event::ModelProgress { model, step, done, total } => {
            Event::ModelProgress { model: line(model), step: line(step), done: *done, total: *total }
        }
        Event::ModelReady { model, content, origin } => {
            Event::ModelReady { model: line(model), content: ModelContent(line(&content.0)), origin: *origin }
        }
        _ => return None,
    })
}

fn stack(event: &Event) -> Option<Event> {
    Some(match event {
        Event::StackStarting { stack, services } => {
            Event::StackStarting { stack: line(stack), services: each(services) }
        }
        Event::ServiceStarting { stack, service } => {
            Event::ServiceStarting { stack: line(stack), service: line(service) }
        }
        Event::ServiceStarted { stack, service, container } => {
            Event::ServiceStarted { stack: line(stack), service: line(service), container: line(container) }
        }
        Event::ProbeAnswered { stack, service, answer } => {
            Event::ProbeAnswered { stack: line(stack), service: line(service), answer: line(answer) }
        }
        Event::ServiceReady { stack, service } => {
            Event::ServiceReady { stack: line(stack), service: line(service) }
        }
        Event::ServiceExited { stack, service, exit_code, oom_killed, expected } => Event::ServiceExited {
            stack: line(stack),
            service: line(service),
            exit_code: *exit_code,
            oom_killed: *oom_killed,
            expected: *expected,
        },
        Event::StackReady { stack, took_ms } => Event::StackReady { stack: line(stack), took_ms: *took_ms },
        Event::StackFailed { stack, failure } => {
            Event::StackFailed { stack: line(stack), failure: stack_failure(failure) }
        }
        Event::StackStopping { stack } => Event::StackStopping { stack: line(stack) },
        Event::StackStopped { stack, took_ms } => {
            Event::StackStopped { stack: line(stack), took_ms: *took_ms }
        }
        Event::GpusGranted { stack, services } => Event::GpusGranted {
            stack: line(stack),
            services: services.iter().map(|(service, gpus)| (line(service), gpus.clone())).collect(),
        },
        Event::StackAdopted { stack, run, services, down } => Event::StackAdopted {
            stack: line(stack),
            run: run.clone(),
            services: each(services),
            down: each(down),
        },
        Event::StackKept { stack, network, until } => {
            Event::StackKept { stack: line(stack), network: line(network), until: *until }
        }
        Event::ServiceLog { stack, service, line: log } => {
            Event::ServiceLog { stack: line(stack), service: line(service), line: line(log) }
        }
        Event::Sampled { stack, service, source, figures } => Event::Sampled {
            stack: line(stack),
            service: line(service),
            source: *source,
            figures: figures.iter().map(|(name, value)| (line(name), *value)).collect(),
        },
        _ => return None,
    })
}

fn lane(event: &Event) -> Event {
    match event {
        Event::LanePreparing { lane, step } => Event::LanePreparing { lane: lane_id(lane), step: line(step) },
        Event::LaneStarted { lane, waited_ms } => {
            Event::LaneStarted { lane: lane_id(lane), waited_ms: *waited_ms }
        }
        Event::CasesCollected { lane, cases, deselected } => Event::CasesCollected {
            lane: lane_id(lane),
            cases: cases.iter().map(case).collect(),
            deselected: *deselected,
        },
        Event::CaseStarted { lane, case } => Event::CaseStarted { lane: lane_id(lane), case: line(case) },
        Event::CaseFinished { lane, result, service_logs } => Event::CaseFinished {
            lane: lane_id(lane),
            result: case_result(result),
            service_logs: service_logs
                .iter()
                .map(|window| LogWindow {
                    service: line(&window.service),
                    lines: each(&window.lines),
                    omitted: window.omitted,
                })
                .collect(),
        },
        Event::LaneOutput { lane, line: output } => {
            Event::LaneOutput { lane: lane_id(lane), line: line(output) }
        }
        Event::Found { lane, service, finding } => Event::Found {
            lane: lane_id(lane),
            service: service.as_deref().map(line),
            finding: match finding {
                Finding::Halted { state } => Finding::Halted { state: line(state) },
                Finding::DiskFull { path, total_bytes } => {
                    Finding::DiskFull { path: line(path), total_bytes: *total_bytes }
                }
            },
        },
        Event::LaneFinished { lane, counts, took_ms, failure } => Event::LaneFinished {
            lane: lane_id(lane),
            counts: *counts,
            took_ms: *took_ms,
            failure: failure.as_ref().map(|failure| LaneFailure {
                message: text(&failure.message),
                environment: failure.environment,
                log: each(&failure.log),
            }),
        },
        other => other.clone(),
    }
}

fn each(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| line(text)).collect()
}

fn lane_id(id: &LaneId) -> LaneId {
    LaneId {
        suite: line(&id.suite),
        part: id.part.as_deref().map(line),
        profile: id.profile.as_deref().map(line),
    }
}

fn case(case: &Case) -> Case {
    Case {
        id: line(&case.id),
        file: case.file.as_deref().map(line),
        line: case.line,
        markers: each(&case.markers),
    }
}

fn case_result(result: &CaseResult) -> CaseResult {
    CaseResult {
        case: case(&result.case),
        outcome: result.outcome,
        duration_ms: result.duration_ms,
        attempts: result.attempts,
        rounds: result.rounds,
        message: result.message.as_deref().map(text),
        details: result.details.as_deref().map(text),
        output: text(&result.output),
    }
}

fn stack_failure(failure: &StackFailure) -> StackFailure {
    StackFailure {
        service: failure.service.as_deref().map(line),
        cause: match &failure.cause {
            StackFailureCause::TimedOut { after_ms, waiting_for } => {
                StackFailureCause::TimedOut { after_ms: *after_ms, waiting_for: line(waiting_for) }
            }
            StackFailureCause::Daemon { message } => StackFailureCause::Daemon { message: text(message) },
            other => other.clone(),
        },
        last_answer: failure.last_answer.as_deref().map(line),
        log: each(&failure.log),
        chain: each(&failure.chain),
    }
}
