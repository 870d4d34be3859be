//! What services told of themselves while their stack was up: figures at moments, and the series that they make.
//!
//! Names say what a figure is, as Prometheus has it (<https://prometheus.io/docs/practices/naming/>): `_total`, `_sum` and `_count`
//! only ever grow, everything else goes up and down, and the unit stands before that. Figures of the container itself follow it:
//! [`CPU`] and [`MEMORY`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::series::{Series, Unit};
use crate::event::{Event, Stamped};

/// Seconds that processors worked for a container.
pub const CPU: &str = "cpu_seconds_total";
/// Bytes of memory that a container holds, without the cache that the kernel may take back.
pub const MEMORY: &str = "memory_bytes";

/// The most figures of one service: what lies beyond is left out, in the order of names.
const MOST_FIGURES: usize = 500;
/// The longest name with its labels, in bytes: longer ones are texts, not figures.
const LONGEST_NAME: usize = 400;
/// Microseconds in a second.
const SECOND_US: f64 = 1e6;

/// Figures by name.
pub type Figures = BTreeMap<String, f64>;

/// Who told figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The daemon, of a container's control group.
    Container,
    /// The service itself, at its metrics endpoint.
    Endpoint,
}

/// The figures of the Prometheus text format. Histograms keep their sum and count, summaries too; lines that say nothing that
/// could be drawn are left out.
pub fn of_prometheus(text: &str) -> Figures {
    let mut figures = Figures::new();
    for line in text.lines() {
        let Some((name, value)) = prometheus_line(line.trim()) else { continue };
        if figures.len() < MOST_FIGURES || figures.contains_key(name) {
            figures.insert(name.to_owned(), value);
        }
    }
    figures
}

/// Name with labels, and value; none for comments, buckets, quantiles, moments of creation and what is no number.
fn prometheus_line(line: &str) -> Option<(&str, f64)> {
    if line.starts_with('#') || line.len() > LONGEST_NAME {
        return None;
    }
    // Labels may hold spaces and braces in quotes, so their end is looked for from behind.
    let end = line.rfind('}').map_or_else(|| line.find(char::is_whitespace), |brace| Some(brace + 1))?;
    let (name, rest) = line.split_at_checked(end)?;
    let value: f64 = rest.split_whitespace().next()?.parse().ok()?;
    let (base, labels) = parts(name);
    let useless = base.is_empty()
        || ["_bucket", "_created", "_start_time_seconds", "_info"].iter().any(|end| base.ends_with(end))
        || labels.contains("quantile=\"");
    (value.is_finite() && !useless).then_some((name, value))
}

/// The figures of `GET /varz` of NATS's monitoring port (<https://docs.nats.io/running-a-nats-service/nats_admin/monitoring>).
pub fn of_nats(text: &str) -> Figures {
    let Ok(value) = serde_json::from_str::<serde_json::Value>(text) else { return Figures::new() };
    let counters = [
        ("in_msgs", "nats_in_messages_total"),
        ("out_msgs", "nats_out_messages_total"),
        ("in_bytes", "nats_in_bytes_total"),
        ("out_bytes", "nats_out_bytes_total"),
        ("slow_consumers", "nats_slow_consumers_total"),
        ("connections", "nats_connections"),
        ("subscriptions", "nats_subscriptions"),
    ];
    let figure = |(theirs, ours): (&str, &str)| {
        let value = value.get(theirs)?.as_f64()?;
        value.is_finite().then(|| (ours.to_owned(), value))
    };
    counters.into_iter().filter_map(figure).collect()
}

/// What is not as it was told last. What was told is brought up to date. What was never told is zero: most figures of a service
/// stay so.
pub fn changed(told: &mut Figures, now: Figures) -> Figures {
    let mut out = Figures::new();
    for (name, value) in now {
        if told.get(&name).map_or(0, |before| before.to_bits()) != value.to_bits() {
            told.insert(name.clone(), value);
            out.insert(name, value);
        }
    }
    out
}

/// The series of all samples, by stack, service and figure. What never changed makes none, but for memory.
pub fn series(samples: &[Stamped]) -> Vec<Series> {
    let mut services: BTreeMap<(&str, &str, Source), Told> = BTreeMap::new();
    for stamped in samples {
        if let Event::Sampled { stack, service, source, figures } = &stamped.event {
            services.entry((stack, service, *source)).or_default().sample(stamped.elapsed_us, figures);
        }
    }
    let mut out = Vec::new();
    for ((stack, service, _), told) in services {
        for line in told.lines.into_values() {
            if line.points.len() > 1 || line.figure == "memory" {
                let (stack, service) = (stack.to_owned(), service.to_owned());
                out.push(Series {
                    stack,
                    service,
                    figure: line.figure,
                    unit: line.unit,
                    points: line.points,
                });
            }
        }
    }
    out
}

