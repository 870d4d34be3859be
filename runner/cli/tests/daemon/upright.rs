//! Stacks that stay up after their command has ended.

use testbed_model::exit_code::ExitCode;

use crate::engine;
use crate::ground::Ground;

/// The run that a detached stack says it is.
fn run_of(out: &str) -> String {
    let mut words = out.split_whitespace();
    words.by_ref().find(|word| *word == "run").unwrap_or_else(|| panic!("no run: {out}"));
    words.next().unwrap().to_owned()
}

#[test]
fn a_detached_stack_stands_until_it_is_taken_down_by_name() {
    let ground = Ground::small("");
    let up = ground.testbed(["up", "small", "--detach", "--keep", "10m"]);
    assert_eq!(up.code(), ExitCode::Passed, "{}", up.err);
    let run = run_of(&up.out);
    let standing = engine::left_by_run(&run);
    assert!(standing.len() >= 2, "{standing:?}");

    let gc = ground.testbed(["gc"]);
    assert_eq!(gc.code(), ExitCode::Passed);
    assert_eq!(engine::left_by_run(&run), standing, "it is kept: {}", gc.out);

    let wrong = ground.testbed(["down", "20201121-000000-000000"]);
    assert_eq!(wrong.code(), ExitCode::Usage);
    assert!(wrong.err.contains("error: ") && wrong.err.contains(&run), "{}", wrong.err);

    let down = ground.testbed(["down", &run]);
    assert_eq!(down.code(), ExitCode::Passed, "{}", down.err);
    assert!(down.out.contains(&run), "{}", down.out);
    assert_eq!(engine::left_by_run(&run), [""; 0]);
}

#[test]
fn a_detached_stack_whose_time_is_over_is_removed_by_gc() {
    let ground = Ground::small("");
    let up = ground.testbed(["up", "small", "--detach", "--keep", "0s"]);
    assert_eq!(up.code(), ExitCode::Passed, "{}", up.err);
    let run = run_of(&up.out);
    let gc = ground.testbed(["gc"]);
    assert_eq!(gc.code(), ExitCode::Passed, "{}", gc.err);
    assert_eq!(engine::left_by_run(&run), [""; 0], "{}", gc.out);
}
