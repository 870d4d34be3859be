//! Keyword expressions (`-k`): case means nothing, and a keyword's own name is found in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use testbed_fuzz::parts;
use testbed_model::selection::{Expression, Keywords, Name};

fuzz_target!(|input: &str| {
    let (source, words) = parts(input);
    let Ok(expression) = Expression::parse(source) else { return };
    let keywords: Vec<String> = words.split(',').map(str::to_owned).collect();
    let lower: Vec<String> = keywords.iter().map(|word| word.to_lowercase()).collect();
    let quick = |name: &Name| Keywords::any_holds(&lower, name);
    assert_eq!(expression.matches(&Keywords(&keywords)), expression.matches(&quick));
    for name in expression.names() {
        let own = vec![format!("test_{}_x", name.text)];
        let one = Expression::parse(&name.text);
        // A word of the language, which only stands in a predicate, is none by itself.
        if let Ok(one) = one {
            assert!(one.matches(&Keywords(&own)), "{name:?}");
        }
    }
});
