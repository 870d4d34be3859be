//! Reading the project file.

use std::collections::BTreeMap;

use globset::Glob;

use super::{ProfilePattern, Project, Suite};
use crate::document::{Document, Fields, Item};
use crate::hint::Hint as _;
use crate::lane::SuiteKind;
use crate::selection::Expression;
use crate::span::Fault;
use crate::stack::Millis;
use crate::tier::{TestType, Tier};

const TOP_KEYS: &[&str] = &["project", "suite"];
const PROJECT_KEYS: &[&str] = &["name"];
const TIMEOUT_KEYS: &[&str] = &["case", "suite"];
const SUITE_KEYS: &[&str] = &[
    "name",
    "kind",
    "type",
    "tier",
    "paths",
    "profiles",
    "expression",
    "arguments",
    "environment",
    "workers",
    "image",
    "timeouts",
];

const KINDS: [(&str, SuiteKind); 3] =
    [("pytest", SuiteKind::Pytest), ("cargo", SuiteKind::Cargo), ("pre-commit", SuiteKind::PreCommit)];

const TYPES: [TestType; 8] = [
    TestType::Lint,
    TestType::Unit,
    TestType::Integration,
    TestType::E2e,
    TestType::Benchmark,
    TestType::Stress,
    TestType::Security,
    TestType::FaultTolerance,
];

/// More workers than this are a slip of the finger.
const MAX_WORKERS: u32 = 256;

/// Reads the whole file.
pub(super) fn project(document: Document) -> Result<Project, Fault> {
    let mut fields = known(&document.item(), TOP_KEYS)?;
    let mut head = known(&fields.require("project")?, PROJECT_KEYS)?;
    let name_item = head.require("name")?;
    let name = identifier(&name_item)?;
    let mut suites: Vec<Suite> = Vec::new();
    let mut lines: BTreeMap<String, u32> = BTreeMap::new();
    for item in fields.take("suite").map(|item| item.items()).transpose()?.unwrap_or_default() {
        let (suite, name_item) = suite(&item)?;
        if let Some(line) = lines.insert(suite.name.clone(), name_item.mark().line) {
            let fault = name_item.fault(format!("is `{}` again, first in line {line}", suite.name));
            return Err(fault.with_hint("give each suite a name of its own"));
        }
        suites.push(suite);
    }
    if suites.is_empty() {
        let fault = document.fault(name_item.mark(), format!("the project `{name}` has no suite"));
        return Err(fault.with_hint("add `[[suite]]` with `name`, `kind` and `paths`"));
    }
    Ok(Project { name, suites, document })
}

/// The keys of a map, none of which is unknown.
fn known<'d>(item: &Item<'d>, keys: &[&str]) -> Result<Fields<'d>, Fault> {
    let fields = item.fields()?;
    let within = if item.path().is_empty() { String::new() } else { format!(" in `{}`", item.path()) };
    let unknown = fields.keys().find(|(name, _)| !keys.contains(name));
    match unknown {
        None => Ok(fields),
        Some((name, mark)) => {
            let fault = fields.fault_at(mark, format!("unknown key `{name}`{within}"));
            Err(fault.with_nearest(name, keys.iter().copied()))
        }
    }
}

fn suite<'d>(item: &Item<'d>) -> Result<(Suite, Item<'d>), Fault> {
    let mut fields = known(item, SUITE_KEYS)?;
    let name_item = fields.require("name")?;
    let kind = fields.require("kind")?.word(&KINDS)?;
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
        workers: fields.take("workers").map(|item| workers(&item)).transpose()?.unwrap_or(1),
        image_mark: image.as_ref().unwrap_or(&name_item).mark(),
        image: image
            .map(|item| item.full_text().map(str::to_owned))
            .transpose()?
            .unwrap_or_else(|| "tests".into()),
        case_ms,
        suite_ms,
    };
    fields.finish(SUITE_KEYS)?;
    Ok((suite, name_item))
}

