//! Projects with an image of their own: dependencies from their requirement files, made once and found before the base's.

use std::path::Path;
use std::process::Command;

use testbed_model::exit_code::ExitCode;

use crate::engine;
use crate::ground::Ground;
use crate::running::{Finished, Running};
use crate::site::command;

/// A project whose suite runs in an image of its own.
const PROJECT: &str = r#"
[project]
name = "NAME"

[[image]]
name = "own-tests"
requirements = ["requirements/test.txt"]

[[suite]]
name = "cases"
kind = "pytest"
type = "unit"
paths = ["tests"]
image = "own-tests"
folder = "tests"
user = "1234:1234"
environment = { PYTHONPATH = "/work/lib" }
"#;

/// The wheel has a module of its own, one that the base has too, and a command.
const CASES: &str = r#"
import os
import shutil
import subprocess


def test_a_module_of_its_own_is_there():
    import tiny_own

    assert tiny_own.__file__.startswith("/opt/project/")


def test_its_module_is_found_before_the_one_of_the_base():
    import codespell_lib

    assert codespell_lib.WHOSE == "own"


def test_its_command_is_on_the_path():
    assert shutil.which("tiny-own") == "/opt/project/bin/tiny-own"
    assert subprocess.run(["tiny-own"], check=False).returncode == 7


def test_what_the_suite_says_is_found_too():
    import ours

    assert ours.WHOSE == "the project"


def test_the_habits_of_the_project_are_kept():
    assert (os.getcwd(), os.getuid()) == ("/work/tests", 1234)
"#;

/// Writes a wheel without compression and prints its hash.
const WHEEL: &str = r#"
import hashlib, pathlib, sys, zipfile
path = pathlib.Path(sys.argv[1]) / "tiny_own-1.0-py3-none-any.whl"
info = "tiny_own-1.0.dist-info/"
files = {
    "tiny_own.py": "def main():\n    return 7\n",
    "codespell_lib.py": "WHOSE = 'own'\n",
    info + "METADATA": "Metadata-Version: 2.1\nName: tiny-own\nVersion: 1.0\n",
    info + "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    info + "entry_points.txt": "[console_scripts]\ntiny-own = tiny_own:main\n",
}
path.parent.mkdir()
with zipfile.ZipFile(path, "w") as wheel:
    for name, text in files.items():
        wheel.writestr(name, text)
    wheel.writestr(info + "RECORD", "".join(f"{name},,\n" for name in [*files, info + "RECORD"]))
print(hashlib.sha256(path.read_bytes()).hexdigest())
"#;

/// A project's folder with its wheel, and its image, which goes with it.
struct Own {
    ground: Ground,
    repository: String,
}

impl Own {
    fn new(test: &str) -> Self {
        let name = format!("selftest-{test}-{}", std::process::id());
        let ground = Ground::small(CASES)
            .with("project/testbed.toml", &PROJECT.replace("NAME", &name))
            .with("project/lib/ours.py", "WHOSE = 'the project'\n");
        Self { ground, repository: format!("testbed/{name}/own-tests") }
    }

    fn require(&self, text: &str) {
        let folder = self.ground.project().join("requirements");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("test.txt"), text).unwrap();
    }

    fn wheels(&self) -> std::path::PathBuf {
        self.ground.path().join("wheels")
    }

    /// The run finds wheels in the folder and nowhere else.
    fn run(&self) -> Finished {
        let mut command = self.ground.command(["premerge", "--json"]);
        command.env("PIP_NO_INDEX", "1").env("PIP_FIND_LINKS", self.wheels());
        Running::start(&mut command).end()
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        engine::remove_images(&self.repository);
    }
}

/// Makes the wheel and gives its hash.
fn make_wheel(folder: &Path) -> String {
    let mut python: Command = command(Path::new("python3"), ["-c", WHEEL]);
    let output = python.arg(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_project_brings_dependencies_of_its_own_and_they_are_made_once() {
    let own = Own::new("brings");
    let hash = make_wheel(&own.wheels());
    let none = "0".repeat(64);
    own.require(&format!(
        "# by a tool\ntiny-own[all]==1.0 ; python_version >= '3.8' \\\n    --hash=sha256:{hash}\n    # via mine\n\
         other==1 ; sys_platform == 'win32' --hash=sha256:{none}\n"
    ));
    let first = own.run();
    assert_eq!(first.code, ExitCode::Passed, "{}", first.err);
    let passed = first.events.iter().filter(|event| event["event"] == "case_finished").count();
    assert_eq!(passed, 5, "{:?}", first.events);
    assert!(first.err.contains("own-tests built"), "{}", first.err);
    let second = own.run();
    assert_eq!(second.code, ExitCode::Passed, "{}", second.err);
    assert!(!second.err.contains("built"), "{}", second.err);
}

#[test]
fn a_package_that_has_no_wheel_is_named_with_its_file() {
    let own = Own::new("lacks");
    std::fs::create_dir(own.wheels()).unwrap();
    own.require(&format!("tiny-own==1.0 --hash=sha256:{}\n", "0".repeat(64)));
    let ended = own.run();
    assert_eq!(ended.code, ExitCode::Environment, "{}", ended.err);
    let told = "`tiny-own==1.0` of `requirements/test.txt` has no wheel for Python 3.11";
    assert!(ended.err.contains(told), "{}", ended.err);
}
