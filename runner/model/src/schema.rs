//! JSON Schemas and reference pages of the project file, of profiles, of `models.toml` and of simulated inventories, made from the tables
//! of keys that their readers use.

mod kind;
mod reference;

use serde_json::{Map, Value, json};

use crate::inventory::schema as inventory_keys;
use crate::models::schema as model_keys;
use crate::profile::schema as profile_keys;
use crate::project::schema as project_keys;
use crate::project::schema::is_free;

pub use reference::{reference_facts, reference_models, reference_profile, reference_project};

/// One key, whichever file it is of.
struct Row {
    path: &'static [&'static str],
    is_required: bool,
    /// The schema of its value.
    value: Value,
    /// What it takes, in words.
    takes: String,
    meaning: String,
}

/// Every key of a file, with what its tables are for.
struct Keys {
    rows: Vec<Row>,
    /// Title and purpose.
    tables: &'static [(&'static str, &'static str)],
}

/// The JSON Schema of `testbed.toml`, draft 2020-12.
pub fn project() -> Value {
    let mut schema = head(
        "Project file of Testbed",
        "`testbed.toml`: which suites a project has, and how they are executed.",
    );
    let keys = Keys { rows: project_rows(), tables: &project_keys::TABLES };
    schema.append(&mut keys.table(&mut Vec::new()));
    schema.insert(
        "anyOf".to_owned(),
        json!([
            { "required": ["suite"] },
            { "properties": { "project": { "required": ["preset"] } } },
        ]),
    );
    Value::Object(schema)
}

/// The JSON Schema of `envs/*.toml`, draft 2020-12.
pub fn profile() -> Value {
    let mut schema =
        head("Profile of Testbed", "A file under `envs/`: an environment that suites are executed in.");
    let keys = Keys { rows: profile_rows(), tables: &[] };
    schema.append(&mut keys.table(&mut Vec::new()));
    Value::Object(schema)
}

/// The JSON Schema of a file for `--facts`, draft 2020-12.
pub fn facts() -> Value {
    let mut schema =
        head("Inventory of Testbed", "A file for `--facts`: a host that stands in for parts of this one.");
    let keys = Keys { rows: inventory_rows(), tables: &inventory_keys::TABLES };
    schema.append(&mut keys.table(&mut Vec::new()));
    // A table that must hold a key need not be there itself.
    schema.remove("required");
    for table in ["host", "daemon"] {
        let table =
            schema.get_mut("properties").and_then(|it| it.get_mut(table)).and_then(Value::as_object_mut);
        table.map(|table| table.remove("required"));
    }
    Value::Object(schema)
}

fn inventory_rows() -> Vec<Row> {
    let row = |key: &inventory_keys::Key| Row {
        path: key.path,
        is_required: key.required,
        value: kind::of_inventory(key.kind),
        takes: kind::inventory_words(key.kind).to_owned(),
        meaning: key.meaning.to_owned(),
    };
    inventory_keys::KEYS.iter().map(row).collect()
}

/// The JSON Schema of `models/models.toml`, draft 2020-12.
pub fn models() -> Value {
    let mut schema =
        head("Models of Testbed", "`models/models.toml`: the models that profiles and cases may name.");
    let keys = Keys { rows: model_rows(), tables: &model_keys::TABLES };
    schema.append(&mut keys.table(&mut Vec::new()));
    // A file without a model is one.
    schema.remove("required");
    Value::Object(schema)
}

fn model_rows() -> Vec<Row> {
    let row = |key: &model_keys::Key| Row {
        path: key.path,
        is_required: key.required,
        value: kind::of_models(key.kind),
        takes: kind::models_words(key.kind),
        meaning: key.meaning.to_owned(),
    };
    model_keys::KEYS.iter().map(row).collect()
}

fn project_rows() -> Vec<Row> {
    let row = |key: &project_keys::Key| Row {
        path: key.path,
        is_required: key.required,
        value: kind::of_project(key.kind),
        takes: kind::project_words(key.kind),
        meaning: key.meaning.to_owned(),
    };
    project_keys::KEYS.iter().map(row).collect()
}

