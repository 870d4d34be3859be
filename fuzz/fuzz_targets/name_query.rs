//! The agent's name server: an answer is to the question that was asked, and is never answered itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use testbed_engine::agent::watch::dns::no_such_name;

fuzz_target!(|query: &[u8]| {
    let Some(answer) = no_such_name(query) else { return };
    assert_eq!(answer[..2], query[..2], "the id");
    assert_eq!(answer[3] & 0x0f, 3, "no such name");
    assert!(answer.len() <= query.len());
    assert_eq!(answer[12..], query[12..answer.len()], "the question");
    assert_eq!(no_such_name(&answer), None, "two servers would answer each other for ever");
});
