//! What each kind of value is in a schema, and in words.

use serde_json::{Value, json};

use crate::inventory::schema::Kind as OfInventory;
use crate::profile::ARCHITECTURES;
use crate::profile::schema::Kind as OfProfile;
use crate::project::KINDS;
use crate::project::preset::PRESETS;
use crate::project::schema::{Kind as OfProject, MAX_WORKERS};
use crate::tier::{TestType, Tier};

const NAME: &str = r"\S";
const IDENTIFIER: &str = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$";
const BELOW: &str = "^[^/~]";
const IMAGE: &str = "^[a-z0-9]+([._-][a-z0-9]+)*$";
const PACKAGE: &str = "^[a-z0-9][a-z0-9+.-]+$";
const PROGRAM: &str = r"^(/\S*|[^-/\s][^/\s]*)$";
const USER: &str = r"^0*[1-9][0-9]*:[0-9]+$";
const DURATION: &str = r"^([0-9]+(\.[0-9]+)?(d|h|m|s|ms))+$";
const FINE_DURATION: &str = r"^([0-9]+(\.[0-9]+)?(d|h|m|s|ms|us))+$";
const SIZE: &str = r"^[0-9]+(\.[0-9]+)? *([bB]|[kKmMgGtT]([iI]?[bB])?)?$";
const VERSION: &str = r"^[0-9]+(\.[0-9]+){0,5}$";
const CAPABILITY: &str = r"^[0-9]+\.[0-9]+$";
const NUMBER: &str = r"^[0-9]+(\.[0-9]+)?$";

/// The schema of a value in the project file.
pub(super) fn of_project(kind: OfProject) -> Value {
    match kind {
        OfProject::Name | OfProject::Markers | OfProject::Filter | OfProject::Marker | OfProject::Suite => {
            pattern(NAME)
        }
        OfProject::Identifier => pattern(IDENTIFIER),
        OfProject::Image => json!({ "type": "string", "pattern": IMAGE, "maxLength": 64 }),
        OfProject::Packages => filled(&pattern(PACKAGE)),
        OfProject::Program => pattern(PROGRAM),
        OfProject::User => pattern(USER),
        OfProject::Preset => words(PRESETS),
        OfProject::Tool => words(KINDS.map(|(name, _)| name)),
        OfProject::Type => words(TestType::ALL.map(TestType::name)),
        OfProject::Tier => tiers(),
        OfProject::Path => pattern(BELOW),
        OfProject::Paths | OfProject::Files => filled(&pattern(BELOW)),
        OfProject::Profiles | OfProject::Patterns => list(&pattern(NAME)),
        OfProject::Texts => list(&json!({ "type": "string" })),
        OfProject::Variable => json!({ "type": ["string", "number"] }),
        OfProject::Workers => json!({ "type": "integer", "minimum": 1, "maximum": MAX_WORKERS }),
        OfProject::Duration => pattern(DURATION),
        OfProject::FineDuration => pattern(FINE_DURATION),
        OfProject::Groups => json!({ "type": "array", "items": { "type": "string" }, "uniqueItems": true }),
        OfProject::Members => json!({
            "anyOf": [
                { "type": "array", "items": pattern(NAME), "minItems": 1, "uniqueItems": true },
                { "type": "object", "additionalProperties": { "type": "string" }, "minProperties": 1 },
            ],
        }),
        OfProject::Cases | OfProject::Suites => filled(&pattern(NAME)),
        OfProject::Truth => json!({ "const": true }),
        OfProject::Date => json!({ "type": "string", "format": "date" }),
    }
}

/// What a value in the project file is, for the reference page.
pub(super) fn project_words(kind: OfProject) -> String {
    match kind {
        OfProject::Preset => listed(&PRESETS),
        OfProject::Tool => listed(&KINDS.map(|(name, _)| name)),
        OfProject::Type => listed(&TestType::ALL.map(TestType::name)),
        OfProject::Tier => listed(&Tier::ALL.map(Tier::name)),
        OfProject::Workers => format!("number from 1 to {MAX_WORKERS}"),
        other => plain_words(other).to_owned(),
    }
}

