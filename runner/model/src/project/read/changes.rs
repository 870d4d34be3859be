//! Reading `[changes]`.

use super::{chosen, file_pattern, filled, lane, markers, path, table};
use crate::document::Item;
use crate::project::schema::{RULE_EFFECT, RULE_FILES};
use crate::project::{ChangeEffect, ChangeRule, ChangeRules, ChangedFiles, Suite};
use crate::span::Fault;

/// Reads what changes mean.
pub(super) fn changes(item: &Item<'_>, suites: &[Suite]) -> Result<ChangeRules, Fault> {
    let mut fields = table(item, &["changes"])?;
    let filters = fields.take("filters").map(|item| path(&item)).transpose()?;
    let always = fields.take("always").map(|item| markers(&item)).transpose()?;
    let items = fields.take("rule").map(|item| item.items()).transpose()?.unwrap_or_default();
    let rules = items.iter().map(|item| rule(item, filters.is_some(), suites)).collect::<Result<_, _>>()?;
    fields.finish(&[])?;
    Ok(ChangeRules { filters, always, rules, built_in: false })
}

fn rule(item: &Item<'_>, has_filters: bool, suites: &[Suite]) -> Result<ChangeRule, Fault> {
    let mut fields = table(item, &["changes", "rule", "[]"])?;
    let (key, what) = chosen(&mut fields, RULE_FILES)?;
    let files = match key {
        "files" => ChangedFiles::Patterns(
            filled(&what, "pattern")?.iter().map(file_pattern).collect::<Result<_, _>>()?,
        ),
        _ if !has_filters => {
            let fault = what.fault("names a filter, but there is no file with filters");
            return Err(fault.with_hint("name the file by `filters` in `[changes]`"));
        }
        _ => ChangedFiles::Filter(what.full_text()?.to_owned()),
    };
    let (key, what) = chosen(&mut fields, RULE_EFFECT)?;
    let effect = match key {
        "suites" => {
            let names = filled(&what, "suite")?;
            ChangeEffect::Suites(
                names.iter().map(|name| lane::suite(name, suites)).collect::<Result<_, _>>()?,
            )
        }
        "cases" => ChangeEffect::Cases(markers(&what)?),
        "everything" => truth(&what, ChangeEffect::Everything)?,
        _ => truth(&what, ChangeEffect::Nothing)?,
    };
    fields.finish(&[])?;
    Ok(ChangeRule { files, effect, mark: item.mark() })
}

fn truth(item: &Item<'_>, effect: ChangeEffect) -> Result<ChangeEffect, Fault> {
    if item.boolean()? {
        return Ok(effect);
    }
    Err(item.fault("can only be `true`").with_hint("leave the key out"))
}
