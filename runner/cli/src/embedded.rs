//! The copy of the configuration that the runner carries within itself, for folders with no checkout of Testbed above them.

use std::path::PathBuf;

use testbed_engine::host::unpacked::{self, UnpackError};

mod list {
    include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
}

/// The folder that it lies in, unpacked on first use. Containers mount from it, so it has to be somewhere.
pub fn root() -> Result<PathBuf, UnpackError> {
    unpacked::unpack("root", list::FILES)
}

#[cfg(test)]
mod tests {
    use super::list::FILES;

    #[test]
    fn it_has_all_that_a_root_needs_and_nothing_that_tools_left() {
        let has = |path: &str| FILES.iter().any(|(name, ..)| *name == path);
        assert!(has("envs/default.toml") && has("images/images.lock.json") && has("compose/mocker.yaml"));
        assert!(FILES.iter().any(|(name, ..)| name.starts_with("suites/plugin/")));
        assert!(FILES.iter().all(|(name, ..)| !name.contains("__pycache__")));
    }
}
