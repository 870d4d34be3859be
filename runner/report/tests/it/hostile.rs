//! Any events in any order, with texts that attack terminals, XML and layouts: nothing panics, nothing gets through.

use jiff::Timestamp;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use testbed_model::case::{Case, CaseResult, Counts, Outcome};
use testbed_model::event::{
    Event, ImageOrigin, LaneFailure, LogWindow, ModelOrigin, StackFailure, StackFailureCause, Stamped,
};
use testbed_model::exit_code::ExitCode;
use testbed_model::id::RunId;
use testbed_model::lane::LaneId;
use testbed_model::models::ModelContent;
use testbed_model::plan::{PlanId, SkipCount, SkippedLane};
use testbed_model::record::EnvironmentId;
use testbed_model::tier::Tier;
use testbed_report::json::JsonLines;
use testbed_report::live::Live;
use testbed_report::log::Log;
use testbed_report::style::Glyphs;
use testbed_report::summary::{self, Options};
use testbed_report::{Reporter, Story, Style, junit};

use crate::screen::Recorder;

/// A text as nobody wants it.
fn text() -> BoxedStrategy<String> {
    prop_oneof![
        4 => "[a-z:/._-]{0,20}",
        1 => Just("\u{1b}[2J\u{1b}[31mred\u{1b}]0;title\u{7}".to_owned()),
        1 => Just("cut \u{1b}]8;;http://evil\u{1b}[".to_owned()),
        1 => Just("a\0b\u{8}\u{7f}\u{9b}31m\u{85}\u{fffe}\u{ffff}".to_owned()),
        1 => Just("two\r\nlines\rand\n\n\ttab".to_owned()),
        1 => Just("<script>alert(1)</script> ]]> & \" '".to_owned()),
        1 => Just("日本語 👨‍👩‍👧‍👦 e\u{301}\u{302} \u{202e}txt.exe\u{2066} ⚠\u{fe0f}".to_owned()),
        1 => Just("long ".repeat(600)),
        2 => any::<String>(),
    ]
    .boxed()
}

/// Names that meet each other, and some that are texts.
fn name() -> BoxedStrategy<String> {
    prop_oneof![4 => Just("a".to_owned()), 4 => Just("b".to_owned()), 1 => text()].boxed()
}

fn lane() -> BoxedStrategy<LaneId> {
    (name(), option::of(name()), option::of(name()))
        .prop_map(|(suite, part, profile)| LaneId { suite, part, profile })
        .boxed()
}

fn case() -> BoxedStrategy<Case> {
    (name(), option::of(text()), option::of(any::<u32>()), vec(text(), 0..3))
        .prop_map(|(id, file, line, markers)| Case { id, file, line, markers })
        .boxed()
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop::sample::select(vec![
        Outcome::Passed,
        Outcome::Failed,
        Outcome::Error,
        Outcome::TimedOut,
        Outcome::Skipped,
        Outcome::ExpectedFailure,
        Outcome::Interrupted,
    ])
}

fn result() -> BoxedStrategy<CaseResult> {
    (case(), outcome(), any::<u64>(), 0u32..5, option::of(text()), option::of(text()), text())
        .prop_map(|(case, outcome, duration_ms, attempts, message, details, output)| CaseResult {
            case,
            outcome,
            duration_ms,
            attempts,
            rounds: None,
            message,
            details,
            output,
        })
        .boxed()
}

fn failure() -> BoxedStrategy<StackFailure> {
    let cause = prop_oneof![
        (any::<i64>(), any::<bool>())
            .prop_map(|(exit_code, oom_killed)| StackFailureCause::Exited { exit_code, oom_killed }),
        (any::<u64>(), text())
            .prop_map(|(after_ms, waiting_for)| StackFailureCause::TimedOut { after_ms, waiting_for }),
        Just(StackFailureCause::Unhealthy),
        text().prop_map(|message| StackFailureCause::Daemon { message }),
    ];
    (option::of(name()), cause, option::of(text()), vec(text(), 0..30), vec(name(), 0..4))
        .prop_map(|(service, cause, last_answer, log, chain)| StackFailure {
            service,
            cause,
            last_answer,
            log,
            chain,
        })
        .boxed()
}

