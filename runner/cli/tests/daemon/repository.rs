//! The small repository with Dynamo's layout, as a checkout of its own, and what a plan decides of its cases.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use testbed_model::exit_code::ExitCode;
use testbed_model::plan::Plan;

use crate::ground::Ground;
use crate::site;

/// Where it is kept, below this package.
const KEPT: &str = "tests/fixtures/dynamo";

/// Its checkout, with one revision.
pub fn dynamo() -> Ground {
    let ground = Ground::bare();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join(KEPT), &ground.project());
    commit(&ground);
    ground
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Makes a revision of all that is in the project's folder.
pub fn commit(ground: &Ground) {
    git(ground, &["init", "--quiet", "."]);
    git(ground, &["add", "--all"]);
    git(ground, &["commit", "--quiet", "--message", "a revision"]);
}

/// Executes git in the project's folder, with nothing of this user's settings.
pub fn git(ground: &Ground, arguments: &[&str]) {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=Testbed", "-c", "user.email=testbed@example.com"]).args(arguments);
    git.current_dir(ground.project());
    git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").env_remove("GIT_DIR");
    let output = git.output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A plan, and what was said of it.
pub struct Planned {
    /// The plan.
    pub plan: Plan,
    /// Lines that begin with `warning:`.
    pub warnings: Vec<String>,
}

/// Plans the tier before a merge.
pub fn plan(ground: &Ground, arguments: &[&str]) -> Planned {
    let ended = ground.testbed(["plan", "premerge", "--json"].into_iter().chain(arguments.iter().copied()));
    assert_eq!(ended.code(), ExitCode::Passed, "{}", ended.err);
    let plan = serde_json::from_str(&ended.out).unwrap();
    Planned { plan, warnings: warnings(&ended) }
}

/// What a command warned of.
pub fn warnings(ended: &site::Ended) -> Vec<String> {
    let told = ended.told();
    told.lines().filter_map(|line| line.strip_prefix("warning: ").map(str::to_owned)).collect()
}

impl Planned {
    /// The cases that are executed, in order.
    pub fn executed(&self) -> Vec<&str> {
        let cases = self.plan.lanes.iter().filter_map(|lane| lane.cases.as_ref());
        cases.flat_map(|cases| &cases.ids).map(String::as_str).collect()
    }

    /// What becomes of every case: a line each.
    pub fn verdicts(&self) -> String {
        let mut out = String::new();
        for lane in &self.plan.lanes {
            let cases =
                lane.cases.as_ref().unwrap_or_else(|| panic!("the cases of {} are not known", lane.id));
            let _ = writeln!(out, "run in {}", lane.id);
            cases.ids.iter().for_each(|id| writeln!(out, "  {id}").unwrap());
        }
        for group in &self.plan.skips {
            let _ = writeln!(out, "skip of {}: {}", group.suite, group.reason);
            group.cases.iter().for_each(|id| writeln!(out, "  {id}").unwrap());
        }
        out
    }
}
