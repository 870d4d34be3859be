//! The journal: what is whole is read as it was written; what is torn or changed is refused and counted.
#![no_main]

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use testbed_model::event::{Event, Stamped};
use testbed_model::record::LogLine;
use testbed_model::record::journal::{decode, encode, read};

/// What closes a line: the checksum's digits, the quote, the brace.
const TAIL: usize = 10;

fuzz_target!(|data: &[u8]| {
    let journal = read(data);
    let lines = data.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
    assert_eq!(journal.events.len() + journal.damaged, lines);
    let written: Vec<u8> =
        journal.events.iter().flat_map(|one| encode(one).expect("an event is JSON")).collect();
    let again = read(&written);
    assert_eq!((again.events, again.damaged, again.torn_end), (journal.events, 0, false));

    // The same bytes as a message, whose line is then damaged.
    let message = String::from_utf8_lossy(data).into_owned();
    let event = Event::Warning { message: message.clone(), hint: None };
    let stamped = Stamped { seq: 1, at: Timestamp::UNIX_EPOCH, elapsed_us: 2, event };
    let line = encode(&stamped).expect("an event is JSON");
    let line = line.strip_suffix(b"\n").expect("a line has an end");
    assert_eq!(decode(line), Some(stamped));
    let sum = data.iter().fold(data.len(), |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    assert_eq!(decode(&line[..sum % line.len()]), None, "a torn line");
    let mut changed = line.to_vec();
    changed[sum % (line.len() - TAIL)] ^= 1 << (sum % 8);
    assert_eq!(decode(&changed), None, "a changed line");

    // One line of a log file.
    if let Some(line) = message.lines().next() {
        let at = Timestamp::UNIX_EPOCH;
        assert_eq!(LogLine::decode(&LogLine::encode(at, line)), Some(LogLine { at, text: line.to_owned() }));
        let _ = LogLine::decode(line);
    }
});
