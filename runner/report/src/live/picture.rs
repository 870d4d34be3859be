//! The picture of a run at one moment: a line that says how it stands, then a line each for what goes on.

use testbed_model::stack::Millis;

use crate::fit;
use crate::quantity::{bytes, running};
use crate::row::Row;
use crate::story::{
    ImageState, ImageStory, LanePhase, LaneStory, ModelState, ModelStory, ServicePhase, StackPhase,
    StackStory, Story,
};
use crate::style::{Glyphs, Style, Tone};

/// The most lines, so that what was printed above stays in sight.
const MOST_ROWS: usize = 16;
/// The widest picture; longer lines are not read at a glance.
const MOST_COLUMNS: usize = 140;
/// Columns of a running time.
const TIME_WIDTH: usize = 8;
/// Columns of the word at a row's start, with its margin.
const KIND_WIDTH: usize = 8;

/// The size of a screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ScreenSize {
    /// Columns.
    pub(super) columns: u16,
    /// Rows.
    pub(super) rows: u16,
}

/// One thing that goes on.
struct Doing {
    kind: &'static str,
    name: String,
    for_ms: Millis,
    what: Row,
    /// A text whose end says most, in the room that is left.
    tail: Option<(String, Millis)>,
}

/// The lines of the picture, each within the screen's width, all within its height.
pub(super) fn draw(story: &Story, now_us: u64, size: ScreenSize, style: &Style) -> Vec<String> {
    // The last column stays free: a terminal that fills it may wrap.
    let width = usize::from(size.columns).saturating_sub(1).clamp(8, MOST_COLUMNS);
    let height = usize::from(size.rows).saturating_sub(1).clamp(1, MOST_ROWS);
    let mut out = vec![standing(story, now_us, style).render_within(style, width)];
    let wide = width >= 90;
    let lanes = story.lanes.iter().filter_map(|lane| lane_row(lane, now_us, wide, style.glyphs));
    let stacks = story.stacks.iter().filter_map(|stack| stack_row(stack, now_us, wide));
    let images = story.images.iter().filter_map(|image| image_row(image, now_us, wide, style.glyphs));
    let models = story.models.iter().filter_map(|model| model_row(model, now_us, wide, style.glyphs));
    let doing: Vec<Doing> = lanes.chain(stacks).chain(images).chain(models).collect();
    let names = doing.iter().map(|row| fit::columns(&row.name)).max().unwrap_or(0).min(width / 3);
    for row in &doing {
        out.push(layout(row, names, width, style));
    }
    out.extend(next(story, width, style));
    if out.len() > height {
        let more = out.len() + 1 - height;
        out.truncate(height.saturating_sub(1).max(1));
        if height > 1 {
            out.push(style.paint(Tone::Dim, &format!("  {} {more} more", style.glyphs.ellipsis())));
        }
    }
    out
}

/// How the run stands.
fn standing(story: &Story, now_us: u64, style: &Style) -> Row {
    let spinner = style.glyphs.spinner(now_us / 100_000);
    let row = Row::new()
        .with(Tone::Step, format!("{spinner} "))
        .with(Tone::Strong, story.subject())
        .dim(format!("  {}  ", running(now_us / 1000)));
    if let Some(signal) = &story.interrupted {
        return row.with(Tone::Warn, format!("{signal}: tearing down"));
    }
    let counts = story.counts();
    let to_go: usize = story
        .lanes
        .iter()
        .filter_map(|lane| lane.total().map(|total| total.saturating_sub(lane.done())))
        .sum();
    let unknown = story.lanes.iter().any(|lane| {
        lane.phase != LanePhase::Finished && lane.announced.is_none() && !story.lacks_stack(lane)
    });
    let mut row = row;
    for (number, word, tone) in [
        (counts.passed, "passed", Tone::Good),
        (counts.red(), "red", Tone::Bad),
        (counts.flaky, "flaky", Tone::Warn),
        (counts.skipped, "skipped", Tone::Dim),
    ] {
        if number > 0 {
            row = row.with(tone, format!("{number} {word}  "));
        }
    }
    match (to_go, unknown) {
        (0, _) => row,
        (_, false) => row.dim(format!("{to_go} to go")),
        (_, true) => row.dim(format!("{to_go} and more to go")),
    }
}

