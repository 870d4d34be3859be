//! Plans: the same bytes everywhere, every value with its origin, and the right lanes for any project.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use serde_json::Value;
use testbed_model::exit_code::ExitCode;
use testbed_model::tier::Tier;

use crate::site::{Ended, Site, repository};

#[test]
fn two_working_folders_give_the_same_bytes() {
    let (one, other) = (Site::small(), Site::small());
    for arguments in [["plan", "--json"], ["plan", "--explain"], ["plan", "nightly"]] {
        let mut elsewhere = other.command(arguments);
        // Nothing of the host may decide.
        elsewhere.envs([("HOME", "/"), ("TZ", "Asia/Tokyo"), ("USER", "somebody"), ("LANG", "de_DE.UTF-8")]);
        elsewhere.envs([("DYN_LOG", "trace"), ("TESTBED_IMAGE_NATS", "testbed/tests"), ("CI", "true")]);
        let (one, other) = (one.testbed(arguments), other.ended(&mut elsewhere));
        assert_eq!(one.code(), ExitCode::Passed, "{}", one.told());
        assert_eq!(one.out, other.out);
    }
}

#[test]
fn a_plan_for_people_begins_with_its_hash_which_follows_every_input() {
    let hash = |site: &Site| {
        let out = site.testbed(["plan"]).out;
        out.split_whitespace().nth(1).unwrap().to_owned()
    };
    let reference = hash(&Site::small());
    assert!(reference.len() == 16 && reference.chars().all(|c| c.is_ascii_hexdigit()), "{reference}");
    let changed = [
        ("envs/small.toml", crate::site::SMALL_PROFILE.replace("alone", "by itself"), true),
        ("envs/small.toml", format!("{}[timeouts]\ncase = \"59s\"\n", crate::site::SMALL_PROFILE), false),
        ("compose/small.yaml", crate::site::SMALL_STACK.replace("-js, ", ""), false),
        ("compose/small.yaml", format!("# a word\n{}", crate::site::SMALL_STACK), true),
        ("images/images.lock.json", crate::site::NOWHERE_LOCK.replace("11111111", "44444444"), false),
        ("testbed.toml", crate::site::SMALL_PROJECT.replace("tests", "checks"), false),
        ("tests/test_small.py", "def test_other():\n    pass\n".to_owned(), true),
    ];
    for (path, text, same) in changed {
        let other = hash(&Site::small().with(path, &text));
        assert_eq!(other == reference, same, "{path}:\n{text}");
    }
}

#[test]
fn every_explained_value_is_where_it_is_said_to_be() {
    let root = repository();
    let site = Site::empty();
    let mut checked = 0;
    for entry in fs::read_dir(root.join("envs")).unwrap() {
        let path = entry.unwrap().path();
        let profile = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if profile == "default" || path.is_dir() {
            continue;
        }
        let root = root.to_str().unwrap();
        let ended =
            site.testbed(["plan", "--explain", "--profile", &profile, "--root", root, "--project", root]);
        assert_eq!(ended.code(), ExitCode::Passed, "{}", ended.told());
        for line in ended.out.lines().filter(|line| line.contains("  # ")) {
            let key = line.split_whitespace().next().unwrap();
            let origin = line.rsplit("  # ").next().unwrap().split(", over ").next().unwrap();
            let (file, number) = origin.split_once(':').unwrap();
            let text = fs::read_to_string(repository().join(file)).unwrap();
            let there = text.lines().nth(number.parse::<usize>().unwrap() - 1).unwrap();
            let last = key.rsplit('.').next().unwrap();
            assert!(there.contains(last), "`{line}`, but {origin} is `{there}`");
            checked += 1;
        }
    }
    assert!(checked > 50, "only {checked} values were checked");
}

#[test]
fn a_value_that_a_layer_replaces_says_which() {
    let site = Site::small()
        .with("envs/parent.toml", "extends = \"small\"\norder = 7\n[timeouts]\nready = \"5s\"\n")
        .with("envs/child.toml", "extends = \"parent\"\n\n[timeouts]\nready = \"6s\"\n");
    let ended = site.testbed(["plan", "--explain", "--profile", "child"]);
    insta::assert_snapshot!("explained", ended.out);
}

#[test]
fn nothing_to_do_is_told_and_has_a_code_of_its_own() {
    let site =
        Site::small().with("envs/small.toml", "stack = \"compose/small.yaml\"\ntiers = [\"nightly\"]\n");
    let ended = site.testbed(["plan"]);
    assert_eq!((ended.code(), ended.err.as_str()), (ExitCode::NothingSelected, ""));
    insta::assert_snapshot!("nothing-selected", ended.out);
}

/// A profile of a random project.
#[derive(Clone, Debug)]
struct Profile {
    order: u32,
    tiers: BTreeSet<Tier>,
    /// Whether it requires what no host has.
    greedy: bool,
}

/// A suite of a random project.
#[derive(Clone, Debug)]
struct Suite {
    kind: &'static str,
    test_type: &'static str,
    tier: Option<Tier>,
    /// Numbers of profiles.
    profiles: BTreeSet<usize>,
}

