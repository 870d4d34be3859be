//! What tools print, as agents pass it on: no decoder panics, whatever is cut or changed, and a lane can be judged.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use testbed_engine::exec::cargo::Nextest;
use testbed_engine::exec::heard::{Decoder, Heard, Red};
use testbed_engine::exec::job::{Said, Stream};
use testbed_engine::exec::pytest::Pytest;

fn hear(decoder: &mut dyn Decoder, said: &[Said]) -> Vec<Heard> {
    let heard: Vec<Heard> = said.iter().flat_map(|one| decoder.hear(one)).collect();
    for red in [Red::None, Red::Some] {
        let _ = decoder.judge(&BTreeMap::new(), red);
    }
    let _ = decoder.blames_environment(&BTreeMap::new());
    heard
}

fuzz_target!(|text: &str| {
    let said: Vec<Said> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let mut all = said;
    // A line that is no message of an agent is one that a tool printed.
    all.extend(text.lines().map(|line| Said::Line { stream: Stream::Out, line: line.to_owned() }));
    assert_eq!(hear(&mut Pytest::default(), &all), hear(&mut Pytest::default(), &all));
    assert_eq!(hear(&mut Nextest::default(), &all), hear(&mut Nextest::default(), &all));
});
