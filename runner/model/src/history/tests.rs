//! What a history says of cases, and that the order in which it learned of them decides nothing.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::{
    Growth, History, Observation, PastResult, PastRun, Rate, Rule, RunKey, Source, Standing, Subject,
    Suspicion,
};
use crate::case::Outcome;
use crate::record::EnvironmentId;

fn at(hour: i64) -> Timestamp {
    "2026-11-01T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_hours(hour)
}

fn subject(case: &str) -> Subject {
    Subject { lane: "e2e@mocker".to_owned(), case: case.to_owned() }
}

/// One observation a letter, an hour apart: `.` passed, `F` failed, `r` passed at the second try, `-` skipped, `T` timed out.
fn seen(letters: &str) -> Vec<Observation> {
    let observed = |(hour, letter): (usize, char)| {
        let (outcome, executions, failures) = match letter {
            '.' => (Outcome::Passed, 1, 0),
            'F' => (Outcome::Failed, 1, 1),
            'T' => (Outcome::TimedOut, 1, 1),
            'r' => (Outcome::Passed, 2, 1),
            '-' => (Outcome::Skipped, 0, 0),
            other => panic!("{other}"),
        };
        Observation {
            at: at(i64::try_from(hour).unwrap()),
            run: RunKey(format!("run-{hour:03}")),
            revision: None,
            environment: Some(EnvironmentId("e1".to_owned())),
            outcome,
            executions,
            failures,
            duration_ms: 10,
        }
    };
    letters.chars().enumerate().map(observed).collect()
}

fn standing(letters: &str) -> Standing {
    let until = at(i64::try_from(letters.len()).unwrap());
    Standing::of(subject("a"), seen(letters), until)
}

#[test]
fn the_interval_of_a_rate_is_wilsons() {
    let close = |(low, high): (f64, f64), expected: (f64, f64)| {
        assert!(
            (low - expected.0).abs() < 5e-4 && (high - expected.1).abs() < 5e-4,
            "{low} {high} {expected:?}"
        );
    };
    // Figures of R's binom.confint(method = "wilson").
    close(Rate { passed: 8, executions: 10 }.interval(), (0.4902, 0.9433));
    close(Rate { passed: 0, executions: 10 }.interval(), (0.0, 0.2775));
    close(Rate { passed: 10, executions: 10 }.interval(), (0.7225, 1.0));
    close(Rate { passed: 50, executions: 100 }.interval(), (0.4038, 0.5962));
    close(Rate::default().interval(), (0.0, 1.0));
}

#[test]
fn the_rule_tells_flaky_from_regression_and_failing() {
    for (letters, rule) in [
        ("", Rule::Unseen),
        ("----", Rule::Unseen),
        ("....", Rule::Steady),
        (".....F....", Rule::Flaky),
        ("....F", Rule::Failing),
        (".....F", Rule::Flaky),
        ("..F..F.", Rule::Failing),
        (".........FF", Rule::Flaky),
        ("........FFF", Rule::Regression),
        ("........FF-T", Rule::Regression),
        (".......FFF.", Rule::Failing),
        ("FFF", Rule::Regression),
        ("........r.", Rule::Flaky),
        ("rrr", Rule::Failing),
    ] {
        assert_eq!(standing(letters).rule, rule, "{letters}");
    }
}

#[test]
fn the_rule_looks_back_seven_days_and_no_further() {
    let old = seen("F.........");
    let late = |hours: i64| Standing::of(subject("a"), old.clone(), at(hours)).rule;
    assert_eq!(late(7 * 24), Rule::Flaky);
    assert_eq!(late(7 * 24 + 1), Rule::Steady);
    assert_eq!(late(8 * 24), Rule::Unseen);
}

#[test]
fn statistics_tell_when_it_broke_and_when_it_was_mended() {
    let broke = standing("....................FFF").change;
    assert_eq!(broke.suspicion, Suspicion::Regression, "{broke:?}");
    assert_eq!(broke.since.unwrap().run, RunKey("run-020".to_owned()));
    assert_eq!((broke.before.executions, broke.after.passed), (20, 0));
    let mended = standing("FFFF....................").change;
    assert_eq!(mended.suspicion, Suspicion::Mended, "{mended:?}");
    assert_eq!(mended.since.unwrap().run, RunKey("run-004".to_owned()));
    // It got worse without failing three times in a row: the rule calls that flaky.
    let worse = standing("........................................F.F..F.F.F.F..F.F.F.");
    assert_eq!(worse.rule, Rule::Flaky);
    assert_eq!(worse.change.suspicion, Suspicion::Regression, "{:?}", worse.change);
}

