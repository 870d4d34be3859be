//! Variables: `$X`, `${X}`, `${X:-default}`, `${X-default}`, `${X:?message}`, `${X?message}`, and `$$` for a dollar.
//!
//! Values come from the profile alone, never from the host's environment. A variable without value and without default is
//! an error, where Compose would go on with an empty text.

use std::collections::{BTreeMap, BTreeSet};

use crate::document::{Document, Form, Mark, Node, Scalar, Value};
use crate::span::Fault;

/// Fills every value of the tree; keys stay as they are. Gives the names of all variables that the file mentions.
pub fn fill(
    document: &mut Document,
    variables: &BTreeMap<String, String>,
) -> Result<BTreeSet<String>, Fault> {
    let hollow = Node { mark: Mark::START, value: Value::List(Vec::new()) };
    let mut root = std::mem::replace(&mut document.root, hollow);
    let mut mentioned = BTreeSet::new();
    let result = fill_node(document, &mut root, variables, &mut mentioned);
    document.root = root;
    result.map(|()| mentioned)
}

fn fill_node(
    document: &Document,
    node: &mut Node,
    variables: &BTreeMap<String, String>,
    mentioned: &mut BTreeSet<String>,
) -> Result<(), Fault> {
    match &mut node.value {
        Value::Scalar(scalar) if scalar.text.contains('$') => {
            let filled = substitute(&scalar.text, variables, mentioned)
                .map_err(|problem| problem.fault(document, node.mark, &scalar.text, variables))?;
            *scalar = Scalar { text: filled, form: Form::Substituted };
        }
        Value::Scalar(_) => {}
        Value::List(items) => {
            for item in items {
                fill_node(document, item, variables, mentioned)?;
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                fill_node(document, &mut entry.value, variables, mentioned)?;
            }
        }
    }
    Ok(())
}

/// What is wrong with one `$`, and how many dollar signs come before it in the scalar.
#[derive(Debug, PartialEq, Eq)]
struct Problem {
    dollars_before: usize,
    what: What,
}

