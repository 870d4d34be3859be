//! Detection: what can be told of a project that has no project file, from the names of its files and a few of their texts.
//!
//! The rules are few, so that a person can foresee them:
//!
//! - A repository with Dynamo's layout is what the preset says, as far as its paths exist.
//! - `.pre-commit-config.yaml` in the root is the suite `lint`.
//! - Each `Cargo.toml` with `[workspace]` is a suite of cargo, and so is a package that no such folder above it holds, or
//!   that the folder above excludes.
//! - A configuration of pytest in the root, or files called `test_*.py` or `*_test.py`, are the suite `tests`. Its paths are the
//!   configured ones that exist, or else the folders with such files, up to the first folder called `tests` or `test`.
//! - What lies in hidden folders, or in folders of foreign code and of test data, is not looked at.

use std::collections::{BTreeMap, BTreeSet};

use globset::GlobBuilder;

use super::{ChangedFiles, Project, ProjectError, preset};
use crate::document::{Document, Fields, Item, from_toml, toml_text};
use crate::glob;
use crate::lane::SuiteKind;
use crate::span::{Fault, Place};

/// The file that is not there.
const FILE: &str = "testbed.toml";
const HOOKS: &str = ".pre-commit-config.yaml";

/// As many signs of Dynamo's layout make a repository Dynamo's.
const ENOUGH_SIGNS: usize = 3;

/// Folders whose content is somebody else's, or data.
const FOREIGN: [&str; 8] =
    ["vendor", "third_party", "node_modules", "target", "site-packages", "fixtures", "testdata", "test_data"];

/// Where pytest looks for its configuration, in its order, with the section in each.
const PYTEST_FILES: [(&str, &str); 4] = [
    ("pytest.ini", "pytest"),
    ("pyproject.toml", "tool.pytest.ini_options"),
    ("tox.ini", "pytest"),
    ("setup.cfg", "tool:pytest"),
];

/// What is known of a project's folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The folder's name.
    pub name: String,
    /// Files relative to the folder, with `/`, sorted.
    pub files: Vec<String>,
    /// The texts of those files that are [wanted](Layout::wants), by the same paths. One that is not here counts as empty.
    pub texts: BTreeMap<String, String>,
}

impl Layout {
    /// The names of files whose text decides something: in the root, and `Cargo.toml` in whatever folder.
    pub const WANTED: [&str; 6] =
        ["pyproject.toml", "pytest.ini", "setup.cfg", "tox.ini", "Cargo.toml", HOOKS];

    /// Whether a file's text decides something.
    pub fn wants(path: &str) -> bool {
        match path.rsplit_once('/') {
            // Only workspaces of cargo count wherever they are.
            Some((_, name)) => name == "Cargo.toml" && !is_foreign(path),
            None => Self::WANTED.contains(&path),
        }
    }

    fn text(&self, path: &str) -> &str {
        self.texts.get(path).map_or("", String::as_str)
    }

    fn has(&self, path: &str) -> bool {
        self.files.binary_search_by(|file| file.as_str().cmp(path)).is_ok()
    }

    /// Whether a path is a file or a folder with files.
    fn holds(&self, path: &str) -> bool {
        path == "." || self.has(path) || self.files.iter().any(|file| is_below(file, path))
    }
}

/// Says what a project without a project file has.
pub fn detect(layout: &Layout) -> Result<Project, ProjectError> {
    let pyproject = from_toml("pyproject.toml", layout.text("pyproject.toml"))?;
    let signs = signs_of_dynamo(layout, &pyproject);
    if signs.len() >= ENOUGH_SIGNS
        && let Some(project) = dynamo(layout)?
    {
        return Ok(Project { detected: Some(format!("Dynamo's layout: {}", listed(&signs))), ..project });
    }
    let mut text = format!("[project]\nname = {}\n", toml_text(&identifier(&layout.name)));
    let mut found = Vec::new();
    if layout.has(HOOKS) {
        text.push_str(&suite("lint", "pre-commit", &["."]));
        found.push(HOOKS.to_owned());
    }
    let mut names = BTreeSet::new();
    for (folder, file) in cargo_roots(layout)? {
        text.push_str(&suite(&free_name(&mut names, &folder), "cargo", &[&folder]));
        found.push(file);
    }
    if let Some((paths, source)) = pytest(layout, &pyproject) {
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        text.push_str(&suite("tests", "pytest", &paths));
        found.push(source);
    }
    if found.is_empty() {
        let message =
            format!("the project `{}` has no such file, and nothing in it looks like tests", layout.name);
        let fault = Fault::new(Place { file: FILE.to_owned(), line: 1, column: 1 }, "", message);
        return Err(ProjectError(fault.with_hint("write one with `[project]` and `[[suite]]`")));
    }
    let found: Vec<&str> = found.iter().map(String::as_str).collect();
    Ok(Project { detected: Some(listed(&found)), ..super::parse(FILE, &text)? })
}

