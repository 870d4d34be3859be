//! The daemon that is not there, that cannot be used, and that is none.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use testbed_model::exit_code::ExitCode;

use crate::site::{Site, binary, command};

/// A user that no file here belongs to.
const STRANGER: u32 = 4_000_001;

/// Every command that needs the daemon.
const NEEDY: [&[&str]; 7] = [
    &["premerge"],
    &["run", "premerge", "--json"],
    &["up", "small", "--once"],
    &["down"],
    &["images", "list"],
    &["images", "build", "nats"],
    &["gc"],
];

#[test]
fn a_missing_daemon_is_the_same_message_for_every_command() {
    let site = Site::small();
    for arguments in NEEDY {
        let told = site.refused(&mut site.command(arguments), ExitCode::Environment);
        insta::allow_duplicates! {
            insta::assert_snapshot!(told, @r"
            error: no container engine answers at `unix:///nonexistent.sock`: there is no such socket
            hint: start it (`sudo systemctl start docker`), or say in DOCKER_HOST where it listens
            ");
        }
    }
}

#[test]
fn a_socket_that_nobody_listens_at_any_more_is_told_apart_from_none() {
    let site = Site::small();
    let socket = site.path().join("docker.sock");
    drop(UnixListener::bind(&socket).unwrap());
    let mut gc = site.command(["gc"]);
    gc.env("DOCKER_HOST", format!("unix://{}", socket.display()));
    insta::assert_snapshot!(site.refused(&mut gc, ExitCode::Environment), @r"
    error: no container engine answers at `unix://[site]/docker.sock`: Connection refused (os error 111)
    hint: start it (`sudo systemctl start docker`), or say in DOCKER_HOST where it listens
    ");
}

#[test]
fn a_port_that_nobody_listens_at_is_named() {
    let site = Site::small();
    let mut gc = site.command(["gc"]);
    gc.env("DOCKER_HOST", "tcp://127.0.0.1:1");
    insta::assert_snapshot!(site.refused(&mut gc, ExitCode::Environment), @r"
    error: no container engine answers at `tcp://127.0.0.1:1`: Connection refused (os error 111)
    hint: start it (`sudo systemctl start docker`), or say in DOCKER_HOST where it listens
    ");
}

#[test]
fn an_address_that_is_none_says_what_one_looks_like() {
    let site = Site::small();
    for address in ["ftp://127.0.0.1", "nonsense", "unix://", "tcp://"] {
        let mut gc = site.command(["gc"]);
        gc.env("DOCKER_HOST", address);
        let told = site.refused(&mut gc, ExitCode::Environment);
        assert!(told.contains(&format!("`{address}`")), "{told}");
    }
}

#[test]
fn a_daemon_that_one_may_not_use_names_the_group() {
    let site = Site::small();
    let socket = site.path().join("docker.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    // Connecting takes the right to write, which not even the owner has here; root has it anyway.
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o000)).unwrap();
    let mut gc = unprivileged(&site, ["gc"]);
    gc.env("DOCKER_HOST", format!("unix://{}", socket.display()));
    insta::assert_snapshot!(site.refused(&mut gc, ExitCode::Environment), @r#"
    error: no permission to use the container engine at `unix://[site]/docker.sock`
    hint: add yourself to the group `docker` (`sudo usermod -aG docker "$USER"`, then log in again), or run with sudo
    "#);
}

/// The command without the rights of root: as a stranger where this test has them, with a copy of the binary where a
/// stranger may read it.
fn unprivileged<const N: usize>(site: &Site, arguments: [&str; N]) -> Command {
    if !is_root() {
        return site.command(arguments);
    }
    let copy: PathBuf = site.path().join("testbed");
    fs::copy(binary(), &copy).unwrap();
    let mut command = command(&copy, arguments);
    command.current_dir(site.path()).uid(STRANGER).gid(STRANGER);
    command
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
