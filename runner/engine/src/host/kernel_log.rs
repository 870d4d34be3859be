//! The kernel's log, as far as this process may read it.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;

use rustix::fs::OFlags;

/// More than the kernel keeps on any usual host; a bound for one that never stops talking.
const MOST_RECORDS: usize = 100_000;

/// What it holds, a record a line; empty where it may not be read.
pub fn read() -> String {
    let mut text = String::new();
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let Ok(mut file) = OpenOptions::new().read(true).custom_flags(flags).open("/dev/kmsg") else {
        return text;
    };
    let mut record = vec![0_u8; 8192];
    for _ in 0..MOST_RECORDS {
        match file.read(&mut record) {
            Ok(length) if length > 0 => {
                let record = String::from_utf8_lossy(record.get(..length).unwrap_or_default()).into_owned();
                // What stands before the semicolon is about the record, what follows the first line about its device.
                let message = record.split_once(';').map_or("", |(_, message)| message);
                text.push_str(message.lines().next().unwrap_or_default());
                text.push('\n');
            }
            // A record that was overwritten before it was read is gone; the next one is not.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            _ => break,
        }
    }
    text
}
