//! Replays a stored journal, or a canned run, as if it happened now: to look at what people see.
//!
//! `cargo run -p testbed-report --example replay -- events.jsonl --speed 4`
//! `cargo run -p testbed-report --example replay -- --canned red --log`

#![allow(clippy::disallowed_methods, reason = "a replay waits as long as the run did")]
#![allow(clippy::unwrap_used, reason = "the canned runs are shared with the tests")]

use std::error::Error;
use std::fs;
use std::io::{self, IsTerminal as _, Write as _};
use std::thread;
use std::time::{Duration, Instant};

use testbed_model::case::Case;
use testbed_model::event::Stamped;
use testbed_model::lane::LaneId;
use testbed_report::live::Live;
use testbed_report::log::Log;
use testbed_report::style::{ColourChoice, Glyphs, Surroundings};
use testbed_report::summary::{self, Options};
use testbed_report::{Reporters, Story, Style};

#[path = "../tests/it/canned/mod.rs"]
mod canned;

const USAGE: &str = "replay (EVENTS.jsonl | --canned NAME) [--speed N] [--log] [--width N] [--ascii]";

struct Arguments {
    events: Vec<Stamped>,
    speed: u32,
    log: bool,
    width: Option<usize>,
    glyphs: Glyphs,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = arguments(std::env::args().skip(1))?;
    let terminal = io::stderr().is_terminal();
    let no_color = std::env::var("NO_COLOR").ok();
    let around = Surroundings { terminal, no_color: no_color.as_deref(), ..Surroundings::default() };
    let asked = console::Term::stderr().size_checked().map(|(_, columns)| usize::from(columns));
    let style = Style {
        colours: ColourChoice::Auto.resolve(&around),
        glyphs: arguments.glyphs,
        width: arguments.width.or(asked).unwrap_or(100),
    };
    let mut reporters = if terminal && !arguments.log {
        Reporters::new().with("live", Live::new(console::Term::buffered_stderr(), style))
    } else {
        Reporters::new().with("log", Log::new(io::stderr(), style))
    };
    let began = Instant::now();
    let mut story = Story::default();
    for event in &arguments.events {
        let due = Duration::from_micros(event.elapsed_us) / arguments.speed;
        thread::sleep(due.saturating_sub(began.elapsed()));
        story.fold(event);
        reporters.on(event);
    }
    for error in reporters.finish() {
        writeln!(io::stderr(), "{error}")?;
    }
    summary::write(&story, &Options { rerun: Some(&rerun), ..Options::new(style) }, &mut io::stderr())?;
    Ok(())
}

fn rerun(lane: &LaneId, case: Option<&Case>) -> Option<String> {
    let profile = lane.profile.as_ref()?;
    let case = case.map(|case| format!(" --case '{}'", case.id)).unwrap_or_default();
    Some(format!("testbed premerge --suite {} --profile {profile}{case}", lane.suite))
}

fn arguments(given: impl Iterator<Item = String>) -> Result<Arguments, Box<dyn Error>> {
    let mut given = given;
    let mut out =
        Arguments { events: Vec::new(), speed: 1, log: false, width: None, glyphs: Glyphs::Unicode };
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "--log" => out.log = true,
            "--ascii" => out.glyphs = Glyphs::Ascii,
            "--speed" => out.speed = given.next().ok_or(USAGE)?.parse::<u32>()?.max(1),
            "--width" => out.width = Some(given.next().ok_or(USAGE)?.parse()?),
            "--canned" => {
                let name = given.next().ok_or(USAGE)?;
                let known: Vec<&str> = canned::ALL.iter().map(|(name, _)| *name).collect();
                out.events = canned::named(&name).ok_or(format!("canned runs: {}", known.join(", ")))?;
            }
            file => {
                let lines = fs::read_to_string(file)?;
                out.events = lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
            }
        }
    }
    if out.events.is_empty() { Err(USAGE.into()) } else { Ok(out) }
}
