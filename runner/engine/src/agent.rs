//! The runner inside containers: one binary, linked statically, that is mounted where it is needed.

pub mod devices;
pub mod execute;
pub mod watch;
