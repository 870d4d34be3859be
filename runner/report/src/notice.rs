//! One event as one line for a person: what the live view leaves standing above its picture, and what the log consists of.

use testbed_model::case::{CaseResult, Counts, Outcome};
use testbed_model::event::{Event, ImageOrigin, LaneFailure, ModelOrigin, StackFailure};
use testbed_model::lane::LaneId;
use testbed_model::stack::Millis;

use crate::quantity::{bytes, count, duration, moment, waited};
use crate::row::Row;
use crate::story::{ImageState, ModelState, ServiceStory, Story};
use crate::style::{Glyphs, Tone};
use crate::verdict::{ended, fault};

/// One line, and what belongs below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    /// The word at the line's start.
    pub(crate) verb: &'static str,
    /// The word's tone.
    pub(crate) tone: Tone,
    /// The rest of the line.
    pub(crate) row: Row,
    /// A text whose end says most and that stands last in the line, such as a case's id.
    pub(crate) tail: Option<String>,
    /// Lines below.
    pub(crate) below: Vec<String>,
    /// Who needs it.
    pub(crate) level: Level,
}

/// Who needs a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Also somebody who watches the live view.
    News,
    /// Only the reader of a log.
    Detail,
}

/// The columns of the word at a line's start.
pub(crate) const VERB_WIDTH: usize = 8;

/// The most lines of a red case's message that stand below it.
const MESSAGE_LINES: usize = 4;

impl Notice {
    const fn news(verb: &'static str, tone: Tone, row: Row) -> Self {
        Self { verb, tone, row, tail: None, below: Vec::new(), level: Level::News }
    }

    fn detail(verb: &'static str, row: Row) -> Self {
        Self { level: Level::Detail, ..Self::news(verb, Tone::Step, row) }
    }
}

/// The notice of an event whose texts are harmless. `before` is the story as it was before the event.
pub(crate) fn notice(event: &Event, elapsed_us: u64, before: &Story, glyphs: Glyphs) -> Option<Notice> {
    run(event, glyphs)
        .or_else(|| image(event, elapsed_us, before))
        .or_else(|| model(event, elapsed_us, before))
        .or_else(|| service(event, elapsed_us, before))
        .or_else(|| stack(event, glyphs))
        .or_else(|| lane(event, glyphs))
        .map(|notice| match event {
            // That lanes end after a signal is no news.
            Event::LaneFinished { failure: Some(_), .. } if before.interrupted.is_some() => {
                Notice { verb: "Lane", tone: Tone::Warn, level: Level::Detail, ..notice }
            }
            _ => notice,
        })
}

fn run(event: &Event, glyphs: Glyphs) -> Option<Notice> {
    let dot = glyphs.dot();
    Some(match event {
        Event::RunStarted { run, tier, plan, profiles, skipped, .. } => {
            let mut row = Row::new();
            if let Some(tier) = tier {
                row = row.with(Tone::Strong, tier.name()).dim(format!(" {dot} "));
            }
            row = row.plain(run.as_str());
            if let Some(plan) = plan {
                row = row.dim(format!(" {dot} plan {}", plan.0));
            }
            if !profiles.is_empty() {
                row = row.dim(format!(" {dot} {}", profiles.join(", ")));
            }
            let below =
                skipped.iter().map(|skip| format!("without {}: {}", skip.lane, skip.reason)).collect();
            Notice { below, ..Notice::news("Run", Tone::Good, row) }
        }
        Event::Warning { message, hint } => {
            let mut lines = message.lines();
            let row = Row::new().plain(lines.next().unwrap_or_default());
            let hint = hint.as_deref().unwrap_or_default().lines().enumerate();
            let hint =
                hint.map(|(index, line)| format!("{} {line}", if index == 0 { "hint:" } else { "     " }));
            let below = lines.map(str::to_owned).chain(hint).collect();
            Notice { below, ..Notice::news("Warning", Tone::Warn, row) }
        }
        Event::Interrupted { signal } => {
            Notice::news("Stopped", Tone::Warn, Row::new().plain(format!("by {signal}; tearing down")))
        }
        Event::RunFinished { exit_code, took_ms, counts, .. } => {
            let row = Row::new()
                .plain(format!("exit {}: {}", exit_code.number(), exit_code.meaning()))
                .dim(format!(" {dot} {} {dot} {}", in_words(counts), duration(*took_ms)));
            Notice::detail("End", row)
        }
        _ => return None,
    })
}

