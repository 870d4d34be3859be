//! Reading `[[suite]]`.

use std::collections::BTreeMap;

use globset::GlobBuilder;

use super::{OPEN, identifier, markers, path, positive, require, table, tier, type_words, workers};
use crate::document::{Fields, Item};
use crate::glob;
use crate::lane::{Habits, SuiteKind};
use crate::project::{KINDS, ProfilePattern, Suite};
use crate::span::Fault;
use crate::stack::Millis;
use crate::tier::TestType;

const TABLE: &[&str] = &["suite", "[]"];

/// Reads all suites.
pub(super) fn suites(item: &Item<'_>) -> Result<Vec<Suite>, Fault> {
    let mut suites: Vec<Suite> = Vec::new();
    let mut lines: BTreeMap<String, u32> = BTreeMap::new();
    for item in item.items()? {
        let (suite, name_item) = suite(&item)?;
        if let Some(line) = lines.insert(suite.name.clone(), name_item.mark().line) {
            let fault = name_item.fault(format!("is `{}` again, first in line {line}", suite.name));
            return Err(fault.with_hint("give each suite a name of its own"));
        }
        suites.push(suite);
    }
    Ok(suites)
}

fn suite<'d>(item: &Item<'d>) -> Result<(Suite, Item<'d>), Fault> {
    let mut fields = table(item, TABLE)?;
    let name_item = require(&mut fields, TABLE, "name")?;
    let kind = require(&mut fields, TABLE, "kind")?.word(&KINDS)?;
    let test_type = test_type(&mut fields, kind)?;
    let tier = match fields.take("tier") {
        Some(item) => tier(&item)?,
        None => test_type.earliest_tier(),
    };
    let image = fields.take("image");
    let (case_ms, suite_ms) = timeouts(fields.take("timeouts"))?;
    let suite = Suite {
        name: identifier(&name_item)?,
        kind,
        test_type,
        tier,
        paths: paths(&mut fields, kind)?,
        profiles: profiles(fields.take("profiles"), kind)?,
        expression: expression(fields.take("expression"), kind)?,
        arguments: fields.take("arguments").map(|item| item.texts()).transpose()?.unwrap_or_default(),
        environment: fields
            .take("environment")
            .map(|item| environment(&item))
            .transpose()?
            .unwrap_or_default(),
        habits: habits(&mut fields, kind)?,
        workers: fields.take("workers").map(|item| workers(&item)).transpose()?.unwrap_or(1),
        image_mark: image.as_ref().unwrap_or(&name_item).mark(),
        image: image
            .map(|item| item.full_text().map(str::to_owned))
            .transpose()?
            .unwrap_or_else(|| "tests".into()),
        case_ms,
        suite_ms,
    };
    fields.finish(&[])?;
    Ok((suite, name_item))
}

/// Hooks are lint, Rust tests are unit tests unless they say otherwise; pytest can be anything.
fn test_type(fields: &mut Fields<'_>, kind: SuiteKind) -> Result<TestType, Fault> {
    match (fields.take("type"), kind) {
        (Some(item), _) => item.word(&type_words()),
        (None, SuiteKind::PreCommit) => Ok(TestType::Lint),
        (None, SuiteKind::Cargo) => Ok(TestType::Unit),
        (None, SuiteKind::Pytest) => {
            let names = TestType::ALL.map(TestType::name).join("`, `");
            Err(fields.missing("type").with_hint(format!("known: `{names}`")))
        }
    }
}

fn paths(fields: &mut Fields<'_>, kind: SuiteKind) -> Result<Vec<String>, Fault> {
    let Some(item) = fields.take("paths") else {
        return match kind {
            SuiteKind::Pytest => Err(fields.missing("paths").with_hint("name files or folders with tests")),
            SuiteKind::Cargo | SuiteKind::PreCommit => Ok(vec![".".to_owned()]),
        };
    };
    let paths: Vec<String> = item.items()?.iter().map(path).collect::<Result<_, _>>()?;
    if paths.is_empty() { Err(item.fault("must name at least one path")) } else { Ok(paths) }
}

fn profiles(item: Option<Item<'_>>, kind: SuiteKind) -> Result<Vec<ProfilePattern>, Fault> {
    let Some(item) = item else { return Ok(Vec::new()) };
    let patterns: Vec<ProfilePattern> =
        item.items()?.iter().map(profile_pattern).collect::<Result<_, _>>()?;
    if kind == SuiteKind::PreCommit && !patterns.is_empty() {
        return Err(item.fault("has no meaning for hooks, which need no stack").with_hint("leave it out"));
    }
    Ok(patterns)
}

