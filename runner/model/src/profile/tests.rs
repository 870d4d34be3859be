//! How layers combine, what is refused, and how values are explained.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::schema::{KEYS, Kind};
use super::{ProfileError, Resolved, names, resolve};
use crate::hint::Hint as _;
use crate::tier::Tier;

const BUNDLED: [(&str, &str); 6] = [
    ("default", include_str!("../../../../envs/default.toml")),
    ("mocker", include_str!("../../../../envs/mocker.toml")),
    ("mocker-disagg", include_str!("../../../../envs/mocker-disagg.toml")),
    ("mocker-file", include_str!("../../../../envs/mocker-file.toml")),
    ("mocker-sglang", include_str!("../../../../envs/mocker-sglang.toml")),
    ("mocker-trtllm", include_str!("../../../../envs/mocker-trtllm.toml")),
];

/// Overlays, and the matrices that are made of them.
const OVERLAID: [(&str, &str); 19] = [
    ("overlays/discovery-etcd", include_str!("../../../../envs/overlays/discovery-etcd.toml")),
    ("overlays/discovery-file", include_str!("../../../../envs/overlays/discovery-file.toml")),
    ("overlays/etcd-cluster", include_str!("../../../../envs/overlays/etcd-cluster.toml")),
    ("overlays/event-nats", include_str!("../../../../envs/overlays/event-nats.toml")),
    ("overlays/event-zmq", include_str!("../../../../envs/overlays/event-zmq.toml")),
    ("overlays/nats-cluster", include_str!("../../../../envs/overlays/nats-cluster.toml")),
    ("overlays/observability", include_str!("../../../../envs/overlays/observability.toml")),
    ("overlays/prometheus", include_str!("../../../../envs/overlays/prometheus.toml")),
    ("overlays/request-nats", include_str!("../../../../envs/overlays/request-nats.toml")),
    ("overlays/request-tcp", include_str!("../../../../envs/overlays/request-tcp.toml")),
    ("overlays/router-kv", include_str!("../../../../envs/overlays/router-kv.toml")),
    ("overlays/router-least-loaded", include_str!("../../../../envs/overlays/router-least-loaded.toml")),
    ("overlays/router-power-of-two", include_str!("../../../../envs/overlays/router-power-of-two.toml")),
    ("overlays/router-random", include_str!("../../../../envs/overlays/router-random.toml")),
    ("overlays/router-round-robin", include_str!("../../../../envs/overlays/router-round-robin.toml")),
    ("mocker-observed", include_str!("../../../../envs/mocker-observed.toml")),
    ("mocker-planes", include_str!("../../../../envs/mocker-planes.toml")),
    ("mocker-registries", include_str!("../../../../envs/mocker-registries.toml")),
    ("mocker-routers", include_str!("../../../../envs/mocker-routers.toml")),
];

