//! The history of cases, for people: a strip of cells, one a run, and what follows from them.

use std::io::{self, Write};

use testbed_model::case::Outcome;
use testbed_model::history::{
    FLAKY_ABOVE_PERCENT, Growth, IN_A_ROW, Moment, Observation, Overview, Rate, Rule, Standing, Subject,
    Suspicion, WINDOW_DAYS,
};

use crate::fit;
use crate::neutral;
use crate::quantity::{count, duration};
use crate::row::Row;
use crate::style::{Glyphs, Style, Tone};

/// The most cells of a strip.
const MOST_CELLS: usize = 60;
/// The most cases of a part.
const MOST_CASES: usize = 20;
/// What a cell's letter means.
const LEGEND: [(char, &str); 7] = [
    ('.', "passed"),
    ('r', "passed, not every time"),
    ('F', "failed"),
    ('T', "timed out"),
    ('E', "error"),
    ('x', "expected failure"),
    ('-', "not executed"),
];

/// Writes what deserves a look: cases in trouble, the worst first, and those that grew slower.
pub fn overview(
    overview: &Overview,
    troubled: &[Standing],
    growers: &[(Subject, Growth)],
    style: &Style,
    out: &mut dyn Write,
) -> io::Result<()> {
    let page = Page { style };
    let mut lines = vec![page.head(overview)];
    for rule in [Rule::Regression, Rule::Failing, Rule::Flaky] {
        let of: Vec<&Standing> = troubled.iter().filter(|standing| standing.rule == rule).collect();
        if of.is_empty() {
            continue;
        }
        lines.push(String::new());
        let title = Row::new().with(rule_tone(rule), rule.word()).dim(format!(
            "  {}: {}",
            count(of.len(), "case"),
            meaning(rule)
        ));
        lines.push(title.render(style));
        of.iter().take(MOST_CASES).for_each(|standing| lines.extend(page.short(standing)));
        lines.extend(page.more(of.len()));
    }
    if troubled.is_empty() && overview.last.is_some() {
        lines.push(String::new());
        lines.push(format!("no case failed in the {WINDOW_DAYS} days before the newest run"));
    }
    if !growers.is_empty() {
        lines.push(String::new());
        lines.push(Row::new().with(Tone::Strong, "slower than before").render(style));
        lines.extend(growers.iter().map(|(subject, growth)| page.grower(subject, *growth)));
    }
    lines.extend(page.legend(troubled.iter().take(MOST_CASES)));
    write_all(&lines, out)
}

/// Writes all that is known of a few cases, or a strip for each of many.
pub fn cases(standings: &[Standing], style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let page = Page { style };
    let first = standings.first().map(|standing| &standing.subject.case);
    let is_one = standings.iter().all(|standing| Some(&standing.subject.case) == first);
    let mut lines = Vec::new();
    for standing in standings {
        if is_one {
            lines.extend(page.whole(standing));
            lines.push(String::new());
        } else {
            lines.extend(page.short(standing));
        }
    }
    if lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines.extend(page.legend(standings.iter()));
    write_all(&lines, out)
}

fn write_all(lines: &[String], out: &mut dyn Write) -> io::Result<()> {
    lines.iter().try_for_each(|line| writeln!(out, "{}", line.trim_end()))
}

struct Page<'s> {
    style: &'s Style,
}

