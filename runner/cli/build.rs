//! Lists the files that the runner carries within itself: profiles, stacks, image recipes, models and the pytest plugin, for a
//! working folder with no checkout of Testbed above it.
#![allow(clippy::disallowed_methods, reason = "cargo tells a build script everything by variables")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// The folders of a configuration's root.
const FOLDERS: [&str; 5] = ["compose", "envs", "images", "models", "suites"];

/// What tools leave beside sources.
const LEFT_BY_TOOLS: [&str; 4] = ["__pycache__", ".pytest_cache", ".ruff_cache", ".hypothesis"];

fn main() -> io::Result<()> {
    let variable = |name: &str| env::var_os(name).map(PathBuf::from).ok_or(io::ErrorKind::NotFound);
    let root = variable("CARGO_MANIFEST_DIR")?.join("../..").canonicalize()?;
    let mut files = Vec::new();
    for folder in FOLDERS {
        println!("cargo::rerun-if-changed={}", root.join(folder).display());
        collect(&root.join(folder), &mut files)?;
    }
    files.sort_unstable();
    let mut text = String::from(
        "/// Path, bytes, and whether it is a program.\npub const FILES: &[(&str, &[u8], bool)] = &[\n",
    );
    for file in &files {
        let name = file.strip_prefix(&root).map_err(io::Error::other)?;
        let (name, path) = (name.to_string_lossy(), file.to_string_lossy());
        let _ = writeln!(text, "    ({name:?}, include_bytes!({path:?}), {}),", is_program(file)?);
    }
    text.push_str("];\n");
    fs::write(variable("OUT_DIR")?.join("embedded.rs"), text)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
        if LEFT_BY_TOOLS.iter().any(|left| name == *left) {
            continue;
        }
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

fn is_program(file: &Path) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(file.metadata()?.permissions().mode() & 0o100 != 0)
}