fn run_event() -> BoxedStrategy<Event> {
    let run = || RunId::new(Timestamp::UNIX_EPOCH, 7);
    let skip = (lane(), text()).prop_map(|(lane, reason)| SkippedLane { lane, reason });
    let left =
        (name(), text(), any::<u32>()).prop_map(|(suite, reason, cases)| SkipCount { suite, reason, cases });
    prop_oneof![
        (lane(), text())
            .prop_map(|(lane, id)| Event::EnvironmentResolved { lane, environment: EnvironmentId(id) }),
        (option::of(text()), vec(name(), 0..3), vec(lane(), 0..20), vec(skip, 0..3), vec(left, 0..3), text())
            .prop_map(move |(plan, profiles, lanes, skipped, left_out, folder)| Event::RunStarted {
                run: run(),
                tier: Some(Tier::Premerge),
                plan: plan.map(PlanId),
                profiles,
                lanes,
                skipped,
                left_out,
                folder,
            }),
        (text(), option::of(text())).prop_map(|(message, hint)| Event::Warning { message, hint }),
        text().prop_map(|signal| Event::Interrupted { signal }),
        (prop::sample::select(ExitCode::ALL.to_vec()), any::<u64>()).prop_map(move |(exit_code, took_ms)| {
            Event::RunFinished { run: run(), counts: Counts::default(), exit_code, took_ms }
        }),
        (name(), text(), option::of(any::<u64>()), option::of(any::<u64>()))
            .prop_map(|(image, step, done, total)| Event::ImageProgress { image, step, done, total }),
        (name(), text(), option::of(any::<u64>()), option::of(any::<u64>()))
            .prop_map(|(model, step, done, total)| Event::ModelProgress { model, step, done, total }),
        (name(), text()).prop_map(|(model, content)| Event::ModelReady {
            model,
            content: ModelContent(content),
            origin: ModelOrigin::Fetched,
        }),
        (name(), text(), text()).prop_map(|(image, reference, id)| Event::ImageReady {
            image,
            reference,
            id,
            origin: ImageOrigin::Built,
        }),
    ]
    .boxed()
}

fn stack_event() -> BoxedStrategy<Event> {
    prop_oneof![
        (name(), vec(name(), 0..5)).prop_map(|(stack, services)| Event::StackStarting { stack, services }),
        (name(), name()).prop_map(|(stack, service)| Event::ServiceStarting { stack, service }),
        (name(), name(), text()).prop_map(|(stack, service, container)| Event::ServiceStarted {
            stack,
            service,
            container
        }),
        (name(), name(), text()).prop_map(|(stack, service, answer)| Event::ProbeAnswered {
            stack,
            service,
            answer
        }),
        (name(), name()).prop_map(|(stack, service)| Event::ServiceReady { stack, service }),
        (name(), name(), any::<i64>(), any::<bool>(), any::<bool>()).prop_map(
            |(stack, service, exit_code, oom_killed, expected)| Event::ServiceExited {
                stack,
                service,
                exit_code,
                oom_killed,
                expected,
            }
        ),
        (name(), any::<u64>()).prop_map(|(stack, took_ms)| Event::StackReady { stack, took_ms }),
        (name(), failure()).prop_map(|(stack, failure)| Event::StackFailed { stack, failure }),
        name().prop_map(|stack| Event::StackStopping { stack }),
        (name(), any::<u64>()).prop_map(|(stack, took_ms)| Event::StackStopped { stack, took_ms }),
        (name(), name(), text()).prop_map(|(stack, service, line)| Event::ServiceLog {
            stack,
            service,
            line
        }),
    ]
    .boxed()
}

fn lane_event() -> BoxedStrategy<Event> {
    let window = (name(), vec(text(), 0..4), any::<u32>()).prop_map(|(service, lines, omitted)| LogWindow {
        service,
        lines,
        omitted,
    });
    let broken = (text(), any::<bool>(), vec(text(), 0..4))
        .prop_map(|(message, environment, log)| LaneFailure { message, environment, log });
    prop_oneof![
        (lane(), text()).prop_map(|(lane, step)| Event::LanePreparing { lane, step }),
        (lane(), any::<u64>()).prop_map(|(lane, waited_ms)| Event::LaneStarted { lane, waited_ms }),
        (lane(), vec(case(), 0..6), any::<u32>())
            .prop_map(|(lane, cases, deselected)| Event::CasesCollected { lane, cases, deselected }),
        (lane(), name()).prop_map(|(lane, case)| Event::CaseStarted { lane, case }),
        (lane(), result(), vec(window, 0..3))
            .prop_map(|(lane, result, service_logs)| { Event::CaseFinished { lane, result, service_logs } }),
        (lane(), text()).prop_map(|(lane, line)| Event::LaneOutput { lane, line }),
        (lane(), any::<u64>(), option::of(broken)).prop_map(|(lane, took_ms, failure)| {
            Event::LaneFinished { lane, counts: Counts::default(), took_ms, failure }
        }),
    ]
    .boxed()
}