fn image(event: &Event, elapsed_us: u64, before: &Story) -> Option<Notice> {
    let known = |name: &str| before.images.iter().find(|image| image.name == name);
    match event {
        Event::ImageProgress { image, step, total, .. } => {
            let same = matches!(
                known(image).map(|image| &image.state),
                Some(ImageState::Working { step: last, .. }) if last == step
            );
            let size = total.map(|total| format!(" ({})", bytes(total))).unwrap_or_default();
            let row = Row::new().with(Tone::Strong, image).plain(format!(": {step}{size}"));
            (!same).then(|| Notice::detail("Image", row))
        }
        Event::ImageReady { image, reference, origin, .. } => {
            let how = match origin {
                ImageOrigin::Present => "is there",
                ImageOrigin::Built => "built",
                ImageOrigin::Loaded => "loaded",
                ImageOrigin::Pulled => "pulled",
            };
            let took = known(image)
                .filter(|_| *origin != ImageOrigin::Present)
                .map(|image| format!(" in {}", duration(since(image.began_us, elapsed_us))))
                .unwrap_or_default();
            let row = Row::new()
                .with(Tone::Strong, image)
                .plain(format!(" {how}{took}"))
                .dim(format!("  {reference}"));
            Some(if *origin == ImageOrigin::Present {
                Notice::detail("Image", row)
            } else {
                Notice::news("Image", Tone::Good, row)
            })
        }
        _ => None,
    }
}

fn model(event: &Event, elapsed_us: u64, before: &Story) -> Option<Notice> {
    let known = |name: &str| before.models.iter().find(|model| model.name == name);
    match event {
        Event::ModelProgress { model, step, total, .. } => {
            let same = matches!(
                known(model).map(|model| &model.state),
                Some(ModelState::Working { step: last, .. }) if last == step
            );
            let size = total.map(|total| format!(" ({} in all)", bytes(total))).unwrap_or_default();
            let row = Row::new().with(Tone::Strong, model).plain(format!(": {step}{size}"));
            (!same).then(|| Notice::detail("Model", row))
        }
        Event::ModelReady { model, content, origin } => {
            let how = match origin {
                ModelOrigin::Present => "is here",
                ModelOrigin::Made => "made",
                ModelOrigin::Fetched => "fetched",
                ModelOrigin::Imported => "imported",
            };
            let took = known(model)
                .filter(|_| *origin != ModelOrigin::Present)
                .map(|model| format!(" in {}", duration(since(model.began_us, elapsed_us))))
                .unwrap_or_default();
            let row = Row::new()
                .with(Tone::Strong, model)
                .plain(format!(" {how}{took}"))
                .dim(format!("  {content}"));
            Some(if *origin == ModelOrigin::Present {
                Notice::detail("Model", row)
            } else {
                Notice::news("Model", Tone::Good, row)
            })
        }
        _ => None,
    }
}

fn known<'a>(story: &'a Story, stack: &str, service: &str) -> Option<&'a ServiceStory> {
    let stack = story.stacks.iter().find(|known| known.name == stack)?;
    stack.services.iter().find(|known| known.name == service)
}

fn service(event: &Event, elapsed_us: u64, before: &Story) -> Option<Notice> {
    let name = |stack: &str, service: &str| {
        Row::new().dim(format!("{stack}: ")).with(Tone::Strong, service.to_owned())
    };
    match event {
        Event::ServiceStarted { stack, service, .. } => {
            Some(Notice::detail("Service", name(stack, service).plain(" started")))
        }
        Event::ProbeAnswered { stack, service, answer } => {
            // A service may be asked by several probes at once; the same words are told once.
            let same =
                known(before, stack, service).is_some_and(|known| known.answer.as_ref() == Some(answer));
            (!same).then(|| Notice::detail("Probe", name(stack, service).plain(format!(": {answer}"))))
        }
        Event::ServiceReady { stack, service } => {
            let took = known(before, stack, service)
                .map(|known| format!(" after {}", duration(since(known.began_us, elapsed_us))))
                .unwrap_or_default();
            Some(Notice::detail("Service", name(stack, service).plain(format!(" ready{took}"))))
        }
        Event::ServiceExited { stack, service, exit_code, oom_killed, expected } => {
            let row = name(stack, service).plain(format!(" {}", ended(*exit_code, *oom_killed)));
            Some(if *expected {
                Notice::detail("Service", row.dim(", as a case asked"))
            } else {
                Notice::news("Died", Tone::Broken, row)
            })
        }
        _ => None,
    }
}