#[test]
fn statistics_call_a_steady_chance_flaky_even_after_bad_luck() {
    for letters in [".F..F...F.F..F.FFF..F..F", "...F......F.....F....", "F.F.F.F.F.F.F.F.F.F"] {
        assert_eq!(standing(letters).change.suspicion, Suspicion::Flaky, "{letters}");
    }
    // Three in a row are a regression by the rule; by statistics they are what such a case does now and then.
    let unlucky = standing(".F.FF.F..F.FF..F.F.FF.FFF");
    assert_eq!((unlucky.rule, unlucky.change.suspicion), (Rule::Regression, Suspicion::Flaky));
    assert_eq!(standing("....").change.suspicion, Suspicion::Steady);
    assert_eq!(standing("FFFF").change.suspicion, Suspicion::Broken);
    assert_eq!(standing("-").change.suspicion, Suspicion::Nothing);
}

#[test]
fn first_failure_and_the_run_since_which_it_is_red_are_told_apart() {
    let told = standing("..F...-FF");
    let run = |moment: Option<super::Moment>| moment.unwrap().run.0;
    assert_eq!(run(told.first_failure), "run-002");
    assert_eq!(run(told.red_since), "run-007");
    assert_eq!(run(told.last_green), "run-005");
    assert!(standing("..F.").red_since.is_none());
    assert_eq!(run(standing("..r.").first_failure), "run-002");
}

#[test]
fn each_environment_has_a_rate_of_its_own() {
    let mut observations = seen("..FF");
    for observation in &mut observations[2..] {
        observation.environment = None;
    }
    let environments = Standing::of(subject("a"), observations, at(9)).environments;
    assert_eq!(environments.len(), 2);
    assert_eq!((environments[0].environment.as_ref(), environments[0].rate.passed), (None, 0));
    assert_eq!(environments[1].rate, Rate { passed: 2, executions: 2 });
}

fn timed(times: &[u64]) -> Option<Growth> {
    let mut observations = seen(&".".repeat(times.len()));
    for (observation, time) in observations.iter_mut().zip(times) {
        observation.duration_ms = *time;
    }
    Growth::of(&observations)
}

#[test]
fn a_case_grows_slower_only_where_its_usual_time_did() {
    let steady = [1000; 10];
    assert_eq!(timed(&steady), None);
    let with_tail = |tail: [u64; 5]| timed(&[&steady[..], &tail[..]].concat());
    assert_eq!(with_tail([2000; 5]), Some(Growth { before_ms: 1000, now_ms: 2000 }));
    assert_eq!(with_tail([1000, 9000, 1000, 9000, 1000]), None, "two slow runs are none");
    assert_eq!(with_tail([1200; 5]), None, "less than a quarter");
    assert_eq!(timed(&[1, 1, 1, 1, 1, 9, 9, 9, 9, 9]), None, "nobody notices 8 ms");
    assert_eq!(timed(&[1000, 1000, 1000, 1000, 9000, 9000, 9000, 9000, 9000]), None, "too few before");
    let noisy = [500, 2000, 1000, 1700, 300, 1500, 800, 2100, 600, 1200];
    assert_eq!(timed(&[&noisy[..], &[1900; 5][..]].concat()), None, "chance explains it");
}

#[test]
fn a_loop_of_a_million_counts_without_costing_as_much() {
    let mut observations = seen(".F");
    observations[1].executions = 1_000_000;
    observations[1].failures = 1;
    let standing = Standing::of(subject("a"), observations, at(2));
    assert_eq!(standing.rate.failures(), 1);
    assert_eq!(standing.change.suspicion, Suspicion::Flaky);
}

fn outcome() -> impl Strategy<Value = (Outcome, u32, u32)> {
    prop_oneof![
        Just((Outcome::Passed, 1, 0)),
        Just((Outcome::Failed, 1, 1)),
        Just((Outcome::Passed, 3, 2)),
        Just((Outcome::Skipped, 0, 0)),
        Just((Outcome::TimedOut, 1, 1)),
    ]
}

