//! Globs: patterns of paths and of case ids, none of which is too much for its compiler.
//!
//! globset turns a pattern into a regular expression, and panics where that nests too deep or becomes too large; so what could
//! is refused before.

use globset::{GlobBuilder, GlobMatcher};

/// Braces within each other. The compiler gives up at about eighty.
const MAX_DEPTH: usize = 32;

/// Bytes of a pattern: four times as long as a path can be under Linux, and far from what the compiler cannot take.
const MAX_LENGTH: usize = 16 * 1024;

/// Compiles a pattern as the builder has it; `pattern` is its text. The error says what is wrong, without the pattern.
pub fn compile(pattern: &str, builder: &GlobBuilder<'_>) -> Result<GlobMatcher, String> {
    if depth(pattern) > MAX_DEPTH {
        return Err(format!("more than {MAX_DEPTH} braces are within each other"));
    }
    compile_flat(pattern, builder)
}

/// The same of a pattern each of whose braces stands for itself.
pub fn compile_flat(pattern: &str, builder: &GlobBuilder<'_>) -> Result<GlobMatcher, String> {
    if pattern.len() > MAX_LENGTH {
        return Err(format!("it is longer than {MAX_LENGTH} bytes"));
    }
    builder.build().map(|glob| glob.compile_matcher()).map_err(|error| error.kind().to_string())
}

/// How deep braces may nest at most; one that stands for itself counts as well.
fn depth(pattern: &str) -> usize {
    let mut open = 0_usize;
    let mut deepest = 0;
    for c in pattern.chars() {
        match c {
            '{' => open += 1,
            '}' => open = open.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(open);
    }
    deepest
}

#[cfg(test)]
mod tests {
    use globset::GlobBuilder;

    use super::{MAX_LENGTH, compile};

    fn matches(pattern: &str, path: &str) -> Result<bool, String> {
        compile(pattern, GlobBuilder::new(pattern).literal_separator(true)).map(|glob| glob.is_match(path))
    }

    #[test]
    fn braces_within_each_other_have_an_end() {
        let nested = |depth: usize| format!("{}b{}", "{a,".repeat(depth), "}".repeat(depth));
        assert_eq!(matches(&nested(32), "b"), Ok(true));
        assert_eq!(matches(&["{a,b}"; 1000].join("/"), "a"), Ok(false));
        for depth in [33, 100, 4000] {
            assert_eq!(
                matches(&nested(depth), "b").unwrap_err(),
                "more than 32 braces are within each other"
            );
        }
    }

    #[test]
    fn a_pattern_of_any_length_is_compiled_or_refused() {
        for part in ["*", "?", "a", "é", "**/", "{a,b}", "[a-z]", "[!é]", "[^-a-c-e-]", "{**/,?}"] {
            let longest = part.repeat(MAX_LENGTH / part.len());
            assert_eq!(matches(&longest, "b/c").map(|_| ()), Ok(()), "{part}");
            assert!(matches(&longest.repeat(2), "b/c").unwrap_err().contains("longer than"), "{part}");
        }
    }
}
