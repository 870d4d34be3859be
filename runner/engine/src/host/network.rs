//! What the host's network looks like.

use std::fs;
use std::io;

/// The host's IPv4 routes as the kernel writes them (`/proc/net/route`: addresses in hexadecimal, lowest byte first).
pub fn route_table() -> io::Result<String> {
    fs::read_to_string("/proc/net/route")
}
