//! The page in a real browser: headless Chromium, where there is one.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test helper that fails fails its test")]
#![allow(clippy::print_stdout, reason = "who skips a test says so")]
#![allow(clippy::disallowed_methods, reason = "a browser is a process, and is waited for")]

use std::path::{Path, PathBuf};

use serde_json::json;
use testbed_model::case::Case;
use testbed_model::event::Event;
use testbed_model::lane::LaneId;
use testbed_model::record::{LogLine, Record, RecordedLog};
use testbed_report::html::{self, Page};

#[path = "it/canned/mod.rs"]
#[allow(dead_code, reason = "shared with the other tests")]
mod canned;
#[path = "browser/chromium.rs"]
mod chromium;
#[path = "it/crowd.rs"]
mod crowd;

use chromium::Chromium;
use crowd::{Crowd, crowd};

fn rerun(lane: &LaneId, case: Option<&Case>) -> Option<String> {
    let case = case.map(|case| format!(" --case '{}'", case.id)).unwrap_or_default();
    (lane.suite != "unit").then(|| format!("testbed premerge --suite {}{case}", lane.suite))
}

/// Pages and pictures stay here, to be looked at.
fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn written(name: &str, crowd: &Crowd) -> PathBuf {
    let Crowd { record, logs, series } = crowd;
    let mut out = Vec::new();
    html::write(&Page { record, logs, series, rerun: Some(&rerun) }, &mut out).unwrap();
    let file = kept(name);
    std::fs::write(&file, out).unwrap();
    file
}

/// The canned red run, with a log of its frontend.
fn red() -> Crowd {
    let mut record: Record = crowd(0).unwrap().record;
    record.events = canned::named("red").unwrap();
    let line = |stamped: &testbed_model::event::Stamped| LogLine {
        at: stamped.at,
        text: format!("event {}", stamped.seq),
    };
    let lines = record.events.iter().map(line).collect();
    let logs = vec![RecordedLog { stack: Some("mocker".into()), name: "frontend".into(), lines }];
    Crowd { record, logs, series: Vec::new() }
}

#[test]
fn every_case_is_in_the_table_and_opens_by_pointer_key_and_address() {
    let Some(mut browser) = Chromium::start(1400, 900) else { return };
    browser.open(&written("red.html", &red()));
    assert!(browser.text("document.querySelector('h1').innerText").starts_with("FAILED"));
    let total = browser.value("document.querySelectorAll('#cases [data-at]').length").as_u64().unwrap();
    assert_eq!(
        browser.text("document.querySelector('#cases [role=status]').innerText"),
        format!("{total} cases")
    );

    // Address.
    let red = browser
        .value("[...document.querySelectorAll('#cases .failed[data-at]')].map((row) => row.dataset.at)");
    let first = red[0].as_str().unwrap().to_owned();
    browser.value(&format!("location.hash = 'case={first}'"));
    browser.until("document.querySelector('#detail[data-whole]')");
    let detail = browser.text("document.querySelector('#detail').innerText");
    for part in [
        "test_usage_equals_what_was_streamed[8]",
        "assert 7 == 8",
        "200 OK in 38 ms",
        "Log of worker-1",
        "testbed premerge --suite e2e --case",
        "testbed repro",
    ] {
        assert!(detail.contains(part), "{part}: {detail}");
    }
    assert!(detail.contains("Log of frontend meanwhile") && detail.contains("event "), "{detail}");

    // Keys.
    browser.key("Escape");
    browser.until("!document.querySelector('#detail') && location.hash === ''");
    browser.key("n");
    browser.until("document.querySelector('#detail.failed, #detail.error, #detail.timed-out')");
    browser.key("Escape");
    browser.key("/");
    for letter in "rustfmt".chars() {
        browser.key(&letter.to_string());
    }
    browser.until("document.querySelectorAll('#cases [data-at]').length === 1");
    browser.key("Enter");
    browser.until("document.querySelector('#detail h2')?.innerText.includes('rustfmt')");
    browser.key("Escape");
    browser.until("!document.querySelector('#detail')");
    browser.value("document.querySelector('#cases input').focus()");
    browser.key("Escape");
    browser.until(&format!("document.querySelectorAll('#cases [data-at]').length === {total}"));

    // Filters: one outcome, one more, and all again.
    let chip = |kind: u8| format!("document.querySelector('#cases button[data-kind=\"{kind}\"]')");
    let rows = "[...new Set([...document.querySelectorAll('#cases [data-at] .what')].map((one) => one.innerText))].sort().join()";
    browser.value(&format!("{}.click()", chip(1)));
    browser.until(&format!("{rows} === 'failed'"));
    assert_eq!(browser.value(&format!("{}.getAttribute('aria-pressed')", chip(0))), json!("false"));
    browser.value(&format!("{}.click()", chip(3)));
    browser.until(&format!("{rows} === 'failed,timed out'"));
    for kind in [1, 3] {
        browser.value(&format!("{}.click()", chip(kind)));
    }
    browser.until(&format!("document.querySelectorAll('#cases [data-at]').length === {total}"));
    assert_eq!(browser.trouble(), [""; 0]);
}