fn signs_of_dynamo(layout: &Layout, pyproject: &Document) -> Vec<&'static str> {
    let mut signs: Vec<&str> = ["lib/runtime/", "components/"]
        .into_iter()
        .filter(|folder| layout.holds(&folder[..folder.len() - 1]))
        .collect();
    let files = [".github/filters.yaml", "lib/bindings/python/Cargo.toml"];
    signs.extend(files.into_iter().filter(|file| layout.has(file)));
    let name = section(pyproject, &["project"]).and_then(|mut project| project.take("name"));
    if name.is_some_and(|name| name.text().is_ok_and(|name| name == "ai-dynamo")) {
        signs.push("pyproject.toml");
    }
    signs
}

/// The preset as far as its paths exist; nothing where none does.
fn dynamo(layout: &Layout) -> Result<Option<Project>, ProjectError> {
    let mut project = preset::dynamo()?;
    for suite in &mut project.suites {
        let kind = suite.kind;
        suite.paths.retain(|path| match kind {
            SuiteKind::Pytest => layout.holds(path),
            SuiteKind::Cargo => layout.has(&within(path, "Cargo.toml")),
            SuiteKind::PreCommit => layout.has(&within(path, HOOKS)),
        });
    }
    project.suites.retain(|suite| !suite.paths.is_empty());
    project.forget_unknown_suites();
    if !project.changes.filters.as_deref().is_some_and(|file| layout.has(file)) {
        project.changes.filters = None;
        project.changes.rules.retain(|rule| matches!(rule.files, ChangedFiles::Patterns(_)));
    }
    Ok(if project.suites.is_empty() { None } else { Some(project) })
}

/// Folders that cargo is executed in, each with its file.
fn cargo_roots(layout: &Layout) -> Result<Vec<(String, String)>, ProjectError> {
    let mut files: Vec<&str> = layout.files.iter().map(String::as_str).collect();
    files.retain(|file| *file == "Cargo.toml" || file.ends_with("/Cargo.toml"));
    // A folder that would be taken for an option cannot be named.
    files.retain(|file| !is_foreign(file) && !file.starts_with('-'));
    // A folder comes before those below it.
    files.sort_by_key(|file| (file.matches('/').count(), *file));
    let mut roots: Vec<(String, Vec<String>)> = Vec::new();
    let mut found = Vec::new();
    for file in files {
        let folder = file.strip_suffix("Cargo.toml").unwrap_or_default().trim_end_matches('/');
        let folder = if folder.is_empty() { "." } else { folder };
        let owner = roots.iter().rev().find(|(root, _)| is_below(folder, root));
        let document = match from_toml(file, layout.text(file)) {
            Ok(document) => document,
            // A template, perhaps: cargo reads no file that is not a member.
            Err(_) if owner.is_some() => continue,
            Err(fault) => return Err(fault.into()),
        };
        let workspace = section(&document, &["workspace"]);
        let is_workspace = workspace.is_some();
        let is_member = owner.is_some_and(|(root, excluded)| {
            !excluded.iter().any(|path| within(root, path) == folder || is_below(folder, &within(root, path)))
        });
        if !is_workspace && (is_member || section(&document, &["package"]).is_none()) {
            continue;
        }
        let excluded =
            workspace.and_then(|mut table| table.take("exclude")).and_then(|item| item.texts().ok());
        let excluded = excluded.unwrap_or_default();
        let excluded =
            excluded.iter().map(|path| path.trim_start_matches("./").trim_end_matches('/').to_owned());
        roots.push((folder.to_owned(), excluded.collect()));
        found.push((folder.to_owned(), file.to_owned()));
    }
    Ok(found)
}

/// Where pytest looks, and what that was told from.
fn pytest(layout: &Layout, pyproject: &Document) -> Option<(Vec<String>, String)> {
    let configured = PYTEST_FILES.iter().find_map(|(file, name)| {
        let testpaths = if *file == "pyproject.toml" {
            toml_testpaths(section(pyproject, &["tool", "pytest", "ini_options"])?)
        } else {
            ini_testpaths(layout.text(file), name)?
        };
        layout.has(file).then_some((*file, testpaths))
    });
    let files: Vec<&str> = layout.files.iter().map(String::as_str).filter(|file| is_test(file)).collect();
    let Some((source, testpaths)) = configured else {
        let paths = folders(&files);
        let source = paths.first().cloned();
        return source.map(|source| (paths, source));
    };
    let mut paths = Vec::new();
    for path in &testpaths {
        paths.extend(existing(layout, path));
    }
    if paths.is_empty() {
        paths = folders(&files);
    }
    if paths.is_empty() {
        paths.push(".".to_owned());
    }
    Some((outermost(paths), source.to_owned()))
}

fn toml_testpaths(mut table: Fields<'_>) -> Vec<String> {
    let Some(item) = table.take("testpaths") else { return Vec::new() };
    let words =
        |item: &Item<'_>| item.text().map(|text| text.split_whitespace().map(str::to_owned).collect());
    item.texts().or_else(|_| words(&item)).unwrap_or_default()
}

