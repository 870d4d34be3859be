//! Reading `[[lane]]` and `[budgets]`.

use std::collections::BTreeMap;

use super::{identifier, markers, positive, require, table, tier, type_words, workers};
use crate::document::Item;
use crate::lane::SuiteKind;
use crate::project::{Budgets, KINDS, LaneRule, Suite};
use crate::span::Fault;
use crate::tier::{TestType, Tier};

const LANE: &[&str] = &["lane", "[]"];

/// Reads all lanes.
pub(super) fn lanes(item: &Item<'_>, suites: &[Suite]) -> Result<Vec<LaneRule>, Fault> {
    let mut lanes: Vec<LaneRule> = Vec::new();
    for item in item.items()? {
        let mut fields = table(&item, LANE)?;
        let name_item = require(&mut fields, LANE, "name")?;
        let name = identifier(&name_item)?;
        if let Some(first) = lanes.iter().find(|lane| lane.name == name) {
            let fault = name_item.fault(format!("is `{name}` again, first in line {}", first.mark.line));
            return Err(fault.with_hint("give each lane a name of its own"));
        }
        lanes.push(LaneRule {
            name,
            suite: suite(&require(&mut fields, LANE, "suite")?, suites)?,
            expression: fields.take("expression").map(|item| markers(&item)).transpose()?,
            tier: fields.take("tier").map(|item| tier(&item)).transpose()?,
            workers: fields.take("workers").map(|item| workers(&item)).transpose()?,
            mark: name_item.mark(),
        });
        fields.finish(&[])?;
    }
    Ok(lanes)
}

/// The name of a suite that there is.
pub(super) fn suite(item: &Item<'_>, suites: &[Suite]) -> Result<String, Fault> {
    let name = item.text()?;
    if suites.iter().any(|suite| suite.name == name) {
        return Ok(name.to_owned());
    }
    let fault = item.fault(format!("is the unknown suite `{name}`"));
    Err(fault.with_nearest(name, suites.iter().map(|suite| suite.name.as_str())))
}

/// Reads the budgets.
pub(super) fn budgets(item: &Item<'_>) -> Result<Budgets, Fault> {
    let mut fields = table(item, &["budgets"])?;
    let mut budgets = Budgets::default();
    if let Some(item) = fields.take("tiers") {
        let mut lines: BTreeMap<Tier, u32> = BTreeMap::new();
        for (name, item) in item.fields()?.take_rest() {
            let tier: Tier = name.parse().map_err(|_| {
                let fault = item.fault_at_key(format!("unknown tier `{name}` in `budgets.tiers`"));
                fault.with_nearest(name, Tier::ALL.map(Tier::name))
            })?;
            if let Some(line) = lines.insert(tier, item.key_mark().line) {
                let message = format!("`{name}` is the tier `{tier}` again, first in line {line}");
                return Err(item.fault_at_key(message).with_hint("leave one of them out"));
            }
            budgets.tiers.insert(tier, positive(&item)?);
        }
    }
    if let Some(item) = fields.take("suites") {
        for (name, item) in item.fields()?.take_rest() {
            budgets.suites.insert(test_type(name, &item)?, positive(&item)?);
        }
    }
    if let Some(item) = fields.take("cases") {
        for (name, item) in item.fields()?.take_rest() {
            let test_type = test_type(name, &item)?;
            for (name, item) in item.fields()?.take_rest() {
                budgets.cases_us.insert((test_type, tool(name, &item)?), fine(&item)?);
            }
        }
    }
    fields.finish(&[])?;
    Ok(budgets)
}

fn test_type(name: &str, item: &Item<'_>) -> Result<TestType, Fault> {
    word(name, item, &type_words(), "type")
}

fn tool(name: &str, item: &Item<'_>) -> Result<SuiteKind, Fault> {
    word(name, item, &KINDS, "tool")
}

/// What a key is the name of.
fn word<T: Copy>(name: &str, item: &Item<'_>, words: &[(&str, T)], what: &str) -> Result<T, Fault> {
    words.iter().find(|(word, _)| *word == name).map(|(_, value)| *value).ok_or_else(|| {
        let table = item.path().strip_suffix(name).unwrap_or_default().trim_end_matches('.');
        let fault = item.fault_at_key(format!("unknown {what} `{name}` in `{table}`"));
        fault.with_nearest(name, words.iter().map(|(word, _)| *word))
    })
}

fn fine(item: &Item<'_>) -> Result<u64, Fault> {
    match item.micros()? {
        0 => Err(item.fault("must be more than `0us`")),
        micros => Ok(micros),
    }
}