fn plain_words(kind: OfProject) -> &'static str {
    match kind {
        OfProject::Identifier => "up to 64 letters, digits, `-`, `_`, `.`",
        OfProject::Image => "name of an image",
        OfProject::Packages => "list of Debian packages",
        OfProject::Program => "name or path of a program",
        OfProject::User => "`uid:gid`",
        OfProject::Path => "path below the project's root",
        OfProject::Paths => "list of paths below the project's root",
        OfProject::Profiles => "list of names or patterns such as `mocker-*`",
        OfProject::Markers => "marker expression",
        OfProject::Filter => "expression of the tool",
        OfProject::Texts => "list of texts",
        OfProject::Variable => "text or number",
        OfProject::Duration => "duration such as `1m30s`",
        OfProject::FineDuration => "duration such as `10ms` or `500us`",
        OfProject::Groups => "list of groups",
        OfProject::Marker => "a marker",
        OfProject::Members => "list of names, or table of names and meanings",
        OfProject::Files => "list of patterns such as `lib/**/*.rs`",
        OfProject::Cases => "list of patterns such as `tests/a.py::*`",
        OfProject::Patterns => "list of names such as `test_<component>_<flow>.py`",
        OfProject::Suite => "name of a suite",
        OfProject::Suites => "list of names of suites",
        OfProject::Truth => "`true`",
        OfProject::Date => "day such as `2026-12-31`, with or without quotes",
        OfProject::Workers => "number",
        OfProject::Name | OfProject::Preset | OfProject::Tool | OfProject::Type | OfProject::Tier => "text",
    }
}

/// The schema of a value in a profile.
pub(super) fn of_profile(kind: OfProfile) -> Value {
    match kind {
        OfProfile::Text => json!({ "type": "string" }),
        OfProfile::Name => pattern(NAME),
        OfProfile::Variable => json!({ "type": ["string", "number"] }),
        OfProfile::Path => pattern(BELOW),
        OfProfile::Paths => json!({ "type": "array", "items": pattern(BELOW), "uniqueItems": true }),
        OfProfile::User => pattern("^[0-9]+:[0-9]+$"),
        OfProfile::Names => json!({ "type": "array", "items": pattern(NAME), "uniqueItems": true }),
        OfProfile::Capabilities => {
            json!({ "type": "array", "items": pattern("^(CAP_)?[A-Z0-9_]+$"), "uniqueItems": true })
        }
        OfProfile::Count => json!({ "type": "integer", "minimum": 0 }),
        OfProfile::Pids => json!({ "type": "integer", "minimum": 1 }),
        OfProfile::Boolean => json!({ "type": "boolean" }),
        OfProfile::Size | OfProfile::Memory => json!({ "type": ["string", "integer"], "pattern": SIZE }),
        OfProfile::Cores => json!({ "type": ["string", "number"], "pattern": NUMBER }),
        OfProfile::Duration => pattern(DURATION),
        OfProfile::Tiers => list(&tiers()),
        OfProfile::Version => pattern(VERSION),
        OfProfile::Architectures => {
            json!({ "type": "array", "items": words(ARCHITECTURES), "uniqueItems": true })
        }
    }
}

