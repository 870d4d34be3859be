//! Where things are and how to show them: the command line and the environment, resolved once.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use testbed_engine::host::environment;
use testbed_engine::host::unpacked::UnpackError;
use testbed_model::doctor::Origin;
use testbed_model::exit_code::ExitCode;
use testbed_model::hint::Hint;
use testbed_report::Style;
use testbed_report::style::{ColourChoice, Glyphs, Surroundings};

use crate::args::{ColorChoice, CommonArgs};
use crate::embedded;

/// Resolved settings of one invocation.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Folder that holds `envs/`, `compose/`, `images/`.
    pub root: PathBuf,
    /// How it was found.
    pub origin: Origin,
    /// Folder of the project under test.
    pub project: PathBuf,
    /// Folder of records and caches, below the project.
    pub state: PathBuf,
    /// A file that stands in for parts of the host.
    pub facts: Option<PathBuf>,
    /// How to show.
    pub screen: Screen,
    /// How what is printed to standard output looks.
    pub output: Style,
}

/// What standard error can show; progress and messages go there, machine-readable output goes to standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// Colours, glyphs and width.
    pub style: Style,
    /// Whether lines may be redrawn.
    pub redraw: bool,
}

/// The settings cannot be resolved.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The working folder is gone.
    #[error("cannot tell the working folder: {0}")]
    WorkingFolder(#[source] std::io::Error),
    /// A folder that the user named is not there.
    #[error("`{flag} {path}` is not a folder")]
    NotAFolder {
        /// Flag.
        flag: &'static str,
        /// Path.
        path: PathBuf,
    },
    /// The embedded configuration cannot be used.
    #[error(transparent)]
    Embedded(#[from] UnpackError),
}

impl Hint for SettingsError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::WorkingFolder(_) => Some("change to a folder that exists".into()),
            Self::NotAFolder { .. } => Some("check the path".into()),
            Self::Embedded(error) => error.hint(),
        }
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }
}

impl Settings {
    /// Resolves flags, environment and the folders upward from the working folder.
    pub fn resolve(args: &CommonArgs) -> Result<Self, SettingsError> {
        let here = environment::working_folder().map_err(SettingsError::WorkingFolder)?;
        let is_root = |folder: &Path| folder.join("envs/default.toml").is_file();
        let (root, origin) = match (&args.root, upward(&here, is_root)) {
            (Some(path), _) => (existing("--root", path, &here)?, Origin::Named),
            (None, Some(root)) => (root, Origin::Upward),
            (None, None) => (embedded::root()?, Origin::Embedded),
        };
        let project = match &args.project {
            Some(path) => existing("--project", path, &here)?,
            // A project without a project file is the checkout that somebody works in.
            None => upward(&here, |folder| folder.join("testbed.toml").is_file())
                .or_else(|| upward(&here, |folder| folder.join(".git").exists()))
                .unwrap_or_else(|| if origin == Origin::Upward { root.clone() } else { here.clone() }),
        };
        let state = project.join(".testbed");
        let output = style(args.color, std::io::stdout().is_terminal(), &console::Term::stdout());
        let (facts, screen) = (args.facts.clone(), Screen::of_stderr(args.color));
        Ok(Self { root, origin, project, state, facts, screen, output })
    }
}

impl Screen {
    /// What standard error can show.
    pub fn of_stderr(choice: ColorChoice) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let style = style(choice, terminal, &console::Term::stderr());
        let is_dumb = environment::variable("TERM").as_deref() == Some("dumb");
        Self { style, redraw: terminal && !is_dumb }
    }
}

/// How output to a screen looks.
fn style(choice: ColorChoice, terminal: bool, screen: &console::Term) -> Style {
    let variable = environment::variable;
    let (term, no_color) = (variable("TERM"), variable("NO_COLOR"));
    let (clicolor, forced) = (variable("CLICOLOR"), variable("CLICOLOR_FORCE"));
    let around = Surroundings {
        terminal,
        term: term.as_deref(),
        no_color: no_color.as_deref(),
        clicolor: clicolor.as_deref(),
        clicolor_force: forced.as_deref(),
    };
    let choice = match choice {
        ColorChoice::Auto => ColourChoice::Auto,
        ColorChoice::Always => ColourChoice::Always,
        ColorChoice::Never => ColourChoice::Never,
    };
    let locale = variable("LC_ALL").or_else(|| variable("LC_CTYPE")).or_else(|| variable("LANG"));
    Style {
        colours: choice.resolve(&around),
        glyphs: Glyphs::of_terminal(term.as_deref(), locale.as_deref()),
        width: screen.size_checked().map_or(110, |(_, columns)| usize::from(columns)),
    }
}

fn existing(flag: &'static str, path: &Path, here: &Path) -> Result<PathBuf, SettingsError> {
    let full = here.join(path);
    if full.is_dir() {
        Ok(full.canonicalize().unwrap_or(full))
    } else {
        Err(SettingsError::NotAFolder { flag, path: path.to_owned() })
    }
}

/// The nearest folder, from `here` upward, that is it.
fn upward(here: &Path, is_it: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    here.ancestors().find(|folder| is_it(folder)).map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::upward;

    #[test]
    fn a_file_is_found_from_any_folder_below_it() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("a/b");
        fs::create_dir_all(&deep).unwrap();
        fs::write(root.path().join("testbed.toml"), "").unwrap();
        let holding = |name: &'static str| move |folder: &std::path::Path| folder.join(name).is_file();
        assert_eq!(upward(&deep, holding("testbed.toml")).as_deref(), Some(root.path()));
        assert_eq!(upward(&deep, holding("no-such-file.toml")), None);
    }
}
