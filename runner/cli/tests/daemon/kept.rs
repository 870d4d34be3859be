//! Stacks that are left standing on purpose, and the way into them.

use testbed_model::exit_code::ExitCode;

use crate::cases::{Fate, Suite};
use crate::ground::Ground;

#[test]
fn a_stack_with_a_red_case_stays_when_asked_can_be_looked_into_and_goes() {
    let ground = Ground::small(&Suite(&[Fate::Passes, Fate::Fails("wrong")]).text());
    let run = ground.start(["premerge", "--keep", "on-failure", "--keep-for", "10m", "--json"]).end();
    assert_eq!(run.code, ExitCode::TestFailed, "{}", run.err);
    let kept = run.only("stack_kept");
    assert_eq!(kept["stack"], "small");
    assert_eq!(run.named("stack_stopped").count(), 0);
    let id = run.only("run_finished")["run"].as_str().unwrap().to_owned();
    let summary = ground.testbed(["report", &id]).out;
    assert!(summary.contains(&format!("testbed shell {id}")), "{summary}");

    // The command that is told runs the case again, in the stack as it stands.
    let told = summary.lines().find(|line| line.contains(" --in ")).unwrap().trim();
    let words = shlex::split(told.split_once("testbed ").unwrap().1).unwrap();
    assert_eq!(words[words.len() - 2..], ["--in".to_owned(), id.clone()], "{told}");
    let again = |words: &[String]| ground.start(words.iter().map(String::as_str).chain(["--json"])).end();
    let still_red = again(&words);
    assert_eq!(still_red.code, ExitCode::TestFailed, "{}", still_red.err);
    assert_eq!(still_red.only("stack_adopted")["run"], id.as_str());
    assert_eq!(still_red.named("stack_starting").count(), 0);
    assert_eq!(still_red.only("stack_kept")["stack"], "small");
    std::fs::write(ground.project().join("tests/test_small.py"), Suite(&[Fate::Passes, Fate::Passes]).text())
        .unwrap();
    assert!(still_red.named("sampled").count() > 0);
    let mended = again(&[words.as_slice(), &["--no-samples".to_owned()]].concat());
    assert_eq!(mended.code, ExitCode::Passed, "{}", mended.err);
    assert_eq!(mended.named("sampled").count(), 0);
    assert_eq!(mended.only("stack_kept")["stack"], "small");
    let told = ground.testbed(["report"]).out;
    assert!(told.contains(&format!("testbed down {id}")), "{told}");
    let nowhere = ground.testbed(["run", "premerge", "--in", "elsewhere"]);
    assert_eq!(nowhere.code(), ExitCode::Usage, "{}", nowhere.err);
    assert!(nowhere.err.contains("no stack of `elsewhere` stands"), "{}", nowhere.err);

    // Its own rest is gone: what stays is the stack alone, also for `gc`.
    assert_eq!(ground.testbed(["gc"]).code(), ExitCode::Passed);
    let refused = ground.testbed(["shell", &id, "nats"]);
    assert_eq!(refused.code(), ExitCode::Usage, "{}", refused.err);
    assert!(refused.err.contains("service `nats` has no program `sh`"), "{}", refused.err);
    let version = ground.testbed(["shell", &id, "nats", "--", "nats-server", "--version"]);
    assert_eq!(version.code(), ExitCode::Passed, "{}{}", version.out, version.err);
    assert!(version.out.starts_with("nats-server: v"), "{}", version.out);
    let unknown = ground.testbed(["shell", &id, "nat"]);
    assert!(unknown.err.contains("did you mean `nats`?"), "{}", unknown.err);

    let down = ground.testbed(["down", &id]);
    assert_eq!(down.out, format!("stack small of run {id} is gone\n"));
    assert_eq!(crate::engine::left_by_run(&id), [""; 0]);
    let none = ground.testbed(["shell", &id]);
    assert_eq!(none.code(), ExitCode::Usage, "{}", none.err);
}

#[test]
fn a_stack_without_a_red_case_goes_also_when_it_could_stay() {
    let ground = Ground::small(&Suite(&[Fate::Passes]).text());
    let run = ground.start(["premerge", "--keep", "on-failure", "--json"]).end();
    assert_eq!(run.code, ExitCode::Passed, "{}", run.err);
    run.left_nothing();
    assert_eq!(run.named("stack_kept").count(), 0);
}