/// What a value in a profile is, for the reference page.
pub(super) fn profile_words(kind: OfProfile) -> &'static str {
    match kind {
        OfProfile::Text | OfProfile::Name => "text",
        OfProfile::Variable => "text or number",
        OfProfile::Path => "path below the configuration's root",
        OfProfile::Paths => "list of paths below the configuration's root",
        OfProfile::User => "`uid:gid`",
        OfProfile::Names => "list of names",
        OfProfile::Capabilities => "list of capabilities such as `SYS_PTRACE`",
        OfProfile::Count => "number",
        OfProfile::Pids => "number, at least 1",
        OfProfile::Boolean => "`true` or `false`",
        OfProfile::Size => "size such as `512MiB`",
        OfProfile::Memory => "size such as `512MiB`, at least 6 MiB",
        OfProfile::Cores => "cores such as `0.5`, at least 0.01",
        OfProfile::Duration => "duration such as `1m30s`",
        OfProfile::Tiers => "list of tiers",
        OfProfile::Version => "version in quotes, such as `\"12.8\"`",
        OfProfile::Architectures => "list of `x86_64`, `aarch64`",
    }
}

/// The schema of a value in an inventory.
pub(super) fn of_inventory(kind: OfInventory) -> Value {
    match kind {
        OfInventory::Name => pattern(NAME),
        OfInventory::Names => list(&pattern(NAME)),
        OfInventory::Count => json!({ "type": "integer", "minimum": 0 }),
        OfInventory::Number => json!({ "type": "integer", "minimum": 1 }),
        OfInventory::Counts => list(&json!({ "type": "integer", "minimum": 0 })),
        OfInventory::Boolean => json!({ "type": "boolean" }),
        OfInventory::Size => json!({ "type": ["string", "integer"], "pattern": SIZE }),
        OfInventory::Limit => json!({ "anyOf": [{ "const": "unlimited" }, of_inventory(OfInventory::Size)] }),
        OfInventory::CountLimit => {
            json!({ "anyOf": [{ "const": "unlimited" }, of_inventory(OfInventory::Count)] })
        }
        OfInventory::Version => pattern(VERSION),
        OfInventory::Capability => pattern(CAPABILITY),
        OfInventory::Architecture => words(ARCHITECTURES),
        OfInventory::Engine => words(["Docker", "Podman"]),
    }
}

/// What a value in an inventory is, for the reference page.
pub(super) const fn inventory_words(kind: OfInventory) -> &'static str {
    match kind {
        OfInventory::Name => "text",
        OfInventory::Names => "list of texts",
        OfInventory::Count => "number",
        OfInventory::Number => "number, at least 1",
        OfInventory::Counts => "list of numbers",
        OfInventory::Boolean => "`true` or `false`",
        OfInventory::Size => "size such as `80GiB`",
        OfInventory::Limit => "size such as `8MiB`, or `unlimited`",
        OfInventory::CountLimit => "number, or `unlimited`",
        OfInventory::Version => "version in quotes, such as `\"12.8\"`",
        OfInventory::Capability => "two numbers in quotes, such as `\"9.0\"`",
        OfInventory::Architecture => "`x86_64`, `aarch64`",
        OfInventory::Engine => "`Docker`, `Podman`",
    }
}

/// The names that stand where a path of keys is free.
pub(super) fn names(part: &str) -> Option<Value> {
    match part {
        "<tier>" => Some(tiers()),
        "<type>" => Some(words(TestType::ALL.map(TestType::name))),
        "<kind>" => Some(words(KINDS.map(|(name, _)| name))),
        "<name>" => Some(pattern(r"^(?!TESTBED_)[^=\s]+$")),
        _ => None,
    }
}

/// Every tier in its usual spellings.
fn tiers() -> Value {
    let mut spellings: Vec<String> = Vec::new();
    for tier in Tier::ALL {
        for spelling in [tier.name().to_owned(), tier.marker().to_owned(), tier.marker().replace('_', "-")] {
            if !spellings.contains(&spelling) {
                spellings.push(spelling);
            }
        }
    }
    json!({ "enum": spellings })
}

fn pattern(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": pattern })
}

fn words<const N: usize>(words: [&str; N]) -> Value {
    json!({ "enum": words.as_slice() })
}

fn list(items: &Value) -> Value {
    json!({ "type": "array", "items": items })
}

fn filled(items: &Value) -> Value {
    json!({ "type": "array", "items": items, "minItems": 1 })
}

fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
