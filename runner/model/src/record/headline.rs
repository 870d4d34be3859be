//! Of all series the few that a person looks at first, each summed over its labels.
//!
//! A frontend of Dynamo tells of some hundred and fifty figures that change in a run of seconds. They are all in the record; a page
//! that drew them all would show none.

use std::collections::{BTreeMap, BTreeSet};

use super::series::{Series, Unit};
use crate::stack::Millis;

/// Figures by their names without labels, as Dynamo (docs of its metrics, `dynamo_frontend_*` and `dynamo_component_*`), vLLM
/// (`vllm:*`) and [`super::sample::of_nats`] have them, and as they are shown; the container's own first.
const HEADLINES: [(&str, &str); 20] = [
    ("cpu", "cpu"),
    ("memory", "memory"),
    ("dynamo_frontend_requests", "requests"),
    ("dynamo_frontend_inflight_requests", "requests in flight"),
    ("dynamo_frontend_queued_requests", "requests queued"),
    ("dynamo_frontend_time_to_first_token_seconds", "time to first token"),
    ("dynamo_frontend_inter_token_latency_seconds", "time between tokens"),
    ("dynamo_frontend_request_duration_seconds", "request duration"),
    ("dynamo_component_requests", "worker requests"),
    ("dynamo_component_inflight_requests", "worker in flight"),
    ("dynamo_component_request_duration_seconds", "worker duration"),
    ("dynamo_component_router_kv_hit_rate", "KV hit rate"),
    ("dynamo_component_kvstats_gpu_cache_usage_percent", "KV cache in use"),
    ("dynamo_component_kvstats_gpu_prefix_cache_hit_rate", "prefix cache hits"),
    ("vllm:num_requests_running", "vLLM running"),
    ("vllm:kv_cache_usage_perc", "vLLM cache in use"),
    ("vllm:prefix_cache_hits", "vLLM prefix hits"),
    ("vllm:time_to_first_token_seconds", "vLLM first token"),
    ("nats_in_messages", "NATS messages"),
    ("nats_connections", "NATS connections"),
];

/// The series that are looked at first, at most one for a service and a figure.
pub fn headlines(series: &[Series]) -> Vec<Series> {
    let mut groups: BTreeMap<(&str, &str, usize), Vec<&Series>> = BTreeMap::new();
    for one in series {
        let base = one.figure.split('{').next().unwrap_or_default();
        if let Some(rank) = HEADLINES.iter().position(|(name, _)| *name == base) {
            groups.entry((&one.stack, &one.service, rank)).or_default().push(one);
        }
    }
    let sum = |((stack, service, rank), group): ((&str, &str, usize), Vec<&Series>)| {
        let unit = group.first()?.unit;
        Some(Series {
            stack: stack.to_owned(),
            service: service.to_owned(),
            figure: HEADLINES.get(rank)?.1.to_owned(),
            unit,
            points: over_labels(unit, &group),
        })
    };
    groups.into_iter().filter_map(sum).collect()
}

/// What adds up is added up; of means and parts of a whole the largest is told.
fn over_labels(unit: Unit, group: &[&Series]) -> Vec<(Millis, f64)> {
    if let [only] = group {
        return only.points.clone();
    }
    let moments: BTreeSet<Millis> =
        group.iter().flat_map(|series| series.points.iter().map(|(at, _)| *at)).collect();
    let adds_up = !matches!(unit, Unit::Seconds | Unit::Ratio);
    let at = |moment: Millis| {
        let values = group.iter().filter_map(|series| {
            let after = series.points.partition_point(|(at, _)| *at <= moment);
            series.points.get(after.checked_sub(1)?).map(|(_, value)| *value)
        });
        if adds_up { values.sum() } else { values.fold(0.0, f64::max) }
    };
    moments.into_iter().map(|moment| (moment, at(moment))).collect()
}

#[cfg(test)]
mod tests {
    use super::headlines;
    use crate::record::{Series, Unit};

    fn series(figure: &str, unit: Unit, points: &[(u64, f64)]) -> Series {
        let (stack, service) = ("mocker".to_owned(), "frontend".to_owned());
        Series { stack, service, figure: figure.to_owned(), unit, points: points.to_vec() }
    }

    #[test]
    fn rates_add_up_over_labels_and_means_do_not() {
        let told = headlines(&[
            series("dynamo_frontend_requests{status=\"ok\"}", Unit::PerSecond, &[(0, 1.0), (2, 3.0)]),
            series("dynamo_frontend_requests{status=\"error\"}", Unit::PerSecond, &[(1, 2.0)]),
            series("dynamo_frontend_time_to_first_token_seconds{model=\"a\"}", Unit::Seconds, &[(0, 0.5)]),
            series("dynamo_frontend_time_to_first_token_seconds{model=\"b\"}", Unit::Seconds, &[(3, 0.25)]),
            series("cpu", Unit::Cores, &[(0, 0.5)]),
            series("something_else", Unit::Count, &[(0, 1.0)]),
        ]);
        let figures: Vec<&str> = told.iter().map(|series| series.figure.as_str()).collect();
        assert_eq!(figures, ["cpu", "requests", "time to first token"]);
        assert_eq!(told[1].points, [(0, 1.0), (1, 3.0), (2, 5.0)]);
        assert_eq!(told[2].points, [(0, 0.5), (3, 0.5)]);
    }
}
