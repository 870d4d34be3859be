//! The end of a summary: which cases are red, how to repeat them, where the record is, and the exit code with its meaning.

use testbed_model::id::RunId;
use testbed_model::triage::Diagnoses;

use super::{Options, failures};
use crate::fit;
use crate::quantity::moment;
use crate::row::Row;
use crate::story::{LaneStory, StackStory, Story};
use crate::style::{Style, Tone};

/// The most red cases listed, so that verdict, list and way out fit into one screen.
const MOST_CASES: usize = 4;
/// The most commands.
const MOST_COMMANDS: usize = 3;
/// Columns of a line's name with its margins.
const LABEL_WIDTH: usize = 11;

/// The lines, with an empty one before each part.
pub(super) fn lines(story: &Story, causes: &Diagnoses, options: &Options<'_>) -> Vec<String> {
    let style = &options.style;
    let mut out = red_cases(story, causes, style);
    let mut facts: Vec<(&str, String)> = Vec::new();
    facts.extend(commands(story, options).into_iter().map(|command| ("rerun", command)));
    facts.extend(kept(story, options).into_iter().map(|text| ("kept", text)));
    if let Some(head) = &story.head
        && !head.folder.is_empty()
    {
        facts.push(("record", head.folder.clone()));
    }
    facts.extend(options.page.map(|page| ("page", page.to_owned())));
    if let Some(end) = story.end {
        facts.push(("exit", format!("{}: {}", end.exit_code.number(), end.exit_code.meaning())));
    }
    if !facts.is_empty() {
        out.push(String::new());
    }
    let mut last = "";
    for (label, text) in facts {
        let shown = if label == last { "" } else { label };
        last = label;
        let lead = style.paint(Tone::Step, &fit::left(&format!("  {shown}"), LABEL_WIDTH));
        // Commands and paths are copied from here, so they are never cut.
        out.push(format!("{lead}{text}"));
    }
    out
}

/// The stacks that are left standing, and what can be done with them.
fn kept(story: &Story, options: &Options<'_>) -> Vec<String> {
    let until = |stack: &StackStory| Some(format!("{} until {}", stack.name, moment(stack.kept_until?)));
    let mut lines: Vec<String> = story.stacks.iter().filter_map(until).collect();
    let mut runs: Vec<&RunId> = Vec::new();
    for stack in story.stacks.iter().filter(|stack| stack.kept_until.is_some()) {
        let Some(run) = stack.adopted_from.as_ref().or(story.head.as_ref().map(|head| &head.run)) else {
            continue;
        };
        lines.extend(again_in(story, stack, options).map(|command| format!("{command} --in {run}")));
        if !runs.contains(&run) {
            runs.push(run);
        }
    }
    for run in runs {
        lines.push(format!("testbed shell {run}"));
        lines.push(format!("testbed down {run}"));
    }
    lines
}

/// The command for the first red case of a stack.
fn again_in(story: &Story, stack: &StackStory, options: &Options<'_>) -> Option<String> {
    let (lane, case) = story.red().find(|(lane, _)| lane.id.profile.as_ref() == Some(&stack.name))?;
    options.rerun(&lane.id, Some(&case.result.case))
}

fn red_cases(story: &Story, causes: &Diagnoses, style: &Style) -> Vec<String> {
    let width = style.columns();
    let red: Vec<_> = story.red().collect();
    let mut out = Vec::new();
    for (lane, case) in red.iter().take(MOST_CASES) {
        if out.is_empty() {
            out.push(String::new());
        }
        let excused = causes.of_case(&lane.id, &case.result.case.id).filter(|one| one.cause.excuses());
        let (tone, whose) = match excused {
            Some(one) => (Tone::Broken, format!(" ({})", one.cause.word())),
            None => (Tone::Bad, String::new()),
        };
        let row = Row::new()
            .with(tone, format!("  {} {}{whose}", style.glyphs.cross(), case.result.outcome.word()))
            .dim(format!("  {}  ", lane.id));
        let id = fit::end(&case.result.case.id, row.room(width).max(8), style.glyphs);
        out.push(row.plain(id).render_within(style, width));
        let mut below = Row::new().plain("    ");
        if let Some(place) = case.place() {
            below = below.dim(format!("{}  ", fit::end(&place, width / 2, style.glyphs)));
        }
        below = below.plain(case.headline().unwrap_or_default());
        out.push(below.render_within(style, width));
    }
    if red.len() > MOST_CASES {
        let place = if red.len() > failures::MOST_CASES { "in the record" } else { "above" };
        let more = format!("  {} {} more {place}", style.glyphs.ellipsis(), red.len() - MOST_CASES);
        out.push(style.paint(Tone::Bad, &more));
    }
    out
}

/// One command for each lane with red cases, or for the case where a lane has but one.
fn commands(story: &Story, options: &Options<'_>) -> Vec<String> {
    let red_lanes = story
        .lanes
        .iter()
        .filter(|lane| lane.counts.red() > 0 || lane.failed_itself() || story.lacks_stack(lane));
    let command = |lane: &LaneStory| {
        let mut red = lane.results.iter().filter(|case| case.result.outcome.is_red());
        let only = match (red.next(), red.next()) {
            (Some(case), None) if !lane.failed_itself() => Some(&case.result.case),
            _ => None,
        };
        options.rerun(&lane.id, only)
    };
    let mut commands: Vec<String> = Vec::new();
    for command in red_lanes.filter_map(command) {
        if commands.len() < MOST_COMMANDS && !commands.contains(&command) {
            commands.push(command);
        }
    }
    commands
}