fn profile_rows() -> Vec<Row> {
    let row = |key: &profile_keys::Key| Row {
        path: key.path,
        is_required: false,
        value: kind::of_profile(key.kind),
        takes: kind::profile_words(key.kind).to_owned(),
        meaning: if key.inherited {
            key.meaning.to_owned()
        } else {
            format!("{}; not inherited", key.meaning)
        },
    };
    profile_keys::KEYS.iter().map(row).collect()
}

fn head(title: &str, description: &str) -> Map<String, Value> {
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
    schema.insert("title".to_owned(), title.into());
    schema.insert("description".to_owned(), description.into());
    schema
}

impl Keys {
    /// The schema of the table at a path.
    fn table(&self, path: &mut Vec<&'static str>) -> Map<String, Value> {
        let mut parts: Vec<&'static str> = Vec::new();
        for row in self.rows.iter().filter(|row| row.path.starts_with(path)) {
            if let Some(part) = row.path.get(path.len())
                && !parts.contains(part)
            {
                parts.push(part);
            }
        }
        let mut schema = Map::from_iter([
            ("type".to_owned(), "object".into()),
            ("additionalProperties".to_owned(), Value::Bool(false)),
        ]);
        let mut properties = Map::new();
        let mut required: Vec<Value> = Vec::new();
        for part in parts {
            path.push(part);
            let (value, is_required) = self.value(path);
            path.pop();
            if is_free(part) {
                schema.insert("additionalProperties".to_owned(), value);
                if let Some(names) = kind::names(part) {
                    schema.insert("propertyNames".to_owned(), names);
                }
                continue;
            }
            properties.insert(part.to_owned(), value);
            if is_required {
                required.push(part.into());
            }
        }
        if !properties.is_empty() {
            schema.insert("properties".to_owned(), Value::Object(properties));
        }
        if !required.is_empty() {
            schema.insert("required".to_owned(), Value::Array(required));
        }
        let conditions = conditions(path);
        if !conditions.is_empty() {
            schema.insert("allOf".to_owned(), Value::Array(conditions));
        }
        schema
    }

    /// The schema of what is at a path: a key's value, a table, or a list of tables; and whether it must be there.
    fn value(&self, path: &mut Vec<&'static str>) -> (Value, bool) {
        if let Some(row) = self.rows.iter().find(|row| row.path == path.as_slice()) {
            let mut value = row.value.clone();
            if let Some(map) = value.as_object_mut() {
                map.insert("description".to_owned(), row.meaning.as_str().into());
            }
            return (value, row.is_required);
        }
        path.push("[]");
        let is_list = self.rows.iter().any(|row| row.path.starts_with(path));
        let mut schema = if is_list {
            let items = Value::Object(self.table(path));
            Map::from_iter([("type".to_owned(), "array".into()), ("items".to_owned(), items)])
        } else {
            path.pop();
            self.table(path)
        };
        if is_list {
            path.pop();
        }
        let name = path.join(".");
        if let Some((_, about)) = self.tables.iter().find(|(title, _)| title.trim_matches(['[', ']']) == name)
        {
            schema.insert("description".to_owned(), (*about).into());
        }
        let is_required = schema.contains_key("required");
        (Value::Object(schema), is_required)
    }
}

/// What a table must hold besides.
fn conditions(path: &[&str]) -> Vec<Value> {
    let choices =
        project_keys::CHOICES.iter().chain([&model_keys::SOURCE]).filter(|choice| choice.table == path);
    let mut conditions: Vec<Value> = choices
        .map(|choice| {
            let each: Vec<Value> = choice.keys.iter().map(|key| json!({ "required": [key] })).collect();
            json!({ "oneOf": each })
        })
        .collect();
    for (key, others) in model_keys::BESIDE.into_iter().filter(|_| path == model_keys::MODEL) {
        conditions.push(json!({ "if": { "required": [key] }, "then": { "required": others } }));
    }
    if path == ["suite", "[]"] {
        conditions.push(json!({
            "if": { "properties": { "kind": { "const": "pytest" } } },
            "then": { "required": project_keys::PYTEST_NEEDS },
        }));
    }
    conditions
}

#[cfg(test)]
mod tests;