/// What one service told of itself so far, by one source.
#[derive(Default)]
struct Told {
    at_us: Option<u64>,
    /// By the name that the service has for it.
    lines: BTreeMap<String, Line>,
    /// The sums of histograms, which are told with their counts.
    sums: BTreeMap<String, Values>,
}

/// A figure at the sample before, if it was there, and now.
#[derive(Clone, Copy)]
struct Values {
    before: Option<f64>,
    now: f64,
}

impl Values {
    /// How much more it is. A service that was started again counts from zero.
    fn more(self) -> Option<f64> {
        let before = self.before?;
        Some(if self.now < before { self.now } else { self.now - before })
    }
}

struct Line {
    figure: String,
    unit: Unit,
    kind: Kind,
    values: Values,
    points: Vec<(u64, f64)>,
}

enum Kind {
    /// Its value is drawn.
    Level,
    /// How fast it grows is drawn.
    Rate,
    /// The mean of what came in between two samples is drawn, from it and from this sum.
    Mean { sum: String },
}

impl Told {
    /// Takes in one sample. Figures that it does not name are as they were.
    fn sample(&mut self, at_us: u64, news: &Figures) {
        let before_us = self.at_us.replace(at_us);
        let seconds = before_us.map_or(0.0, |before| seconds(at_us.saturating_sub(before)));
        // A figure that comes later was zero until then; of the first ones nobody knows.
        let unknown = before_us.map(|_| 0.0);
        for values in self.lines.values_mut().map(|line| &mut line.values).chain(self.sums.values_mut()) {
            values.before = Some(values.now);
        }
        for (name, now) in news {
            let new = Values { before: unknown, now: *now };
            if parts(name).0.ends_with("_sum") {
                self.sums.entry(name.clone()).or_insert(new).now = *now;
            } else {
                self.lines.entry(name.clone()).or_insert_with(|| Line::new(name, new)).values.now = *now;
            }
        }
        for line in self.lines.values_mut() {
            let value = match &line.kind {
                Kind::Level => Some(line.values.now),
                Kind::Rate if seconds > 0.0 => line.values.more().map(|more| more / seconds),
                Kind::Rate => None,
                // Where nothing came in, there is nothing to be told.
                Kind::Mean { sum } => match (line.values.more(), self.sums.get(sum)) {
                    (Some(more), Some(sum)) if more > 0.0 => sum.more().map(|sum| sum / more),
                    _ => None,
                },
            };
            if let Some(value) = value {
                line.point(at_us, value);
            }
        }
    }
}

impl Line {
    fn new(name: &str, values: Values) -> Self {
        let (base, labels) = parts(name);
        let (figure, unit, kind) = if let Some(stem) = base.strip_suffix("_count") {
            let sum = format!("{stem}_sum{labels}");
            (format!("{stem}{labels}"), unit(stem), Kind::Mean { sum })
        } else if name == CPU {
            ("cpu".to_owned(), Unit::Cores, Kind::Rate)
        } else if let Some(stem) = base.strip_suffix("_total") {
            (format!("{stem}{labels}"), rate_unit(stem), Kind::Rate)
        } else if name == MEMORY {
            ("memory".to_owned(), Unit::Bytes, Kind::Level)
        } else {
            (name.to_owned(), unit(base), Kind::Level)
        };
        Self { figure, unit, kind, values, points: Vec::new() }
    }

    /// A point, if it differs from the one before: a value holds until the next one.
    fn point(&mut self, at_us: u64, value: f64) {
        if value.is_finite() && self.points.last().is_none_or(|(_, last)| last.to_bits() != value.to_bits()) {
            self.points.push((at_us / 1000, value));
        }
    }
}

/// Name and labels, which keep their braces.
fn parts(name: &str) -> (&str, &str) {
    name.split_at(name.find('{').unwrap_or(name.len()))
}

fn unit(base: &str) -> Unit {
    let ends = |end: &str| base.ends_with(end);
    if ends("_bytes") {
        Unit::Bytes
    } else if ends("_seconds") {
        Unit::Seconds
    } else if ends("_ratio") || ends("_perc") || ends("_rate") {
        Unit::Ratio
    } else {
        Unit::Count
    }
}

fn rate_unit(stem: &str) -> Unit {
    if stem.ends_with("cpu_seconds") {
        Unit::Cores
    } else if stem.ends_with("bytes") {
        Unit::BytesPerSecond
    } else {
        Unit::PerSecond
    }
}