fn result() -> impl Strategy<Value = PastResult> {
    ("[abc]", "[xy]", outcome(), 0_u64..3).prop_map(
        |(case, lane, (outcome, executions, failures), duration_ms)| PastResult {
            subject: Subject { case, lane },
            environment: None,
            outcome,
            executions,
            failures,
            duration_ms,
        },
    )
}

prop_compose! {
    /// Runs of few keys, so that tellings of one run meet.
    pub(crate) fn past_run()(
        key in 0_u8..6,
        started in 0_i64..3,
        source in prop_oneof![Just(Source::Junit), Just(Source::Record)],
        finished in any::<bool>(),
        share in any::<bool>(),
        replaces in proptest::collection::btree_set(0_u8..6, 0..2),
        results in proptest::collection::vec(result(), 0..6),
    ) -> PastRun {
        let name = |key: u8| RunKey(format!("run-{key}"));
        PastRun {
            key: name(key),
            started: at(started),
            source,
            finished,
            share,
            exit_code: None,
            revision: None,
            replaces: replaces.into_iter().filter(|other| *other != key).map(name).collect(),
            results,
        }
    }
}

fn of(runs: &[PastRun]) -> History {
    let mut history = History::default();
    for run in runs {
        history.add(run.clone());
    }
    history
}

fn merged(a: &History, b: &History) -> History {
    let mut out = a.clone();
    out.merge(b);
    out
}

fn runs() -> impl Strategy<Value = Vec<PastRun>> {
    proptest::collection::vec(past_run(), 0..8)
}

proptest! {
    #[test]
    fn merging_is_commutative_associative_and_idempotent(a in runs(), b in runs(), c in runs()) {
        let (a, b, c) = (of(&a), of(&b), of(&c));
        prop_assert_eq!(merged(&a, &b), merged(&b, &a));
        prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
        prop_assert_eq!(&merged(&a, &a), &a);
        prop_assert_eq!(merged(&merged(&a, &b), &b), merged(&a, &b));
    }

    #[test]
    fn the_order_in_which_runs_are_added_decides_nothing(
        runs in runs(),
        order in any::<proptest::sample::Index>(),
    ) {
        let mut other = runs.clone();
        other.reverse();
        if !other.is_empty() {
            let by = order.index(other.len());
            other.rotate_left(by);
        }
        prop_assert_eq!(of(&runs), of(&other));
    }

    #[test]
    fn what_is_said_of_a_case_does_not_depend_on_the_order_of_what_was_seen(
        letters in "[.FrT-]{0,40}",
        keys in proptest::collection::vec(any::<u32>(), 40),
    ) {
        let ordered = seen(&letters);
        let mut pairs: Vec<_> = ordered.iter().cloned().zip(keys).collect();
        pairs.sort_by_key(|(_, key)| *key);
        let shuffled: Vec<Observation> = pairs.into_iter().map(|(seen, _)| seen).collect();
        let until = at(40);
        prop_assert_eq!(
            Standing::of(subject("a"), ordered, until),
            Standing::of(subject("a"), shuffled, until)
        );
    }

    #[test]
    fn probabilities_and_intervals_stay_within_their_bounds(letters in "[.FrT-]{0,220}") {
        let standing = standing(&letters);
        let (low, high) = standing.rate.interval();
        prop_assert!((0.0..=1.0).contains(&low) && low <= high && high <= 1.0);
        if let Some(share) = standing.rate.share() {
            prop_assert!(low <= share && share <= high, "{low} {share} {high}");
        }
        for chance in [standing.change.worse, standing.change.better] {
            prop_assert!((0.0..=1.0).contains(&chance), "{chance}");
        }
    }
}

#[test]
fn a_run_put_together_of_shares_stands_for_them_in_any_order() {
    let run = |key: &str, replaces: &[&str]| PastRun {
        key: RunKey(key.to_owned()),
        started: at(0),
        source: Source::Record,
        finished: true,
        share: false,
        exit_code: None,
        revision: None,
        replaces: replaces.iter().map(|key| RunKey((*key).to_owned())).collect::<BTreeSet<_>>(),
        results: Vec::new(),
    };
    let (first, second, whole) = (run("1", &[]), run("2", &[]), run("3", &["1", "2"]));
    let expected = of(&[first.clone(), second.clone(), whole.clone()]);
    assert_eq!(expected.runs().keys().map(ToString::to_string).collect::<Vec<_>>(), ["3"]);
    assert_eq!(of(&[whole, second, first]), expected);
}
