//! Hosts and folders that are not as on the machine where something was written: hard names, strict modes, no root.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;

use testbed_model::exit_code::ExitCode;

use crate::cases::{Fate, Suite};
use crate::ground::Ground;
use crate::running::Running;
use crate::site::{binary, command};

/// A user that has nothing here.
const STRANGER: u32 = 4_000_001;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Does something to a folder and all below it, without following links.
fn each_below(path: &Path, act: &dyn Fn(&Path)) {
    act(path);
    if path.is_dir() && !path.is_symlink() {
        for entry in fs::read_dir(path).unwrap() {
            each_below(&entry.unwrap().path(), act);
        }
    }
}

#[test]
fn a_project_with_a_hard_name_is_run_as_any_other() {
    for name in ["two words", "a:b,c=d", "größe ü", "-rf", "$HOME `id` 'quoted\""] {
        let ground = Ground::small(&Suite(&[Fate::Passes]).text()).renamed(name);
        let run = ground.run();
        assert_eq!(run.code, ExitCode::Passed, "{name}: {}", run.err);
        run.left_nothing();
    }
}

#[test]
fn a_project_that_only_its_owner_may_read_is_run_as_any_other() {
    let ground = Ground::small(&Suite(&[Fate::Passes]).text());
    each_below(&ground.project(), &|path| {
        let mode = if path.is_dir() { 0o700 } else { 0o600 };
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    });
    let run = ground.run();
    assert_eq!(run.code, ExitCode::Passed, "{}", run.err);
    run.left_nothing();
}

#[test]
fn what_containers_may_not_read_is_named_before_anything_starts() {
    if !is_root() {
        eprintln!("skipped: only where root starts them do tests run as somebody else");
        return;
    }
    let ground = Ground::small("").without("config/suites").with("config/suites/plugin/x.py", "");
    let secret = ground.path().join("config/suites/plugin/x.py");
    fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
    let run = ground.run();
    assert_eq!(run.code, ExitCode::Environment, "{}", run.err);
    let message = format!("error: `{}`, which the lane `cases` mounts", secret.display());
    assert!(run.err.starts_with(&message), "{}", run.err);
    assert!(run.err.contains("hint: let others read it: `chmod"), "{}", run.err);
    assert_eq!(run.named("stack_starting").count(), 0);
}

#[test]
fn a_mount_that_is_not_there_is_named_with_the_service() {
    let stack = format!("{}    volumes: ['../no-models:/models:ro']\n", crate::site::SMALL_STACK);
    let ground = Ground::small("def test_it(): pass\n").with("config/compose/small.yaml", &stack);
    for arguments in [&["up", "small", "--once"][..], &["premerge"]] {
        let ended = ground.testbed(arguments.iter().copied());
        assert_eq!(ended.code(), ExitCode::Environment, "{}", ended.err);
        for part in
            ["config/no-models`", "the service `nats` of compose/small.yaml", "is not there", "hint: "]
        {
            assert!(ended.err.contains(part), "no `{part}`:\n{}", ended.err);
        }
    }
}

#[test]
fn a_user_of_the_engines_group_needs_no_root() {
    let socket = Path::new("/var/run/docker.sock");
    let (true, Ok(meta)) = (is_root() && std::env::var_os("DOCKER_HOST").is_none(), socket.metadata()) else {
        eprintln!("skipped: it takes root to become a user of the socket's group");
        return;
    };
    let suite = Suite(&[Fate::Passes, Fate::Fails("as everywhere")]);
    let ground = Ground::small(&suite.text());
    let copy = ground.path().join("testbed");
    fs::copy(binary(), &copy).unwrap();
    each_below(&ground.path(), &|path| {
        if !path.is_symlink() {
            chown(path, Some(STRANGER), Some(STRANGER)).unwrap();
        }
    });
    let mut command = ground.prepared(command(&copy, ["premerge", "--json"]));
    command.env("HOME", ground.path()).uid(STRANGER).gid(meta.gid());
    let run = Running::start(&mut command).end();
    assert_eq!(run.code, ExitCode::TestFailed, "{}", run.err);
    assert_eq!(crate::cases::counts(&run.only("run_finished")["counts"]), suite.counts());
    assert_eq!(ground.project().join(".testbed/latest/junit.xml").metadata().unwrap().uid(), STRANGER);
    run.left_nothing();
}
