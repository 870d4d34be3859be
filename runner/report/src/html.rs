//! A run as one HTML file that asks no network: the verdict, the failures and the facts as plain markup, and with JavaScript a
//! time axis, every case and every log line. Equal records give equal bytes.
//!
//! The page's own script and style are allowed by their hashes, and nothing else is: what a test prints is text wherever it
//! stands. What the script reads lies in the page as deflated JSON, column by column.

use std::io::{self, Write};

use testbed_model::event::Stamped;
use testbed_model::record::{Record, RecordedLog, Series};

use crate::axis::Axis;
use crate::neutral::{neutral, shows};
use crate::story::Story;
use crate::summary::Rerun;
use crate::verdict::{Verdict, sentence};

mod cases;
mod environment;
mod facts;
mod failures;
mod head;
mod logs;
mod markup;
mod pack;
mod path;
mod tracks;

use markup::escape;

const STYLE: &str = include_str!("html/page.css");
const SCRIPT: &str = concat!(
    "\"use strict\";(()=>{\n",
    include_str!("html/page.js"),
    include_str!("html/axis.js"),
    include_str!("html/cases.js"),
    include_str!("html/detail.js"),
    include_str!("html/start.js"),
    "})();\n"
);

/// What the script fills.
const SCRIPTED: &str = "<section id=\"axis\" class=\"needs-script\" aria-label=\"Time axis\" hidden></section>\n\
                        <section id=\"cases\" class=\"needs-script\" aria-label=\"Cases\" hidden></section>\n";

/// What a page is made of.
#[derive(Clone, Copy)]
pub struct Page<'r> {
    /// The run.
    pub record: &'r Record,
    /// The logs of its services and tools; may be empty.
    pub logs: &'r [RecordedLog],
    /// Figures of its services over time; may be empty.
    pub series: &'r [Series],
    /// The command line that repeats a lane, or one case of it; none where there is no such command.
    pub rerun: Option<&'r Rerun<'r>>,
}

/// Writes the page.
pub fn write(page: &Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    let harmless = |stamped: &Stamped| Stamped { event: neutral(&stamped.event), ..*stamped };
    let events: Vec<Stamped> =
        page.record.events.iter().filter(|stamped| shows(&stamped.event)).map(harmless).collect();
    let story = Story::of(&page.record.events);
    let axis = Axis::of(&events);
    let verdict = Verdict::of(&story);
    let title = escape(&format!("{} {}", verdict.word(), sentence(&story)));
    let (style, script) = (pack::source_hash(STYLE), pack::source_hash(SCRIPT));
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\" data-verdict=\"{tone}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; \
         style-src '{style}'; script-src '{script}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>{title}</title>\n<link rel=\"icon\" href=\"{icon}\">\n<style>{STYLE}</style>\n</head>\n<body>\n",
        tone = head::tone(verdict.tone()),
        icon = head::icon(verdict.tone()),
    )?;
    let parts = [
        head::write(page.record, &story),
        failures::write(&story, &axis, page.rerun),
        SCRIPTED.to_owned(),
        path::write(&page.record.events),
        facts::write(&story, &axis),
        environment::write(page.record),
    ]
    .concat();
    write!(
        out,
        "{top}{parts}</main>\n<footer class=\"foot\">made by testbed {testbed} from the record of the run; nothing in this file asks \
         the network</footer>\n",
        top = head::top(&story, &parts),
        testbed = escape(&page.record.manifest.testbed),
    )?;
    blob(out, "data-core", &pack::json(&tracks::core(page, &axis, &story))?)?;
    blob(out, "data-texts", &cases::texts(&axis)?)?;
    blob(out, "data-logs", &logs::packed(page.logs, axis.zero)?)?;
    write!(out, "<script>{SCRIPT}</script>\n</body>\n</html>\n")
}

/// Data for the script: deflated and in base64, so that nothing in it can be taken for markup.
fn blob(out: &mut dyn Write, id: &str, packed: &str) -> io::Result<()> {
    writeln!(out, "<script type=\"application/octet-stream\" id=\"{id}\">{packed}</script>")
}
