//! Filtersets that name exactly some tests, in nextest's own language.

use std::collections::BTreeMap;

/// Linux takes no longer argument than 128 KiB; this leaves room for what is around it.
const MOST_BYTES: usize = 100 * 1024;

/// Filtersets whose union is exactly these cases, each no longer than an argument may be. A case's id is its binary's id, a
/// space, and the test's name.
pub fn of_cases(ids: &[String]) -> Vec<String> {
    let mut by_binary: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for id in ids {
        let (binary, test) = id.split_once(' ').unwrap_or((id.as_str(), ""));
        by_binary.entry(binary).or_default().push(test);
    }
    let mut filters: Vec<String> = Vec::new();
    for (binary, tests) in by_binary {
        let mut rest = tests.as_slice();
        while !rest.is_empty() {
            let (taken, filter) = portion(binary, rest);
            rest = rest.get(taken..).unwrap_or_default();
            match filters.last_mut() {
                Some(last) if last.len() + filter.len() < MOST_BYTES => {
                    last.push_str(" | ");
                    last.push_str(&filter);
                }
                _ => filters.push(filter),
            }
        }
    }
    if filters.is_empty() {
        filters.push("none()".to_owned());
    }
    filters
}

/// As many tests of one binary as fit into one filter, and the filter.
fn portion(binary: &str, tests: &[&str]) -> (usize, String) {
    let start = format!("(binary_id(={}) & (", escaped(binary));
    let mut filter = start.clone();
    let mut taken = 0;
    for test in tests {
        let named = format!("test(={})", escaped(test));
        if taken > 0 && filter.len() + named.len() > MOST_BYTES {
            break;
        }
        if taken > 0 {
            filter.push_str(" | ");
        }
        filter.push_str(&named);
        taken += 1;
    }
    filter.push_str("))");
    (taken, filter)
}

/// A name as nextest's matchers want it: closing parentheses, commas and backslashes are theirs.
fn escaped(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        if matches!(c, ')' | ',' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{MOST_BYTES, of_cases};

    #[test]
    fn tests_are_named_by_binary() {
        let ids = ["a::it x::one", "b two", "a::it x::(odd), name"].map(str::to_owned);
        insta::assert_snapshot!(of_cases(&ids).join("\n"), @r"(binary_id(=a::it) & (test(=x::one) | test(=x::(odd\)\, name))) | (binary_id(=b) & (test(=two)))");
        assert_eq!(of_cases(&[]), ["none()"]);
    }

    #[test]
    fn no_filter_is_longer_than_an_argument_may_be() {
        let ids: Vec<String> = (0..9000).map(|n| format!("a::it module::a_test_with_a_name_{n}")).collect();
        let filters = of_cases(&ids);
        assert!(filters.len() > 1 && filters.iter().all(|filter| filter.len() <= MOST_BYTES + 200));
        assert_eq!(filters.iter().map(|filter| filter.matches("test(=").count()).sum::<usize>(), 9000);
    }
}
