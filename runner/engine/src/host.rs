//! The only door to the operating system: clock, environment, files, processes, signals.

pub mod changes;
pub mod checkout;
pub mod clock;
pub mod contents;
pub mod control_group;
pub mod environment;
pub mod facts;
pub mod files;
pub mod identity;
pub mod lines;
pub mod network;
pub mod patch;
pub mod process;
pub mod processors;
pub mod readable;
pub mod room;
pub mod signals;
pub mod terminal;
pub mod texts;
pub mod tool;
pub mod tree;
pub mod unpacked;
pub mod web;
