//! What expressions select, and how bad ones are refused.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Expression, Keywords, Mark, Marks, Name, complete};
use crate::hint::Hint as _;
use crate::project::Vocabulary;

fn marks(names: &[&str]) -> Vec<Mark> {
    names.iter().map(|name| Mark { name: (*name).to_owned(), ..Mark::default() }).collect()
}

fn with(name: &str, argument: &str, value: Value) -> Mark {
    Mark { name: name.to_owned(), args: Vec::new(), kwargs: BTreeMap::from([(argument.to_owned(), value)]) }
}

fn selects(expression: &str, names: &[&str]) -> bool {
    Expression::parse(expression).unwrap().matches(&Marks(&marks(names)))
}

fn refusal(expression: &str) -> String {
    let error = Expression::parse(expression).expect_err(expression);
    format!("{error}\n{}", error.rendered().unwrap_or_default())
}

#[test]
fn names_are_joined_as_in_python() {
    for (expression, names, holds) in [
        ("", &["a"][..], false),
        ("a", &["a"], true),
        ("a", &["ab"], false),
        ("not a", &["a"], false),
        ("not not a", &["a"], true),
        ("a or b and c", &["a"], true),
        ("(a or b) and c", &["a"], false),
        ("not a and b", &["b"], true),
        ("not (a and b)", &["b"], true),
        ("gpu_1 or gpus_needed_1", &["gpus_needed_1"], true),
        (
            "pre_merge and parallel and not (vllm or sglang or trtllm) and gpu_0",
            &["pre_merge", "parallel", "gpu_0"],
            true,
        ),
        ("True", &["a"], false),
        ("a.b[c-1]/d::e", &["a.b[c-1]/d::e"], true),
        ("prüfung", &["prüfung"], true),
        ("\ta\t", &["a"], true),
    ] {
        assert_eq!(selects(expression, names), holds, "`{expression}` of {names:?}");
    }
}

#[test]
fn arguments_are_compared_as_python_compares_values() {
    for (expression, mark, holds) in [
        ("m(a=1)", with("m", "a", json!(1)), true),
        ("m(a=1)", with("m", "a", json!(1.0)), true),
        ("m(a=1)", with("m", "a", json!(true)), true),
        ("m(a=0)", with("m", "a", json!(false)), true),
        ("m(a=-7)", with("m", "a", json!(-7)), true),
        ("m(a=1)", with("m", "a", json!("1")), false),
        ("m(a='1')", with("m", "a", json!("1")), true),
        ("m(a=\"it's\")", with("m", "a", json!("it's")), true),
        ("m(a=None)", with("m", "a", json!(null)), true),
        ("m(b=None)", with("m", "a", json!(null)), false),
        ("m(a=True)", with("m", "a", json!(1)), true),
        ("m(a=True)", with("m", "a", json!(2)), false),
        ("m(a=1, b=2)", with("m", "a", json!(1)), false),
        ("m", with("m", "a", json!(1)), true),
        ("m(a=1)", with("n", "a", json!(1)), false),
        ("m(a=1)", with("m", "a", json!([1])), false),
    ] {
        let expression_ = Expression::parse(expression).unwrap();
        assert_eq!(
            expression_.matches(&Marks(std::slice::from_ref(&mark))),
            holds,
            "`{expression}` of {mark:?}"
        );
    }
    let several = [with("m", "a", json!(1)), with("m", "a", json!(2))];
    assert!(Expression::parse("m(a=2)").unwrap().matches(&Marks(&several)), "any marker of the name will do");
}

#[test]
fn keywords_are_parts_of_names_in_whatever_case() {
    let keywords: Vec<String> = ["test_Chat[kv]", "TestRouter", "router"].map(String::from).into();
    let selects = |text: &str| Expression::parse(text).unwrap().matches(&Keywords(&keywords));
    assert!(selects("chat") && selects("[KV]") && selects("testrouter and not nats"));
    assert!(!selects("chats") && !selects(""));
}

#[test]
fn older_spellings_get_todays_beside_them_and_defaults_fill_what_is_left_out() {
    let group = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), String::new())).collect();
    let vocabulary = Vocabulary {
        groups: [("tier", group(&["pre_merge"])), ("hardware", group(&["gpu_0", "gpu_1"]))]
            .map(|(name, group)| (name.to_owned(), group))
            .into(),
        defaults: [("tier", "pre_merge"), ("hardware", "gpu_0")]
            .map(|(group, name)| (group.to_owned(), name.to_owned()))
            .into(),
        aliases: BTreeMap::from([("gpus_needed_1".to_owned(), "gpu_1".to_owned())]),
        ..Vocabulary::default()
    };
    let completed = |names: &[&str]| -> Vec<String> {
        complete(&marks(names), &vocabulary).into_iter().map(|mark| mark.name).collect()
    };
    assert_eq!(completed(&["gpus_needed_1"]), ["gpus_needed_1", "gpu_1", "pre_merge"]);
    assert_eq!(completed(&["gpu_1", "pre_merge"]), ["gpu_1", "pre_merge"]);
    assert_eq!(completed(&[]), ["gpu_0", "pre_merge"]);
}