fn lane_row(lane: &LaneStory, now_us: u64, wide: bool, glyphs: Glyphs) -> Option<Doing> {
    let doing = |since_us: u64, what: Row, tail| Doing {
        kind: "lane",
        name: lane.id.to_string(),
        for_ms: since(since_us, now_us),
        what,
        tail,
    };
    match &lane.phase {
        LanePhase::Waiting | LanePhase::Finished => None,
        LanePhase::Preparing { step, since_us } => {
            let said = lane.last_line.as_deref().map(|said| format!(": {}", said.trim())).unwrap_or_default();
            Some(doing(*since_us, Row::new().plain(step).dim(said), None))
        }
        LanePhase::Running => {
            let mut what = Row::new();
            if let Some(total) = lane.total() {
                if wide {
                    what = progress(what, lane.done(), total, lane.counts.red() > 0, glyphs);
                }
                what = what.plain(format!("{}/{total}  ", lane.done()));
            }
            if lane.counts.red() > 0 {
                what = what.with(Tone::Bad, format!("{} red  ", lane.counts.red()));
            }
            let oldest = lane.running.iter().min_by_key(|case| case.since_us);
            if lane.running.len() > 1 {
                what = what.dim(format!("{} at once  ", lane.running.len()));
            }
            let tail = oldest.map(|case| (case.id.clone(), since(case.since_us, now_us)));
            if lane.announced.is_none() && tail.is_none() {
                what = what.dim("collecting");
            }
            Some(doing(lane.began_us.unwrap_or(now_us), what, tail))
        }
    }
}

fn stack_row(stack: &StackStory, now_us: u64, wide: bool) -> Option<Doing> {
    let what = match stack.phase {
        StackPhase::Ready | StackPhase::Stopped | StackPhase::Failed => return None,
        StackPhase::Stopping => Row::new().dim("stopping"),
        StackPhase::Starting => {
            let all = stack.services.len();
            let ready = all - stack.waits_for().count();
            let (ready_word, lead) = if wide { (" ready", "waits for ") } else { ("", "") };
            waits_for(stack, Row::new().plain(format!("{ready}/{all}{ready_word}  {lead}")))
        }
    };
    let for_ms = since(stack.began_us, now_us);
    Some(Doing { kind: "stack", name: stack.name.clone(), for_ms, what, tail: None })
}

/// The service that a stack waits for, and the last that was heard from it.
fn waits_for(stack: &StackStory, row: Row) -> Row {
    let missing: Vec<&str> = stack.waits_for().map(|service| service.name.as_str()).collect();
    // Of several, the one that answered last is told: it is the one that a person can learn something from.
    let heard = stack
        .last_answer
        .as_ref()
        .filter(|answer| missing.is_empty() || missing.contains(&answer.service.as_str()));
    let more = missing.len().saturating_sub(1);
    let others = if more > 0 { format!(" (+{more})") } else { String::new() };
    match (heard, missing.first()) {
        (Some(answer), Some(_)) => {
            row.with(Tone::Warn, &answer.service).dim(others).plain(format!(": {}", answer.answer))
        }
        (Some(answer), None) => row
            .plain("its first answer; ")
            .with(Tone::Warn, &answer.service)
            .plain(format!(": {}", answer.answer)),
        (None, Some(name)) => {
            let state = match stack.services.iter().find(|service| service.name == *name).map(|s| s.phase) {
                Some(ServicePhase::Creating) => "is being created",
                Some(ServicePhase::Started) => "runs and has not answered",
                Some(ServicePhase::Exited { .. }) => "ended",
                _ => "waits for its dependencies",
            };
            row.with(Tone::Warn, *name).dim(others).plain(format!(", which {state}"))
        }
        (None, None) => row.plain("its first answer"),
    }
}

fn image_row(image: &ImageStory, now_us: u64, wide: bool, glyphs: Glyphs) -> Option<Doing> {
    let ImageState::Working { step, done, total } = &image.state else { return None };
    let what = bytes_of(*done, *total, wide, glyphs).plain(step);
    Some(Doing {
        kind: "image",
        name: image.name.clone(),
        for_ms: since(image.began_us, now_us),
        what,
        tail: None,
    })
}

fn model_row(model: &ModelStory, now_us: u64, wide: bool, glyphs: Glyphs) -> Option<Doing> {
    let ModelState::Working { step, done, total } = &model.state else { return None };
    let what = bytes_of(*done, *total, wide, glyphs).plain(step);
    Some(Doing {
        kind: "model",
        name: model.name.clone(),
        for_ms: since(model.began_us, now_us),
        what,
        tail: None,
    })
}

/// How many bytes of how many are here.
fn bytes_of(done: Option<u64>, total: Option<u64>, wide: bool, glyphs: Glyphs) -> Row {
    let mut what = Row::new();
    match (done, total) {
        (Some(done), Some(total)) if total > 0 => {
            if wide {
                let small = |n: u64| usize::try_from(n / 1024).unwrap_or(usize::MAX);
                what = progress(what, small(done), small(total), false, glyphs);
            }
            what = what.plain(format!("{} of {}  ", bytes(done), bytes(total)));
        }
        (Some(done), _) => what = what.plain(format!("{}  ", bytes(done))),
        _ => {}
    }
    what
}