#[test]
fn the_time_axis_tells_what_is_under_the_pointer() {
    let Some(mut browser) = Chromium::start(1400, 900) else { return };
    browser.open(&written("axis.html", &red()));
    browser.value("document.querySelector('#axis').scrollIntoView({ behavior: 'instant' })");
    let all = browser.text("document.querySelector('#axis .hint.push').innerText");
    // The row of the frontend, in the middle of what the stack served.
    let place = browser.value(
        "(() => { const label = [...document.querySelectorAll('#axis .label')].find((one) => one.innerText === 'frontend').getBoundingClientRect(); \
          const plot = document.querySelector('#axis .plot').getBoundingClientRect(); \
          return [plot.x + plot.width * 0.8, label.y + label.height / 2]; })()",
    );
    let (x, y) = (place[0].as_f64().unwrap(), place[1].as_f64().unwrap());
    browser.point(x, y, &[]);
    browser.until("document.querySelector('#card .log')");
    let card = browser.text("document.querySelector('#card').innerText");
    assert!(card.contains("mocker / frontend") && card.contains("ready"), "{card}");
    browser.point(x, y, &["mousePressed", "mouseReleased"]);
    browser.until("document.querySelector('#detail .lines time')");
    browser.key("Escape");
    browser.value("document.querySelector('#axis canvas[tabindex]').focus()");
    browser.key("+");
    browser.until(&format!("document.querySelector('#axis .hint.push').innerText !== {}", json!(all)));
    browser.key("0");
    browser.until(&format!("document.querySelector('#axis .hint.push').innerText === {}", json!(all)));
    assert_eq!(browser.trouble(), [""; 0]);
}

#[test]
fn the_summary_needs_no_javascript() {
    let Some(mut browser) = Chromium::start(1400, 900) else { return };
    let file = written("plain.html", &red());
    browser.ask("Emulation.setScriptExecutionDisabled", json!({ "value": true }));
    browser.ask("Page.navigate", json!({ "url": format!("file://{}", file.display()) }));
    browser.until("document.querySelector('.foot')");
    let text = browser.text("document.body.innerText");
    for part in [
        "FAILED",
        "premerge: 3 of",
        "assert 7 == 8",
        "Critical path",
        "Lanes",
        "Slowest cases",
        "needs 1 GPU",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("Time axis"), "what needs the script is not promised");
    browser.picture(&kept("plain.png"));
    assert_eq!(browser.trouble(), [""; 0]);
}

#[test]
fn it_fits_wide_and_narrow_windows_in_the_dark_and_in_the_light() {
    let Some(mut browser) = Chromium::start(1400, 900) else { return };
    let file = written("sizes.html", &red());
    for (width, height) in [(1400, 900), (820, 1100), (390, 844)] {
        for scheme in ["light", "dark"] {
            browser.size(width, height);
            browser.colours(scheme);
            browser.open(&file);
            let across = browser.value("document.documentElement.scrollWidth");
            assert!(across.as_u64().unwrap() <= u64::from(width), "{across} of {width}");
            let dark = browser.text("getComputedStyle(document.body).backgroundColor");
            assert_eq!(dark == "rgb(13, 17, 23)", scheme == "dark", "{dark}");
            browser.picture(&kept(&format!("{width}-{scheme}.png")));
        }
    }
    assert_eq!(browser.trouble(), [""; 0]);
}

#[test]
fn nothing_that_a_test_prints_is_executed() {
    let Some(mut browser) = Chromium::start(1400, 900) else { return };
    let evil = "</script><script>window.owned = 1</script><img src=x onerror='window.owned = 1'>";
    let mut crowd = red();
    for stamped in &mut crowd.record.events {
        if let Event::CaseFinished { result, service_logs, .. } = &mut stamped.event {
            result.case.id = format!("{}{evil}", result.case.id);
            (result.message, result.details) = (Some(evil.into()), Some(evil.into()));
            result.output = evil.into();
            for window in service_logs {
                window.lines = vec![evil.into()];
            }
        }
    }
    for log in &mut crowd.logs {
        log.lines.iter_mut().for_each(|line| line.text = evil.into());
    }
    browser.open(&written("hostile.html", &crowd));
    let rows = browser.value("document.querySelectorAll('#cases [data-at]').length").as_u64().unwrap();
    for at in 0..rows {
        browser.value(&format!("location.hash = 'case={at}'"));
        browser.until(&format!("document.querySelector('#detail[data-at=\"{at}\"][data-whole]')"));
    }
    assert_eq!(browser.value("[window.owned ?? null, document.images.length]"), json!([null, 0]));
    assert_eq!(browser.trouble(), [""; 0]);
}

#[test]
fn fifty_thousand_cases_are_searched_with_few_rows_in_the_page() {
    let Some(mut browser) = Chromium::start(1400, 900) else { return };
    browser.open(&written("crowd.html", &crowd(50_000).unwrap()));
    assert_eq!(browser.text("document.querySelector('#cases [role=status]').innerText"), "50,000 cases");
    assert!(browser.value("document.querySelectorAll('#cases [data-at]').length").as_u64().unwrap() < 80);
    println!(
        "ready after {} ms",
        browser.value("Math.round(performance.getEntriesByName('ready')[0].startTime)")
    );
    browser.key("/");
    for letter in "test_kvbm_7".chars() {
        browser.key(&letter.to_string());
    }
    browser.until("/^[1-9][0-9,]* of 50,000/.test(document.querySelector('#cases [role=status]').innerText)");
    browser.picture(&kept("crowd.png"));
    assert_eq!(browser.trouble(), [""; 0]);
}
