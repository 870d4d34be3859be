//! Durations, sizes, cores: what is read and written reads back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use testbed_model::document::{
    bytes_text, duration_text, parse_bytes, parse_cores, parse_duration, parse_micros,
};

fuzz_target!(|text: &str| {
    if let Some(millis) = parse_duration(text) {
        assert_eq!(parse_duration(&duration_text(millis)), Some(millis));
        assert_eq!(parse_micros(text), millis.checked_mul(1000));
    }
    if let Some(bytes) = parse_bytes(text) {
        assert_eq!(parse_bytes(&bytes_text(bytes)), Some(bytes));
        assert_eq!(parse_bytes(&text.to_ascii_uppercase()), Some(bytes));
    }
    if let Some(cores) = parse_cores(text) {
        assert_eq!(
            parse_cores(&format!("{}.{:09}", cores / 1_000_000_000, cores % 1_000_000_000)),
            Some(cores)
        );
    }
});
