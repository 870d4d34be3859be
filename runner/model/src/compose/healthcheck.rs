//! Health checks that the daemon executes.

use super::service::words;
use super::subset::{Section, open};
use crate::document::{Item, Value};
use crate::span::Fault;
use crate::stack::Healthcheck;

/// Reads a health check; none where it is switched off.
pub(super) fn read(item: &Item<'_>) -> Result<Option<Healthcheck>, Fault> {
    let mut fields = open(Section::Healthcheck, item)?;
    let disabled = fields.take("disable").map(|item| item.boolean()).transpose()?.unwrap_or(false);
    let test = fields.take("test").map(|item| test(&item)).transpose()?;
    let mut duration = |key: &str, default: u64| {
        fields.take(key).map(|item| item.duration()).transpose().map(|given| given.unwrap_or(default))
    };
    // Without a value, the Compose Specification's defaults hold.
    let (interval_ms, timeout_ms) = (duration("interval", 30_000)?, duration("timeout", 30_000)?);
    let start_period_ms = duration("start_period", 0)?;
    let retries = fields.take("retries").map(|item| item.integer()).transpose()?.unwrap_or(3);
    let no_test = fields.missing("test");
    fields.finish(&[])?;
    if disabled {
        return Ok(None);
    }
    let test =
        test.ok_or_else(|| no_test.with_hint("write `test: [CMD, PROGRAM]`, or `test: [NONE]` for none"))?;
    if test == ["NONE"] {
        return Ok(None);
    }
    Ok(Some(Healthcheck { test, interval_ms, timeout_ms, retries, start_period_ms }))
}

fn test(item: &Item<'_>) -> Result<Vec<String>, Fault> {
    if let Value::Scalar(_) = item.value() {
        return Ok(vec!["CMD-SHELL".to_owned(), item.full_text()?.to_owned()]);
    }
    let words = words(item)?;
    match words.as_slice() {
        [first] if first == "NONE" => Ok(words),
        [first, _] if first == "CMD-SHELL" => Ok(words),
        [first, _, ..] if first == "CMD" => Ok(words),
        _ => Err(item.fault("must be `[CMD, PROGRAM, ...]`, `[CMD-SHELL, TEXT]` or `[NONE]`")),
    }
}
