//! The crates of a project and which of them depend on which, from what `cargo metadata` says.
//!
//! Its JSON is read directly: of all that it holds, names, folders and the paths of dependencies are needed. A library such as
//! guppy wants the resolved graph of all dependencies, so it can neither read `cargo metadata --no-deps`, which needs no network,
//! nor join several workspaces.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::exit_code::ExitCode;
use crate::hint::Hint;

/// Where a package that lies in the project's root has its files; everything else there belongs to the project.
const ROOT_FOLDERS: [&str; 5] = ["src/", "tests/", "benches/", "examples/", "build.rs"];

/// The packages of a project's workspaces, by folder: two workspaces may have packages of the same name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Crates {
    /// Folder relative to the project's root (empty for the root itself) to its package.
    pub packages: BTreeMap<String, Package>,
}

/// One package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Package {
    /// Its name, with which the ids of its cases start.
    pub name: String,
    /// The folders of the packages that it depends on, for building or for testing.
    pub dependencies: BTreeSet<String>,
}

/// Metadata that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("what `cargo metadata` said cannot be read: {0}")]
pub struct MetadataError(#[from] serde_json::Error);

impl Hint for MetadataError {
    fn hint(&self) -> Option<String> {
        Some("it must be the output of `cargo metadata --format-version 1`".to_owned())
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Environment
    }
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<MetadataPackage>,
}

#[derive(Deserialize)]
struct MetadataPackage {
    name: String,
    manifest_path: String,
    dependencies: Vec<MetadataDependency>,
}

#[derive(Deserialize)]
struct MetadataDependency {
    #[serde(default)]
    path: Option<String>,
}

impl Crates {
    /// Reads the output of `cargo metadata --format-version 1`, with or without `--no-deps`. `root` is the project's root as
    /// cargo names it; packages outside of it are left out.
    pub fn from_metadata(json: &str, root: &str) -> Result<Self, MetadataError> {
        let metadata: Metadata = serde_json::from_str(json)?;
        let mut packages = BTreeMap::new();
        for package in metadata.packages {
            let manifest = package.manifest_path.strip_suffix("Cargo.toml").unwrap_or(&package.manifest_path);
            let Some(folder) = below(manifest, root) else { continue };
            let dependencies = package
                .dependencies
                .iter()
                .filter_map(|dependency| below(dependency.path.as_deref()?, root))
                .filter(|dependency| *dependency != folder)
                .collect();
            packages.insert(folder, Package { name: package.name, dependencies });
        }
        Ok(Self { packages })
    }

    /// Adds the packages of another workspace. A package that both have keeps the dependencies that either knows.
    pub fn join(&mut self, other: Self) {
        for (folder, package) in other.packages {
            let known = self.packages.entry(folder).or_default();
            known.name = package.name;
            known.dependencies.extend(package.dependencies);
        }
    }

    /// The folder of the package that a file belongs to: the innermost one.
    pub fn holding(&self, file: &str) -> Option<&str> {
        let mut folder = file;
        while let Some((outer, _)) = folder.rsplit_once('/') {
            if let Some((known, _)) = self.packages.get_key_value(outer) {
                return Some(known);
            }
            folder = outer;
        }
        let (known, _) = self.packages.get_key_value("")?;
        ROOT_FOLDERS.iter().any(|start| file.starts_with(start)).then_some(known)
    }

    /// The folders of all packages that are built anew when one changes: itself, and what depends on it in any number of
    /// steps.
    pub fn dependents(&self, folder: &str) -> BTreeSet<&str> {
        let mut found: BTreeSet<&str> = BTreeSet::new();
        let mut open: Vec<&str> =
            self.packages.get_key_value(folder).map(|(known, _)| known.as_str()).into_iter().collect();
        while let Some(next) = open.pop() {
            if found.insert(next) {
                let depends = |(_, package): &(&String, &Package)| package.dependencies.contains(next);
                open.extend(self.packages.iter().filter(depends).map(|(folder, _)| folder.as_str()));
            }
        }
        found
    }
}

/// The part of an absolute folder below the root, without slashes around it.
fn below(folder: &str, root: &str) -> Option<String> {
    let rest = folder.trim_end_matches('/').strip_prefix(root.trim_end_matches('/'))?;
    match rest.strip_prefix('/') {
        Some(inner) => Some(inner.to_owned()),
        None => rest.is_empty().then(String::new),
    }
}

#[cfg(test)]
mod tests {
    use super::Crates;

    const METADATA: &str = r#"{
        "packages": [
            {"name": "core", "manifest_path": "/p/lib/core/Cargo.toml", "dependencies": [{"name": "serde", "path": null}]},
            {"name": "llm", "manifest_path": "/p/lib/llm/Cargo.toml", "dependencies": [{"name": "core", "path": "/p/lib/core"}]},
            {"name": "py", "manifest_path": "/p/lib/llm/py/Cargo.toml", "dependencies": [{"name": "llm", "path": "/p/lib/llm"}]},
            {"name": "tool", "manifest_path": "/p/Cargo.toml", "dependencies": []},
            {"name": "other", "manifest_path": "/project/Cargo.toml", "dependencies": []}
        ],
        "workspace_root": "/p"
    }"#;

    fn crates() -> Crates {
        Crates::from_metadata(METADATA, "/p/").unwrap()
    }

    #[test]
    fn a_file_belongs_to_the_innermost_package() {
        for (file, expected) in [
            ("lib/core/src/lib.rs", Some("lib/core")),
            ("lib/llm/py/src/lib.rs", Some("lib/llm/py")),
            ("lib/llm/Cargo.toml", Some("lib/llm")),
            ("lib/README.md", None),
            ("src/main.rs", Some("")),
            ("docs/a.md", None),
            ("Cargo.toml", None),
        ] {
            assert_eq!(crates().holding(file), expected, "{file}");
        }
    }

    #[test]
    fn dependents_are_found_in_any_number_of_steps() {
        let crates = crates();
        assert_eq!(
            crates.dependents("lib/core").into_iter().collect::<Vec<_>>(),
            ["lib/core", "lib/llm", "lib/llm/py"]
        );
        assert_eq!(crates.dependents("").into_iter().collect::<Vec<_>>(), [""]);
        assert!(crates.dependents("lib").is_empty());
    }

    #[test]
    fn workspaces_join_by_folder() {
        let mut crates = crates();
        let other = r#"{"packages": [
            {"name": "core", "manifest_path": "/p/x/Cargo.toml", "dependencies": [{"path": "/p/lib/core"}]}
        ]}"#;
        crates.join(Crates::from_metadata(other, "/p").unwrap());
        assert_eq!(crates.packages.values().filter(|package| package.name == "core").count(), 2);
        assert!(crates.dependents("lib/core").contains("x"));
    }

    #[test]
    fn what_is_no_metadata_is_told() {
        let error = Crates::from_metadata("{}", "/p").unwrap_err();
        insta::assert_snapshot!(error, @"what `cargo metadata` said cannot be read: missing field `packages` at line 1 column 2");
    }
}
