//! Marker expressions: what is written out in pytest's words means the same, and names are where they say.
#![no_main]

use libfuzzer_sys::fuzz_target;
use testbed_model::selection::{Expression, Name};

/// Some truth for every name, another one for every `salt`.
fn holds(name: &Name, salt: u32) -> bool {
    let mix = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    (name.text.bytes().fold(salt.wrapping_mul(0x9e37_79b9), mix) >> 13) & 1 == 1
}

fuzz_target!(|source: &str| {
    match Expression::parse(source) {
        Ok(expression) => {
            assert_eq!(expression.source(), source);
            assert_eq!(Expression::parse(source).as_ref(), Ok(&expression));
            let plain =
                Expression::parse(expression.in_pytests_words()).expect("pytest's words are an expression");
            assert_eq!(plain.in_pytests_words(), expression.in_pytests_words());
            let wrapped = Expression::parse(&format!(" not({source} )"));
            for salt in 0..8 {
                let matcher = |name: &Name| holds(name, salt);
                let answer = expression.matches(&matcher);
                assert_eq!(plain.matches(&matcher), answer);
                // An empty expression selects nothing, and cannot stand in parentheses.
                if let Ok(wrapped) = &wrapped {
                    assert_eq!(wrapped.matches(&matcher), !answer);
                }
            }
            let chars: Vec<char> = source.chars().collect();
            for name in expression.names() {
                let at = &chars[name.column - 1..];
                assert!(name.text.chars().zip(at).all(|(one, other)| one == *other), "{name:?}");
            }
        }
        Err(error) => {
            assert!((1..=source.chars().count() + 1).contains(&error.column), "{error}");
            assert!(!error.message.is_empty() && error.excerpt.is_some());
        }
    }
});
