//! Several commands at the same time, on the same daemon and in the same project.

use std::collections::BTreeSet;
use std::fs;

use testbed_model::exit_code::ExitCode;

use crate::ground::Ground;

#[test]
fn runs_of_two_projects_and_of_one_do_not_disturb_each_other() {
    // NATS greets with an identity that it makes up when it starts.
    let suite = "import json\nimport socket\n\n\n\
        def test_greeting():\n    \
            with socket.create_connection((\"nats\", 4222)) as nats:\n        \
                print(json.loads(nats.recv(4096)[5:])[\"server_id\"])\n";
    let (one, other) = (Ground::small(suite), Ground::small(suite));
    let runs = [&one, &one, &other].map(|ground| ground.start(["premerge", "--json"]));
    let gc = other.testbed(["gc"]);
    assert_eq!(gc.code(), ExitCode::Passed, "{}", gc.err);
    let runs = runs.map(crate::running::Running::end);
    let mut servers = BTreeSet::new();
    for run in &runs {
        assert_eq!(
            run.code,
            ExitCode::Passed,
            "{}\n{:?}",
            run.err,
            run.named("case_finished").collect::<Vec<_>>()
        );
        servers.insert(run.only("case_finished")["output"].to_string());
        run.left_nothing();
    }
    assert_eq!(servers.len(), 3, "each run has a stack of its own: {servers:?}");
    let records = |ground: &Ground| fs::read_dir(ground.project().join(".testbed/runs")).unwrap().count();
    assert_eq!((records(&one), records(&other)), (2, 1));
}

#[test]
fn two_collectors_at_once_agree() {
    let ground = Ground::small("");
    let mut up = ground.start(["up", "small", "--json"]);
    up.until_event("stack_ready").unwrap();
    let pid = up.pid();
    up.signal(rustix::process::Signal::KILL);
    up.killed();
    let collectors: Vec<_> = (0..3)
        .map(|_| {
            let mut gc = ground.command(["gc"]);
            gc.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for collector in collectors {
        let output = collector.wait_with_output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(crate::site::code(output.status, &err), ExitCode::Passed, "{err}");
    }
    assert_eq!(crate::engine::left_by_process(pid), [""; 0]);
}
