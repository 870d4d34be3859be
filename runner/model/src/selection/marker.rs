//! What a case says of itself, and how names in expressions are compared with it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::expression::{Matcher, Name};
use super::lexer::Literal;

/// A marker of a case, with its arguments. What cannot be written as JSON is written as text, as Python shows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// Name.
    pub name: String,
    /// Arguments by position.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Value>,
    /// Arguments by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub kwargs: BTreeMap<String, Value>,
}

/// A case's markers, as `-m` sees them: a name holds if one of its markers has all the arguments that are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Marks<'c>(pub &'c [Mark]);

/// A case's names, as `-k` sees them: its own, those of its class, module and folders, of its markers, and what it was
/// given besides. A name holds if it is a part of one of them, in whatever case; arguments mean nothing here.
#[derive(Clone, Copy, Debug)]
pub struct Keywords<'c>(pub &'c [String]);

impl Matcher for Marks<'_> {
    fn matches(&self, name: &Name) -> bool {
        let fits = |mark: &Mark| {
            mark.name == name.text
                && name.arguments.iter().all(|(argument, wanted)| {
                    mark.kwargs.get(argument).is_some_and(|has| is_equal(wanted, has))
                })
        };
        self.0.iter().any(fits)
    }
}

impl Matcher for Keywords<'_> {
    fn matches(&self, name: &Name) -> bool {
        let wanted = name.text.to_lowercase();
        self.0.iter().any(|keyword| keyword.to_lowercase().contains(&wanted))
    }
}

impl Keywords<'_> {
    /// Whether one of these names, which are in lower case already, holds what is asked for.
    pub fn any_holds(lower: &[String], name: &Name) -> bool {
        let wanted = name.text.to_lowercase();
        lower.iter().any(|keyword| keyword.contains(&wanted))
    }
}

/// Python's `==`: truth is a number, and a whole floating-point number is that number.
fn is_equal(wanted: &Literal, has: &Value) -> bool {
    match (wanted, has) {
        (Literal::None, Value::Null) => true,
        (Literal::Text(wanted), Value::String(has)) => wanted == has,
        (Literal::Bool(wanted), has) => is_number(i128::from(*wanted), has),
        (Literal::Integer(wanted), has) => is_number(*wanted, has),
        _ => false,
    }
}

fn is_number(wanted: i128, has: &Value) -> bool {
    match has {
        Value::Bool(has) => i128::from(*has) == wanted,
        Value::Number(has) => {
            let whole = has.as_i64().map(i128::from).or_else(|| has.as_u64().map(i128::from));
            match (whole, has.as_f64()) {
                (Some(whole), _) => whole == wanted,
                // Within this range every whole number is its own floating-point number.
                (None, Some(has)) => {
                    has.abs() < 9e15 && has.fract() == 0.0 && {
                        #[expect(clippy::cast_possible_truncation, reason = "whole, and small enough")]
                        let has = has as i64;
                        i128::from(has) == wanted
                    }
                }
                (None, None) => false,
            }
        }
        _ => false,
    }
}
