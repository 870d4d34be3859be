//! Overlays over profiles, by names such as `a+b`, and the matrices that axes of them make.

use super::{refusal, resolve, resolved, sources};
use crate::profile::{expand, names};

const TCP: (&str, &str) = ("overlays/tcp", "description = \"over TCP\"\n[variables]\nPLANE = \"tcp\"\n");
const NATS: (&str, &str) = ("overlays/nats", "[variables]\nPLANE = \"nats\"\n");
const THREE: (&str, &str) =
    ("overlays/three", "stack_layers = [\"compose/overlays/three.yaml\"]\nmodels = [\"tiny\", \"big\"]\n");
const FOUR: (&str, &str) = ("overlays/four", "stack_layers = [\"compose/overlays/four.yaml\"]\n");

fn matrix(axes: &str) -> Vec<String> {
    let text = format!("extends = \"mocker\"\n[axes]\n{axes}\n");
    expand("m", &sources(&[TCP, NATS, THREE, FOUR, ("m", &text)])).unwrap()
}

#[test]
fn an_overlay_goes_over_a_profile_and_says_where_its_values_come_from() {
    let profile = resolved("mocker+tcp", &[TCP]);
    assert_eq!(profile.name, "mocker+tcp");
    assert_eq!(profile.chain, ["default", "mocker", "overlays/tcp"]);
    assert_eq!(profile.variables["PLANE"].origin.to_string(), "envs/overlays/tcp.toml:3");
    assert!(profile.is_own(&profile.variables["PLANE"].origin));
    assert!(profile.is_own(&profile.stack.as_ref().unwrap().origin), "the profile's own file is its own");
    let description = profile.description.unwrap().value;
    assert!(description.starts_with("NATS carries") && description.ends_with("; over TCP"), "{description}");
    assert_eq!(profile.order.value, resolved("mocker", &[]).order.value);
}

#[test]
fn lists_of_overlays_join_those_below() {
    let profile = resolved("mocker+three+four", &[THREE, FOUR]);
    let layers: Vec<&str> = profile.stack_layers.iter().map(|layer| layer.value.as_str()).collect();
    assert_eq!(layers, ["compose/overlays/three.yaml", "compose/overlays/four.yaml"]);
    assert_eq!(profile.stack_layers[0].origin.to_string(), "envs/overlays/three.toml:1");
    assert_eq!(profile.stack_layers[1].origin.to_string(), "envs/overlays/four.toml:1");
    assert_eq!(profile.models.value, ["tiny", "big"]);
}

#[test]
fn overlays_that_contradict_each_other_are_refused() {
    insta::assert_snapshot!(refusal("mocker+tcp+nats", &[TCP, NATS]), @r#"
    envs/overlays/nats.toml:2:1: the overlays `tcp` and `nats` contradict each other: one sets `variables.PLANE` to "tcp", the other to "nats"
    2 | PLANE = "nats"
      | ^
    hint: leave one of them out
    "#);
    let same = ("overlays/same", NATS.1);
    assert_eq!(resolved("mocker+nats+same", &[NATS, same]).variables["PLANE"].value, "nats");
}

#[test]
fn what_makes_a_profile_is_no_overlays_to_set() {
    for text in [
        "stack = \"compose/x.yaml\"",
        "extends = \"mocker\"",
        "order = 1",
        "tiers = []",
        "[axes]\na = [\"x\"]",
    ] {
        let message = refusal("mocker+bad", &[("overlays/bad", text)]);
        assert!(message.contains(": an overlay cannot set `"), "{text}: {message}");
    }
}

#[test]
fn names_that_are_no_overlays_are_told() {
    insta::assert_snapshot!(refusal("mocker+tpc", &[TCP, NATS]), @"
    unknown overlay `tpc`
    hint: did you mean `tcp`?
    ");
    insta::assert_snapshot!(refusal("mocker+tcp+tcp", &[TCP]), @"
    `mocker+tcp+tcp` names the overlay `tcp` a second time
    hint: name each overlay once
    ");
    assert!(refusal("moker+tcp", &[TCP]).starts_with("unknown profile `moker`\n"));
    insta::assert_snapshot!(refusal("mocker+", &[TCP]), @"
    `mocker+` has a `+` with no name beside it
    hint: write `PROFILE+OVERLAY`, such as `mocker+request-tcp`
    ");
    for gap in ["+", "+tcp", "mocker++tcp", "mocker+tcp+"] {
        assert!(refusal(gap, &[TCP]).contains("with no name beside it"), "{gap}");
    }
    assert!(refusal("overlays/tcp", &[TCP]).starts_with("unknown profile"));
}

#[test]
fn a_matrix_stands_for_every_combination_of_its_axes() {
    assert_eq!(
        matrix("a = [\"tcp\", \"nats\"]\nb = [\"three\", \"four\"]"),
        ["m+tcp+three", "m+tcp+four", "m+nats+three", "m+nats+four"]
    );
    assert_eq!(matrix(""), ["m"]);
    let all = sources(&[TCP, NATS, ("m", "extends = \"mocker\"\n[axes]\na = [\"tcp\", \"nats\"]\n")]);
    let names = names(&all);
    assert!(names.contains(&"m+tcp".to_owned()) && !names.contains(&"m".to_owned()), "{names:?}");
    assert_eq!(resolve("m+nats", &all, &[]).unwrap().variables["PLANE"].value, "nats");
}

#[test]
fn an_axis_names_overlays_that_exist() {
    let text = "extends = \"mocker\"\n[axes]\nplane = [\"tcp\", \"nast\"]\n";
    insta::assert_snapshot!(refusal("m", &[TCP, NATS, ("m", text)]), @r#"
    envs/m.toml:3:17: an axis names the unknown overlay `nast`
    3 | plane = ["tcp", "nast"]
      |                 ^
    hint: did you mean `nats`?
    "#);
    assert!(refusal("m", &[("m", "[axes]\nplane = []\n")]).contains("must name at least one overlay"));
}

#[test]
fn every_bundled_combination_is_a_profile() {
    let all = sources(&super::OVERLAID);
    for name in names(&all) {
        resolve(&name, &all, &[]).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}
