//! Schemas and readers agree, and the reference pages are those of the tables.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    facts, models, profile, project, reference_facts, reference_models, reference_profile, reference_project,
};
use crate::document::{self, Kind, from_toml};
use crate::inventory::schema as inventory_keys;
use crate::models::schema as model_keys;
use crate::models::{FILE, Models};
use crate::profile::schema as profile_keys;
use crate::project::schema as project_keys;
use crate::project::schema::{EXAMPLE, is_free};

const PROFILES: [(&str, &str); 6] = [
    ("default", include_str!("../../../../envs/default.toml")),
    ("mocker", include_str!("../../../../envs/mocker.toml")),
    ("mocker-disagg", include_str!("../../../../envs/mocker-disagg.toml")),
    ("mocker-file", include_str!("../../../../envs/mocker-file.toml")),
    ("mocker-sglang", include_str!("../../../../envs/mocker-sglang.toml")),
    ("mocker-trtllm", include_str!("../../../../envs/mocker-trtllm.toml")),
];

const MODELS: &str = include_str!("../../../../models/models.toml");

const PROJECTS: [(&str, &str); 3] = [
    ("testbed.toml", include_str!("../../../../testbed.toml")),
    ("example.toml", EXAMPLE),
    ("dynamo.toml", include_str!("../project/presets/dynamo.toml")),
];

/// A TOML file as the JSON that an editor would check.
fn as_json(value: &document::Value) -> Value {
    match value {
        document::Value::Map(entries) => {
            entries.iter().map(|entry| (entry.key.clone(), as_json(&entry.value.value))).collect()
        }
        document::Value::List(items) => items.iter().map(|item| as_json(&item.value)).collect(),
        document::Value::Scalar(scalar) => match scalar.kind() {
            Kind::Boolean(truth) => json!(truth),
            Kind::Integer | Kind::Fraction => serde_json::from_str(&scalar.text).unwrap(),
            _ => json!(scalar.text),
        },
    }
}

fn read(text: &str) -> Value {
    as_json(&from_toml("f.toml", text).unwrap().root.value)
}

