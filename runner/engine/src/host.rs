//! The only door to the operating system: clock, environment, files, processes, signals.

pub mod changes;
pub mod clock;
pub mod environment;
pub mod facts;
pub mod files;
pub mod identity;
pub mod lines;
pub mod network;
pub mod process;
pub mod processors;
pub mod readable;
pub mod signals;
pub mod texts;
pub mod tool;
pub mod tree;
