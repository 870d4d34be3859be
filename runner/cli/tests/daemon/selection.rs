//! Selection against pytest itself: the pytest of the tests image reads the same expressions over the same catalog, in a real
//! run, and must come to the same cases.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use testbed_model::exit_code::ExitCode;
use testbed_model::selection::{Expression, Keywords, Mark, Marks};

use crate::ground::Ground;

const EXPRESSIONS: usize = 100_000;

/// Dynamo's names, among them some that are parts of others, and some that nobody has.
const NAMES: [&str; 20] = [
    "pre_merge",
    "post_merge",
    "nightly",
    "gpu_0",
    "gpu_1",
    "gpus_needed_1",
    "vllm",
    "sglang",
    "trtllm",
    "router",
    "kvbm",
    "kvbm_concurrency",
    "parallel",
    "slow",
    "unit",
    "e2e",
    "model",
    "xfail",
    "True",
    "a.b[c-1]/d::e",
];

/// The other side: pytest's own classes do the reading and the matching.
const COMPARISON: &str = r#"
import json
from pathlib import Path

from _pytest.mark import KeywordMatcher, MarkMatcher
from _pytest.mark.expression import Expression
from _pytest.mark.structures import Mark

GIVEN = json.loads((Path(__file__).parent / "expressions.json").read_text())


def matchers():
    marks, keywords = [], []
    for case in GIVEN["catalog"]:
        made = [Mark(m["name"], (), m.get("kwargs", {}), _ispytest=True) for m in case]
        marks.append(MarkMatcher.from_markers(made))
        keywords.append(KeywordMatcher({m["name"] for m in case}))
    return marks, keywords


def selected(expression, matchers):
    return [number for number, matcher in enumerate(matchers) if expression.evaluate(matcher)]


def test_same_selection():
    marks, keywords = matchers()
    differing = []
    for text, column, by_marks, by_keywords in GIVEN["expressions"]:
        try:
            expression = Expression.compile(text)
        except SyntaxError as error:
            # Python's compiler, which finds arguments that are given twice, names no column of ours.
            if column is None or (error.offset != column and "repeated" not in error.msg):
                differing.append((text, column, error.msg, error.offset))
            continue
        if column is not None or selected(expression, marks) != by_marks:
            differing.append((text, column, by_marks))
        elif by_keywords is not None and selected(expression, keywords) != by_keywords:
            differing.append((text, by_keywords))
    assert not differing, f"{len(differing)} of {len(GIVEN['expressions'])} differ, such as {differing[:5]}"
    assert len(GIVEN["expressions"]) == COUNT
"#;

/// Values as they are written in an expression.
fn literal() -> impl Strategy<Value = String> {
    prop_oneof![
        select(vec!["1", "0", "-1", "16", "True", "False", "None", "'a'", "\"a\"", "'Qwen/Qwen3-0.6B'"])
            .prop_map(str::to_owned),
        (-20_i32..20).prop_map(|number| number.to_string()),
    ]
}

fn name() -> impl Strategy<Value = String> {
    let plain = || select(NAMES.to_vec()).prop_map(str::to_owned);
    let argument =
        || (select(vec!["a", "b", "name"]), literal()).prop_map(|(name, value)| format!("{name}={value}"));
    let with_arguments = (plain(), vec(argument(), 1..3))
        .prop_map(|(name, arguments)| format!("{name}({})", arguments.join(", ")));
    prop_oneof![8 => plain(), 2 => with_arguments]
}

/// Parentheses only here and there, so that the binding of `and` and `or` decides.
fn sound() -> impl Strategy<Value = String> {
    name().prop_recursive(5, 24, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| format!("not {inner}")),
            inner.clone().prop_map(|inner| format!("({inner})")),
            (inner.clone(), select(vec![" and ", " or ", "\tor  "]), inner)
                .prop_map(|(left, joint, right)| format!("{left}{joint}{right}")),
        ]
    })
}

fn soup() -> impl Strategy<Value = String> {
    let words = vec![
        "and", "or", "not", "(", ")", "=", ",", "'", "\"", "\\", "1", "-", "m", "a", " ", "  ", "\t", "é",
        "&", "名", "class", "None", "True", "m(a=1)", "m(a=", "router", "slow",
    ];
    vec(select(words), 0..9).prop_map(|words| words.concat())
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        (-3_i32..20).prop_map(|number| json!(number)),
        select(vec![
            json!(true),
            json!(false),
            json!(null),
            json!("a"),
            json!(1.0),
            json!(0.5),
            json!([1]),
            json!("1")
        ]),
        Just(json!("Qwen/Qwen3-0.6B")),
    ]
}

fn case() -> impl Strategy<Value = Vec<Mark>> {
    let mark =
        (select(NAMES.to_vec()), proptest::option::weighted(0.4, (select(vec!["a", "b", "name"]), value())));
    let mark = mark.prop_map(|(name, argument)| Mark {
        name: name.to_owned(),
        args: Vec::new(),
        kwargs: argument.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
    });
    vec(mark, 0..7)
}

/// What ours makes of a text: its cases, or the column of what is wrong.
fn ours(text: &str, catalog: &[Vec<Mark>], keywords: &[Vec<String>]) -> Value {
    match Expression::parse(text) {
        Err(error) => json!([text, error.column, null, null]),
        Ok(expression) => {
            let numbers = |holds: &dyn Fn(usize) -> bool| -> Vec<usize> {
                (0..catalog.len()).filter(|number| holds(*number)).collect()
            };
            let by_marks = numbers(&|number| expression.matches(&Marks(&catalog[number])));
            // pytest refuses arguments in `-k`.
            let is_plain = expression.names().iter().all(|name| name.arguments.is_empty());
            let by_keywords =
                is_plain.then(|| numbers(&|number| expression.matches(&Keywords(&keywords[number]))));
            json!([text, null, by_marks, by_keywords])
        }
    }
}

#[test]
fn a_hundred_thousand_expressions_select_what_pytest_selects() {
    let mut runner = TestRunner::deterministic();
    let catalog = vec(case(), 24).new_tree(&mut runner).unwrap().current();
    let keywords: Vec<Vec<String>> =
        catalog.iter().map(|marks| marks.iter().map(|mark| mark.name.clone()).collect()).collect();
    let text = prop_oneof![3 => sound().boxed(), 1 => soup().boxed()];
    let expressions: Vec<Value> = (0..EXPRESSIONS)
        .map(|_| ours(&text.new_tree(&mut runner).unwrap().current(), &catalog, &keywords))
        .collect();
    let sound = expressions.iter().filter(|expression| expression[1].is_null()).count();
    assert!(sound > EXPRESSIONS / 2 && sound < EXPRESSIONS, "{sound} can be read");
    let given = json!({ "catalog": catalog, "expressions": expressions }).to_string();
    let ground = Ground::small(&COMPARISON.replace("COUNT", &EXPRESSIONS.to_string()))
        .with("project/tests/expressions.json", &given);
    let ended = ground.testbed(["premerge"]);
    assert_eq!(ended.code(), ExitCode::Passed, "{}", ended.err);
}
