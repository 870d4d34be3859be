//! Stacks that cannot be used. The published reference page is the model of what is refused, and why.

use std::fs;
use std::path::Path;

use testbed_model::exit_code::ExitCode;

use crate::site::{Site, repository};

const STACK: &str = "compose/small.yaml";

/// A fixture whose stack is this text.
fn with_stack(text: &str) -> Site {
    Site::small().with(STACK, text)
}

#[test]
fn an_unknown_key_names_file_line_column_and_the_nearest_key() {
    let site = with_stack("services:\n  nats:\n    image: testbed/nats\n    ▸comand: [-js]\n");
    insta::assert_snapshot!(site.refuses(["plan"], ExitCode::Usage), @r"
    error: compose/small.yaml:4:5: unknown key `comand` in `services.nats`
      4 |     comand: [-js]
        |     ^
    hint: did you mean `command`?
    ");
}

#[test]
fn an_unsupported_key_says_why_and_what_to_do_instead() {
    let site = with_stack("services:\n  nats:\n    image: testbed/nats\n    ▸ports: ['4222:4222']\n");
    insta::assert_snapshot!(site.refuses(["up", "small"], ExitCode::Usage), @r"
    error: compose/small.yaml:4:5: `ports` is not supported in `services.nats`: a stack is closed, the host cannot reach into it
      4 |     ports: ['4222:4222']
        |     ^
    hint: probe and test from inside the network
    ");
}

#[test]
fn a_circle_of_dependencies_is_shown_whole() {
    let site = with_stack(
        "services:\n  \
           a: { image: testbed/nats, depends_on: [b] }\n  \
           b: { image: testbed/nats, depends_on: [c] }\n  \
           c: { image: testbed/nats, depends_on: [▸a] }\n",
    );
    insta::assert_snapshot!(site.refuses(["plan"], ExitCode::Usage), @r"
    error: compose/small.yaml:4:42: `depends_on` goes in a circle: `a` -> `b` -> `c` -> `a`
      4 |   c: { image: testbed/nats, depends_on: [a] }
        |                                          ^
    hint: leave one of these dependencies out
    ");
}

#[test]
fn a_dependency_that_is_not_there_offers_the_nearest_service() {
    let site = with_stack(
        "services:\n  nats: { image: testbed/nats }\n  web: { image: testbed/nats, depends_on: [▸nast] }\n",
    );
    insta::assert_snapshot!(site.refuses(["plan"], ExitCode::Usage), @r"
    error: compose/small.yaml:3:44: the service `web` depends on `nast`, which does not exist
      3 |   web: { image: testbed/nats, depends_on: [nast] }
        |                                            ^
    hint: did you mean `nats`?
    ");
}

#[test]
fn an_image_that_the_lock_does_not_have_offers_the_nearest() {
    let site = with_stack(
        "x-testbed: {ready: {tcp: {service: nats, port: 1}}}\nservices:\n  nats:\n    image: ▸testbed/nast\n",
    );
    insta::assert_snapshot!(site.refuses(["plan"], ExitCode::Usage), @r"
    error: compose/small.yaml:4:12: the image `nast` is not in images/images.lock.json
      4 |     image: testbed/nast
        |            ^
    hint: did you mean `nats`?
    ");
}

#[test]
fn a_text_that_is_no_yaml_is_pointed_at() {
    let site = with_stack("services:\n  nats: ▸{image: testbed/nats]\n");
    insta::assert_snapshot!(site.refuses(["plan"], ExitCode::Usage), @r"
    error: compose/small.yaml:2:9: not valid YAML: mismatched bracket '{' closed by ']'
      2 |   nats: {image: testbed/nats]
        |         ^
    hint: check brackets, quotes and indentation here and right before
    ");
}

#[test]
fn a_key_that_is_there_twice_is_refused_at_its_second_place() {
    let site = with_stack("services:\n  nats:\n    image: testbed/nats\n    ▸image: testbed/tests\n");
    insta::assert_snapshot!(site.refuses(["plan"], ExitCode::Usage), @r"
    error: compose/small.yaml:4:5: the key `image` is there twice, first in line 3
      4 |     image: testbed/tests
        |     ^
    hint: leave one of them out
    ");
}

#[test]
fn a_value_that_readers_disagree_on_must_be_quoted() {
    let site = with_stack("services:\n  nats:\n    image: testbed/nats\n    read_only: ▸yes\n");
    insta::assert_snapshot!(site.refuses(["plan"], ExitCode::Usage), @r"
    error: compose/small.yaml:4:16: `services.nats.read_only` must be `true` or `false`, not `yes`
      4 |     read_only: yes
        |                ^
    ");
}

#[test]
fn a_variable_without_a_value_is_not_taken_from_the_host() {
    let site = with_stack("services:\n  nats:\n    image: testbed/nats\n    command: ['▸${PATH}']\n");
    insta::assert_snapshot!(site.refuses(["plan"], ExitCode::Usage), @r"
    error: compose/small.yaml:4:16: the variable `PATH` has no value
      4 |     command: ['${PATH}']
        |                ^
    hint: set it under `[variables]` of the profile, or write `${PATH:-default}`
    ");
}

#[test]
fn a_container_is_not_weakened_without_the_profiles_word() {
    let asks = [
        "user: ▸'0:0'",
        "read_only: ▸false",
        "cap_add: [▸SYS_ADMIN]",
        "security_opt: [▸'no-new-privileges:false']",
    ];
    let told: Vec<String> = asks
        .iter()
        .map(|ask| {
            let ready = "x-testbed: {ready: {tcp: {service: nats, port: 1}}}\n";
            let site =
                with_stack(&format!("{ready}services:\n  nats:\n    image: testbed/nats\n    {ask}\n"));
            site.refuses(["plan"], ExitCode::Usage)
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    error: compose/small.yaml:5:11: the service `nats` asks for `user: 0:0`, which the profile does not allow
      5 |     user: '0:0'
        |           ^
    hint: write `[hardening]` with `nats = { user = "0:0" }` in envs/small.toml

    error: compose/small.yaml:5:16: the service `nats` asks for `read_only: false`, which the profile does not allow
      5 |     read_only: false
        |                ^
    hint: write `[hardening]` with `nats = { read_only = false }` in envs/small.toml

    error: compose/small.yaml:5:15: the service `nats` asks for `SYS_ADMIN`, which the profile does not allow
      5 |     cap_add: [SYS_ADMIN]
        |               ^
    hint: write `[hardening]` with `nats = { cap_add = ["SYS_ADMIN"] }` in envs/small.toml

    error: compose/small.yaml:5:20: the service `nats` asks for `no-new-privileges:false`, which the profile does not allow
      5 |     security_opt: ['no-new-privileges:false']
        |                    ^
    hint: write `[hardening]` with `nats = { no_new_privileges = false }` in envs/small.toml
    "#);
}

#[test]
fn the_hosts_own_files_stay_its_own() {
    for mount in ["/etc:/etc", "../..:/data", "/var/run/docker.sock:/var/run/docker.sock"] {
        let site =
            with_stack(&format!("services:\n  nats:\n    image: testbed/nats\n    volumes: [▸'{mount}']\n"));
        site.refuses(["plan"], ExitCode::Usage);
    }
}

/// A row of the reference page: a section's title, a key, and the two texts beside it.
struct Row {
    section: String,
    key: String,
    second: String,
    third: String,
}

/// The rows of one kind of the reference page's tables: `takes` or `refused`.
fn rows(kind: &str) -> Vec<Row> {
    let page = fs::read_to_string(repository().join("docs/reference/compose.md")).unwrap();
    let (mut section, mut within, mut rows) = (String::new(), false, Vec::new());
    for line in page.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        if let Some(title) = line.strip_prefix("## ") {
            title.trim_matches('`').clone_into(&mut section);
        } else if line.starts_with("| key |") || line.starts_with("| refused |") {
            within = line.contains(kind);
        } else if let (true, [key, second, third]) = (within && line.starts_with("| `"), cells.as_slice()) {
            rows.push(Row {
                section: section.clone(),
                key: key.trim_matches('`').to_owned(),
                second: (*second).to_owned(),
                third: (*third).to_owned(),
            });
        }
    }
    assert!(rows.len() > 20, "the page has only {} rows of `{kind}`", rows.len());
    rows
}

/// A stack in which a section of the page holds one more line; nothing for a section without a place of its own.
fn stack_with(section: &str, line: &str) -> Option<String> {
    let service = "services:\n  nats:\n    image: testbed/nats\n";
    let other = "  other:\n    image: testbed/nats\n    x-testbed: {probe: {tcp: {port: 1}}}\n";
    let deep = |path: &[&str]| {
        let levels = path.iter().enumerate();
        let keys: String = levels.map(|(depth, key)| format!("{}{key}\n", "  ".repeat(depth + 2))).collect();
        format!("{service}{keys}{}{line}\n{other}", "  ".repeat(path.len() + 2))
    };
    Some(match section {
        "top level" => format!("{line}\n{service}"),
        "services.NAME" => deep(&[]),
        "services.NAME.depends_on.SERVICE" => deep(&["depends_on:", "other:"]),
        "services.NAME.healthcheck" => deep(&["healthcheck:"]),
        "services.NAME.deploy" => deep(&["deploy:"]),
        "services.NAME.deploy.resources" => deep(&["deploy:", "resources:"]),
        "services.NAME.deploy.resources.limits" => deep(&["deploy:", "resources:", "limits:"]),
        "services.NAME.deploy.resources.reservations" => deep(&["deploy:", "resources:", "reservations:"]),
        "services.NAME.networks.NETWORK" => {
            format!("networks: {{stack: {{}}}}\n{}", deep(&["networks:", "stack:"]))
        }
        "networks.NAME" => format!("{service}networks:\n  stack:\n    {line}\n"),
        "volumes.NAME" => format!("{service}volumes:\n  data:\n    {line}\n"),
        "configs.NAME" => format!("{service}configs:\n  settings:\n    {line}\n"),
        _ => return None,
    })
}

#[test]
fn every_key_that_the_reference_page_refuses_is_refused_with_its_reason_at_its_place() {
    let mut checked = 0;
    for row in rows("refused") {
        let Some(stack) = stack_with(&row.section, &format!("▸{}: x", row.key)) else { continue };
        let told = with_stack(&stack).refuses(["plan"], ExitCode::Usage);
        let message = told.lines().next().unwrap_or_default();
        assert!(message.contains(&format!("`{}` is not supported", row.key)), "{told}");
        assert!(message.ends_with(&row.second), "the page gives the reason `{}`:\n{told}", row.second);
        assert!(told.ends_with(&format!("hint: {}\n", row.third)), "the page says `{}`:\n{told}", row.third);
        checked += 1;
    }
    assert!(checked > 80, "only {checked} keys were checked");
}

#[test]
fn every_key_that_the_reference_page_names_is_known() {
    let mut checked = 0;
    for row in rows("takes") {
        // A text is wrong for some keys, right for others, and never unknown.
        let Some(stack) = stack_with(&row.section, &format!("{}: x", row.key)) else { continue };
        let told = with_stack(&stack).testbed(["plan"]).told();
        assert!(!told.contains("unknown key") && !told.contains("not supported"), "{}: {told}", row.key);
        checked += 1;
    }
    assert!(checked > 40, "only {checked} keys were checked");
}

#[test]
fn a_misspelt_key_is_told_from_every_key_of_its_section() {
    for row in rows("takes").into_iter().filter(|row| row.key.len() > 4 && !row.key.starts_with("x-")) {
        let misspelt = format!("{}{}", &row.key[..2], &row.key[3..]);
        let Some(stack) = stack_with(&row.section, &format!("▸{misspelt}: x")) else { continue };
        let told = with_stack(&stack).refuses(["plan"], ExitCode::Usage);
        assert!(told.contains(&format!("unknown key `{misspelt}`")), "{told}");
        assert!(told.ends_with(&format!("hint: did you mean `{}`?\n", row.key)), "{told}");
    }
}

/// Every stack and every layer, as `docker-compose config` reads them: engines over what all of them need, overlays over each.
#[test]
fn compose_itself_accepts_every_file_and_every_layer() {
    let root = repository();
    let compose = |arguments: &[&str]| {
        std::process::Command::new("docker-compose").args(arguments).current_dir(&root).output()
    };
    if compose(&["version"]).is_err() {
        eprintln!("skipped: docker-compose is not installed");
        return;
    }
    let files = |folder: &str| -> Vec<String> {
        let entries = fs::read_dir(root.join(folder)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names
            .filter(|name| Path::new(name).extension().is_some_and(|it| it == "yaml"))
            .map(|name| format!("{folder}/{name}"))
            .collect()
    };
    let accepts = |arguments: &[&str]| {
        let output = compose(&[arguments, &["config", "--quiet"]].concat()).unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    for file in files("compose") {
        accepts(&["-f", &file]);
    }
    for engine in ["vllm", "vllm-cpu", "sglang", "trtllm"] {
        let layer = format!("compose/{engine}.yaml");
        for profile in ["agg", "router", "disagg", "kvbm"] {
            accepts(&["-f", "compose/dynamo.yaml", "-f", &layer, "--profile", profile]);
        }
    }
    let overlays = files("compose/overlays");
    assert!(overlays.len() >= 3, "{overlays:?}");
    for overlay in overlays {
        for base in ["compose/mocker.yaml", "compose/mocker-disagg.yaml", "compose/dynamo.yaml"] {
            accepts(&["-f", base, "-f", &overlay]);
        }
    }
}