fn stack(event: &Event, glyphs: Glyphs) -> Option<Notice> {
    Some(match event {
        Event::StackStarting { stack, services } => {
            let row = Row::new()
                .with(Tone::Strong, stack)
                .plain(format!(": starting {}", count(services.len(), "service")))
                .dim(format!(": {}", services.join(", ")));
            Notice::detail("Stack", row)
        }
        Event::StackReady { stack, took_ms } => {
            let row =
                Row::new().with(Tone::Strong, stack).plain(format!(" ready after {}", duration(*took_ms)));
            Notice::news("Stack", Tone::Good, row)
        }
        Event::StackFailed { stack, failure } => stack_failed(stack, failure, glyphs),
        Event::StackStopping { stack } => {
            Notice::detail("Stack", Row::new().with(Tone::Strong, stack).plain(" stopping"))
        }
        Event::StackStopped { stack, took_ms } => {
            let row =
                Row::new().with(Tone::Strong, stack).plain(format!(" gone after {}", duration(*took_ms)));
            Notice::detail("Stack", row)
        }
        Event::GpusGranted { stack, services } => {
            let of_service = |(service, gpus): (&String, &Vec<u32>)| {
                let gpus: Vec<String> = gpus.iter().map(u32::to_string).collect();
                format!("{service} has GPU {}", gpus.join(", "))
            };
            let told: Vec<String> = services.iter().map(of_service).collect();
            Notice::detail(
                "GPUs",
                Row::new().with(Tone::Strong, stack).plain(format!(": {}", told.join("; "))),
            )
        }
        Event::StackAdopted { stack, run, services, down } => {
            let stands = format!(" stands since run {run}: {}", count(services.len(), "service"));
            let mut row = Row::new().with(Tone::Strong, stack).plain(stands);
            if !down.is_empty() {
                row = row.with(Tone::Warn, format!("; down: {}", down.join(", ")));
            }
            Notice::news("Stack", Tone::Good, row)
        }
        Event::StackKept { stack, network, until } => {
            let stays = format!(" stays until {} in network {network}", moment(*until));
            Notice::news("Kept", Tone::Warn, Row::new().with(Tone::Strong, stack).plain(stays))
        }
        _ => return None,
    })
}

fn stack_failed(stack: &str, failure: &StackFailure, glyphs: Glyphs) -> Notice {
    let row = Row::new().with(Tone::Strong, stack).plain(format!(" did not come up: {}", fault(failure)));
    let mut below = Vec::new();
    if failure.chain.len() > 1 {
        below.push(format!("waiting: {}", failure.chain.join(&format!(" {} ", glyphs.arrow()))));
    }
    if let Some(answer) = &failure.last_answer {
        below.push(format!("last heard: {answer}"));
    }
    below.extend(failure.log.iter().rev().take(3).rev().map(|line| format!("{} {line}", glyphs.gutter())));
    Notice { below, ..Notice::news("Broken", Tone::Broken, row) }
}

fn lane(event: &Event, glyphs: Glyphs) -> Option<Notice> {
    let name = |lane: &LaneId| Row::new().with(Tone::Strong, lane.to_string());
    Some(match event {
        Event::LanePreparing { lane, step } => Notice::detail("Lane", name(lane).plain(format!(": {step}"))),
        Event::LaneStarted { lane, waited_ms } => {
            let waited = lane.profile.as_ref().map(|_| format!(", {}", waited(*waited_ms)));
            Notice::detail("Lane", name(lane).plain(format!(" started{}", waited.unwrap_or_default())))
        }
        Event::CasesCollected { lane, cases, deselected } => {
            let row = name(lane).plain(format!(": {}", count(cases.len(), "case")));
            let row = if *deselected > 0 { row.dim(format!(", {deselected} not selected")) } else { row };
            Notice::detail("Lane", row)
        }
        Event::CaseFinished { lane, result, .. } => case(lane, result),
        Event::Found { lane, service, finding } => {
            let words = testbed_model::triage::finding(service.as_deref(), finding);
            Notice::news("Found", Tone::Broken, name(lane).plain(format!(": {words}")))
        }
        Event::LaneFinished { lane, counts, took_ms, failure } => {
            lane_finished(name(lane), counts, *took_ms, failure.as_ref(), glyphs)
        }
        _ => return None,
    })
}