fn profile_pattern(item: &Item<'_>) -> Result<ProfilePattern, Fault> {
    let text = item.full_text()?;
    let matcher = glob::compile(text, &GlobBuilder::new(text))
        .map_err(|what| item.fault(format!("is not a pattern: {what}")).with_hint(OPEN))?;
    Ok(ProfilePattern { text: text.to_owned(), mark: item.mark(), matcher })
}

fn expression(item: Option<Item<'_>>, kind: SuiteKind) -> Result<Option<String>, Fault> {
    let Some(item) = item else { return Ok(None) };
    if kind == SuiteKind::PreCommit {
        let fault = item.fault("has no meaning for hooks");
        return Err(fault.with_hint("leave it out, or name hooks under `arguments`"));
    }
    if kind == SuiteKind::Pytest {
        return Ok(Some(markers(&item)?.source().to_owned()));
    }
    Ok(Some(item.full_text()?.trim().to_owned()))
}

fn environment(item: &Item<'_>) -> Result<BTreeMap<String, String>, Fault> {
    let mut environment = BTreeMap::new();
    for (name, item) in item.fields()?.take_rest() {
        if name.is_empty() || name.contains(['=', '\0']) || name.contains(char::is_whitespace) {
            return Err(item.fault_at_key(format!("`{name}` cannot be a variable's name")));
        }
        if name.starts_with("TESTBED_") {
            let message =
                format!("`{name}` cannot be set: variables that start with `TESTBED_` are Testbed's own");
            return Err(item.fault_at_key(message).with_hint("give it another name"));
        }
        environment.insert(name.to_owned(), item.text_or_number()?.to_owned());
    }
    Ok(environment)
}

/// What a project is used to; an interpreter and a working folder are pytest's alone.
fn habits(fields: &mut Fields<'_>, kind: SuiteKind) -> Result<Habits, Fault> {
    let of_pytest = |item: &Item<'_>| match kind {
        SuiteKind::Pytest => Ok(()),
        SuiteKind::Cargo => Err(item
            .fault("has no meaning for Rust tests")
            .with_hint("`paths` names the folders of workspaces")),
        SuiteKind::PreCommit => Err(item.fault("has no meaning for hooks").with_hint("leave it out")),
    };
    let (python, folder, own_user) = (fields.take("python"), fields.take("folder"), fields.take("user"));
    for item in python.iter().chain(&folder) {
        of_pytest(item)?;
    }
    if let (SuiteKind::PreCommit, Some(item)) = (kind, &own_user) {
        // Caches of hooks are kept between runs and belong to one user.
        of_pytest(item)?;
    }
    Ok(Habits {
        python: python.map(|item| interpreter(&item)).transpose()?,
        folder: folder.map(|item| path(&item)).transpose()?.filter(|folder| folder != "."),
        user: own_user.map(|item| user(&item)).transpose()?,
    })
}

fn interpreter(item: &Item<'_>) -> Result<String, Fault> {
    let text = item.full_text()?;
    let is_path = text.starts_with('/');
    if text.starts_with('-') || text.contains(char::is_whitespace) || (!is_path && text.contains('/')) {
        let fault = item.fault(format!("is neither a program's name nor a path from `/`: `{text}`"));
        return Err(fault.with_hint("write it as `python3` or `/opt/venv/bin/python3`"));
    }
    Ok(text.to_owned())
}

/// An ordinary user: what runs as root, and in which profile, is not for a project to say.
fn user(item: &Item<'_>) -> Result<String, Fault> {
    let text = item.full_text()?;
    let number = |part: &str| if part.starts_with('+') { None } else { part.parse::<u32>().ok() };
    match text.split_once(':').map(|(uid, gid)| (number(uid), number(gid))) {
        Some((Some(0), Some(_))) => {
            Err(item.fault("cannot be root").with_hint("tests run as an ordinary user, such as `1001:1001`"))
        }
        Some((Some(uid), Some(gid))) => Ok(format!("{uid}:{gid}")),
        _ => Err(item.fault(format!("must be `uid:gid` in numbers, not `{text}`"))),
    }
}

fn timeouts(item: Option<Item<'_>>) -> Result<(Option<Millis>, Option<Millis>), Fault> {
    let Some(item) = item else { return Ok((None, None)) };
    let mut fields = table(&item, &["suite", "[]", "timeouts"])?;
    let case = fields.take("case").map(|item| positive(&item)).transpose()?;
    let suite = fields.take("suite").map(|item| positive(&item)).transpose()?;
    fields.finish(&[])?;
    Ok((case, suite))
}
