//! `testbed schema`: what editors and the reference pages say is what the command says.

use std::fs;
use std::path::{Path, PathBuf};

use testbed_model::exit_code::ExitCode;

use crate::site::{Site, repository};

const OF: [&str; 4] = ["project", "profile", "models", "facts"];

/// What the command prints, outside of any checkout.
fn printed(arguments: &[&str]) -> String {
    let ended = Site::empty().testbed(["schema"].iter().chain(arguments));
    assert_eq!((ended.code(), ended.err.as_str()), (ExitCode::Passed, ""), "{arguments:?}");
    ended.out
}

/// Compares a file of the repository; `INSTA_UPDATE=always` writes it, as it does with snapshots.
fn is_what_the_file_holds(file: &str, printed: &str) {
    let path = repository().join(file);
    if std::env::var("INSTA_UPDATE").as_deref() == Ok("always") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, printed).unwrap();
    }
    let held = fs::read_to_string(&path).unwrap_or_default();
    assert!(held == printed, "`{file}` is not what `testbed schema` prints; INSTA_UPDATE=always writes it");
}

#[test]
fn the_schemas_that_editors_are_pointed_at_are_those_of_the_command() {
    for of in OF {
        is_what_the_file_holds(&format!("docs/reference/schema/{of}.schema.json"), &printed(&[of]));
    }
}

#[test]
fn the_reference_pages_are_those_of_the_command() {
    for of in OF {
        is_what_the_file_holds(&format!("docs/reference/{of}.md"), &printed(&[of, "--reference"]));
    }
}

#[test]
fn a_schema_is_one_json_document_that_names_its_dialect() {
    for of in OF {
        let schema: serde_json::Value = serde_json::from_str(&printed(&[of])).unwrap();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(schema["type"], "object");
        assert_eq!(printed(&[of]), printed(&[of]));
    }
}

#[test]
fn our_own_files_point_editors_at_their_schemas() {
    let root = repository();
    let profiles = fs::read_dir(root.join("envs")).unwrap().map(|entry| entry.unwrap().path());
    let profiles = profiles.filter(|path| path.extension().is_some_and(|extension| extension == "toml"));
    let files: Vec<(PathBuf, &str)> = profiles
        .map(|path| (path, "profile"))
        .chain([(root.join("testbed.toml"), "project")])
        .chain([(root.join("models/models.toml"), "models")])
        .collect();
    assert!(files.len() > 5, "{files:?}");
    for (path, of) in files {
        let text = fs::read_to_string(&path).unwrap();
        let header = text.lines().take_while(|line| line.starts_with('#'));
        let named: Vec<&str> = header.filter_map(|line| line.strip_prefix("#:schema ")).collect();
        assert_eq!(named.len(), 1, "{} has a line `#:schema PATH` in its head", path.display());
        let schema = path.parent().unwrap_or(Path::new("/")).join(named[0]).canonicalize().unwrap();
        assert_eq!(schema, root.join(format!("docs/reference/schema/{of}.schema.json")));
    }
}
