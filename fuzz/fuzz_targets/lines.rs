//! Bytes to lines: how they come in pieces decides nothing, and no line is longer than its limit says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use testbed_engine::host::lines::LineSplitter;

const LIMIT: usize = 16;

fn lines(pieces: &[&[u8]]) -> Vec<String> {
    let mut splitter = LineSplitter::new(LIMIT);
    let mut lines: Vec<String> = pieces.iter().flat_map(|piece| splitter.push(piece)).collect();
    lines.extend(splitter.finish());
    lines
}

fuzz_target!(|data: &[u8]| {
    let whole = lines(&[data]);
    let at = data.first().map_or(0, |byte| usize::from(*byte) % data.len());
    let (head, tail) = data.split_at(at);
    assert_eq!(lines(&[head, tail]), whole);
    let single: Vec<&[u8]> = data.chunks(1).collect();
    assert_eq!(lines(&single), whole);
    let ends = data.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(whole.len(), ends + usize::from(data.last().is_some_and(|byte| *byte != b'\n')));
    // A byte that is not UTF-8 takes three, and what is left out is told.
    assert!(whole.iter().all(|line| line.len() <= 3 * LIMIT + 64));
});
