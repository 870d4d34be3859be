//! Fixture projects: a configuration root with a project under test in one folder of its own, and how a command ended
//! there.
#![allow(dead_code, reason = "each test binary uses its part of it")]

pub mod terminal;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use tempfile::TempDir;
use testbed_model::exit_code::ExitCode;
use testbed_model::span::Place;

/// Stands in a file's text right before what an error is expected to point at. It is not written.
pub const HERE: char = '▸';

/// A service of the smallest stack: NATS is ready in no time and needs little.
pub const SMALL_STACK: &str = r#"
x-testbed:
  ready:
    http: { service: nats, port: 8222, path: /healthz }
  facts: { size: small }
services:
  nats:
    image: testbed/nats
    command: [-js, -sd, /data, -m, "8222"]
    tmpfs: [/data]
"#;

/// The profile of the smallest stack.
pub const SMALL_PROFILE: &str = r#"
description = "NATS alone"
stack = "compose/small.yaml"
tiers = ["premerge"]
"#;

/// A project with one suite of pytest cases that runs against the smallest stack.
pub const SMALL_PROJECT: &str = r#"
[project]
name = "small"

[[suite]]
name = "cases"
kind = "pytest"
type = "e2e"
paths = ["tests"]
profiles = ["small"]
"#;

/// Images that nobody has: the registry is a port on which nobody listens.
pub const NOWHERE_LOCK: &str = r#"{
  "schema": 1,
  "images": {
    "nats": {
      "pull": {
        "repository": "127.0.0.1:1/nats",
        "tag": "1",
        "digest": "sha256:1111111111111111111111111111111111111111111111111111111111111111"
      }
    },
    "agent": {
      "pull": {
        "repository": "127.0.0.1:1/agent",
        "tag": "1",
        "digest": "sha256:2222222222222222222222222222222222222222222222222222222222222222"
      }
    },
    "tests": {
      "pull": {
        "repository": "127.0.0.1:1/tests",
        "tag": "1",
        "digest": "sha256:3333333333333333333333333333333333333333333333333333333333333333"
      }
    }
  }
}
"#;

/// The repository that these tests belong to.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The binary under test. nextest says where it is when it moved after it was compiled.
pub fn binary() -> PathBuf {
    let moved = std::env::var_os("NEXTEST_BIN_EXE_testbed");
    moved.map_or_else(|| env!("CARGO_BIN_EXE_testbed").into(), PathBuf::from)
}

/// A folder with a configuration root and a project, removed at the end.
pub struct Site {
    folder: TempDir,
    place: Option<Place>,
}

impl Site {
    /// A folder with nothing in it.
    pub fn empty() -> Self {
        let folder = tempfile::Builder::new().prefix("testbed-site-").tempdir().unwrap();
        // A test that gives up its rights must still be able to enter.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder, place: None }
    }

    /// A valid configuration: the base layer, the profile `small`, its stack, a project with one suite; images that
    /// nobody has.
    pub fn small() -> Self {
        let base = fs::read_to_string(repository().join("envs/default.toml")).unwrap();
        Self::empty()
            .with("envs/default.toml", &base)
            .with("envs/small.toml", SMALL_PROFILE)
            .with("compose/small.yaml", SMALL_STACK)
            .with("images/images.lock.json", NOWHERE_LOCK)
            .with("testbed.toml", SMALL_PROJECT)
            .with("tests/test_small.py", "def test_nothing():\n    pass\n")
    }

    /// With a file. Where its text holds a [`HERE`], that is the place that the error to come must name.
    #[must_use]
    pub fn with(mut self, path: &str, text: &str) -> Self {
        if let Some(offset) = text.find(HERE) {
            self.place = Some(Place::of_offset(path, text, offset));
        }
        self.write(path, text.replace(HERE, "").as_bytes());
        self
    }

    /// With a file of any bytes.
    #[must_use]
    pub fn with_bytes(self, path: &str, bytes: &[u8]) -> Self {
        self.write(path, bytes);
        self
    }

    /// Without a file or folder.
    #[must_use]
    pub fn without(self, path: &str) -> Self {
        let path = self.path().join(path);
        let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        removed.unwrap();
        self
    }

    /// With a link to a file or folder of the repository.
    #[must_use]
    pub fn with_link(self, path: &str, target: &str) -> Self {
        let link = self.path().join(path);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(repository().join(target), link).unwrap();
        self
    }

