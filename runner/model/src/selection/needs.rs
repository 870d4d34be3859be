//! The marker `needs`: what a case asks of the stack that it is executed against.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Mark;

/// The marker's name.
pub const NEEDS: &str = "needs";

/// What of a case's needs a stack with these facts does not have, a phrase each. `needs(router="kv", workers_at_least=2)`
/// asks for facts of the stack; `control=True` for control over its services, which every stack of Testbed offers.
pub fn lacks(marks: &[Mark], facts: &BTreeMap<String, String>) -> Vec<String> {
    let mut wanted: BTreeMap<&str, &Value> = BTreeMap::new();
    // The nearest marker comes first, and wins.
    for mark in marks.iter().rev().filter(|mark| mark.name == NEEDS) {
        wanted.extend(mark.kwargs.iter().map(|(name, value)| (name.as_str(), value)));
    }
    wanted.into_iter().filter_map(|(name, value)| lack(name, value, facts)).collect()
}

fn lack(name: &str, value: &Value, facts: &BTreeMap<String, String>) -> Option<String> {
    if name == "control" {
        return None;
    }
    let has = |fact: &str| facts.get(fact).map_or("none", String::as_str).to_owned();
    if let Some(fact) = name.strip_suffix("_at_least") {
        let number = |text: &str| text.parse::<u64>().unwrap_or_default();
        let enough = number(&has(fact)) >= number(&text(value));
        return (!enough).then(|| format!("{} {fact}, has {}", text(value), has(fact)));
    }
    let options: Vec<String> = match value {
        Value::Array(values) => values.iter().map(text).collect(),
        other => vec![text(other)],
    };
    let fits = facts.get(name).is_some_and(|fact| options.contains(fact));
    (!fits).then(|| format!("{name} {}, has {}", options.join(" or "), has(name)))
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
