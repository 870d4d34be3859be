//! Projects that real runs are made of: what stands in their suite, and the stack that it runs against.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::running::{Finished, Running};
use crate::site::{Ended, SMALL_PROFILE, SMALL_PROJECT, Site, binary, command, repository};

/// The smallest stack, with a service that tells of every connection.
const TALKATIVE_STACK: &str = r#"
x-testbed:
  ready:
    http: { service: nats, port: 8222, path: /healthz }
  facts: { size: small }
services:
  nats:
    image: testbed/nats
    command: [-js, -sd, /data, -m, "8222", -D]
    tmpfs: [/data]
volumes:
  unused: {}
"#;

/// A configuration root and, in a folder beside it, a project under test.
pub struct Ground {
    site: Site,
    /// The folder of both, below the site's.
    within: PathBuf,
}

impl Ground {
    /// The smallest stack, and a project in which nothing is yet.
    pub fn bare() -> Self {
        have_images();
        let base = std::fs::read_to_string(repository().join("envs/default.toml")).unwrap();
        let site = Site::empty()
            .with("config/envs/default.toml", &base)
            .with("config/envs/small.toml", SMALL_PROFILE)
            .with("config/compose/small.yaml", TALKATIVE_STACK)
            .with_link("config/images", "images")
            .with_link("config/suites/plugin", "suites/plugin");
        std::fs::create_dir(site.path().join("project")).unwrap();
        Self { site, within: PathBuf::new() }
    }

    /// The smallest stack, and a project whose suite holds this text.
    pub fn small(cases: &str) -> Self {
        Self::bare().with("project/testbed.toml", SMALL_PROJECT).with("project/tests/test_small.py", cases)
    }

    /// The bundled profile and its stack, with the stack's text changed, and a project whose suite runs against it.
    pub fn mocker(cases: &str, change: impl Fn(&str) -> String) -> Self {
        let read = |path: &str| std::fs::read_to_string(repository().join(path)).unwrap();
        let bare = Self::bare().without("config/envs/small.toml").without("config/compose/small.yaml");
        let ground = bare
            .with("config/envs/mocker.toml", &read("envs/mocker.toml"))
            .with("config/compose/mocker.yaml", &change(&read("compose/mocker.yaml")))
            .with("project/testbed.toml", &SMALL_PROJECT.replace("[\"small\"]", "[\"mocker\"]"))
            .with("project/tests/test_mocker.py", cases);
        Self { site: ground.site.with_link("config/models", "models"), ..ground }
    }

    /// With another file.
    #[must_use]
    pub fn with(self, path: &str, text: &str) -> Self {
        Self { site: self.site.with(path, text), ..self }
    }

    /// Without a file or folder.
    #[must_use]
    pub fn without(self, path: &str) -> Self {
        Self { site: self.site.without(path), ..self }
    }

    /// With a link to a file or folder of the repository.
    #[must_use]
    pub fn with_link(self, path: &str, target: &str) -> Self {
        Self { site: self.site.with_link(path, target), ..self }
    }

    /// Both in a folder of another name.
    #[must_use]
    pub fn renamed(self, name: &str) -> Self {
        let inner = self.site.path().join(name);
        std::fs::create_dir(&inner).unwrap();
        for part in ["config", "project"] {
            std::fs::rename(self.site.path().join(part), inner.join(part)).unwrap();
        }
        Self { within: name.into(), ..self }
    }

    /// The folder of both.
    pub fn path(&self) -> PathBuf {
        self.site.path().join(&self.within)
    }

    /// The project's folder.
    pub fn project(&self) -> PathBuf {
        self.path().join("project")
    }

    /// The command in the project's folder, not started yet.
    pub fn command<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        self.prepared(command(&binary(), arguments))
    }

    /// Any program in the project's folder, in the surroundings of the command.
    pub fn prepared(&self, mut command: Command) -> Command {
        command.current_dir(self.project()).env("TESTBED_ROOT", self.path().join("config"));
        command
    }

    /// Executes the command to its end.
    pub fn testbed<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Ended {
        self.site.ended(&mut self.command(arguments))
    }

    /// Starts the command.
    pub fn start<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Running {
        Running::start(&mut self.command(arguments))
    }

    /// Runs the tier to its end.
    pub fn run(&self) -> Finished {
        self.start(["premerge", "--json"]).end()
    }

    /// A file of the latest run's record.
    pub fn record(&self, path: &str) -> String {
        let path = self.project().join(".testbed/latest").join(path);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}

/// The images that runs need are made once, in the repository's own cache. When they are there this costs nothing.
fn have_images() {
    static MADE: OnceLock<()> = OnceLock::new();
    MADE.get_or_init(|| {
        let root = repository();
        let mut build = command(&binary(), ["images", "build", "--yes"]);
        let output = build.current_dir(&root).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    });
}
