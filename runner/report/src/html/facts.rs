//! Lanes, the slowest cases, what was not run and why, and warnings.

use std::fmt::Write as _;

use testbed_model::lane::LaneId;

use super::failures::split;
use super::markup::{bar, escape, thousandths};
use crate::axis::Axis;
use crate::quantity::duration;
use crate::story::{LanePhase, LaneStory, Story};

/// Slowest cases.
const SLOWEST: usize = 10;
/// Reasons and warnings.
const MOST: usize = 60;

/// The sections.
pub fn write(story: &Story, axis: &Axis<'_>) -> String {
    let parts = [
        lanes(story, axis),
        "<div class=\"pair\">".into(),
        slowest(story),
        left_out(story),
        "</div>".into(),
        warnings(story),
    ];
    parts.concat()
}

fn section(id: &str, title: &str, body: &str) -> String {
    if body.is_empty() {
        return String::new();
    }
    format!(
        "<section id=\"{id}\" aria-labelledby=\"{id}-title\">\n<h2 id=\"{id}-title\">{title}</h2>\n{body}</section>\n"
    )
}

fn lanes(story: &Story, axis: &Axis<'_>) -> String {
    if story.lanes.is_empty() {
        return String::new();
    }
    let end = axis.end_us.max(1);
    let mut rows = String::new();
    for lane in &story.lanes {
        let counts = &lane.counts;
        let number = |number: u32, class: &str| {
            let class = if number == 0 { "zero" } else { class };
            format!("<td class=\"number {class}\">{number}</td>")
        };
        let span = lane.began_us.map_or_else(String::new, |began| {
            let until = lane.took_ms.map_or(end, |took| began.saturating_add(took * 1000));
            bar(thousandths(began, end), thousandths(until, end), outcome_class(lane))
        });
        let environment = lane.environment.as_ref().map(|id| escape(&id.0)).unwrap_or_default();
        let _ = writeln!(
            rows,
            "<tr><th scope=\"row\">{name}</th>{passed}{red}{flaky}{skipped}<td class=\"time\">{waited}</td><td class=\"time\">{took}</td>\
             <td class=\"track\">{span}</td><td><code>{environment}</code></td></tr>",
            name = lane_name(&lane.id),
            passed = number(counts.passed, "good"),
            red = number(counts.red(), "bad"),
            flaky = number(counts.flaky, "flaky"),
            skipped = number(counts.skipped, ""),
            waited = lane.waited_ms.filter(|millis| *millis >= 10).map(duration).unwrap_or_default(),
            took = lane.took_ms.map(duration).unwrap_or_default(),
        );
    }
    let table = format!(
        "<div class=\"scroll\"><table class=\"grid\"><thead><tr><th scope=\"col\">lane</th><th scope=\"col\" class=\"number\">passed</th>\
         <th scope=\"col\" class=\"number\">red</th><th scope=\"col\" class=\"number\">flaky</th><th scope=\"col\" class=\"number\">skipped</th>\
         <th scope=\"col\" class=\"time\">waited</th><th scope=\"col\" class=\"time\">took</th><th scope=\"col\">when</th>\
         <th scope=\"col\">environment</th></tr></thead><tbody>\n{rows}</tbody></table></div>\n"
    );
    section("lanes", "Lanes", &table)
}

fn outcome_class(lane: &LaneStory) -> &'static str {
    match lane {
        lane if lane.environment_failed() => "broken",
        lane if lane.counts.red() > 0 || lane.failed_itself() => "failed",
        lane if lane.phase == LanePhase::Finished => "passed",
        _ => "interrupted",
    }
}

fn lane_name(id: &LaneId) -> String {
    let part = id.part.as_deref().map(|part| format!("/{}", escape(part))).unwrap_or_default();
    let profile =
        id.profile.as_deref().map(|profile| format!("<span class=\"dim\">@{}</span>", escape(profile)));
    format!("{}{part}{}", escape(&id.suite), profile.unwrap_or_default())
}

fn slowest(story: &Story) -> String {
    let cases = story.slowest(SLOWEST);
    let longest = cases.first().map_or(0, |(_, case)| case.result.duration_ms);
    if longest == 0 {
        return String::new();
    }
    let mut rows = String::new();
    for (lane, case) in cases.iter().filter(|(_, case)| case.result.duration_ms > 0) {
        let result = &case.result;
        let (folder, name) = split(&result.case.id);
        let class = if result.outcome.is_red() { "failed" } else { "passed" };
        let place = format!(" · {}", escape(folder.trim_end_matches("::")));
        let _ = writeln!(
            rows,
            "<tr><td class=\"time\">{}</td><td class=\"track\">{}</td><th scope=\"row\"><div>{}</div>\
             <div class=\"where\">{}{}</div></th></tr>",
            duration(result.duration_ms),
            bar(0, thousandths(result.duration_ms, longest), class),
            escape(name),
            escape(&lane.id.to_string()),
            if folder.is_empty() { folder } else { &place },
        );
    }
    section(
        "slowest",
        "Slowest cases",
        &format!("<table class=\"ranking\"><tbody>\n{rows}</tbody></table>\n"),
    )
}

fn left_out(story: &Story) -> String {
    let all = story.left_out();
    let mut rows = String::new();
    for entry in all.iter().take(MOST) {
        let class = if entry.planned { "" } else { " class=\"cut\"" };
        let _ = writeln!(
            rows,
            "<tr{class}><th scope=\"row\">{}</th><td>{}</td></tr>",
            escape(&entry.what),
            escape(&entry.reason)
        );
    }
    if all.len() > MOST {
        let _ = writeln!(rows, "<tr><th scope=\"row\">…</th><td>{} more</td></tr>", all.len() - MOST);
    }
    let body = if rows.is_empty() {
        "<p class=\"none\">Every case of the tier was run.</p>".to_owned()
    } else {
        format!("<table class=\"reasons\"><tbody>\n{rows}</tbody></table>\n")
    };
    section("not-run", "Not run", &body)
}

fn warnings(story: &Story) -> String {
    let mut rows = String::new();
    for warning in story.warnings.iter().take(MOST) {
        let hint =
            warning.hint.as_deref().map(|hint| format!("<br><span class=\"dim\">{}</span>", escape(hint)));
        let _ = writeln!(rows, "<li>{}{}</li>", escape(&warning.message), hint.unwrap_or_default());
    }
    if rows.is_empty() {
        return String::new();
    }
    section("warnings", "Warnings", &format!("<ul class=\"warnings\">{rows}</ul>\n"))
}