fn case(lane: &LaneId, result: &CaseResult) -> Notice {
    let flaky = result.outcome == Outcome::Passed && result.attempts > 1;
    let (verb, tone, level) = match result.outcome {
        Outcome::Passed if flaky => ("FLAKY", Tone::Warn, Level::News),
        Outcome::Passed => ("pass", Tone::Good, Level::Detail),
        Outcome::Failed => ("FAIL", Tone::Bad, Level::News),
        Outcome::Error => ("ERROR", Tone::Bad, Level::News),
        Outcome::TimedOut => ("TIMEOUT", Tone::Bad, Level::News),
        Outcome::Skipped => ("skip", Tone::Warn, Level::Detail),
        Outcome::ExpectedFailure => ("xfail", Tone::Good, Level::Detail),
        Outcome::Interrupted => ("cut", Tone::Warn, Level::Detail),
    };
    let attempts = match result.attempts {
        0 | 1 => String::new(),
        n if flaky => format!("attempt {n} "),
        n => format!("{n} attempts "),
    };
    let row = Row::new()
        .dim(format!("{:>7} ", duration(result.duration_ms)))
        .plain(format!("{lane} "))
        .with(Tone::Warn, attempts);
    let message = result.message.as_deref().unwrap_or_default();
    let shown = if result.outcome.is_red() { MESSAGE_LINES } else { 1 };
    let below =
        message.lines().filter(|line| !line.trim().is_empty()).take(shown).map(str::to_owned).collect();
    Notice { verb, tone, row, tail: Some(result.case.id.clone()), below, level }
}

fn lane_finished(
    name: Row,
    counts: &Counts,
    took_ms: Millis,
    failure: Option<&LaneFailure>,
    glyphs: Glyphs,
) -> Notice {
    let row = name.plain(format!(": {}", in_words(counts))).dim(format!(" in {}", duration(took_ms)));
    let Some(failure) = failure else {
        let tone = if counts.red() > 0 { Tone::Bad } else { Tone::Good };
        return Notice::news("Lane", tone, row);
    };
    let log = failure.log.iter().rev().take(3).rev().map(|line| format!("{} {line}", glyphs.gutter()));
    let below = failure.message.lines().map(str::to_owned).chain(log).collect();
    let (verb, tone) = if failure.environment { ("Broken", Tone::Broken) } else { ("Lane", Tone::Bad) };
    Notice { below, ..Notice::news(verb, tone, row) }
}

/// Counts as words, without those that are zero.
pub(crate) fn in_words(counts: &Counts) -> String {
    let parts: Vec<String> = [
        (counts.passed, "passed"),
        (counts.flaky, "of them flaky"),
        (counts.failed, "failed"),
        (counts.errors, if counts.errors == 1 { "error" } else { "errors" }),
        (counts.timed_out, "timed out"),
        (counts.skipped, "skipped"),
        (counts.expected_failures, "xfailed"),
        (counts.interrupted, "interrupted"),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, word)| format!("{number} {word}"))
    .collect();
    if parts.is_empty() { "no case".to_owned() } else { parts.join(", ") }
}

fn since(began_us: u64, now_us: u64) -> Millis {
    now_us.saturating_sub(began_us) / 1000
}

#[cfg(test)]
mod tests {
    use testbed_model::event::Event;

    use super::notice;
    use crate::story::Story;
    use crate::style::Glyphs;

    #[test]
    fn texts_of_many_lines_become_lines_below() {
        let event = Event::Warning {
            message: "disk is almost full\n2 GiB are left".into(),
            hint: Some("remove images:\ntestbed gc".into()),
        };
        let notice = notice(&event, 0, &Story::default(), Glyphs::Unicode).unwrap();
        assert_eq!(notice.below, ["2 GiB are left", "hint: remove images:", "      testbed gc"]);
    }
}