/// Whether a value fits a schema, as far as the schemas here go; patterns are left to their readers.
fn fits(value: &Value, schema: &Value) -> Result<(), String> {
    let Value::Object(schema) = schema else {
        return if schema == &json!(false) { Err(format!("nothing fits, not {value}")) } else { Ok(()) };
    };
    let told = |what: &str| Err(format!("{value}: {what}"));
    for (word, rule) in schema {
        let any =
            |rules: &Value| rules.as_array().unwrap().iter().filter(|rule| fits(value, rule).is_ok()).count();
        match word.as_str() {
            "type" => {
                let is = |name: &Value| match name.as_str().unwrap() {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "boolean" => value.is_boolean(),
                    "integer" => value.is_i64(),
                    "number" => value.is_number(),
                    other => panic!("unknown type {other}"),
                };
                let fits = rule.as_array().map_or_else(|| is(rule), |names| names.iter().any(is));
                if !fits {
                    return told("type");
                }
            }
            "enum" if !rule.as_array().unwrap().contains(value) => return told("enum"),
            "const" if rule != value => return told("const"),
            "required" if value.is_object() => {
                for name in rule.as_array().unwrap() {
                    if value.get(name.as_str().unwrap()).is_none() {
                        return told(&format!("{name} is missing"));
                    }
                }
            }
            "minimum" if value.as_i64().is_some_and(|number| number < rule.as_i64().unwrap()) => {
                return told("minimum");
            }
            "minItems" if value.as_array().is_some_and(Vec::is_empty) => return told("empty"),
            "anyOf" if any(rule) == 0 => return told("anyOf"),
            "oneOf" if any(rule) != 1 => return told("oneOf"),
            "allOf" => {
                for rule in rule.as_array().unwrap() {
                    fits(value, rule)?;
                }
            }
            "if" if fits(value, rule).is_ok() => fits(value, &schema["then"])?,
            "items" => {
                for item in value.as_array().into_iter().flatten() {
                    fits(item, rule)?;
                }
            }
            "properties" if value.is_object() => {
                for (name, rule) in rule.as_object().unwrap() {
                    value.get(name).map_or(Ok(()), |value| fits(value, rule))?;
                }
            }
            "additionalProperties" => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    if schema.get("properties").is_none_or(|known| known.get(name).is_none()) {
                        fits(value, rule).map_err(|error| format!("{name}: {error}"))?;
                    }
                }
            }
            "propertyNames" => {
                for (name, _) in value.as_object().into_iter().flatten() {
                    fits(&json!(name), rule)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Every path of keys to a value in a schema.
fn paths(schema: &Value, path: &[String], found: &mut BTreeSet<Vec<String>>) {
    let with = |part: &str| path.iter().cloned().chain([part.to_owned()]).collect::<Vec<_>>();
    let is_open = schema["additionalProperties"].is_object() && schema.get("anyOf").is_none();
    if let Some(properties) = schema["properties"].as_object() {
        properties.iter().for_each(|(name, inner)| paths(inner, &with(name), found));
    } else if is_open {
        paths(&schema["additionalProperties"], &with("*"), found);
    } else if schema["items"]["properties"].is_object() {
        paths(&schema["items"], &with("[]"), found);
    } else {
        found.insert(path.to_vec());
    }
}

fn of_table(path: &[&str]) -> Vec<String> {
    path.iter().map(|part| if is_free(part) { "*" } else { part }.to_owned()).collect()
}

#[test]
fn the_keys_of_the_schemas_are_those_of_the_readers() {
    let mut found = BTreeSet::new();
    paths(&project(), &[], &mut found);
    assert_eq!(found, project_keys::KEYS.iter().map(|key| of_table(key.path)).collect());
    let mut found = BTreeSet::new();
    paths(&profile(), &[], &mut found);
    assert_eq!(found, profile_keys::KEYS.iter().map(|key| of_table(key.path)).collect());
    let mut found = BTreeSet::new();
    paths(&models(), &[], &mut found);
    assert_eq!(found, model_keys::KEYS.iter().map(|key| of_table(key.path)).collect());
    let mut found = BTreeSet::new();
    paths(&facts(), &[], &mut found);
    assert_eq!(found, inventory_keys::KEYS.iter().map(|key| of_table(key.path)).collect());
}

#[test]
fn our_own_files_fit_their_schemas() {
    for (name, text) in PROJECTS {
        fits(&read(text), &project()).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    fits(&read(MODELS), &models()).unwrap();
    fits(&read(""), &models()).unwrap();
    for (name, text) in PROFILES {
        fits(&read(text), &profile()).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    fits(&read(inventory_keys::EXAMPLE), &facts())
        .unwrap_or_else(|error| panic!("example of facts: {error}"));
}

#[test]
fn what_the_reader_of_facts_refuses_does_not_fit_its_schema() {
    for text in [
        "[hots]\ncores = 1",
        "[host]\ncores = 0",
        "[host]\ndisk = { total = \"1GiB\" }",
        "[host]\narchitecture = \"arm64\"",
        "[daemon]\nname = \"docker\"",
        "[daemon]\nruntimes = \"nvidia\"",
        "[driver]\nversion = \"1\"",
        "[driver]\nversion = \"1\"\ncuda = \"1\"\n[[gpu]]\nname = \"g\"",
        "[driver]\nversion = \"1\"\ncuda = \"1\"\n[[gpu]]\nname = \"g\"\nmemory = \"1GiB\"\ncompute_capability = 9.5",
    ] {
        assert!(crate::inventory::parse("host.toml", text).is_err(), "the reader takes {text}");
        assert!(fits(&read(text), &facts()).is_err(), "the schema takes {text}");
    }
}

#[test]
fn what_the_reader_refuses_does_not_fit_the_schema() {
    const HEAD: &str = "[project]\nname = \"a\"\npreset = \"dynamo\"\n";
    for tail in [
        "nam = \"b\"",
        "[[suite]]\nname = \"a\"",
        "[[suite]]\nname = \"a\"\nkind = \"jest\"",
        "[[suite]]\nname = \"a\"\nkind = \"pytest\"\npaths = [\"a\"]",
        "[[suite]]\nname = \"a\"\nkind = \"cargo\"\npaths = []",
        "[markers]\nrequired = \"a\"",
        "[markers.groups]\na = 1",
        "[[lane]]\nname = \"a\"",
        "[[lane]]\nname = \"a\"\nsuite = \"tests\"\ntier = \"merge\"",
        "[budgets.tiers]\nmerge = \"1s\"",
        "[budgets.cases.unit]\njest = \"1s\"",
        "[[changes.rule]]\nfiles = [\"a\"]",
        "[[changes.rule]]\nnothing = true",
        "[[changes.rule]]\nfiles = [\"a\"]\nnothing = false",
        "[[changes.rule]]\nfiles = [\"a\"]\nnothing = true\neverything = true",
        "[naming]\npattern = [\"a\"]",
        "[[quarantine]]\ncases = [\"a\"]\nticket = \"a\"",
    ] {
        let text = format!("{HEAD}{tail}\n");
        assert!(crate::project::parse("testbed.toml", &text).is_err(), "the reader takes {tail}");
        assert!(fits(&read(&text), &project()).is_err(), "the schema takes {tail}");
    }
    crate::project::parse("testbed.toml", HEAD).unwrap();
    fits(&read(HEAD), &project()).unwrap();
}

#[test]
fn what_the_reader_of_models_refuses_does_not_fit_their_schema() {
    const GOOD: &str = "[[model]]\nname = \"a\"\nhuggingface = \"a/b\"\nrevision = \"R\"\nlicence = \"MIT\"\nsize = 1\nfiles = [{ path = \"c\" }]\n";
    let good = GOOD.replace('R', &"0".repeat(40));
    Models::parse(FILE, &good).unwrap();
    fits(&read(&good), &models()).unwrap();
    for (old, new) in [
        ("name = \"a\"", "nam = \"a\""),
        ("huggingface = \"a/b\"\n", ""),
        ("huggingface = \"a/b\"", "make = \"gpt\"\ntokenizer = \"a\""),
        ("licence = \"MIT\"\n", ""),
        ("size = 1", "size = \"1\""),
        ("path = \"c\"", "file = \"c\""),
        ("huggingface = \"a/b\"", "huggingface = \"a/b\"\nfolder = \"c\""),
        ("name = \"a\"", "name = \"a\"\ntokenizer = \"a\""),
    ] {
        let text = good.replace(old, new);
        assert!(Models::parse(FILE, &text).is_err(), "the reader takes {new}");
        assert!(fits(&read(&text), &models()).is_err(), "the schema takes {new}");
    }
}

#[test]
fn no_table_takes_a_key_that_is_unknown() {
    let headers: Vec<&str> = EXAMPLE.lines().filter(|line| line.starts_with('[')).collect();
    for header in headers {
        let text = EXAMPLE.replacen(header, &format!("{header}\nzzz = 1"), 1);
        assert!(crate::project::parse("testbed.toml", &text).is_err(), "the reader takes it in {header}");
        assert!(fits(&read(&text), &project()).is_err(), "the schema takes it in {header}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Lower case and no hyphens: the reader takes more spellings of tiers than a schema can list.
    #[test]
    fn what_the_reader_takes_fits_the_schema(
        from in 0_usize..EXAMPLE.len(),
        length in 0_usize..30,
        inserted in "[a-z0-9 \"=,.\n]{0,4}",
    ) {
        let to = (from + length).min(EXAMPLE.len());
        let text = format!("{}{inserted}{}", &EXAMPLE[..from], &EXAMPLE[to..]);
        if crate::project::parse("testbed.toml", &text).is_ok() {
            prop_assert_eq!(fits(&read(&text), &project()), Ok(()));
        }
    }
}

#[test]
fn the_reference_pages_are_the_tables() {
    for (name, page, committed) in [
        ("project", reference_project(), include_str!("../../../../docs/reference/project.md")),
        ("profile", reference_profile(), include_str!("../../../../docs/reference/profile.md")),
        ("models", reference_models(), include_str!("../../../../docs/reference/models.md")),
        ("facts", reference_facts(), include_str!("../../../../docs/reference/facts.md")),
    ] {
        assert!(
            page == committed,
            "docs/reference/{name}.md is not what the table of keys says; make it anew by\n\n    \
             testbed schema --reference {name} > docs/reference/{name}.md\n"
        );
    }
}

#[test]
fn every_key_is_on_its_page() {
    let table_lines = |page: &str| page.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(table_lines(&reference_project()), project_keys::KEYS.len());
    assert_eq!(table_lines(&reference_profile()), profile_keys::KEYS.len());
    assert_eq!(table_lines(&reference_models()), model_keys::KEYS.len());
    assert_eq!(table_lines(&reference_facts()), inventory_keys::KEYS.len());
}

#[test]
fn a_key_in_the_schema_says_what_it_means() {
    let schema = project();
    let workers = &schema["properties"]["lane"]["items"]["properties"]["workers"];
    insta::assert_snapshot!(
        workers,
        @r#"{"description":"parallel workers of the tool, over the suite's","maximum":256,"minimum":1,"type":"integer"}"#
    );
    assert_eq!(schema["properties"]["lane"]["description"], "A part of a suite that is executed by itself.");
    assert_eq!(schema["required"], json!(["project"]));
    assert_eq!(schema["properties"]["suite"]["items"]["required"], json!(["name", "kind"]));
    let executor = &profile()["properties"]["limits"]["properties"]["executor"];
    assert_eq!(executor["additionalProperties"], json!(false));
}
