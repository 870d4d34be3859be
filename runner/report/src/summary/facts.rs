//! What else is worth knowing of a run: its stacks, images, slowest and flaky cases, what was not run and why, warnings.

use testbed_model::event::ImageOrigin;
use testbed_model::triage::Diagnoses;

use crate::fit;
use crate::quantity::{count, duration};
use crate::row::Row;
use crate::story::{ImageState, LanePhase, LeftOut, StackPhase, StackStory, Story};
use crate::style::{Style, Tone};
use crate::verdict::{Verdict, exited};

/// Columns of a fact's name with its margins.
const LABEL_WIDTH: usize = 11;
/// What is faster is not slow, in milliseconds.
const SLOW_MS: u64 = 100;
/// The most slow cases.
const MOST_SLOW: usize = 5;
/// The most entries of any other list.
const MOST: usize = 10;

/// The facts' lines, with an empty one before.
pub(super) fn lines(story: &Story, causes: &Diagnoses, style: &Style) -> Vec<String> {
    let causes = super::cause::counts(causes).map(|words| Row::new().plain(words));
    let mut out = Vec::new();
    for (label, tone, rows) in [
        ("causes", Tone::Dim, causes.into_iter().collect()),
        ("stacks", Tone::Dim, stacks(story, style)),
        ("images", Tone::Dim, images(story, style)),
        ("slowest", Tone::Dim, slowest(story, style)),
        ("flaky", Tone::Warn, flaky(story, style)),
        ("not run", Tone::Warn, left_out(story, style)),
        ("warnings", Tone::Warn, warnings(story, style)),
    ] {
        if out.is_empty() && !rows.is_empty() {
            out.push(String::new());
        }
        for (index, row) in rows.into_iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            let lead = style.paint(tone, &fit::left(&format!("  {label}"), LABEL_WIDTH));
            out.push(format!("{lead}{}", row.render_within(style, room(style))));
        }
    }
    out
}

fn room(style: &Style) -> usize {
    style.columns() - LABEL_WIDTH
}

fn stacks(story: &Story, style: &Style) -> Vec<Row> {
    let names = story.stacks.iter().map(|stack| fit::columns(&stack.name)).max().unwrap_or(0);
    let dot = style.glyphs.dot();
    let rows = story.stacks.iter().map(|stack| {
        let row = Row::new().plain(fit::left(&stack.name, names + 2));
        let mut row = match (&stack.failure, stack.ready_ms) {
            (Some(_), _) => row.with(Tone::Broken, "did not come up"),
            (None, Some(ready)) => row.plain(format!("ready in {}", duration(ready))),
            (None, None) => row.with(Tone::Warn, "was not ready yet"),
        };
        if let Some(wait) = waits(story, stack) {
            row = row.plain(format!(" {dot} {wait}"));
        }
        for service in stack.dead().take(3) {
            row = row.with(Tone::Broken, format!(" {dot} {} {}", service.name, exited(&service.phase)));
        }
        match (stack.phase, stack.stop_ms) {
            (_, Some(stop)) => row.dim(format!(" {dot} gone in {}", duration(stop))),
            (StackPhase::Stopping, None) => row.with(Tone::Warn, format!(" {dot} teardown did not end")),
            _ => row,
        }
    });
    rows.collect()
}

/// How long lanes waited for a stack: the reason to start stacks early.
fn waits(story: &Story, stack: &StackStory) -> Option<String> {
    let waits: Vec<u64> = story
        .lanes
        .iter()
        .filter(|lane| lane.id.profile.as_deref() == Some(stack.name.as_str()))
        .filter_map(|lane| lane.waited_ms)
        .collect();
    let longest = waits.iter().max()?;
    Some(if *longest < 10 {
        "no lane waited".to_owned()
    } else {
        format!("a lane waited {}", duration(*longest))
    })
}

fn images(story: &Story, style: &Style) -> Vec<Row> {
    let mut made = Vec::new();
    let (mut present, mut missing) = (0, Vec::new());
    for image in &story.images {
        let took = match image.last_us.saturating_sub(image.began_us) / 1000 {
            0 => String::new(),
            millis => format!(" in {}", duration(millis)),
        };
        match &image.state {
            ImageState::Ready { origin: ImageOrigin::Present, .. } => present += 1,
            ImageState::Ready { origin: ImageOrigin::Built, .. } => {
                made.push(format!("{} built{took}", image.name));
            }
            ImageState::Ready { origin: ImageOrigin::Loaded, .. } => {
                made.push(format!("{} loaded{took}", image.name));
            }
            ImageState::Ready { origin: ImageOrigin::Pulled, .. } => {
                made.push(format!("{} pulled{took}", image.name));
            }
            ImageState::Working { step, .. } => missing.push(format!("{} not ready: {step}", image.name)),
        }
    }
    if made.is_empty() && missing.is_empty() {
        return Vec::new();
    }
    let mut rows: Vec<Row> = missing.into_iter().map(|text| Row::new().with(Tone::Warn, text)).collect();
    if present > 0 {
        made.push(format!("{present} there already"));
    }
    rows.push(Row::new().plain(made.join(&format!(" {} ", style.glyphs.dot()))));
    rows
}