/// A project and what is asked of it.
#[derive(Clone, Debug)]
struct Case {
    profiles: Vec<Profile>,
    suites: Vec<Suite>,
    tier: Tier,
    chosen_profiles: BTreeSet<usize>,
    chosen_suites: BTreeSet<usize>,
}

const TYPES: [&str; 8] =
    ["lint", "unit", "integration", "e2e", "benchmark", "stress", "security", "fault_tolerance"];

fn tier() -> impl Strategy<Value = Tier> {
    proptest::sample::select(Tier::ALL.to_vec())
}

fn profile() -> impl Strategy<Value = Profile> {
    (0..4_u32, btree_set(tier(), 0..3), proptest::bool::weighted(0.2))
        .prop_map(|(order, tiers, greedy)| Profile { order, tiers, greedy })
}

fn suite() -> impl Strategy<Value = Suite> {
    let kinds = proptest::sample::select(vec!["pytest", "cargo", "pre-commit"]);
    let types = proptest::sample::select(TYPES.to_vec());
    (kinds, types, proptest::option::of(tier()), btree_set(0..3_usize, 0..3)).prop_map(
        |(kind, test_type, tier, profiles)| Suite {
            kind,
            test_type,
            tier,
            profiles: if kind == "pre-commit" { BTreeSet::new() } else { profiles },
        },
    )
}

fn case() -> impl Strategy<Value = Case> {
    let choice = || btree_set(0..3_usize, 0..2);
    (vec(profile(), 3), vec(suite(), 3), tier(), choice(), choice()).prop_map(
        |(profiles, suites, tier, chosen_profiles, chosen_suites)| Case {
            profiles,
            suites,
            tier,
            chosen_profiles,
            chosen_suites,
        },
    )
}

impl Case {
    fn site(&self) -> Site {
        let mut site = Site::small().without("envs/small.toml");
        for (number, profile) in self.profiles.iter().enumerate() {
            let tiers: Vec<&str> = profile.tiers.iter().map(|tier| tier.name()).collect();
            let gpus = if profile.greedy { 64 } else { 0 };
            let order = profile.order;
            let text = format!(
                "stack = \"compose/small.yaml\"\norder = {order}\ntiers = {tiers:?}\n[requirements]\ngpus = {gpus}\n"
            );
            site = site.with(&format!("envs/p{number}.toml"), &text);
        }
        let mut project = "[project]\nname = \"random\"\n".to_owned();
        for (number, suite) in self.suites.iter().enumerate() {
            let Suite { kind, test_type, .. } = suite;
            project += &format!(
                "[[suite]]\nname = \"s{number}\"\nkind = \"{kind}\"\ntype = \"{test_type}\"\npaths = [\"tests\"]\n"
            );
            if let Some(tier) = suite.tier {
                project += &format!("tier = \"{tier}\"\n");
            }
            if !suite.profiles.is_empty() {
                let names: Vec<String> = suite.profiles.iter().map(|number| format!("p{number}")).collect();
                project += &format!("profiles = {names:?}\n");
            }
        }
        site.with("testbed.toml", &project)
    }

    fn planned(&self) -> Ended {
        let mut arguments = vec!["plan".to_owned(), self.tier.name().to_owned(), "--json".to_owned()];
        for number in &self.chosen_profiles {
            arguments.extend(["--profile".to_owned(), format!("p{number}")]);
        }
        for number in &self.chosen_suites {
            arguments.extend(["--suite".to_owned(), format!("s{number}")]);
        }
        self.site().testbed(arguments)
    }

    /// The lanes that must be planned, in order.
    fn lanes(&self) -> Vec<(String, Option<String>)> {
        let mut lanes = Vec::new();
        for (number, suite) in self.suites.iter().enumerate() {
            let name = format!("s{number}");
            let rank = TYPES.iter().position(|other| *other == suite.test_type).unwrap();
            // Of the units, those of Rust come last: they compile meanwhile.
            let rank = (rank, suite.kind == "cargo" && suite.test_type == "unit", number);
            let asked = self.chosen_suites.is_empty() || self.chosen_suites.contains(&number);
            if !asked || Self::tier_of(suite) > self.tier {
                continue;
            }
            if suite.profiles.is_empty() {
                lanes.push((None, rank, name, None));
                continue;
            }
            for &profile in &suite.profiles {
                if self.takes_part(profile) {
                    let place = (self.profiles[profile].order, profile);
                    lanes.push((Some(place), rank, name.clone(), Some(format!("p{profile}"))));
                }
            }
        }
        lanes.sort();
        lanes.into_iter().map(|(_, _, suite, profile)| (suite, profile)).collect()
    }

    fn tier_of(suite: &Suite) -> Tier {
        suite.tier.unwrap_or(match suite.test_type {
            "lint" => Tier::Precommit,
            "unit" | "integration" | "e2e" => Tier::Premerge,
            _ => Tier::Nightly,
        })
    }

