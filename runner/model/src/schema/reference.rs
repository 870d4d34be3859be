//! Reference pages in Markdown.

use super::{Row, inventory_rows, model_rows, profile_rows, project_rows};
use crate::inventory::schema as inventory;
use crate::models::schema as models;
use crate::project::schema::{EXAMPLE, TABLES, is_free};

const PROJECT: &str = "\
# Project file: `testbed.toml`

<!-- Generated from runner/model/src/project/schema.rs; a test keeps them equal. -->

A project under test says in `testbed.toml`, in its root, which suites it has and what holds for their cases. Whatever is not
listed here is an error that names file, line and column. `testbed schema project` prints the same as a JSON Schema.

- Durations have units: `30s`, `1m30s`, `500ms`. A number without a unit is refused.
- Tiers may be spelled `premerge`, `pre_merge` and `pre-merge`.
- A preset is a project file that is built in. It holds for each table that this file leaves out; a table that is there counts
  alone, and lanes and rules of the preset whose suites are not there are left out.
";

const PROFILE: &str = "\
# Profiles: `envs/*.toml`

<!-- Generated from runner/model/src/profile/schema.rs; a test keeps them equal. -->

A profile is an environment: one file under `envs/`, with the file's name. A value holds when the profile's own file sets it, or
else a file that it extends, or else the base layer `envs/default.toml`. Whatever is not listed here is an error that names file,
line and column. `testbed schema profile` prints the same as a JSON Schema.

- Sizes: `512MiB`, `2g`; units are powers of 1024. Durations have units: `30s`, `1m30s`, `500ms`.
- `testbed plan --profile NAME --explain` shows every value with the file and line that it comes from.
";

const FACTS: &str = "\
# Simulated inventories: `--facts FILE`

<!-- Generated from runner/model/src/inventory/schema.rs; a test keeps them equal. -->

A file for `--facts` describes a host that stands in for parts of this one: `plan`, `run`, `up` and `doctor` then decide as they
would there. It is TOML, or JSON where its name ends in `.json`. What it does not speak of stays as it is here. What was simulated is
told beside the plan, by `doctor`, and in the record. Whatever is not listed here is an error that names file, line and column.
`testbed schema facts` prints the same as a JSON Schema.

- Sizes: `80GiB`, `81559MiB`; units are powers of 1024.
- `runner/cli/tests/fixtures/hosts/` holds ten such hosts to start from.
";

/// The reference page of simulated inventories.
pub fn reference_facts() -> String {
    let rows = inventory_rows();
    let mut page = FACTS.to_owned();
    for (title, about) in inventory::TABLES {
        page.push_str(&format!("\n## `{title}`\n\n{about}\n\n"));
        page.push_str(&table_of(rows.iter().filter(|row| title_of(row).0 == title)));
    }
    page.push_str(&format!("\n## Every key in one file\n\n```toml\n{}```\n", inventory::EXAMPLE));
    page
}

const MODELS: &str = "\
# Models: `models/models.toml`

<!-- Generated from runner/model/src/models/schema.rs; a test keeps them equal. -->

The models that profiles (`models = [...]`) and cases (`@pytest.mark.model(NAME)`) may name. Each model is known by the SHA-256 of its
files; its hash is part of the environment id. Whatever is not listed here is an error that names file, line and column.
`testbed schema models` prints the same as a JSON Schema.

- A model in the checkout (`folder`) is mounted from there. The others are kept in `.testbed/cache/models/`: `testbed models fetch` has
  them from Hugging Face, `make-tiny` makes them, `import` copies them from a folder. Fetching is the only step that asks the network.
- Services that mount the folder `models` at `/models`, and the containers that execute cases, get each model by itself at
  `/models/NAME`, read-only.
- A case names a model by its name here or by its repository: `@pytest.mark.model(\"Qwen/Qwen3-0.6B\")`. A case whose model is not in
  this file is skipped, with that as the reason.
";

/// The reference page of `models.toml`.
pub fn reference_models() -> String {
    let rows = model_rows();
    let mut page = MODELS.to_owned();
    for (title, about) in models::TABLES {
        page.push_str(&format!("\n## `{title}`\n\n{about}\n\n"));
        page.push_str(&table_of(rows.iter().filter(|row| title_of(row).0 == title)));
    }
    page
}

/// The reference page of the project file.
pub fn reference_project() -> String {
    let rows = project_rows();
    let mut page = PROJECT.to_owned();
    for (title, about) in TABLES {
        page.push_str(&format!("\n## `{title}`\n\n{about}\n\n"));
        page.push_str(&table_of(rows.iter().filter(|row| title_of(row).0 == title)));
    }
    page.push_str(&format!("\n## Every key in one file\n\n```toml\n{EXAMPLE}```\n"));
    page
}

/// The reference page of profiles.
pub fn reference_profile() -> String {
    let rows = profile_rows();
    let mut page = PROFILE.to_owned();
    let mut titles: Vec<String> = rows.iter().map(|row| title_of(row).0).collect();
    titles.dedup();
    for title in titles {
        let shown = if title.is_empty() { "Top level".to_owned() } else { format!("`{title}`") };
        page.push_str(&format!("\n## {shown}\n\n"));
        page.push_str(&table_of(rows.iter().filter(|row| title_of(row).0 == title)));
    }
    page
}

fn table_of<'r>(rows: impl Iterator<Item = &'r Row>) -> String {
    let mut table = "| key | takes | meaning |\n|---|---|---|\n".to_owned();
    for row in rows {
        let needed = if row.is_required { ", needed" } else { "" };
        let (_, key) = title_of(row);
        table.push_str(&format!("| `{key}`{needed} | {} | {} |\n", row.takes, row.meaning));
    }
    table
}

/// The table that a key belongs to, and the key within it: up to the last list, or else the first part.
fn title_of(row: &Row) -> (String, String) {
    let list = row.path.iter().rposition(|part| *part == "[]");
    let start = list.map_or_else(|| usize::from(row.path.len() > 1), |at| at + 1);
    let (table, key) = row.path.split_at(start);
    let shown = |part: &&str| {
        if is_free(part) {
            part.trim_matches(['<', '>']).replace('*', "name").to_uppercase()
        } else {
            (*part).to_owned()
        }
    };
    let table = table.iter().filter(|part| **part != "[]").copied().collect::<Vec<_>>().join(".");
    let title = match (table.as_str(), list) {
        ("", _) => String::new(),
        (table, None) => format!("[{table}]"),
        (table, Some(_)) => format!("[[{table}]]"),
    };
    (title, key.iter().map(shown).collect::<Vec<_>>().join("."))
}