fn sources(extra: &[(&str, &str)]) -> BTreeMap<String, String> {
    BUNDLED.iter().chain(extra).map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

fn resolved(name: &str, extra: &[(&str, &str)]) -> Resolved {
    resolve(name, &sources(extra), &[]).unwrap_or_else(|error| panic!("{}", shown(&error)))
}

fn refusal(name: &str, extra: &[(&str, &str)]) -> String {
    match resolve(name, &sources(extra), &[]) {
        Ok(_) => panic!("accepted"),
        Err(error) => shown(&error),
    }
}

fn shown(error: &ProfileError) -> String {
    let excerpt = error.rendered().map(|text| format!("\n{text}")).unwrap_or_default();
    let hint = error.hint().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
    format!("{error}{excerpt}{hint}")
}

#[test]
fn the_bundled_profiles_serve_the_tiers_that_they_are_for() {
    let all = sources(&[]);
    for name in names(&all) {
        let profile = resolved(&name, &[]);
        assert!(profile.serves(Tier::Premerge), "{name}");
        assert!(profile.serves(Tier::Postmerge), "{name}");
        assert!(!profile.serves(Tier::Precommit), "{name}");
        let plays_another_engine = ["mocker-sglang", "mocker-trtllm"].contains(&name.as_str());
        let stack = if plays_another_engine { "mocker" } else { &name };
        assert_eq!(profile.stack.unwrap().value, format!("compose/{stack}.yaml"));
        assert!(profile.hardening.is_empty(), "{name} relaxes nothing");
        assert!(!profile.egress.value, "{name} is closed");
        assert!(profile.description.is_some(), "{name}");
    }
}

#[test]
fn the_base_layer_names_every_key_that_there_is() {
    let text = BUNDLED[0].1;
    for key in KEYS {
        let last = key.path.iter().rev().find(|name| **name != "*").unwrap();
        assert!(text.contains(last), "envs/default.toml says nothing about `{}`", key.path.join("."));
    }
}

#[test]
fn the_last_layer_that_sets_a_key_wins_and_tables_are_joined() {
    let extra = [
        (
            "a",
            "extends = \"mocker\"\n[variables]\nX = \"a\"\nY = 1\n[limits.services.frontend]\nmemory = \"1g\"\n",
        ),
        ("b", "extends = \"a\"\n[variables]\nX = \"b\"\n[limits.services.frontend]\ncpus = 0.5\n"),
    ];
    let profile = resolved("b", &extra);
    assert_eq!(profile.chain, ["default", "mocker", "a", "b"]);
    assert_eq!(profile.interpolation(), [("X", "b"), ("Y", "1")].map(|(k, v)| (k.into(), v.into())).into());
    assert_eq!(profile.variables["X"].origin.to_string(), "envs/b.toml:3");
    assert_eq!(profile.variables["Y"].origin.to_string(), "envs/a.toml:4");
    let frontend = &profile.limits.services["frontend"];
    assert_eq!(frontend.memory.as_ref().unwrap().value, 1 << 30);
    assert_eq!(frontend.cpus.as_ref().unwrap().value, 500_000_000);
    assert!(profile.description.is_none(), "a description is not inherited");
}

#[test]
fn the_command_line_wins_and_is_named_as_origin() {
    let overrides = [
        "limits.memory=2GiB",
        "variables.X = \"a b\"",
        "egress=true",
        "limits.cpus=2",
        "variables.Y=say \"hi\"",
    ];
    let overrides = overrides.map(str::to_owned);
    let profile = resolve("mocker", &sources(&[]), &overrides).unwrap();
    assert_eq!(profile.limits.memory.value, 2 << 30);
    assert_eq!(profile.limits.memory.origin.to_string(), "command line");
    assert_eq!(profile.variables["X"].value, "a b");
    assert_eq!(profile.variables["Y"].value, "say \"hi\"");
    assert!(profile.egress.value);
}

#[test]
fn explain_names_value_origin_and_what_was_replaced() {
    let overrides = ["timeouts.ready=5s".to_owned()];
    let extra =
        [("mine", "extends = \"mocker-disagg\"\n[environment]\nprefill-0 = { DYN_LOG = \"debug\" }\n")];
    let profile = resolve("mine", &sources(&extra), &overrides).unwrap();
    let lines: Vec<String> = profile
        .explain()
        .into_iter()
        .map(|line| {
            // Lines and values of the bundled files move with their comments.
            let origin = line.origin.to_string();
            let origin =
                if origin.contains("mine") { origin } else { origin.split(':').next().unwrap().to_owned() };
            let replaced = if line.replaced.is_empty() { "" } else { "  (replaced)" };
            format!("{} = {}  {origin}{replaced}", line.key, line.value)
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn what_is_explained_can_be_written_into_a_profile_whatever_characters_it_has() {
    let text = "extends = \"mocker\"\ndescription = \"a\\u001Bb\\\"\\\\\\u00AD\"\n\
                [variables]\n\"x \\u0007.é\" = \"1\\u0000\"\n";
    let profile = resolved("odd", &[("odd", text)]);
    let lines = |profile: &Resolved| -> Vec<String> {
        let lines = profile.explain().into_iter().filter(|line| line.key != "extends");
        lines.map(|line| format!("{}={}", line.key, line.value)).collect()
    };
    let set = lines(&profile);
    let again = resolve("mocker", &sources(&[]), &set).unwrap_or_else(|error| panic!("{}", shown(&error)));
    assert_eq!(lines(&again), set);
}

#[test]
fn an_unknown_profile_offers_the_nearest_name() {
    let error = resolve("mokcer", &sources(&[]), &[]).unwrap_err();
    assert_eq!(error.exit_code(), crate::exit_code::ExitCode::Usage);
    insta::assert_snapshot!(shown(&error), @"
    unknown profile `mokcer`
    hint: did you mean `mocker`?
    ");
    insta::assert_snapshot!(refusal("kubernetes", &[]), @"
    unknown profile `kubernetes`
    hint: known: `mocker`, `mocker-disagg`, `mocker-file`, `mocker-sglang`, `mocker-trtllm`
    ");
}

#[test]
fn an_unknown_key_names_file_line_and_column() {
    insta::assert_snapshot!(refusal("p", &[("p", "extends = \"mocker\"\n\n[limits]\n  memroy = \"1g\"\n")]), @r#"
    envs/p.toml:4:3: unknown key `memroy` in `limits`
    4 |   memroy = "1g"
      |   ^
    hint: did you mean `memory`?
    "#);
    insta::assert_snapshot!(refusal("p", &[("p", "stak = \"compose/x.yaml\"\n")]), @r#"
    envs/p.toml:1:1: unknown key `stak`
    1 | stak = "compose/x.yaml"
      | ^
    hint: did you mean `stack`?
    "#);
    insta::assert_snapshot!(refusal("p", &[("p", "[hardening.nats]\nroot = true\n")]), @r#"
    envs/p.toml:2:1: unknown key `root` in `hardening.nats`
    2 | root = true
      | ^
    hint: known: `cap_add`, `no_new_privileges`, `read_only`, `user`
    "#);
}

#[test]
fn a_circle_of_extends_prints_the_chain() {
    let extra = [("a", "extends = \"b\""), ("b", "extends = \"c\""), ("c", "extends = \"b\"")];
    insta::assert_snapshot!(refusal("a", &extra), @r#"
    envs/c.toml:1:11: `extends` goes in a circle: `b` -> `c` -> `b`
    1 | extends = "b"
      |           ^
    hint: leave one of these `extends` out
    "#);
    insta::assert_snapshot!(refusal("a", &[("a", "extends = \"a\"")]), @r#"
    envs/a.toml:1:11: `extends` goes in a circle: `a` -> `a`
    1 | extends = "a"
      |           ^
    hint: leave one of these `extends` out
    "#);
}

#[test]
fn extending_what_is_not_there_offers_the_nearest_name() {
    insta::assert_snapshot!(refusal("a", &[("a", "extends = \"mockre\"")]), @r#"
    envs/a.toml:1:11: `extends` names the unknown profile `mockre`
    1 | extends = "mockre"
      |           ^
    hint: did you mean `mocker`?
    "#);
}

#[test]
fn values_of_another_type_are_refused_with_their_place() {
    for (text, message) in [
        ("order = \"first\"", "1:9: `order` must be a whole number, not `first`"),
        ("order = -1", "1:9: `order` is out of range: `-1`"),
        ("egress = \"yes\"", "1:10: `egress` must be `true` or `false`, not `yes`"),
        ("tiers = [\"premerg\"]", "1:10: `tiers[0]` names the unknown tier `premerg`"),
        ("tiers = \"premerge\"", "1:9: `tiers` must be a list, not text"),
        (
            "stack = \"/etc/x.yaml\"",
            "1:9: `stack` must be a path below the configuration's root, not `/etc/x.yaml`",
        ),
        (
            "stack = \"../x.yaml\"",
            "1:9: `stack` must be a path below the configuration's root, not `../x.yaml`",
        ),
        ("limits = 3", "1:10: `limits` must be a map, not a number"),
        ("limits.memory = 3", "1:17: `limits.memory` must be at least `6m`, which the daemon wants"),
        ("limits.pids = 0", "1:15: `limits.pids` must be at least 1"),
        ("limits.cpus = 0", "1:15: `limits.cpus` must be at least `0.01`, which the daemon wants"),
        (
            "timeouts.ready = 30",
            "1:18: `timeouts.ready` must be a duration such as `30s` or `1m30s`, not `30`",
        ),
        ("timeouts.ready = \"0s\"", "1:18: `timeouts.ready` must be more than `0s`"),
        ("hardening.a.user = \"root\"", "1:20: `hardening.a.user` must be `uid:gid` in numbers, not `root`"),
        (
            "hardening.a.cap_add = [\"all please\"]",
            "1:23: `hardening.a.cap_add` must hold capabilities such as `SYS_PTRACE`, not `all please`",
        ),
        ("models = [\"a\", \"a\"]", "1:16: `models[1]` names `a` a second time"),
        ("models = [\"\"]", "1:11: `models[0]` must not be empty"),
        ("extends = \"\"", "1:11: `extends` must not be empty"),
        ("a = ", "1:5: not valid TOML: string values must be quoted, expected literal string"),
    ] {
        let error = resolve("p", &sources(&[("p", text)]), &[]).unwrap_err();
        assert_eq!(error.to_string(), format!("envs/p.toml:{message}"), "{text}");
    }
}

#[test]
fn bad_assignments_are_refused() {
    for (text, start) in [
        ("limits.memory", "command line:1:14: not valid TOML"),
        ("limits.memroy=1g", "command line:1:8: unknown key `memroy` in `limits`"),
        ("limits.memory=lots", "command line:1:15: `limits.memory` must be a size"),
        ("extends=mocker", "command line:1:9: `extends` can be set in a profile's file only"),
    ] {
        let error = resolve("mocker", &sources(&[]), &[text.to_owned()]).unwrap_err();
        assert!(error.to_string().starts_with(start), "{error}");
    }
}

#[test]
fn a_base_layer_that_lacks_a_value_says_which() {
    let none = resolve("mocker", &BTreeMap::new(), &[]).unwrap_err();
    assert_eq!(none, ProfileError::NoBase);
    let sources = [("default", "order = 1"), ("a", "")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    insta::assert_snapshot!(shown(&resolve("a", &sources, &[]).unwrap_err()), @"
    no layer of the profile `a` sets `compose_profiles` (layers: `default` <- `a`)
    hint: set `compose_profiles` in envs/default.toml
    ");
    let sources =
        [("default", "extends = \"a\""), ("a", "")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    let error = resolve("a", &sources, &[]).unwrap_err();
    assert_eq!(error.to_string(), "envs/default.toml:1:11: the base layer cannot extend another");
}

#[test]
fn every_kind_is_used_and_every_required_key_is_in_the_base_layer() {
    let base = resolved("default", &[]);
    assert!(base.stack.is_none());
    for kind in
        [Kind::Text, Kind::Path, Kind::User, Kind::Capabilities, Kind::Pids, Kind::Memory, Kind::Tiers]
    {
        assert!(KEYS.iter().any(|key| key.kind == kind), "{kind:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_text_makes_resolution_panic(text in "\\PC{0,200}") {
        let _ = resolve("p", &sources(&[("p", &text)]), &[]);
    }

    #[test]
    fn no_mutation_of_the_base_layer_makes_resolution_panic(
        from in 0_usize..4000,
        length in 0_usize..80,
        inserted in "[\\PC\\n]{0,12}",
    ) {
        let chars: Vec<char> = BUNDLED[0].1.chars().collect();
        let from = from.min(chars.len());
        let to = (from + length).min(chars.len());
        let mutated: String =
            chars[..from].iter().copied().chain(inserted.chars()).chain(chars[to..].iter().copied()).collect();
        let _ = resolve("mocker", &sources(&[("default", &mutated)]), &[]);
    }

    #[test]
    fn no_assignment_makes_resolution_panic(text in "[a-z.=\"\\PC]{0,60}") {
        let _ = resolve("mocker", &sources(&[]), &[text]);
    }

    #[test]
    fn assigned_text_that_is_not_toml_arrives_as_it_is(text in "[^\\n\\r=]{1,40}") {
        let assignment = format!("variables.X={text}");
        if crate::document::from_toml("f.toml", &assignment).is_err() {
            let profile = resolve("mocker", &sources(&[]), &[assignment]).unwrap();
            prop_assert_eq!(&profile.variables["X"].value, &text);
        }
    }

    #[test]
    fn a_chain_of_any_length_resolves_in_order(length in 1_usize..30) {
        let chain: Vec<(String, String)> = (0..length)
            .map(|i| {
                let parent = if i == 0 { "mocker".to_owned() } else { format!("p{}", i - 1) };
                (format!("p{i}"), format!("extends = \"{parent}\"\n[variables]\nX = {i}\nX{i} = {i}\n"))
            })
            .collect();
        let extra: Vec<(&str, &str)> = chain.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        let profile = resolved(&format!("p{}", length - 1), &extra);
        prop_assert_eq!(&profile.variables["X"].value, &(length - 1).to_string());
        prop_assert_eq!(profile.variables.len(), length + 1);
        prop_assert_eq!(profile.chain.len(), length + 2);
    }
}

mod combinations;
