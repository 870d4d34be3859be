//! The command line: help, completions, and what cannot be understood.

use std::path::Path;
use std::process::Command;

use testbed_model::exit_code::ExitCode;

use crate::site::{Site, command};

/// Every verb that a person can see, with the verbs below it.
const VERBS: [&[&str]; 34] = [
    &["run"],
    &["plan"],
    &["list"],
    &["check"],
    &["up"],
    &["down"],
    &["shell"],
    &["images"],
    &["images", "list"],
    &["images", "build"],
    &["images", "verify"],
    &["images", "update"],
    &["images", "export"],
    &["images", "import"],
    &["models"],
    &["models", "list"],
    &["models", "fetch"],
    &["models", "verify"],
    &["models", "import"],
    &["models", "prune"],
    &["models", "make-tiny"],
    &["report"],
    &["repro"],
    &["bundle"],
    &["merge"],
    &["history"],
    &["history", "import"],
    &["history", "merge"],
    &["history", "quarantine"],
    &["doctor"],
    &["ci"],
    &["gc"],
    &["schema"],
    &["completions"],
];

/// What help says, by `-h`.
fn help(verb: &[&str]) -> String {
    let ended = Site::empty().testbed(verb.iter().copied().chain(["-h"]));
    assert_eq!((ended.code(), ended.err.as_str()), (ExitCode::Passed, ""));
    ended.out
}

#[test]
fn help_names_every_verb_flag_and_exit_code() {
    insta::assert_snapshot!("help", help(&[]));
    for code in ExitCode::ALL {
        assert!(help(&[]).contains(&format!("{:>3}  {}", code.number(), code.meaning())));
    }
}

#[test]
fn help_of_each_verb_says_what_it_takes() {
    for verb in VERBS {
        insta::assert_snapshot!(format!("help-{}", verb.join("-")), help(verb));
    }
}

#[test]
fn the_verbs_of_help_are_the_ones_tested_here() {
    let verbs = |verb: &[&str]| {
        let text = help(verb);
        let list =
            text.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap_or_default();
        let names = list.lines().filter_map(|line| line.split_whitespace().next());
        names.filter(|name| *name != "help").map(str::to_owned).collect::<Vec<_>>()
    };
    let below = |parent: &[&str]| {
        let own = VERBS.iter().filter(|verb| verb.len() == parent.len() + 1 && verb.starts_with(parent));
        own.map(|verb| verb[parent.len()].to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(verbs(&[]), below(&[]));
    assert_eq!(verbs(&["images"]), below(&["images"]));
    assert_eq!(verbs(&["models"]), below(&["models"]));
    assert_eq!(verbs(&["history"]), below(&["history"]));
}

#[test]
fn without_anything_to_do_help_is_what_it_says() {
    let ended = Site::empty().testbed([""; 0]);
    assert_eq!(ended.code(), ExitCode::Usage);
    assert!(ended.err.contains("Usage:") && ended.out.is_empty(), "{}", ended.err);
}

#[test]
fn the_version_is_one_line() {
    let ended = Site::empty().testbed(["--version"]);
    assert_eq!(
        (ended.code(), ended.out),
        (ExitCode::Passed, format!("testbed {}\n", env!("CARGO_PKG_VERSION")))
    );
}

#[test]
fn what_cannot_be_understood_says_what_was_meant() {
    let lines: [&[&str]; 19] = [
        &["premrege"],
        &["imagse", "list"],
        &["kubernetes"],
        &["plan", "premrege"],
        &["run"],
        &["run", "premerge", "postmerge"],
        &["premerge", "--profil", "small"],
        &["premerge", "--bogus"],
        &["premerge", "--profile"],
        &["premerge", "--color", "alwys"],
        &["plan", "--json", "--explain"],
        &["check", "--json", "--format", "sarif"],
        &["check", "--format", "xml"],
        &["schema", "compose"],
        &["up", "--once", "--detach"],
        &["up", "--keep", "1h"],
        &["images", "lst"],
        &["completions", "basch"],
        &["up", "small", "--detach", "--keep", "4"],
    ];
    let site = Site::small();
    let told: Vec<String> = lines
        .iter()
        .map(|line| {
            let told = site.refused(&mut site.command(*line), ExitCode::Usage);
            format!("$ testbed {}\n{told}", line.join(" "))
        })
        .collect();
    insta::assert_snapshot!("not-understood", told.join("\n"));
}

#[test]
fn flags_that_every_verb_takes_may_stand_before_or_behind_it() {
    let site = Site::small();
    let plain = site.testbed(["plan", "--json"]);
    assert_eq!(plain.code(), ExitCode::Passed, "{}", plain.told());
    let flags = ["--project", ".", "--root", ".", "--color", "never"];
    let before = site.testbed(flags.iter().chain(&["plan", "--json"]));
    let behind = site.testbed(["plan", "--json"].iter().chain(&flags));
    for other in [before, behind] {
        assert_eq!((other.code(), &other.out), (ExitCode::Passed, &plain.out), "{}", other.told());
    }
}

#[test]
fn flags_of_a_run_before_another_verb_are_not_swallowed() {
    let site = Site::small();
    for line in [["--profile", "small", "plan"], ["--suite", "cases", "plan"]] {
        let told = site.refused(&mut site.command(line), ExitCode::Usage);
        assert!(told.contains(line[0]), "{told}");
    }
    let told = site.refuses(["premerge", "gc"], ExitCode::Usage);
    assert!(told.contains("`gc`"), "{told}");
}

#[test]
fn all_spellings_of_a_tier_are_one_tier() {
    let site = Site::small();
    let plan = |tier: &str| site.testbed(["plan", tier, "--json"]).out;
    let expected = plan("premerge");
    assert!(expected.contains("\"tier\":\"premerge\""), "{expected}");
    for spelling in ["pre_merge", "pre-merge", "PreMerge"] {
        assert_eq!(plan(spelling), expected);
    }
}

#[test]
fn completions_know_every_verb_in_every_shell() {
    let site = Site::empty();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ended = site.testbed(["completions", shell]);
        assert_eq!(ended.code(), ExitCode::Passed);
        for verb in VERBS {
            assert!(ended.out.contains(verb[verb.len() - 1]), "{shell} does not know {verb:?}");
        }
        assert!(!ended.out.contains("agent"), "{shell} shows the agent");
    }
}

#[test]
fn bash_completes_verbs_and_flags() {
    let Ok(found) = Command::new("bash").arg("--version").output() else {
        eprintln!("skipped: there is no bash here");
        return;
    };
    assert!(found.status.success());
    let site = Site::empty();
    site.write("completions.bash", site.testbed(["completions", "bash"]).out.as_bytes());
    let complete = |words: &str| {
        let script = format!(
            "source completions.bash; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _testbed testbed \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let ended = site.ended(command(Path::new("bash"), ["-c", &script]).current_dir(site.path()));
        ended.out
    };
    assert_eq!(complete("testbed pl"), "plan\n");
    assert_eq!(complete("testbed images ver"), "verify\n");
    assert_eq!(complete("testbed plan --exp"), "--explain\n");
    assert_eq!(complete("testbed schema pro"), "project\nprofile\n");
    assert_eq!(complete("testbed check --format s"), "sarif\n");
}
