//! The page: what is there without JavaScript, that nothing of a test's is taken for markup, and its size.

use testbed_model::case::Case;
use testbed_model::event::Event;
use testbed_model::lane::LaneId;
use testbed_model::record::Record;
use testbed_report::html::{self, Page};

use crate::canned;
use crate::crowd::{Crowd, crowd};

fn rerun(lane: &LaneId, case: Option<&Case>) -> Option<String> {
    let case = case.map(|case| format!(" --case {}", case.id)).unwrap_or_default();
    (lane.suite != "unit").then(|| format!("testbed premerge --suite {}{case}", lane.suite))
}

fn page(page: &Page<'_>) -> String {
    let mut out = Vec::new();
    html::write(page, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn of_record(record: &Record) -> String {
    page(&Page { record, logs: &[], series: &[], rerun: Some(&rerun) })
}

fn canned_record(name: &str) -> Record {
    let mut record = crowd(0).unwrap().record;
    record.events = canned::named(name).unwrap();
    record
}

/// What a person sees without JavaScript, a line for each element that begins one.
fn seen(page: &str) -> String {
    let body = page.split_once("<body>").unwrap().1.split_once("<script").unwrap().0;
    body.replace("><", ">\n<").replace("</tr>", "</tr>\n")
}

#[test]
fn without_javascript_verdict_failures_and_facts_are_there() {
    for name in ["green", "red", "environment", "interrupted", "nothing"] {
        insta::assert_snapshot!(format!("html_{name}"), seen(&of_record(&canned_record(name))));
    }
}

#[test]
fn equal_records_give_equal_bytes_and_nothing_asks_the_network() {
    let record = canned_record("red");
    let page = of_record(&record);
    assert_eq!(page, of_record(&record));
    assert!(page.contains("default-src 'none'"));
    // The one address is the name of the picture's format.
    let rest = page.replace("http://www.w3.org/2000/svg", "");
    let markup = rest.split("<script>").next().unwrap().split("<body>").collect::<Vec<_>>();
    for forbidden in
        [" src=", "@import", "url(", "<iframe", "<object", "<form", "http-equiv=\"refresh\"", "javascript:"]
    {
        assert!(!markup.concat().contains(forbidden), "{forbidden}");
    }
    assert!(!rest.contains("https://") && !rest.contains("fetch(") && !rest.contains("innerHTML"));
}

#[test]
fn nothing_that_a_test_prints_is_taken_for_markup() {
    let evil = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'><!--\u{0}\u{1b}]0;x\u{7}\u{202e}]]>&lt;";
    let mut record = canned_record("red");
    record.manifest.arguments = vec![evil.into()];
    record.manifest.facts.kernel = evil.into();
    for stamped in &mut record.events {
        match &mut stamped.event {
            Event::CaseFinished { lane, result, service_logs } => {
                lane.suite = evil.into();
                result.case.id = format!("{}{evil}", result.case.id);
                result.case.file = Some(evil.into());
                result.case.markers = vec![evil.into()];
                result.message = Some(evil.into());
                result.details = Some(evil.repeat(3));
                result.output = evil.into();
                for window in service_logs {
                    window.service = evil.into();
                    window.lines = vec![evil.into()];
                }
            }
            Event::Warning { message, hint } => (*message, *hint) = (evil.into(), Some(evil.into())),
            Event::StackReady { stack, .. } | Event::StackStopped { stack, .. } => *stack = evil.into(),
            Event::ProbeAnswered { answer, .. } => *answer = evil.into(),
            _ => {}
        }
    }
    let page = of_record(&record);
    assert_eq!(page.matches("<script").count(), 4, "three of data, one of code");
    assert_eq!(page.matches("</script>").count(), 4);
    assert!(!page.contains("<img") && !page.contains("onerror=alert(2)>\"") && !page.contains("<!--"));
    assert!(!page.contains(['\0', '\u{1b}', '\u{7}', '\u{202e}']));
}

#[test]
fn fifty_thousand_cases_make_at_most_five_megabytes() {
    let Crowd { record, logs, series } = crowd(50_000).unwrap();
    let page = page(&Page { record: &record, logs: &logs, series: &series, rerun: Some(&rerun) });
    assert!(page.len() <= 5_000_000, "{} bytes", page.len());
    assert!(
        page.contains("red in ")
            && page.contains("more. With JavaScript the table of cases below has them all")
    );
}

#[test]
fn a_record_that_was_cut_says_so() {
    let mut record = canned_record("red");
    record.events.truncate(60);
    record.damaged = 2;
    let page = of_record(&record);
    assert!(page.contains("UNFINISHED") && page.contains("2 lines of the journal cannot be read"));
    record.events.clear();
    assert!(of_record(&record).contains("UNFINISHED"));
}