impl Page<'_> {
    fn head(&self, overview: &Overview) -> String {
        let (Some(first), Some(last)) = (overview.first, overview.last) else {
            return "no run is known yet".to_owned();
        };
        let (first, last) = (first.strftime("%Y-%m-%d").to_string(), last.strftime("%Y-%m-%d").to_string());
        let days = if first == last { format!("of {first}") } else { format!("from {first} to {last}") };
        let row = Row::new().with(Tone::Strong, count(overview.runs, "run"));
        row.plain(format!(" {days}, {}", count(overview.cases, "case"))).render(self.style)
    }

    /// A case in few lines: its name, its strip, and since when.
    fn short(&self, standing: &Standing) -> Vec<String> {
        let mut lines = vec![format!("  {}", self.name(&standing.subject, 2))];
        let strip = Row::new().plain("    ");
        let rate = rate_text(standing.rate);
        let room = self.style.columns().saturating_sub(4 + 2 + fit::columns(&rate)).min(MOST_CELLS);
        let strip = self.strip(strip, &standing.observations, room);
        lines.push(strip.plain(format!("  {rate}")).render(self.style));
        let change = &standing.change;
        if let Some(since) = &standing.red_since {
            lines.push(format!("    red since {}", moment(since)));
        }
        if let (Suspicion::Regression | Suspicion::Mended, Some(since)) = (change.suspicion, &change.since)
            && standing.red_since.as_ref() != Some(since)
        {
            lines.push(format!("    {} since {}", odds(standing), moment(since)));
        }
        lines
    }

    /// All that is known of a case.
    fn whole(&self, standing: &Standing) -> Vec<String> {
        let mut lines = vec![self.style.paint(Tone::Strong, &self.name(&standing.subject, 0))];
        let room = self.style.columns().saturating_sub(2).min(MOST_CELLS);
        lines.push(self.strip(Row::new().plain("  "), &standing.observations, room).render(self.style));
        let mut fact = |name: &str, value: String, tone: Tone| {
            let row = Row::new().dim(format!("  {}", fit::left(name, 15))).with(tone, value);
            lines.push(row.render_within(self.style, self.style.columns()));
        };
        fact("passed", rate_text(standing.rate), Tone::Plain);
        fact(&format!("last {WINDOW_DAYS} days"), rate_text(standing.recent), Tone::Plain);
        let rule = format!("{} ({})", standing.rule.word(), meaning(standing.rule));
        fact("by the rule", rule, rule_tone(standing.rule));
        fact("by statistics", odds(standing), suspicion_tone(standing.change.suspicion));
        let moments = [
            ("changed at", &standing.change.since),
            ("first failure", &standing.first_failure),
            ("red since", &standing.red_since),
            ("last green", &standing.last_green),
        ];
        for (name, known) in moments {
            if let Some(known) = known {
                fact(name, moment(known), Tone::Plain);
            }
        }
        if let Some(growth) = standing.growth {
            fact("time", grown(growth), Tone::Warn);
        }
        for one in &standing.environments {
            let id = one.environment.as_ref().map_or("unknown", |id| id.0.as_str());
            let id = neutral::line(id);
            let text = format!("{}, last {}: {id}", rate_text(one.rate), day(&one.last));
            fact("in environment", text, Tone::Plain);
        }
        lines
    }

    fn grower(&self, subject: &Subject, growth: Growth) -> String {
        let time = fit::left(&grown(growth), 28);
        let row = Row::new().with(Tone::Warn, format!("  {time}  "));
        let used = row.columns();
        row.plain(self.name(subject, used)).render(self.style)
    }

    /// The name of a case, where `used` columns of its line are taken; the end of an id tells the most.
    fn name(&self, subject: &Subject, used: usize) -> String {
        let lane = format!(" in {}", neutral::line(&subject.lane));
        let room = self.style.columns().saturating_sub(used + fit::columns(&lane)).max(10);
        format!("{}{lane}", fit::end(&neutral::line(&subject.case), room, self.style.glyphs))
    }

    fn more(&self, all: usize) -> Option<String> {
        let more = all.checked_sub(MOST_CASES).filter(|more| *more > 0)?;
        Some(self.style.paint(Tone::Dim, &format!("  {} {more} more", self.style.glyphs.ellipsis())))
    }

    /// The newest observations as cells, the newest at the right.
    fn strip(&self, mut row: Row, observations: &[Observation], room: usize) -> Row {
        let newest = observations.get(observations.len().saturating_sub(room)..).unwrap_or_default();
        for seen in newest {
            let (letter, tone) = cell(seen);
            let shown = if self.has_blocks() { '■' } else { letter };
            row.push(tone, shown.to_string());
        }
        row
    }

    /// Whether colours alone tell the cells apart.
    fn has_blocks(&self) -> bool {
        self.style.colours && self.style.glyphs == Glyphs::Unicode
    }

    /// What the letters that were used mean; colours say enough by themselves.
    fn legend<'s>(&self, standings: impl Iterator<Item = &'s Standing>) -> Vec<String> {
        let used: std::collections::BTreeSet<char> =
            standings.flat_map(|standing| &standing.observations).map(|seen| cell(seen).0).collect();
        if self.has_blocks() || used.is_empty() {
            return Vec::new();
        }
        let said: Vec<String> = LEGEND
            .iter()
            .filter(|(letter, _)| used.contains(letter))
            .map(|(letter, meaning)| format!("{letter} {meaning}"))
            .collect();
        vec![String::new(), self.style.paint(Tone::Dim, &said.join("   "))]
    }
}

