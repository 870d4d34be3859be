//! A line of the journal: an event as JSON, with a checksum over its own bytes as last member.
//!
//! ```text
//! {"seq":3,"at":"...","elapsed_us":9,"event":"warning","message":"...","hint":null,"crc32":"1c291ca3"}
//! ```
//!
//! So a line is JSON for every tool, and a byte that a disk or a person changed is noticed.

use crate::event::Stamped;

/// What stands between the event's members and the checksum.
const MARK: &str = ",\"crc32\":\"";
/// The checksum's digits and what closes the line, without the line end.
const TAIL: usize = 8 + "\"}".len();

/// The line of an event, with its end.
pub fn encode(stamped: &Stamped) -> Result<Vec<u8>, serde_json::Error> {
    let mut line = serde_json::to_vec(stamped)?;
    line.pop();
    let sum = crc32fast::hash(&line);
    line.extend_from_slice(format!("{MARK}{sum:08x}\"}}\n").as_bytes());
    Ok(line)
}

/// The event of a line without its end; none where the line is cut, changed or something else.
pub fn decode(line: &[u8]) -> Option<Stamped> {
    let (head, tail) = line.split_at_checked(line.len().checked_sub(MARK.len() + TAIL)?)?;
    let digits = tail.strip_prefix(MARK.as_bytes())?.strip_suffix(b"\"}")?;
    let told = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    if crc32fast::hash(head) != told {
        return None;
    }
    let mut whole = head.to_vec();
    whole.push(b'}');
    serde_json::from_slice(&whole).ok()
}

/// What a journal says, and what of it cannot be told any more.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Journal {
    /// The events, all that are whole, in their order.
    pub events: Vec<Stamped>,
    /// Lines that are no events any more: torn by a kill or a full disk, or changed later.
    pub damaged: usize,
    /// Whether its last line is one of these: writing ended in the middle of it.
    pub torn_end: bool,
}

/// Reads a journal that may have been cut anywhere and damaged anywhere.
pub fn read(bytes: &[u8]) -> Journal {
    let mut journal =
        Journal { torn_end: !bytes.is_empty() && !bytes.ends_with(b"\n"), ..Journal::default() };
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match decode(line) {
            Some(stamped) => journal.events.push(stamped),
            None => journal.damaged += 1,
        }
    }
    // A last line that lacks nothing but its end was written whole.
    journal.torn_end &= journal.damaged > 0;
    journal
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::{decode, encode, read};
    use crate::event::{Event, Stamped};

    fn stamped(seq: u64, message: &str) -> Stamped {
        let event = Event::Warning { message: message.to_owned(), hint: None };
        Stamped { seq, at: Timestamp::UNIX_EPOCH, elapsed_us: seq, event }
    }

    #[test]
    fn a_line_is_json_with_the_checksum_as_last_member() {
        let line = String::from_utf8(encode(&stamped(3, "x")).unwrap()).unwrap();
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["crc32"].as_str().map(str::len), Some(8));
        assert!(line.trim_end().ends_with("\"}"), "{line}");
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let line = encode(&stamped(7, "a worker died")).unwrap();
        let line = line.strip_suffix(b"\n").unwrap();
        for at in 0..line.len() {
            let mut changed = line.to_vec();
            changed[at] ^= 0x01;
            // Digits of the checksum that only change their case say the same.
            assert!(decode(&changed).is_none_or(|event| event == stamped(7, "a worker died")), "byte {at}");
            if at < line.len() - 10 {
                assert_eq!(decode(&changed), None, "byte {at}");
            }
        }
    }

    #[test]
    fn a_journal_cut_anywhere_gives_all_that_was_whole_and_says_that_it_was_cut() {
        let mut bytes = Vec::new();
        for seq in 0..4 {
            bytes.extend(encode(&stamped(seq, "x")).unwrap());
        }
        for cut in 0..bytes.len() {
            let journal = read(&bytes[..cut]);
            let whole = bytes.iter().take(cut + 1).filter(|byte| **byte == b'\n').count();
            assert_eq!(journal.events.len(), whole, "cut at {cut}");
            let inside = cut > 0 && bytes[cut - 1] != b'\n' && bytes[cut] != b'\n';
            assert_eq!((journal.torn_end, journal.damaged > 0), (inside, inside), "cut at {cut}");
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(messages in proptest::collection::vec(any::<String>(), 0..8)) {
            let events: Vec<Stamped> =
                messages.iter().enumerate().map(|(seq, text)| stamped(seq as u64, text)).collect();
            let bytes: Vec<u8> = events.iter().flat_map(|event| encode(event).unwrap()).collect();
            let journal = read(&bytes);
            prop_assert_eq!(journal.events, events);
            prop_assert!(journal.damaged == 0 && !journal.torn_end);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in any::<Vec<u8>>()) {
            let journal = read(&bytes);
            prop_assert!(journal.events.is_empty());
        }
    }
}
