//! The trace: that it is what Chrome's trace event format demands, and that it holds what happened.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use testbed_model::event::{Event, Stamped};
use testbed_model::record::Series;
use testbed_report::trace;

use crate::canned;
use crate::crowd::crowd;

fn traced(events: &[Stamped], series: &[Series]) -> Vec<Value> {
    let mut out = Vec::new();
    trace::write(events, series, &mut out).unwrap();
    let trace: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(trace["displayTimeUnit"], "ms");
    trace["traceEvents"].as_array().unwrap().clone()
}

/// What the format says of each kind of event ("Trace Event Format", 2016), and what Perfetto needs besides: spans of a thread
/// lie in each other or apart.
fn check(events: &[Value]) {
    let mut named: BTreeSet<(u64, Option<u64>)> = BTreeSet::new();
    let mut spans: BTreeMap<(u64, u64), Vec<(u64, u64)>> = BTreeMap::new();
    for event in events {
        let number = |key: &str| event[key].as_u64();
        let process = number("pid").unwrap();
        assert!(event["name"].is_string(), "{event}");
        match event["ph"].as_str().unwrap() {
            "M" => {
                assert!(event["args"].is_object(), "{event}");
                if event["name"] == "process_name" {
                    assert!(named.insert((process, None)), "named twice: {event}");
                }
                if event["name"] == "thread_name" {
                    assert!(named.insert((process, number("tid"))), "named twice: {event}");
                }
            }
            "X" => {
                let (thread, begin, length) =
                    (number("tid").unwrap(), number("ts").unwrap(), number("dur").unwrap());
                assert!(named.contains(&(process, Some(thread))), "no name for the thread of {event}");
                spans.entry((process, thread)).or_default().push((begin, begin + length));
            }
            "i" => {
                assert_eq!(event["s"], "t");
                assert!(number("ts").is_some() && named.contains(&(process, number("tid"))), "{event}");
            }
            "C" => {
                assert!(number("ts").is_some() && event["args"]["value"].is_number(), "{event}");
                assert!(named.contains(&(process, None)), "{event}");
            }
            other => assert_eq!(other, "a known kind", "{event}"),
        }
    }
    for ((process, thread), mut spans) in spans {
        spans.sort_unstable();
        let apart = spans.windows(2).all(|pair| pair[0].1 <= pair[1].0);
        assert!(apart, "spans of {process}/{thread} overlap");
    }
}

#[test]
fn every_canned_run_is_a_valid_trace() {
    for (name, make) in canned::ALL {
        let events = make();
        let trace = traced(&events, &[]);
        check(&trace);
        let finished =
            events.iter().filter(|stamped| matches!(stamped.event, Event::CaseFinished { .. })).count();
        let told = trace.iter().filter(|event| event["args"]["outcome"].is_string()).count();
        assert!(told >= finished, "{name}: {told} of {finished}");
    }
}

#[test]
fn stacks_are_processes_and_figures_are_counters() {
    let crowd = crowd(300).unwrap();
    let trace = traced(&crowd.record.events, &crowd.series);
    check(&trace);
    let process = |name: &str| {
        let named =
            trace.iter().find(|event| event["name"] == "process_name" && event["args"]["name"] == name);
        named.unwrap()["pid"].clone()
    };
    let mocker = process("stack mocker");
    let threads: Vec<&str> = trace
        .iter()
        .filter(|event| event["name"] == "thread_name" && event["pid"] == mocker)
        .filter_map(|event| event["args"]["name"].as_str())
        .collect();
    assert_eq!(threads, ["stack", "etcd", "nats", "frontend", "worker-0", "worker-1"]);
    let counter =
        |event: &&Value| event["ph"] == "C" && event["name"] == "frontend cpu" && event["pid"] == mocker;
    assert!(trace.iter().filter(counter).count() > 3);
    let slots = trace.iter().filter(|event| {
        event["name"] == "thread_name"
            && event["args"]["name"].as_str().is_some_and(|name| name.starts_with("tests@mocker ·"))
    });
    assert_eq!(slots.count(), 4);
}

#[test]
fn a_death_is_an_instant() {
    let trace = traced(&canned::dead_worker(), &[]);
    let died = trace.iter().find(|event| event["cat"] == "died").unwrap();
    assert!(died["name"].as_str().unwrap().contains("lack of memory"), "{died}");
}