#[test]
fn what_is_wrong_is_shown_with_its_column() {
    insta::assert_snapshot!(refusal("pre_merge and (gpu_0"), @"
    column 21: expected right parenthesis; got end of input
    pre_merge and (gpu_0
                        ^
    ");
    insta::assert_snapshot!(refusal("a b"), @"
    column 3: expected end of input; got identifier
    a b
      ^
    ");
    insta::assert_snapshot!(refusal("a and"), @"
    column 6: expected not or left parenthesis or identifier; got end of input
    a and
         ^
    ");
    insta::assert_snapshot!(refusal("größe & b"), @"
    column 7: unexpected character `&`
    größe & b
          ^
    ");
    for (expression, message) in [
        (")", "column 1: expected not or left parenthesis or identifier; got right parenthesis"),
        ("()", "column 2: expected not or left parenthesis or identifier; got right parenthesis"),
        ("m(", "column 3: expected identifier; got end of input"),
        ("m(1)", "column 3: `1` cannot be an argument's name"),
        ("m(a)", "column 4: expected =; got right parenthesis"),
        (
            "m(a=b)",
            "column 5: `b` is no value: it must be a number, `True`, `False`, `None` or text in quotes",
        ),
        ("m(class=1)", "column 3: `class` is a word of Python's own"),
        ("m(a=1, a=2)", "column 8: the argument `a` is given twice"),
        ("m(a=1,)", "column 7: expected identifier; got right parenthesis"),
        ("m(a='b)", "column 5: closing quote `'` is missing"),
        ("m(a='b\\n')", "column 7: escaping with `\\` is not supported in marker expressions"),
        ("a\nb", "column 2: unexpected character `\n`"),
        ("m(a=1)(b=2)", "column 7: expected end of input; got left parenthesis"),
    ] {
        assert_eq!(Expression::parse(expression).expect_err(expression).to_string(), message);
    }
}

#[test]
fn depth_has_an_end_and_length_has_none() {
    let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    assert!(selects(&nested(200), &["a"]));
    assert_eq!(Expression::parse(&nested(201)).unwrap_err().column, 201);
    // A predicate is written out in parentheses, which count.
    let nested = |depth: usize| format!("{}gpu(1){}", "(".repeat(depth), ")".repeat(depth));
    let deepest = Expression::parse(&nested(199)).unwrap();
    assert!(Expression::parse(deepest.in_pytests_words()).is_ok());
    assert_eq!(Expression::parse(&nested(200)).unwrap_err().column, 201);
    let long = vec!["b"; 50_000].join(" or ") + " or a";
    assert!(selects(&long, &["a"]));
    assert!(selects(&format!("{}a", "not ".repeat(50_000)), &["a"]));
}

#[test]
fn names_are_told_with_their_columns_in_order() {
    let expression = Expression::parse("a and not (b or c(x=1)) or a").unwrap();
    let names: Vec<(&str, usize)> =
        expression.names().into_iter().map(|name| (name.text.as_str(), name.column)).collect();
    assert_eq!(names, [("a", 1), ("b", 12), ("c", 17), ("a", 28)]);
}

/// An expression, and what Python would make of it for the names that hold.
#[test]
fn predicates_speak_one_vocabulary_in_every_spelling() {
    for (expression, names, holds) in [
        ("tier(postmerge)", &["pre_merge"][..], true),
        ("tier(post-merge)", &["postmerge"], true),
        ("tier(premerge)", &["nightly"], false),
        ("gpu(1, 2)", &["gpus_needed_2"], true),
        ("gpu(0)", &["gpu_1"], false),
        ("type(fault-tolerance)", &["fault_tolerance"], true),
        ("backend(tensorrt_llm)", &["trtllm"], true),
        ("component(router)", &["kv_router"], true),
        ("component(testing-etcd) and not gpu(1)", &["testing-etcd"], true),
        ("not tier(premerge) or type(unit)", &["premerge", "unit"], true),
        // What pytest understands keeps its meaning.
        ("tier", &["tier"], true),
        ("gpu(n=1)", &["gpu"], false),
    ] {
        assert_eq!(selects(expression, names), holds, "`{expression}` of {names:?}");
    }
    let words = |text: &str| Expression::parse(text).unwrap().in_pytests_words().to_owned();
    assert_eq!(words("not  slow and gpu(1)"), "not  slow and (gpu_1 or gpus_needed_1)");
    assert_eq!(
        words("é or tier(pre_merge) or x"),
        "é or (pre_commit or precommit or pre_merge or premerge) or x"
    );
    assert_eq!(words("a and b"), "a and b");
    let expression = Expression::parse("gpu(1) or component(rooter)").unwrap();
    let asked: Vec<(&str, usize)> =
        expression.names().iter().map(|it| (it.text.as_str(), it.column)).collect();
    assert_eq!(asked, [("rooter", 21)], "what it stands for need not be known");
}

#[test]
fn predicates_with_wrong_arguments_are_refused_at_them() {
    insta::assert_snapshot!(refusal("gpu(0) and tier(premerg)"), @"
    column 17: unknown tier `premerg`; did you mean `premerge`?
    gpu(0) and tier(premerg)
                    ^
    ");
    for (expression, message) in [
        ("gpu(one)", "column 5: `one` is no number of GPUs, such as 0 or 2"),
        ("gpu(1,)", "column 7: expected identifier; got right parenthesis"),
        ("tier(premerge", "column 14: expected right parenthesis; got end of input"),
        ("tier()", "column 6: expected identifier; got right parenthesis"),
        ("slow(1)", "column 6: `1` cannot be an argument's name"),
    ] {
        assert_eq!(Expression::parse(expression).expect_err(expression).to_string(), message);
    }
}

fn expression() -> impl Strategy<Value = (String, fn(&str) -> bool, Tree)> {
    tree().prop_map(|tree| (tree.written(), holds as fn(&str) -> bool, tree))
}

fn holds(name: &str) -> bool {
    name.len().is_multiple_of(2)
}

#[derive(Clone, Debug)]
enum Tree {
    Name(String),
    Not(Box<Self>),
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
}

impl Tree {
    /// With parentheses around everything that is joined.
    fn written(&self) -> String {
        match self {
            Self::Name(name) => name.clone(),
            Self::Not(inner) => format!("not {}", inner.written()),
            Self::And(left, right) => format!("({} and {})", left.written(), right.written()),
            Self::Or(left, right) => format!("({} or {})", left.written(), right.written()),
        }
    }

    fn value(&self) -> bool {
        match self {
            Self::Name(name) => holds(name),
            Self::Not(inner) => !inner.value(),
            Self::And(left, right) => left.value() && right.value(),
            Self::Or(left, right) => left.value() || right.value(),
        }
    }
}

fn tree() -> impl Strategy<Value = Tree> {
    let name = "[a-z_:/.\\[\\]0-9-]{1,4}"
        .prop_filter("words of the language", |name| !matches!(name.as_str(), "and" | "or" | "not"));
    name.prop_map(Tree::Name).prop_recursive(6, 40, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| Tree::Not(Box::new(inner))),
            (inner.clone(), inner.clone()).prop_map(|(l, r)| Tree::And(Box::new(l), Box::new(r))),
            (inner.clone(), inner).prop_map(|(l, r)| Tree::Or(Box::new(l), Box::new(r))),
        ]
    })
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,60}") {
        let _ = Expression::parse(&text);
    }

    #[test]
    fn no_mixture_of_words_makes_it_panic_and_errors_point_into_the_text(
        words in proptest::collection::vec(
            proptest::sample::select(vec!["and", "or", "not", "(", ")", "tier(premerge)", "gpu(", "type(", "a", "m(x=1)", "=", ",", "'", "\"t\"", "-1", " "]), 0..20,
        ),
    ) {
        let text = words.concat();
        if let Err(error) = Expression::parse(&text) {
            prop_assert!(error.column >= 1 && error.column <= text.chars().count() + 1, "{error}");
        }
    }

    #[test]
    fn what_is_written_out_means_the_same(
        words in proptest::collection::vec(
            proptest::sample::select(vec!["a ", "and ", "or ", "not ", "(", ") ", "tier(premerge) ", "gpu(1, 0) ", "type(b) ", "m(x=1) "]), 0..12,
        ),
        has in proptest::collection::vec(proptest::sample::select(vec!["a", "b", "pre_merge", "gpu_1", "nightly"]), 0..4),
    ) {
        if let Ok(expression) = Expression::parse(&words.concat()) {
            let plain = Expression::parse(expression.in_pytests_words()).unwrap();
            let marks = marks(&has);
            prop_assert_eq!(plain.matches(&Marks(&marks)), expression.matches(&Marks(&marks)));
        }
    }

    #[test]
    fn an_expression_means_what_it_says((text, holds, tree) in expression()) {
        let parsed = Expression::parse(&text).unwrap();
        prop_assert_eq!(parsed.matches(&|name: &Name| holds(&name.text)), tree.value(), "{}", text);
    }
}