/// Hooks are lint, Rust tests are unit tests unless they say otherwise; pytest can be anything.
fn test_type(fields: &mut Fields<'_>, kind: SuiteKind) -> Result<TestType, Fault> {
    let words = TYPES.map(|test_type| (test_type.name(), test_type));
    match (fields.take("type"), kind) {
        (Some(item), _) => item.word(&words),
        (None, SuiteKind::PreCommit) => Ok(TestType::Lint),
        (None, SuiteKind::Cargo) => Ok(TestType::Unit),
        (None, SuiteKind::Pytest) => {
            let names = TYPES.map(TestType::name).join("`, `");
            Err(fields.missing("type").with_hint(format!("known: `{names}`")))
        }
    }
}

fn tier(item: &Item<'_>) -> Result<Tier, Fault> {
    let text = item.text()?;
    text.parse().map_err(|_| {
        item.fault(format!("is the unknown tier `{text}`"))
            .with_nearest(text, Tier::ALL.into_iter().map(Tier::name))
    })
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

/// A path below the project's root, without detours.
fn path(item: &Item<'_>) -> Result<String, Fault> {
    let text = item.full_text()?;
    if text.starts_with(['/', '~']) {
        let fault = item.fault(format!("is not below the project: `{text}`"));
        return Err(fault.with_hint("write it relative to the folder of testbed.toml"));
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                if parts.pop().is_none() {
                    let fault = item.fault(format!("leaves the project: `{text}`"));
                    return Err(fault.with_hint("name a path below the folder of testbed.toml"));
                }
            }
            part => parts.push(part),
        }
    }
    if parts.first().is_some_and(|part| part.starts_with('-')) {
        let fault = item.fault(format!("would be taken for an option: `{text}`"));
        return Err(fault.with_hint("give the file or folder another name"));
    }
    Ok(if parts.is_empty() { ".".to_owned() } else { parts.join("/") })
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
    let glob = Glob::new(text).map_err(|error| item.fault(format!("is not a pattern: {}", error.kind())))?;
    Ok(ProfilePattern { text: text.to_owned(), mark: item.mark(), matcher: glob.compile_matcher() })
}

fn expression(item: Option<Item<'_>>, kind: SuiteKind) -> Result<Option<String>, Fault> {
    let Some(item) = item else { return Ok(None) };
    if kind == SuiteKind::PreCommit {
        let fault = item.fault("has no meaning for hooks");
        return Err(fault.with_hint("leave it out, or name hooks under `arguments`"));
    }
    let text = item.full_text()?.trim();
    if kind == SuiteKind::Pytest
        && let Err(error) = Expression::parse(text)
    {
        let fault = item.fault(format!("cannot be read at its {error}"));
        return Err(fault.with_hint(error.hint().unwrap_or_default()));
    }
    Ok(Some(text.to_owned()))
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

fn workers(item: &Item<'_>) -> Result<u32, Fault> {
    match item.integer()? {
        workers @ 1..=MAX_WORKERS => Ok(workers),
        other => Err(item.fault(format!("must be between 1 and {MAX_WORKERS}, not `{other}`"))),
    }
}

fn timeouts(item: Option<Item<'_>>) -> Result<(Option<Millis>, Option<Millis>), Fault> {
    let Some(item) = item else { return Ok((None, None)) };
    let mut fields = known(&item, TIMEOUT_KEYS)?;
    let positive = |item: Item<'_>| match item.duration()? {
        0 => Err(item.fault("must be more than `0s`")),
        millis => Ok(millis),
    };
    let case = fields.take("case").map(positive).transpose()?;
    let suite = fields.take("suite").map(positive).transpose()?;
    fields.finish(TIMEOUT_KEYS)?;
    Ok((case, suite))
}

/// A name that is also a part of file names and of lane names.
fn identifier(item: &Item<'_>) -> Result<String, Fault> {
    let text = item.full_text()?;
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if starts_well && text.chars().all(inner) && text.len() <= 64 {
        return Ok(text.to_owned());
    }
    let fault = item.fault(format!("cannot be `{text}`"));
    Err(fault.with_hint("use up to 64 letters, digits, `-`, `_` and `.`, with a letter or digit first"))
}
