//! Descriptions of devices that lie on this host for container engines.

use std::fs;
use std::path::Path;

use testbed_model::cdi;

/// Devices that the files of these folders describe, each once, in order. A folder that is not there holds none, and a file that
/// cannot be read describes none: the engine will say so.
pub fn devices<'f>(folders: impl IntoIterator<Item = &'f str>) -> Vec<String> {
    let mut found = Vec::new();
    for folder in folders {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
        for path in paths.filter(|path| is_description(path)) {
            let Ok(text) = fs::read_to_string(&path) else { continue };
            found.extend(cdi::devices(&path.display().to_string(), &text).unwrap_or_default());
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

fn is_description(path: &Path) -> bool {
    path.extension().and_then(|ending| ending.to_str()).is_some_and(|ending| cdi::ENDINGS.contains(&ending))
}

#[cfg(test)]
mod tests {
    use super::devices;

    #[test]
    fn files_of_all_folders_are_read_and_others_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().to_str().unwrap();
        std::fs::write(root.path().join("b.json"), r#"{"kind": "a.com/net", "devices": [{"name": "x"}]}"#)
            .unwrap();
        std::fs::write(
            root.path().join("a.yaml"),
            "kind: nvidia.com/gpu\ndevices: [{name: \"0\"}, {name: all}]\n",
        )
        .unwrap();
        std::fs::write(root.path().join("broken.yaml"), "kind: [").unwrap();
        std::fs::write(root.path().join("notes.txt"), "kind: a.com/b\ndevices: [{name: y}]\n").unwrap();
        let found = devices([folder, "/nonexistent", folder]);
        assert_eq!(found, ["a.com/net=x", "nvidia.com/gpu=0", "nvidia.com/gpu=all"]);
    }
}