/// Microseconds as seconds. A run would have to last for centuries to lose one.
#[allow(clippy::cast_precision_loss)]
fn seconds(us: u64) -> f64 {
    us as f64 / SECOND_US
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::{prop_assert, proptest};

    use super::{CPU, Figures, MEMORY, Source, changed, of_nats, of_prometheus, series};
    use crate::event::{Event, Stamped};
    use crate::record::Unit;

    fn sample(at_us: u64, source: Source, figures: &[(&str, f64)]) -> Stamped {
        let figures = figures.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        let (stack, service) = ("mocker".to_owned(), "frontend".to_owned());
        let event = Event::Sampled { stack, service, source, figures };
        Stamped { seq: 0, at: Timestamp::UNIX_EPOCH, elapsed_us: at_us, event }
    }

    #[test]
    fn the_text_format_is_read_without_what_cannot_be_drawn() {
        let text = "# HELP x y\n# TYPE a_seconds histogram\na_seconds_bucket{le=\"1\"} 3\na_seconds_sum{m=\"t}i ny\"} 1.5 1700000000\n\
                    a_seconds_count{m=\"t}i ny\"} 3\nb NaN\nc_info{v=\"1\"} 1\nd 7\nq{quantile=\"0.5\"} 2\nnonsense\n{} 4\n";
        let figures = of_prometheus(text);
        let told: Vec<(&str, f64)> = figures.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        assert_eq!(
            told,
            [("a_seconds_count{m=\"t}i ny\"}", 3.0), ("a_seconds_sum{m=\"t}i ny\"}", 1.5), ("d", 7.0)]
        );
    }

    #[test]
    fn nats_tells_its_messages() {
        let figures = of_nats(r#"{"in_msgs": 5, "connections": 2, "mem": 9, "out_bytes": "x"}"#);
        assert_eq!(figures.len(), 2);
        assert_eq!(figures.get("nats_in_messages_total"), Some(&5.0));
        assert!(of_nats("not json").is_empty());
    }

    #[test]
    fn only_what_changed_is_told_again() {
        let mut told = Figures::new();
        let first = Figures::from([("a".to_owned(), 1.0), ("b".to_owned(), 2.0)]);
        assert_eq!(changed(&mut told, first.clone()), first);
        assert!(changed(&mut told, first).is_empty());
        let second = ["a", "b", "c"].map(|name| (name.to_owned(), if name == "b" { 3.0 } else { 1.0 }));
        let mut second = Figures::from(second);
        second.insert("c".to_owned(), 0.0);
        assert_eq!(changed(&mut told, second), Figures::from([("b".to_owned(), 3.0)]));
    }

    #[test]
    fn counters_become_rates_and_histograms_means() {
        let samples = [
            sample(0, Source::Container, &[(CPU, 1.0), (MEMORY, 100.0)]),
            sample(1_000_000, Source::Container, &[(CPU, 1.5)]),
            sample(0, Source::Endpoint, &[("r_total", 0.0), ("constant", 1.0)]),
            sample(
                2_000_000,
                Source::Endpoint,
                &[("r_total", 10.0), ("t_seconds_sum", 1.0), ("t_seconds_count", 4.0)],
            ),
            sample(3_000_000, Source::Endpoint, &[]),
            sample(
                4_000_000,
                Source::Endpoint,
                &[("r_total", 2.0), ("t_seconds_sum", 4.0), ("t_seconds_count", 5.0)],
            ),
        ];
        let told = series(&samples);
        let line = |figure: &str| told.iter().find(|series| series.figure == figure).unwrap();
        assert_eq!(line("memory").points, [(0, 100.0)]);
        // Of the processor there is one moment only.
        assert!(told.iter().all(|series| series.figure != "cpu" && series.figure != "constant"));
        assert_eq!(line("r").points, [(2000, 5.0), (3000, 0.0), (4000, 2.0)]);
        assert_eq!(line("r").unit, Unit::PerSecond);
        assert_eq!(line("t_seconds").points, [(2000, 0.25), (4000, 3.0)]);
        assert_eq!(line("t_seconds").unit, Unit::Seconds);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,200}", at in 0_u64..9) {
            let figures = of_prometheus(&text);
            prop_assert!(figures.values().all(|value| value.is_finite()));
            let (stack, service) = (String::new(), String::new());
            let event = Event::Sampled { stack, service, source: Source::Endpoint, figures };
            let _ = series(&[Stamped { seq: 0, at: Timestamp::UNIX_EPOCH, elapsed_us: at, event }]);
            let _ = of_nats(&text);
        }
    }
}
