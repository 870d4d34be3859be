//! What the page's script reads first: the time axis and the columns of the cases.

use serde::Serialize;
use serde_json::{Value, json};
use testbed_model::case::Case;
use testbed_model::record::Series;

use super::Page;
use super::cases::{Columns, OUTCOMES, columns};
use crate::axis::{Axis, Moment, MomentKind, Span, State, Track};
use crate::neutral;
use crate::story::Story;

/// Stands for a case's id in the command that repeats one.
const PLACEHOLDER: &str = "CASE";

/// Points of one series: more than a screen has columns are not seen.
const POINTS: usize = 1500;

/// Everything but long texts and logs.
#[derive(Serialize)]
pub struct Core<'e> {
    run: String,
    /// The wall time of the axis's zero, in milliseconds since 1970.
    wall: i64,
    end: u64,
    planned: Option<u64>,
    states: Vec<&'static str>,
    kinds: Vec<&'static str>,
    outcomes: [&'static str; 10],
    images: Vec<Value>,
    stacks: Vec<Value>,
    lanes: Vec<Value>,
    moments: Vec<Value>,
    series: Vec<Value>,
    placeholder: &'static str,
    cases: Columns<'e>,
}

/// Makes it.
pub fn core<'e>(page: &Page<'_>, axis: &Axis<'e>, story: &Story) -> Core<'e> {
    let stacks = axis.stacks.iter().map(|stack| {
        let services: Vec<Value> = stack.services.iter().map(track).collect();
        let mut value = track(&stack.track);
        value["v"] = Value::Array(services);
        value
    });
    let lanes = axis.lanes.iter().map(|lane| {
        let repeat = |case: Option<&Case>| page.rerun.and_then(|rerun| rerun(lane.id, case));
        let any = Case { id: PLACEHOLDER.to_owned(), file: None, line: None, markers: Vec::new() };
        let environment =
            story.lanes.iter().find(|it| it.id == *lane.id).and_then(|it| it.environment.clone());
        let mut value = track(&lane.track);
        value["n"] = json!(lane.id.to_string());
        value["profile"] = json!(lane.id.profile);
        value["slots"] = json!(lane.slots);
        value["again"] = json!(repeat(None));
        value["case"] = json!(repeat(Some(&any)));
        value["env"] = json!(environment);
        value
    });
    Core {
        run: page.record.manifest.run.to_string(),
        wall: axis.zero.map_or(0, jiff::Timestamp::as_millisecond),
        end: axis.end_us,
        planned: axis.planned_us,
        states: State::ALL.iter().map(|state| state.word()).collect(),
        kinds: KINDS.iter().map(|kind| kind.word()).collect(),
        outcomes: OUTCOMES,
        images: axis.images.iter().map(track).collect(),
        stacks: stacks.collect(),
        lanes: lanes.collect(),
        moments: axis.moments.iter().map(moment).collect(),
        series: page.series.iter().map(series).collect(),
        placeholder: PLACEHOLDER,
        cases: columns(axis, story),
    }
}

const KINDS: [MomentKind; 6] = [
    MomentKind::Probe,
    MomentKind::Stopped,
    MomentKind::Died,
    MomentKind::Warning,
    MomentKind::Signal,
    MomentKind::Failed,
];

fn track(track: &Track<'_>) -> Value {
    let spans: Vec<Value> = track.spans.iter().map(span).collect();
    let moments: Vec<Value> = track.moments.iter().map(moment).collect();
    json!({ "n": track.name, "s": spans, "m": moments })
}

fn span(span: &Span<'_>) -> Value {
    json!([span.state as u8, span.begin_us, span.end_us, span.note])
}

fn moment(moment: &Moment<'_>) -> Value {
    json!([moment.kind as u8, moment.at_us, moment.text.to_string()])
}

/// A series in as many points as are seen, each bucket by its largest value.
fn series(series: &Series) -> Value {
    let bucket = series.points.len().div_ceil(POINTS).max(1);
    let points = series.points.chunks(bucket).filter_map(|points| {
        let first = points.first()?;
        let most = points.iter().map(|(_, value)| *value).fold(f64::MIN, f64::max);
        Some((first.0, most))
    });
    let (times, values): (Vec<u64>, Vec<f64>) = points.unzip();
    json!({
        "stack": neutral::line(&series.stack),
        "service": neutral::line(&series.service),
        "figure": neutral::line(&series.figure),
        "unit": series.unit,
        "t": times,
        "v": values.iter().map(|value| rounded(*value)).collect::<Vec<f64>>(),
    })
}

/// Four digits are more than a screen shows.
fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return 0.0;
    }
    let scale = 10_f64.powf(3.0 - value.abs().log10().floor());
    let scaled = (value * scale).round() / scale;
    if scaled.is_finite() { scaled } else { value }
}

#[cfg(test)]
mod tests {
    use super::rounded;

    #[test]
    #[allow(clippy::float_cmp, reason = "rounding is exact here")]
    fn four_digits_are_kept() {
        let given = [0.0, 1234.56, 0.001_234_56, 5e9, f64::NAN, f64::MAX];
        assert_eq!(given.map(rounded)[..4], [0.0, 1235.0, 0.001_235, 5e9]);
        assert!(given.iter().all(|value| rounded(*value).is_finite()));
    }
}