fn slowest(story: &Story, style: &Style) -> Vec<Row> {
    // Where something cut the run short, how long its cases took is not what anybody asks.
    if !matches!(Verdict::of(story).tone(), Tone::Good | Tone::Bad) {
        return Vec::new();
    }
    let mut cases = story.slowest(MOST_SLOW);
    cases.retain(|(_, case)| case.result.duration_ms >= SLOW_MS);
    let lanes = cases.iter().map(|(lane, _)| fit::columns(&lane.id.to_string())).max().unwrap_or(0);
    let times = cases.iter().map(|(_, case)| duration(case.result.duration_ms).len()).max().unwrap_or(0);
    let rows = cases.into_iter().map(|(lane, case)| {
        let row = Row::new()
            .plain(fit::right(&duration(case.result.duration_ms), times))
            .dim(format!("  {}  ", fit::left(&lane.id.to_string(), lanes)));
        let id = fit::end(&case.result.case.id, row.room(room(style)).max(8), style.glyphs);
        row.plain(id)
    });
    rows.collect()
}

fn flaky(story: &Story, style: &Style) -> Vec<Row> {
    let rows = story.flaky().map(|(lane, case)| {
        let row = Row::new()
            .with(Tone::Warn, format!("attempt {}", case.result.attempts))
            .dim(format!("  {}  ", lane.id));
        let id = fit::end(&case.result.case.id, row.room(room(style)).max(8), style.glyphs);
        row.plain(id)
    });
    most(rows.collect(), style)
}

fn left_out(story: &Story, style: &Style) -> Vec<Row> {
    let entries = story.left_out();
    // Names of lanes are long and numbers of cases are short: each kind has its own column, so that reasons have room.
    let of_lane = |entry: &LeftOut| entry.what.contains(" of ");
    let names = |lanes: bool| {
        let kind = entries.iter().filter(|entry| of_lane(entry) == lanes);
        kind.map(|entry| fit::columns(&entry.what)).max().unwrap_or(0).min(room(style) / 2)
    };
    let (lanes, cases) = (names(true), names(false));
    let mut rows = Vec::new();
    for entry in entries.iter().take(MOST) {
        let names = if of_lane(entry) { lanes } else { cases };
        let what = fit::left(&fit::end(&entry.what, names, style.glyphs), names + 2);
        let tone = if entry.planned { Tone::Plain } else { Tone::Warn };
        let mut reason = fit::wrap(&entry.reason, room(style).saturating_sub(names + 2)).into_iter();
        rows.push(Row::new().with(tone, what).dim(reason.next().unwrap_or_default()));
        let rest: Vec<String> = reason.collect();
        if !rest.is_empty() {
            rows.push(Row::new().plain(" ".repeat(names + 2)).dim(rest.join(" ")));
        }
    }
    if entries.len() > MOST {
        rows.push(Row::new().dim(format!("{} {} more", style.glyphs.ellipsis(), entries.len() - MOST)));
    }
    let elsewhere: u32 = story.lanes.iter().map(|lane| lane.deselected).fold(0, u32::saturating_add);
    let any_ran = story.lanes.iter().any(|lane| lane.phase == LanePhase::Finished);
    if elsewhere > 0 && any_ran {
        let what = count(usize::try_from(elsewhere).unwrap_or(usize::MAX), "case");
        let what = fit::left(&what, cases.max(fit::columns(&what)) + 2);
        rows.push(Row::new().plain(what).dim("that tools left out by themselves"));
    }
    rows
}

fn warnings(story: &Story, style: &Style) -> Vec<Row> {
    let rows = story.warnings.iter().flat_map(|warning| {
        let hint =
            warning.hint.iter().map(|hint| Row::new().dim(format!("hint: {}", hint.replace('\n', " "))));
        std::iter::once(Row::new().plain(warning.message.replace('\n', " "))).chain(hint)
    });
    most(rows.collect(), style)
}

/// The first rows, and how many more there are.
fn most(mut rows: Vec<Row>, style: &Style) -> Vec<Row> {
    if rows.len() > MOST + 1 {
        let more = rows.len() - MOST;
        rows.truncate(MOST);
        rows.push(Row::new().dim(format!("{} {more} more", style.glyphs.ellipsis())));
    }
    rows
}