#[derive(Debug, PartialEq, Eq)]
enum What {
    Unset { name: String },
    Required { name: String, message: String },
    Malformed { why: &'static str },
}

impl Problem {
    fn fault(
        self,
        document: &Document,
        mark: Mark,
        text: &str,
        variables: &BTreeMap<String, String>,
    ) -> Fault {
        let at = dollar(document, mark, text, self.dollars_before);
        match self.what {
            What::Unset { name } => {
                let known: Vec<&str> = variables.keys().map(String::as_str).collect();
                let way_out = match crate::nearest::nearest(&name, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => {
                        format!("set it under `[variables]` of the profile, or write `${{{name}:-default}}`")
                    }
                };
                document.fault(at, format!("the variable `{name}` has no value")).with_hint(way_out)
            }
            What::Required { name, message } => {
                // Somebody's own sentence, in the middle of one of ours.
                let message = message.trim_end_matches(|c: char| c == '.' || c.is_whitespace());
                let told = if message.is_empty() { String::new() } else { format!(": {message}") };
                document
                    .fault(at, format!("the variable `{name}` must have a value{told}"))
                    .with_hint("set it under `[variables]` of the profile")
            }
            What::Malformed { why } => document
                .fault(at, format!("not a variable: {why}"))
                .with_hint("write `$$` for a dollar, `${X}` for a variable"),
        }
    }
}

/// The position of a scalar's n-th dollar in the file; the scalar's own where the two texts differ.
fn dollar(document: &Document, mark: Mark, text: &str, nth: usize) -> Mark {
    let total = text.matches('$').count();
    let tail = document.text.get(mark.offset..).unwrap_or_default();
    tail.match_indices('$')
        .take(total)
        .nth(nth)
        .map_or(mark, |(at, _)| Mark::of_offset(&document.text, mark.offset + at))
}

fn substitute(
    text: &str,
    variables: &BTreeMap<String, String>,
    mentioned: &mut BTreeSet<String>,
) -> Result<String, Problem> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        let done = text.len() - after.len();
        let problem = |what| Problem { dollars_before: text[..done].matches('$').count(), what };
        let body = &after[1..];
        if let Some(tail) = body.strip_prefix('$') {
            out.push('$');
            rest = tail;
        } else if let Some(braced) = body.strip_prefix('{') {
            let Some(end) = braced.find('}') else {
                return Err(problem(What::Malformed { why: "`${` has no `}`" }));
            };
            let inner = &braced[..end];
            mentioned.insert(inner[..name_end(inner)].to_owned());
            out.push_str(&braced_value(inner, variables).map_err(problem)?);
            rest = &braced[end + 1..];
        } else {
            let end = name_end(body);
            if end == 0 {
                return Err(problem(What::Malformed { why: "`$` is followed by no name" }));
            }
            let name = &body[..end];
            mentioned.insert(name.to_owned());
            let value = variables.get(name).ok_or_else(|| problem(What::Unset { name: name.to_owned() }))?;
            out.push_str(value);
            rest = &body[end..];
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// The value of what stands between the braces.
fn braced_value(inner: &str, variables: &BTreeMap<String, String>) -> Result<String, What> {
    let end = name_end(inner);
    let (name, operation) = inner.split_at(end);
    if name.is_empty() {
        return Err(What::Malformed { why: "`${` is followed by no name" });
    }
    if operation.contains('$') {
        return Err(What::Malformed { why: "a default cannot hold another variable" });
    }
    let set = variables.get(name);
    let full = set.filter(|value| !value.is_empty());
    let or_default =
        |value: Option<&String>, default: &str| value.map_or_else(|| default.to_owned(), Clone::clone);
    let or_error = |value: Option<&String>, message: &str| {
        value.cloned().ok_or_else(|| What::Required { name: name.to_owned(), message: message.to_owned() })
    };
    if operation.is_empty() {
        set.cloned().ok_or_else(|| What::Unset { name: name.to_owned() })
    } else if let Some(default) = operation.strip_prefix(":-") {
        Ok(or_default(full, default))
    } else if let Some(default) = operation.strip_prefix('-') {
        Ok(or_default(set, default))
    } else if let Some(message) = operation.strip_prefix(":?") {
        or_error(full, message)
    } else if let Some(message) = operation.strip_prefix('?') {
        or_error(set, message)
    } else {
        Err(What::Malformed { why: "after the name, only `:-`, `-`, `:?` and `?` are supported" })
    }
}

/// How many bytes of the text's start are a name: a letter or underscore, then letters, digits, underscores.
fn name_end(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::{What, fill, substitute};
    use crate::document::from_yaml;

    fn variables() -> BTreeMap<String, String> {
        [("A", "1"), ("EMPTY", "")].map(|(k, v)| (k.to_owned(), v.to_owned())).into()
    }

    #[test]
    fn a_message_of_the_files_own_has_no_final_dot_here() {
        for (text, told) in
            [("${B:?set it.}", "`B` must have a value: set it"), ("${B:?.}", "`B` must have a value")]
        {
            let mut document = from_yaml("f.yaml", &format!("a: \"{text}\"\n")).unwrap();
            let error = fill(&mut document, &variables()).unwrap_err();
            assert!(error.message.ends_with(told), "{error}");
        }
    }

    #[test]
    fn every_form_has_its_value() {
        for (text, value) in [
            ("$A", "1"),
            ("${A}x", "1x"),
            ("$$A", "$A"),
            ("${B:-d}", "d"),
            ("${EMPTY:-d}", "d"),
            ("${EMPTY-d}", ""),
            ("${B-d}", "d"),
            ("${A:?no}", "1"),
            ("${B:-}", ""),
            ("${B:-../models}:/models", "../models:/models"),
            ("a$A.$A$$", "a1.1$"),
        ] {
            assert_eq!(substitute(text, &variables(), &mut BTreeSet::new()).unwrap(), value, "{text}");
        }
    }

    #[test]
    fn what_has_no_value_is_an_error() {
        let what = |text: &str| substitute(text, &variables(), &mut BTreeSet::new()).unwrap_err().what;
        assert_eq!(what("$B"), What::Unset { name: "B".into() });
        assert_eq!(
            what("${EMPTY:?say it}"),
            What::Required { name: "EMPTY".into(), message: "say it".into() }
        );
        for text in ["$", "$1", "${", "${}", "${A:+x}", "${A:-$B}", "${A b}", "$-"] {
            assert!(matches!(what(text), What::Malformed { .. }), "{text}");
        }
    }

    #[test]
    fn an_error_points_at_the_dollar() {
        let mut document = from_yaml("f.yaml", "a:\n  - x-$A-${NOPE}\n").unwrap();
        let fault = fill(&mut document, &variables()).unwrap_err();
        assert_eq!(fault.to_string(), "f.yaml:2:10: the variable `NOPE` has no value");
        assert_eq!(fault.excerpt.unwrap(), "2 |   - x-$A-${NOPE}\n  |          ^");
    }

    proptest! {
        #[test]
        fn no_text_makes_substitution_panic(text in "[$\\{\\}:?\\-A-Bé ]{0,60}") {
            let _ = substitute(&text, &variables(), &mut BTreeSet::new());
        }

        #[test]
        fn text_without_a_dollar_stays(text in "[^$]{0,60}") {
            prop_assert_eq!(substitute(&text, &variables(), &mut BTreeSet::new()).unwrap(), text);
        }
    }
}
