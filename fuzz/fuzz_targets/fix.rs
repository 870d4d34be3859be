//! Fixes: edits that fit are all applied and nothing else changes; those that do not fit change nothing.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use testbed_model::check::{Edit, FixError, apply};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    text: &'a str,
    edits: Vec<(u8, u8, u8, &'a str)>,
}

fuzz_target!(|input: Input<'_>| {
    let text = input.text;
    let edits: Vec<Edit> = input
        .edits
        .iter()
        .map(|(line, column, length, new)| {
            let found = text.split('\n').nth(usize::from(*line).saturating_sub(1)).unwrap_or("none");
            let skipped = usize::from(*column).saturating_sub(1);
            Edit {
                file: "f".to_owned(),
                line: u32::from(*line),
                column: u32::from(*column),
                old: found.chars().skip(skipped).take(usize::from(*length)).collect(),
                new: (*new).to_owned(),
            }
        })
        .collect();
    assert_eq!(apply(text, &[]).as_deref(), Ok(text));
    match apply(text, &edits) {
        Ok(result) => {
            let mut once = edits.clone();
            once.sort();
            once.dedup();
            let grown: usize = once.iter().map(|edit| edit.new.len()).sum();
            let gone: usize = once.iter().map(|edit| edit.old.len()).sum();
            assert_eq!(result.len() + gone, text.len() + grown);
            let mut turned = edits;
            turned.reverse();
            assert_eq!(apply(text, &turned).as_deref(), Ok(result.as_str()), "the order of edits decides");
        }
        Err(FixError::Other(edit)) => {
            let lines = text.split('\n').count();
            let line = text.split('\n').nth((edit.line as usize).wrapping_sub(1)).unwrap_or_default();
            assert!(
                edit.line == 0
                    || edit.column == 0
                    || edit.line as usize > lines
                    || edit.column as usize > line.chars().count() + 1,
                "{edit:?} fits"
            );
        }
        Err(FixError::Overlap(_)) => assert!(edits.len() > 1),
    }
});
