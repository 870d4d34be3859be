//! The process's environment and place.
#![allow(clippy::disallowed_methods, reason = "this is the door that the lint sends everybody to")]

use std::path::PathBuf;

/// A variable, if it is set to text that is not empty.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The working folder.
pub fn working_folder() -> std::io::Result<PathBuf> {
    std::env::current_dir()
}

/// Where programs of this user keep what they can make again.
pub fn cache_folder() -> PathBuf {
    let below_home = || variable("HOME").map(|home| PathBuf::from(home).join(".cache"));
    // A relative path is to be ignored, says the XDG Base Directory Specification.
    let named = variable("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    named.or_else(below_home).unwrap_or_else(std::env::temp_dir)
}

/// The runner's own executable, which is also the agent inside containers.
pub fn own_executable() -> std::io::Result<PathBuf> {
    std::env::current_exe()
}

/// Bytes that nobody can guess, from the kernel.
pub fn random_bytes<const N: usize>() -> std::io::Result<[u8; N]> {
    use std::io::Read as _;
    let mut bytes = [0; N];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// The command line, the program's name first.
pub fn arguments() -> Vec<String> {
    std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect()
}