/// The paths in a section of an INI file, which may go on in indented lines; nothing without that section.
fn ini_testpaths(text: &str, section: &str) -> Option<Vec<String>> {
    let mut lines = text.lines().skip_while(|line| line.trim_end() != format!("[{section}]")).skip(1);
    text.lines().find(|line| line.trim_end() == format!("[{section}]"))?;
    let mut paths = Vec::new();
    let mut is_inside = false;
    for line in lines.by_ref().take_while(|line| !line.starts_with('[')) {
        let is_continued = line.starts_with([' ', '\t']);
        let value = match line.split_once(['=', ':']) {
            Some((key, value)) if !is_continued => {
                is_inside = key.trim() == "testpaths";
                value
            }
            _ if is_continued => line,
            _ => continue,
        };
        let is_comment = value.trim_start().starts_with(['#', ';']);
        if is_inside && !is_comment {
            paths.extend(value.split_whitespace().map(str::to_owned));
        }
    }
    Some(paths)
}

/// The folders and files that a configured path, which may be a pattern, stands for.
fn existing(layout: &Layout, path: &str) -> Vec<String> {
    let path = path.trim_start_matches("./").trim_end_matches('/');
    let path = if path.is_empty() { "." } else { path };
    if !path.contains(['*', '?', '[']) {
        return if layout.holds(path) { vec![path.to_owned()] } else { Vec::new() };
    }
    let Ok(matcher) = glob::compile(path, &GlobBuilder::new(path)) else { return Vec::new() };
    let parents = layout.files.iter().flat_map(|file| {
        file.match_indices('/').map(|(at, _)| &file[..at]).chain(std::iter::once(file.as_str()))
    });
    let found: BTreeSet<&str> = parents.filter(|path| matcher.is_match(path)).collect();
    found.into_iter().map(str::to_owned).collect()
}

/// The folders of test files: up to the first one called `tests` or `test`, or else the file's own.
fn folders(files: &[&str]) -> Vec<String> {
    let folder = |file: &&str| {
        let parts: Vec<&str> = file.split('/').collect();
        let own = parts.len() - 1;
        let end =
            parts[..own].iter().position(|part| matches!(*part, "tests" | "test")).map_or(own, |at| at + 1);
        if end == 0 { (*file).to_owned() } else { parts[..end].join("/") }
    };
    outermost(files.iter().map(folder).collect())
}

/// Sorted, without those that lie in another one.
fn outermost(mut paths: Vec<String>) -> Vec<String> {
    paths.retain(|path| !path.starts_with('-'));
    paths.sort();
    paths.dedup();
    let all = paths.clone();
    paths.retain(|path| !all.iter().any(|other| is_below(path, other)));
    paths
}

fn is_test(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let stem = name.strip_suffix(".py");
    stem.is_some_and(|stem| stem.starts_with("test_") || stem.ends_with("_test")) && !is_foreign(path)
}

fn is_foreign(path: &str) -> bool {
    let folders = path.rsplit_once('/').map_or("", |(folders, _)| folders);
    folders.split('/').any(|part| FOREIGN.contains(&part) || part.starts_with('.'))
}

/// Whether a path lies in a folder.
fn is_below(path: &str, folder: &str) -> bool {
    if folder == "." {
        return path != ".";
    }
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

fn within(folder: &str, name: &str) -> String {
    if folder == "." { name.to_owned() } else { format!("{folder}/{name}") }
}

/// A table of a file, if it is there.
fn section<'d>(document: &'d Document, path: &[&str]) -> Option<Fields<'d>> {
    let mut fields = document.item().fields().ok()?;
    for name in path {
        fields = fields.take(name)?.fields().ok()?;
    }
    Some(fields)
}

/// One suite as a project file has it.
fn suite(name: &str, kind: &str, paths: &[&str]) -> String {
    // A name may be a space, or start with `~`, which means something else at the beginning of a path.
    let paths: Vec<String> = paths.iter().map(|path| toml_text(&format!("./{path}"))).collect();
    // Nothing tells the nature of tests from outside.
    let test_type = if kind == "pytest" { "type = \"unit\"\n" } else { "" };
    let name = toml_text(name);
    format!("\n[[suite]]\nname = {name}\nkind = \"{kind}\"\n{test_type}paths = [{}]\n", paths.join(", "))
}

/// `rust`, or for a folder below the root `rust-` and its path; with a number where that is taken.
fn free_name(taken: &mut BTreeSet<String>, folder: &str) -> String {
    let plain = if folder == "." { "rust".to_owned() } else { identifier(&format!("rust-{folder}")) };
    let mut name = plain.clone();
    let mut number = 2;
    while !taken.insert(name.clone()) {
        name = format!("{plain}-{number}");
        number += 1;
    }
    name
}

/// A name that a project file can hold. It leaves room for a number behind it.
fn identifier(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '.') { c } else { '-' };
    let name: String = text.chars().map(plain).skip_while(|c| !c.is_ascii_alphanumeric()).take(56).collect();
    if name.is_empty() { "project".to_owned() } else { name }
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
