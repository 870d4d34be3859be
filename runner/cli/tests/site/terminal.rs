//! A command whose standard error, or standard output, is a terminal.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Command, ExitStatus, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// Executes a command to its end and gives what the terminal behind its standard error was told.
pub fn on_terminal(mut command: Command) -> (ExitStatus, String) {
    let (ours, theirs) = terminal();
    command.stdout(Stdio::null()).stderr(theirs);
    shown(command, ours)
}

/// Executes a command to its end and gives what the terminal behind its standard output was told.
pub fn printed_on_terminal(mut command: Command) -> String {
    let (ours, theirs) = terminal();
    command.stdout(theirs).stderr(Stdio::null());
    shown(command, ours).1
}

/// Our end of a new terminal, and the one for a command.
fn terminal() -> (File, File) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let theirs = File::options().read(true).write(true).open(OsStr::from_bytes(name.as_bytes())).unwrap();
    (File::from(ours), theirs)
}

fn shown(mut command: Command, mut ours: File) -> (ExitStatus, String) {
    command.env("TERM", "xterm-256color").stdin(Stdio::null());
    let mut child = command.spawn().unwrap();
    // The command's own copy of the terminal has to go, or there would be no end.
    drop(command);
    let mut shown = Vec::new();
    let mut buffer = [0; 4096];
    // A terminal that nobody has open any more is an error to its other end.
    while let Ok(number @ 1..) = ours.read(&mut buffer) {
        shown.extend_from_slice(&buffer[..number]);
    }
    (child.wait().unwrap(), String::from_utf8(shown).unwrap())
}

/// Whether a text asks for colours or other faces.
pub fn is_coloured(text: &str) -> bool {
    text.split("\u{1b}[")
        .skip(1)
        .any(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m'))
}