/// Lanes that have not begun, on one line.
fn next(story: &Story, width: usize, style: &Style) -> Option<String> {
    let names: Vec<String> = story
        .lanes
        .iter()
        .filter(|lane| lane.phase == LanePhase::Waiting && !story.lacks_stack(lane))
        .map(|lane| lane.id.to_string())
        .collect();
    if names.is_empty() || story.interrupted.is_some() {
        return None;
    }
    let row = Row::new().dim(fit::left("  next", KIND_WIDTH)).dim(names.join(", "));
    Some(row.render_within(style, width))
}

fn layout(doing: &Doing, names: usize, width: usize, style: &Style) -> String {
    let name = fit::end(&doing.name, names, style.glyphs);
    let mut row = Row::new()
        .with(Tone::Step, fit::left(&format!("  {}", doing.kind), KIND_WIDTH))
        .with(Tone::Strong, fit::left(&name, names))
        .dim(fit::right(&running(doing.for_ms), TIME_WIDTH))
        .plain("  ");
    for (tone, text) in doing.what.pieces() {
        row.push(tone, text);
    }
    if let Some((tail, for_ms)) = &doing.tail {
        let time = format!(" {}", running(*for_ms));
        let room = row.room(width).saturating_sub(fit::columns(&time));
        if room >= 8 {
            row = row.plain(fit::end(tail, room, style.glyphs));
            row = row.with(if *for_ms >= 10_000 { Tone::Warn } else { Tone::Dim }, time);
        }
    }
    row.render_within(style, width)
}

/// A bar of twenty columns.
fn progress(row: Row, done: usize, total: usize, red: bool, glyphs: Glyphs) -> Row {
    const WIDTH: usize = 20;
    let (full, head, rest) = glyphs.bar();
    let filled = (done.min(total) * WIDTH).checked_div(total).unwrap_or(WIDTH);
    let text: String = std::iter::repeat_n(full, filled.saturating_sub(1))
        .chain((filled > 0).then_some(if filled == WIDTH { full } else { head }))
        .collect();
    let tone = if red { Tone::Bad } else { Tone::Good };
    let left: String = std::iter::repeat_n(rest, WIDTH - filled).collect();
    row.with(tone, text).dim(left).plain("  ")
}

fn since(began_us: u64, now_us: u64) -> Millis {
    now_us.saturating_sub(began_us) / 1000
}

#[cfg(test)]
mod tests {
    use super::{ScreenSize, draw};
    use crate::canned;
    use crate::fit::columns;
    use crate::story::Story;
    use crate::style::{Glyphs, Style};

    fn at(name: &str, ms: u64, columns: u16, rows: u16, glyphs: Glyphs) -> String {
        let mut story = Story::watching();
        for stamped in canned::named(name).unwrap() {
            if stamped.elapsed_us <= ms * 1000 {
                story.fold(&stamped);
            }
        }
        let style = Style { glyphs, ..Style::plain(80) };
        draw(&story, ms * 1000, ScreenSize { columns, rows }, &style).join("\n")
    }

    #[test]
    fn an_image_shows_its_step_and_its_bytes() {
        insta::assert_snapshot!(at("red", 12_500, 100, 24, Glyphs::Unicode));
    }

    #[test]
    fn stacks_show_whom_they_wait_for_and_what_was_heard_last() {
        insta::assert_snapshot!(at("red", 22_450, 100, 24, Glyphs::Unicode));
        insta::assert_snapshot!(at("red", 22_450, 60, 24, Glyphs::Ascii));
        insta::assert_snapshot!(at("red", 23_380, 100, 24, Glyphs::Unicode));
    }

    #[test]
    fn lanes_show_how_far_they_are_what_runs_and_what_is_red() {
        insta::assert_snapshot!(at("red", 30_000, 120, 24, Glyphs::Unicode));
        insta::assert_snapshot!(at("red", 30_000, 60, 24, Glyphs::Unicode));
    }

    #[test]
    fn an_interrupted_run_says_that_it_tears_down() {
        insta::assert_snapshot!(at("interrupted", 3_300, 80, 24, Glyphs::Unicode));
    }

    #[test]
    fn a_picture_fits_into_any_screen_at_any_time() {
        for (name, make) in canned::ALL {
            let end = make().last().unwrap().elapsed_us / 1000;
            for ms in (0..end + 500).step_by(400) {
                for (wide, rows) in [(20, 3), (60, 10), (200, 60)] {
                    let picture = at(name, ms, wide, rows, Glyphs::Unicode);
                    assert!(picture.lines().count() < usize::from(rows), "{picture}");
                    assert!(picture.lines().all(|line| columns(line) < usize::from(wide)), "{picture}");
                }
            }
        }
    }
}
