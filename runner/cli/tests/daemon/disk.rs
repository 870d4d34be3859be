//! Disks that are full and folders that cannot be written, made by mounts that only the command itself sees.

use std::path::Path;
use std::process::Command;

use testbed_model::exit_code::ExitCode;

use crate::cases::{Fate, Suite};
use crate::ground::Ground;
use crate::running::{Finished, Running};
use crate::site::{binary, command};

/// The command in a mount namespace of its own, in which a line of shell has changed something in the project's folder;
/// none where this host does not allow that.
fn within(ground: &Ground, change: &str, arguments: &str) -> Option<Command> {
    let allowed = Command::new("unshare").args(["-m", "mount", "-t", "tmpfs", "none", "/mnt"]).output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: mounts of one's own take root and `unshare`");
        return None;
    }
    let script = format!("set -e; {change}; cd .; exec \"$0\" {arguments}");
    let mut command = command(Path::new("unshare"), ["-m", "sh", "-c", &script]);
    command.arg(binary());
    Some(ground.prepared(command))
}

/// Checks the message of a run that cannot keep its record.
fn cannot_write(run: &Finished, cause: &str, way_out: &str) {
    assert_eq!(run.code, ExitCode::Environment, "{}", run.err);
    for part in ["error: cannot write `", ".testbed", cause, "hint: ", way_out] {
        assert!(run.err.contains(part), "no `{part}`:\n{}", run.err);
    }
    assert!(!run.err.contains("panicked"), "{}", run.err);
    run.left_nothing();
}

#[test]
fn a_read_only_working_folder_is_named_before_anything_starts() {
    let ground = Ground::small(&Suite(&[Fate::Passes]).text());
    let change = "mount --bind . . && mount -o remount,bind,ro . && cd \"$PWD\"";
    let Some(mut command) = within(&ground, change, "premerge --json") else { return };
    let run = Running::start(&mut command).end();
    cannot_write(&run, "Read-only file system", "writable");
    assert_eq!(run.named("stack_starting").count(), 0);
}

#[test]
fn a_disk_that_is_full_from_the_start_is_named() {
    let ground = Ground::small(&Suite(&[Fate::Passes]).text());
    let change = "mkdir -p .testbed && mount -t tmpfs -o size=16k none .testbed && \
                  (cat /dev/zero > .testbed/full 2>/dev/null || true)";
    let Some(mut command) = within(&ground, change, "premerge --json") else { return };
    cannot_write(&Running::start(&mut command).end(), "No space left on device", "free some space");
}

#[test]
fn a_disk_that_fills_up_during_a_run_ends_it_in_order() {
    let text = "import pytest\n\n\n@pytest.mark.parametrize(\"number\", range(200))\n\
                def test_talks(number):\n    print(\"x\" * 4096)\n";
    let ground = Ground::small(text);
    let change = "mkdir -p .testbed && mount -t tmpfs -o size=256k none .testbed";
    let Some(mut command) = within(&ground, change, "premerge --json") else { return };
    let run = Running::start(&mut command).end();
    assert!(run.named("case_finished").count() > 0, "it was to begin: {}", run.err);
    cannot_write(&run, "No space left on device", "free some space");
}