    /// Writes a file.
    pub fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The command, not started yet, with this folder as its working folder and nothing of this terminal's settings.
    /// It can reach no daemon.
    pub fn command<I: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = I>) -> Command {
        let mut command = command(&binary(), arguments);
        command.current_dir(self.path()).env("DOCKER_HOST", "unix:///nonexistent.sock");
        command
    }

    /// Executes the command to its end.
    pub fn testbed<I: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = I>) -> Ended {
        self.ended(&mut self.command(arguments))
    }

    /// Executes a command to its end.
    pub fn ended(&self, command: &mut Command) -> Ended {
        let output = command.stdin(Stdio::null()).output().unwrap();
        Ended {
            status: output.status,
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
            folder: self.path().to_owned(),
        }
    }

    /// Executes the command, which must refuse to work: it says nothing but a message with its way out, which names the
    /// marked place. Gives the message without what differs between machines.
    pub fn refuses<const N: usize>(&self, arguments: [&str; N], code: ExitCode) -> String {
        self.refused(&mut self.command(arguments), code)
    }

    /// The same for a command that is not started yet.
    pub fn refused(&self, command: &mut Command, code: ExitCode) -> String {
        let ended = self.ended(command);
        let told = ended.told();
        assert_eq!(ended.code(), code, "{told}");
        assert_eq!(ended.out, "", "standard output is for what was asked for: {told}");
        is_a_message_with_a_way_out(&told);
        if let Some(place) = &self.place {
            let start = format!("error: {place}: ");
            assert!(told.starts_with(&start), "the message does not start with `{start}`:\n{told}");
        }
        told
    }
}

/// A command with nothing of this terminal's settings.
pub fn command<I: AsRef<OsStr>>(program: &Path, arguments: impl IntoIterator<Item = I>) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).env("LANG", "C.UTF-8").env("RUST_BACKTRACE", "0");
    let settings = [
        "NO_COLOR",
        "CLICOLOR",
        "CLICOLOR_FORCE",
        "TERM",
        "COLUMNS",
        "LC_ALL",
        "LC_CTYPE",
        "CI",
        "GITHUB_ACTIONS",
        "GITHUB_STEP_SUMMARY",
        "TESTBED_ROOT",
        "TESTBED_SUBNETS",
        "HF_TOKEN",
        "HF_TOKEN_PATH",
        "HF_ENDPOINT",
    ];
    for name in settings {
        command.env_remove(name);
    }
    command
}

/// Whether a text is what the house calls a message: it begins with `error:`, ends nothing with a dot, shows no trace of
/// the program's inside, and has exactly one line with the way out.
fn is_a_message_with_a_way_out(told: &str) {
    let first = told.lines().next().unwrap_or_default();
    assert!(first.starts_with("error: "), "no message:\n{told}");
    assert!(!first.ends_with('.'), "a message ends without a dot:\n{told}");
    let hints = told.lines().filter(|line| line.starts_with("hint: ")).count();
    // A message that says what must be is its own way out.
    assert!(hints == 1 || (hints == 0 && first.contains(" must be ")), "one way out:\n{told}");
    for inside in ["panicked", "RUST_BACKTRACE", "Os {", "Error {", "\u{1b}"] {
        assert!(!told.contains(inside), "`{inside}` is not for people:\n{told}");
    }
}

/// How a command ended.
pub struct Ended {
    status: ExitStatus,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
    folder: PathBuf,
}

impl Ended {
    /// The exit code, which must be one of the documented ones.
    pub fn code(&self) -> ExitCode {
        code(self.status, &self.err)
    }

    /// Standard error without what differs between machines.
    pub fn told(&self) -> String {
        self.redacted(&self.err)
    }

    /// A text without what differs between machines.
    pub fn redacted(&self, text: &str) -> String {
        text.replace(&self.folder.canonicalize().unwrap().display().to_string(), "[site]")
            .replace(&self.folder.display().to_string(), "[site]")
    }
}

/// The exit code of a status, which must be one of the documented ones.
pub fn code(status: ExitStatus, err: &str) -> ExitCode {
    let known = |number: i32| ExitCode::ALL.into_iter().find(|code| i32::from(code.number()) == number);
    status.code().and_then(known).unwrap_or_else(|| panic!("it ended with {status}:\n{err}"))
}