fn cell(seen: &Observation) -> (char, Tone) {
    match seen.outcome {
        _ if !seen.counts() && !seen.outcome.is_red() => ('-', Tone::Dim),
        // The environment broke, and nobody knows what the case would have done.
        Outcome::Error if !seen.counts() => ('E', Tone::Broken),
        Outcome::Passed if seen.failures > 0 => ('r', Tone::Warn),
        Outcome::Passed => ('.', Tone::Good),
        Outcome::Failed => ('F', Tone::Bad),
        Outcome::TimedOut => ('T', Tone::Bad),
        Outcome::Error => ('E', Tone::Bad),
        Outcome::ExpectedFailure => ('x', Tone::Good),
        Outcome::Skipped | Outcome::Interrupted => ('-', Tone::Dim),
    }
}

const fn rule_tone(rule: Rule) -> Tone {
    match rule {
        Rule::Regression | Rule::Failing => Tone::Bad,
        Rule::Flaky => Tone::Warn,
        Rule::Steady => Tone::Good,
        Rule::Unseen => Tone::Dim,
    }
}

const fn suspicion_tone(suspicion: Suspicion) -> Tone {
    match suspicion {
        Suspicion::Regression | Suspicion::Broken => Tone::Bad,
        Suspicion::Flaky => Tone::Warn,
        Suspicion::Steady | Suspicion::Mended => Tone::Good,
        Suspicion::Nothing => Tone::Dim,
    }
}

fn meaning(rule: Rule) -> String {
    match rule {
        Rule::Regression => format!("red in the last {IN_A_ROW} runs"),
        Rule::Failing => format!("at most {FLAKY_ABOVE_PERCENT} % passed in {WINDOW_DAYS} days"),
        Rule::Flaky => format!("more than {FLAKY_ABOVE_PERCENT} % passed in {WINDOW_DAYS} days, and not all"),
        Rule::Steady => format!("all passed in {WINDOW_DAYS} days"),
        Rule::Unseen => format!("not executed in the {WINDOW_DAYS} days before the newest run"),
    }
}

/// `83 % of 18 (61 to 94 %)`: the rate, and between which rates the true one lies with 95 %.
fn rate_text(rate: Rate) -> String {
    let Some(share) = rate.share() else { return "never executed".to_owned() };
    let (low, high) = rate.interval();
    let percent = |share: f64| format!("{:.0}", share * 100.0);
    // Not every one passed, or some did: then it is not said to be all or none.
    let shown = match percent(share) {
        text if text == "100" && rate.failures() > 0 => "99".to_owned(),
        text if text == "0" && rate.passed > 0 => "1".to_owned(),
        text => text,
    };
    format!("{shown} % of {} ({} to {} %)", rate.executions, percent(low), percent(high))
}

/// What statistics suspect, and how sure they are.
fn odds(standing: &Standing) -> String {
    let change = &standing.change;
    let sure = |chance: f64| {
        let percent = format!("{:.1}", (chance * 100.0).min(99.9));
        format!(
            ", {percent} % sure: {} before, {} after",
            rate_short(change.before),
            rate_short(change.after)
        )
    };
    match change.suspicion {
        Suspicion::Regression => format!("regression{}", sure(change.worse)),
        Suspicion::Mended => format!("mended{}", sure(change.better)),
        other => other.word().to_owned(),
    }
}

fn rate_short(rate: Rate) -> String {
    format!("{} of {} passed", rate.passed, rate.executions)
}

fn grown(growth: Growth) -> String {
    format!("{}, was {}", duration(growth.now_ms), duration(growth.before_ms))
}

fn day(moment: &Moment) -> String {
    moment.at.strftime("%Y-%m-%d").to_string()
}

fn moment(moment: &Moment) -> String {
    let at = moment.at.strftime("%Y-%m-%d %H:%M");
    let revision = moment.revision.as_deref().map(|revision| {
        // A hash is told by its beginning; what is no hash is told whole.
        let is_hash = revision.get(..12).is_some_and(|it| it.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let dirty = if is_hash && revision.ends_with("-dirty") { "-dirty" } else { "" };
        let shown = if is_hash { revision.get(..12).unwrap_or(revision) } else { revision };
        format!(", revision {}{dirty}", neutral::line(shown))
    });
    format!("{at}  {}{}", neutral::line(&moment.run.0), revision.unwrap_or_default())
}

#[cfg(test)]
mod tests;
