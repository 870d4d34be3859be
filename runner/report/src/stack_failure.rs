//! Why a stack did not come up, with all that a person needs to see: which service, how it ended or what it last answered,
//! its last log lines, and the dependency at fault.

use testbed_model::event::{StackFailure, StackFailureCause};

use crate::fit::{self, Cut};
use crate::style::{Style, Tone};
use crate::verdict::fault;

/// Log lines shown of the service at fault.
const LOG: Cut = Cut::tail(20);
/// Of a longer line, the rest is for the record.
const MOST_COLUMNS: usize = 400;
/// Columns of the word at a line's start.
const LABEL_WIDTH: usize = 12;

/// The failure's lines, without a heading.
pub fn lines(failure: &StackFailure, style: &Style) -> Vec<String> {
    let glyphs = style.glyphs;
    let label = |word: &str| style.paint(Tone::Dim, &fit::left(word, LABEL_WIDTH));
    let mut out = Vec::new();
    out.push(format!("{}{}", label("at fault"), style.paint(Tone::Broken, &fault(failure))));
    // The engine's words may be many lines; the first stands above.
    if let StackFailureCause::Daemon { message } = &failure.cause {
        out.extend(message.lines().skip(1).map(|line| format!("{}{line}", label(""))));
    }
    if failure.chain.len() > 1 {
        let arrow = format!(" {} ", glyphs.arrow());
        let waiting = failure.chain.join(&arrow);
        out.push(format!("{}{waiting}", label("waiting")));
    }
    if let Some(answer) = &failure.last_answer {
        out.push(format!("{}{answer}", label("last heard")));
    }
    match (&failure.service, failure.log.len()) {
        (Some(service), 0) => out.push(format!("{}`{service}` wrote nothing", label("log"))),
        (_, 0) => {}
        (service, number) => {
            let shown = quoted(&failure.log, LOG, style);
            let of = service.as_deref().unwrap_or("the stack");
            out.push(format!("{}{of}, {}", label("log"), extent(number, &shown)));
            out.extend(shown);
        }
    }
    if let Some(way_out) = failure.way_out() {
        out.push(format!("{}{way_out}", label("hint")));
    }
    out
}

/// Lines that somebody else wrote: indented, behind a gutter, cut in number.
pub(crate) fn quoted<S: AsRef<str>>(lines: &[S], cut: Cut, style: &Style) -> Vec<String> {
    quoted_in(|_| Tone::Plain, lines, cut, style)
}

/// As [`quoted`], each line in the tone that `tone` gives it.
pub(crate) fn quoted_in<S: AsRef<str>>(
    tone: fn(&str) -> Tone,
    lines: &[S],
    cut: Cut,
    style: &Style,
) -> Vec<String> {
    let gutter = style.paint(Tone::Dim, style.glyphs.gutter());
    let lines: Vec<&str> = lines.iter().map(AsRef::as_ref).collect();
    cut.of(&lines)
        .into_iter()
        .map(|kept| match kept {
            Ok("") => format!("  {gutter}"),
            Ok(line) => {
                let shown = fit::start(line, MOST_COLUMNS, style.glyphs);
                format!("  {gutter} {}", style.paint(tone(line), &shown))
            }
            Err(left_out) => {
                let mark = style.glyphs.ellipsis();
                format!(
                    "  {gutter} {}",
                    style.paint(Tone::Dim, &format!("{mark} {left_out} lines left out {mark}"))
                )
            }
        })
        .collect()
}

/// How much of it is shown: `all 3 lines`, `its last 20 of 64 lines`.
fn extent(number: usize, shown: &[String]) -> String {
    if shown.len() >= number {
        crate::quantity::count(number, "line")
    } else {
        format!("its last {} of {number} lines", shown.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use testbed_model::event::{StackFailure, StackFailureCause};

    use super::lines;
    use crate::style::Style;

    #[test]
    fn a_timeout_names_what_is_missing_and_who_waits_for_whom() {
        let failure = StackFailure {
            service: Some("etcd".into()),
            cause: StackFailureCause::TimedOut { after_ms: 30_000, waiting_for: "probe of `etcd`".into() },
            last_answer: Some("connection refused".into()),
            log: vec!["starting".into(), "no space left on device".into()],
            chain: vec!["frontend".into(), "worker-0".into(), "etcd".into()],
        };
        insta::assert_snapshot!(lines(&failure, &Style::plain(80)).join("\n"), @r"
        at fault    `etcd` was not ready after 30 s, missing: probe of `etcd`
        waiting     frontend → worker-0 → etcd
        last heard  connection refused
        log         etcd, 2 lines
          │ starting
          │ no space left on device
        hint        a larger `timeouts.ready` in the profile gives it more time
        ");
    }

    #[test]
    fn a_refusal_of_the_engine_needs_no_service() {
        let failure = StackFailure {
            service: None,
            cause: StackFailureCause::Daemon { message: "pool overlaps with other one".into() },
            last_answer: None,
            log: Vec::new(),
            chain: Vec::new(),
        };
        insta::assert_snapshot!(lines(&failure, &Style::plain(80)).join("\n"), @"at fault    the container engine refused: pool overlaps with other one");
    }
}
