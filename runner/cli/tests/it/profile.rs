//! Profiles that cannot be used.

use testbed_model::exit_code::ExitCode;

use crate::site::Site;

#[test]
fn an_unknown_profile_offers_the_nearest_name() {
    let site = Site::small().with("envs/other.toml", "extends = \"small\"\n");
    insta::assert_snapshot!(site.refuses(["plan", "--profile", "smal"], ExitCode::Usage), @r"
    error: unknown profile `smal`
    hint: did you mean `small`?
    ");
    insta::assert_snapshot!(site.refuses(["up", "smlal"], ExitCode::Usage), @r"
    error: unknown profile `smlal`
    hint: did you mean `small`?
    ");
    insta::assert_snapshot!(site.refuses(["premerge", "--profile", "kubernetes"], ExitCode::Usage), @r"
    error: unknown profile `kubernetes`
    hint: known: `other`, `small`
    ");
}

#[test]
fn the_base_layer_is_no_profile() {
    insta::assert_snapshot!(Site::small().refuses(["up", "default"], ExitCode::Usage), @r"
    error: the profile `default` has no stack
    hint: it is the base layer of all profiles; name one of them
    ");
}

#[test]
fn an_unknown_key_names_file_line_column_and_the_nearest_key() {
    let text = "stack = \"compose/small.yaml\"\n▸tier = [\"premerge\"]\n";
    let site = Site::small().with("envs/small.toml", text);
    insta::assert_snapshot!(site.refuses(["plan"], ExitCode::Usage), @r#"
    error: envs/small.toml:2:1: unknown key `tier`
      2 | tier = ["premerge"]
        | ^
    hint: did you mean `tiers`?
    "#);
}

#[test]
fn an_unknown_key_in_a_table_is_found_behind_letters_that_take_more_than_a_byte() {
    let text = "stack = \"compose/small.yaml\"\n[variables]\n[limits]\nservices = { nats = { pids = 9, \"größe\" = 1, ▸memry = \"1GiB\" } }\n";
    let site = Site::small().with("envs/small.toml", &text.replace("\"größe\" = 1, ", ""));
    insta::assert_snapshot!(site.refuses(["plan"], ExitCode::Usage), @r#"
    error: envs/small.toml:4:33: unknown key `memry` in `limits.services.nats`
      4 | services = { nats = { pids = 9, memry = "1GiB" } }
        |                                 ^
    hint: did you mean `memory`?
    "#);
}

#[test]
fn a_line_end_of_windows_moves_no_place() {
    let text = "description = \"größer\"\r\nstack = \"compose/small.yaml\"\r\n\t▸ordre = 1\r\n";
    let site = Site::small().with("envs/small.toml", text);
    insta::assert_snapshot!(site.refuses(["plan"], ExitCode::Usage), @r"
    error: envs/small.toml:3:2: unknown key `ordre`
      3 |     ordre = 1
        |     ^
    hint: did you mean `order`?
    ");
}

#[test]
fn a_text_that_is_no_toml_is_pointed_at() {
    let site = Site::small().with("envs/small.toml", "stack = ▸compose/small.yaml\n");
    insta::assert_snapshot!(site.refuses(["plan"], ExitCode::Usage), @r"
    error: envs/small.toml:1:9: not valid TOML: string values must be quoted, expected literal string
      1 | stack = compose/small.yaml
        |         ^
    hint: check quotes and brackets here and right before
    ");
}

#[test]
fn a_value_of_another_type_says_what_is_wanted() {
    let site = Site::small().with("envs/small.toml", "order = ▸\"first\"\n");
    insta::assert_snapshot!(site.refuses(["plan"], ExitCode::Usage), @r#"
    error: envs/small.toml:1:9: `order` must be a whole number, not `first`
      1 | order = "first"
        |         ^
    "#);
}

#[test]
fn an_unknown_tier_offers_the_nearest() {
    let text = "stack = \"compose/small.yaml\"\ntiers = [\"nightly\", ▸\"pre-marge\"]\n";
    let site = Site::small().with("envs/small.toml", text);
    insta::assert_snapshot!(site.refuses(["plan"], ExitCode::Usage), @r#"
    error: envs/small.toml:2:21: `tiers[1]` names the unknown tier `pre-marge`
      2 | tiers = ["nightly", "pre-marge"]
        |                     ^
    hint: did you mean `premerge`?
    "#);
}

#[test]
fn a_circle_of_extends_is_shown_whole() {
    let site = Site::small()
        .with("envs/a.toml", "extends = \"b\"\n")
        .with("envs/b.toml", "extends = \"c\"\n")
        .with("envs/c.toml", "description = \"closes it\"\nextends = ▸\"a\"\n");
    insta::assert_snapshot!(site.refuses(["plan", "--profile", "a"], ExitCode::Usage), @r#"
    error: envs/c.toml:2:11: `extends` goes in a circle: `a` -> `b` -> `c` -> `a`
      2 | extends = "a"
        |           ^
    hint: leave one of these `extends` out
    "#);
}

#[test]
fn a_profile_that_extends_itself_is_a_circle_of_one() {
    let site = Site::small().with("envs/a.toml", "extends = ▸\"a\"\n");
    insta::assert_snapshot!(site.refuses(["up", "a"], ExitCode::Usage), @r#"
    error: envs/a.toml:1:11: `extends` goes in a circle: `a` -> `a`
      1 | extends = "a"
        |           ^
    hint: leave one of these `extends` out
    "#);
}

#[test]
fn a_parent_that_is_not_there_offers_the_nearest() {
    let site = Site::small().with("envs/a.toml", "extends = ▸\"smalll\"\n");
    insta::assert_snapshot!(site.refuses(["up", "a"], ExitCode::Usage), @r#"
    error: envs/a.toml:1:11: `extends` names the unknown profile `smalll`
      1 | extends = "smalll"
        |           ^
    hint: did you mean `small`?
    "#);
}

#[test]
fn a_broken_profile_stops_only_who_needs_it() {
    let site = Site::small().with("envs/broken.toml", "▸nonsense = 1\n");
    let ended = site.testbed(["plan", "--profile", "small"]);
    assert_eq!(ended.code(), ExitCode::Passed, "{}", ended.told());
    insta::assert_snapshot!(site.refuses(["plan"], ExitCode::Usage), @r"
    error: envs/broken.toml:1:1: unknown key `nonsense`
      1 | nonsense = 1
        | ^
    hint: known: `axes`, `compose_profiles`, `description`, `egress`, `environment`, `extends`, `hardening`, `images`, `limits`, `models`, `order`, `requirements`, `stack`, `stack_layers`, `tiers`, `timeouts`, `variables`, `whole`
    ");
}

#[test]
fn a_stack_that_is_not_there_offers_the_nearest_file() {
    let site = Site::small().with("envs/small.toml", "▸stack = \"compose/smal.yaml\"\n");
    insta::assert_snapshot!(site.refuses(["plan"], ExitCode::Usage), @r#"
    error: envs/small.toml:1:1: there is no stack `compose/smal.yaml`
      1 | stack = "compose/smal.yaml"
        | ^
    hint: did you mean `compose/small.yaml`?
    "#);
}

#[test]
fn a_profile_without_a_stack_says_where_to_set_it() {
    let site = Site::small().with("envs/small.toml", "tiers = [\"premerge\"]\n");
    insta::assert_snapshot!(site.refuses(["plan"], ExitCode::Usage), @r"
    error: the profile `small` has no stack
    hint: set `stack` in envs/small.toml, or name another profile
    ");
}

#[test]
fn names_that_the_stack_does_not_have_are_not_ignored() {
    let stack = "stack = \"compose/small.yaml\"\n";
    let wrong = [
        ("[environment]\nnast = { ▸A = \"b\" }\n", "did you mean `nats`?"),
        ("[images]\n▸nast = \"tests\"\n", "did you mean `nats`?"),
        ("[variables]\n▸DYN_LOG = \"debug\"\n", "leave it out"),
        ("[hardening]\nweb = { ▸read_only = false }\n", "known: `nats`"),
    ];
    for (text, way_out) in wrong {
        let site = Site::small().with("envs/small.toml", &format!("{stack}{text}"));
        let told = site.refuses(["plan"], ExitCode::Usage);
        assert!(told.contains(way_out), "{told}");
    }
}

#[test]
fn a_host_that_lacks_what_a_named_profile_requires_is_an_environment_that_cannot_be_had() {
    let text = "stack = \"compose/small.yaml\"\n[requirements]\ngpus = 64\n";
    let site = Site::small().with("envs/small.toml", text);
    let told = site.refuses(["plan", "--profile", "small"], ExitCode::Environment);
    assert!(told.contains("`small`") && told.contains("64"), "{told}");
}