    fn takes_part(&self, number: usize) -> bool {
        let profile = &self.profiles[number];
        if self.chosen_profiles.is_empty() {
            !profile.greedy && profile.tiers.iter().any(|tier| *tier <= self.tier)
        } else {
            self.chosen_profiles.contains(&number)
        }
    }
}

/// Suite and profile of an entry of a plan.
fn lane(id: &Value) -> (String, Option<String>) {
    (id["suite"].as_str().unwrap().to_owned(), id["profile"].as_str().map(str::to_owned))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_project_gets_the_lanes_that_its_tiers_profiles_and_choices_say(case in case()) {
        let ended = case.planned();
        if case.chosen_profiles.iter().any(|number| case.profiles[*number].greedy) {
            prop_assert_eq!(ended.code(), ExitCode::Environment, "{}", ended.told());
            return Ok(());
        }
        let expected = case.lanes();
        let code = if expected.is_empty() { ExitCode::NothingSelected } else { ExitCode::Passed };
        prop_assert_eq!(ended.code(), code, "{}", ended.told());
        let plan: Value = serde_json::from_str(&ended.out).unwrap();
        let ids = |entries: &Value, id: &str| -> Vec<(String, Option<String>)> {
            entries.as_array().unwrap().iter().map(|entry| lane(&entry[id])).collect()
        };
        let (lanes, skipped) = (ids(&plan["lanes"], "id"), ids(&plan["skipped"], "lane"));
        prop_assert_eq!(&lanes, &expected);

        // Stacks are those of the lanes, each once, in the same order.
        let mut profiles: Vec<String> = Vec::new();
        for profile in lanes.iter().filter_map(|(_, profile)| profile.clone()) {
            if !profiles.contains(&profile) {
                profiles.push(profile);
            }
        }
        let stacks: Vec<&str> =
            plan["stacks"].as_array().unwrap().iter().map(|stack| stack["profile"].as_str().unwrap()).collect();
        prop_assert_eq!(stacks, profiles);

        // Nothing disappears silently: what is not executed is listed once, with a reason.
        let mut accounted: BTreeMap<(String, Option<String>), u32> = BTreeMap::new();
        for entry in lanes.iter().chain(&skipped) {
            *accounted.entry(entry.clone()).or_default() += 1;
        }
        prop_assert!(accounted.values().all(|times| *times == 1), "{:?}", accounted);
        for (number, suite) in case.suites.iter().enumerate() {
            let name = format!("s{number}");
            let whole = accounted.contains_key(&(name.clone(), None));
            let each = suite.profiles.iter().all(|p| accounted.contains_key(&(name.clone(), Some(format!("p{p}")))));
            prop_assert!(whole || (each && !suite.profiles.is_empty()), "{} is lost: {:?}", name, accounted);
        }
        for entry in plan["skipped"].as_array().unwrap() {
            prop_assert!(entry["reason"].as_str().is_some_and(|reason| reason.len() > 5), "{}", entry);
        }
    }
}

#[test]
fn cases_are_chosen_in_pytests_own_language_and_other_suites_stay_out() {
    let project = format!(
        "{}\n[[suite]]\nname = \"rust\"\nkind = \"cargo\"\n",
        crate::site::SMALL_PROJECT.replace("type = \"e2e\"", "type = \"e2e\"\nexpression = \"not slow\"")
    );
    let site = Site::small().with("testbed.toml", &project);
    let plan = |arguments: &[&str]| -> Value {
        let ended = site.testbed([&["plan", "--json"], arguments].concat());
        assert_eq!(ended.code(), ExitCode::Passed, "{}", ended.told());
        serde_json::from_str(&ended.out).unwrap()
    };
    let whole = plan(&[]);
    assert_eq!(whole["lanes"].as_array().unwrap().len(), 2);
    assert_eq!(plan(&["-m", " ", "-k", ""]), whole, "an empty expression asks for nothing");
    let chosen = plan(&["-m", "router or kvbm(level=2)", "-k", "chat"]);
    let [lane] = &chosen["lanes"].as_array().unwrap()[..] else { panic!("{chosen}") };
    assert_eq!(lane["expression"], "(pre_merge or premerge) and (not slow) and (router or kvbm(level=2))");
    assert_eq!(lane["keyword"], "chat");
    assert_eq!(chosen["skipped"][0]["reason"], "its cases are not known, and `-m` chooses among cases");
}

#[test]
fn an_expression_that_cannot_be_read_shows_the_column() {
    let site = Site::small();
    insta::assert_snapshot!(site.refuses(["premerge", "-m", "router and (slow"], ExitCode::Usage), @"
    error: `-m`: column 17: expected right parenthesis; got end of input
      router and (slow
                      ^
    hint: names are joined by `and`, `or`, `not` and parentheses, as for `pytest -m`
    ");
    insta::assert_snapshot!(site.refuses(["plan", "-k", "chat completions"], ExitCode::Usage), @"
    error: `-k`: column 6: expected end of input; got identifier
      chat completions
           ^
    hint: names are joined by `and`, `or`, `not` and parentheses, as for `pytest -m`
    ");
}