fn events() -> BoxedStrategy<Vec<Stamped>> {
    let event = prop_oneof![run_event(), stack_event(), lane_event()];
    vec((event, any::<u64>(), -60_000i64..60_000), 0..40)
        .prop_map(|events| {
            (0u64..)
                .zip(events)
                .map(|(seq, (event, elapsed_us, second))| Stamped {
                    seq,
                    at: Timestamp::from_second(second).unwrap(),
                    elapsed_us,
                    event,
                })
                .collect()
        })
        .boxed()
}

fn tell(events: &[Stamped], reporter: &mut impl Reporter) {
    for event in events {
        reporter.on(event).unwrap();
    }
    reporter.finish().unwrap();
}

/// What a terminal would obey, or show in another order than it was written.
fn dangerous(text: &str) -> Option<char> {
    text.chars().find(|c| {
        (c.is_control() && *c != '\n')
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    })
}

/// Whether XML 1.0 allows the character (section 2.2).
fn allowed_in_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn summary_and_log_let_no_escape_through(events in events(), width in 0usize..140) {
        let style = Style { colours: false, glyphs: Glyphs::Unicode, width };
        let mut out = Vec::new();
        tell(&events, &mut Log::new(&mut out, style));
        let story = Story::of(&events);
        let rerun = |lane: &LaneId, _: Option<&Case>| Some(format!("testbed --suite {}", lane.suite));
        summary::write(&story, &Options { rerun: Some(&rerun), ..Options::new(style) }, &mut out).unwrap();
        let shown = String::from_utf8(out).unwrap();
        prop_assert_eq!(dangerous(&shown), None);
        let coloured = Style { colours: true, ..style };
        let mut out = Vec::new();
        summary::write(&story, &Options::new(coloured), &mut out).unwrap();
        let shown = String::from_utf8(out).unwrap();
        prop_assert_eq!(dangerous(&without_own_colours(&shown)), None);
    }

    #[test]
    fn the_live_view_lets_no_escape_through_and_keeps_to_the_screen(
        events in events(),
        columns in 1u16..130,
        rows in 1u16..40,
    ) {
        let screen = Recorder::new(columns, rows);
        tell(&events, &mut Live::new(screen.clone(), Style::plain(80)));
        for line in screen.written() {
            prop_assert_eq!(dangerous(&line), None, "{:?}", line);
            prop_assert!(console::measure_text_width(&line) <= usize::from(columns).max(10), "{line:?}");
        }
    }

    #[test]
    fn junit_is_always_well_formed(events in events()) {
        let mut out = Vec::new();
        let story = Story::of(&events);
        junit::write(&story, &mut out).unwrap();
        let xml = String::from_utf8(out).unwrap();
        prop_assert!(xml.chars().all(allowed_in_xml));
        let read = quick_junit::Report::deserialize_from_str(&xml).unwrap();
        let red: usize = read.test_suites.iter().map(|suite| suite.failures + suite.errors).sum();
        prop_assert!(red >= story.red().count());
        for suite in &read.test_suites {
            prop_assert_eq!(suite.tests, suite.test_cases.len());
        }
    }

    #[test]
    fn json_lines_are_one_each_and_read_back(events in events()) {
        let mut out = Vec::new();
        tell(&events, &mut JsonLines::new(&mut out));
        let text = String::from_utf8(out).unwrap();
        prop_assert_eq!(dangerous(&text), None);
        let read: Vec<Stamped> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        prop_assert_eq!(read, events);
    }
}

/// The text without the sequences that a style writes itself.
fn without_own_colours(text: &str) -> String {
    ["0", "1", "2", "7", "31", "32", "33", "35", "36"]
        .iter()
        .fold(text.to_owned(), |text, code| text.replace(&format!("\u{1b}[{code}m"), ""))
}
