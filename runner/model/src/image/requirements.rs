//! Requirement files of Python wheels: exact versions with hashes, and nothing else.

use crate::span::{Fault, Place};

/// One pinned package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// Name as written.
    pub name: String,
    /// Exact version.
    pub version: String,
    /// The sha256 of each wheel that may be installed.
    pub hashes: Vec<String>,
}

/// Reads a requirement file. Options, addresses, ranges and pins without a hash are faults: what a layer holds must follow
/// from the file alone, wherever the wheels are fetched from.
pub fn parse_requirements(file: &str, text: &str) -> Result<Vec<Requirement>, Fault> {
    let mut found: Vec<Requirement> = Vec::new();
    for (offset, line) in logical_lines(text) {
        let fault = |message: String| Fault::new(Place::of_offset(file, text, offset), text, message);
        let mut words = line.split_whitespace().filter(|word| *word != "\\");
        let Some(pin) = words.next() else { continue };
        if pin.starts_with('-') {
            return Err(fault(format!("`{pin}` is an option, and only pins may stand here"))
                .with_hint("say where wheels come from in pip's own configuration"));
        }
        let (name, version) =
            pin.split_once("==").filter(|(name, version)| is_name(name) && is_version(version)).ok_or_else(
                || fault(format!("`{pin}` is not an exact pin")).with_hint("write `NAME==VERSION`"),
            )?;
        let hashes =
            words.map(|word| hash(word).ok_or(word)).collect::<Result<Vec<_>, _>>().map_err(|word| {
                fault(format!("`{word}` is not a hash of `{pin}`"))
                    .with_hint("write `--hash=sha256:` and 64 digits")
            })?;
        if hashes.is_empty() {
            return Err(fault(format!("`{pin}` has no hash"))
                .with_hint("make the file again with images/requirements/relock.py"));
        }
        if let Some(twice) = found.iter().find(|other| normal(&other.name) == normal(name)) {
            return Err(fault(format!("`{}` is pinned twice", twice.name)));
        }
        found.push(Requirement { name: name.to_owned(), version: version.to_owned(), hashes });
    }
    Ok(found)
}

/// Lines without comments, with continuations joined, each with the offset of its first byte that is not a space.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(usize, String)> = None;
    let mut offset = 0;
    for raw in text.split_inclusive('\n') {
        let start = offset + (raw.len() - raw.trim_start().len());
        offset += raw.len();
        let content = raw.trim();
        let content = if content.starts_with('#') { "" } else { content.split(" #").next().unwrap_or("") };
        let (head, continues) = content.strip_suffix('\\').map_or((content, false), |head| (head, true));
        let (at, mut joined) = open.take().unwrap_or((start, String::new()));
        joined.push(' ');
        joined.push_str(head);
        if continues {
            open = Some((at, joined));
        } else if !joined.trim().is_empty() {
            lines.push((at, joined));
        }
    }
    lines.extend(open);
    lines
}

fn hash(word: &str) -> Option<String> {
    let hex = word.strip_prefix("--hash=sha256:")?;
    (hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| hex.to_ascii_lowercase())
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn is_version(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".+!_-".contains(&byte))
}

/// Names that differ only in case and separators are one package.
fn normal(name: &str) -> String {
    name.to_ascii_lowercase().replace(['_', '.'], "-")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::parse_requirements;

    const HASH: &str = "--hash=sha256:3683cafe88ededdff29c9ae6f651367eac33153487ff84e205082483cd6b3095";

    fn message(text: &str) -> String {
        parse_requirements("r.txt", text).unwrap_err().to_string()
    }

    #[test]
    fn pins_with_hashes_over_several_lines_are_read() {
        let text =
            format!("# made by a tool\n\na==1.0 \\\n    {HASH} \\\n    {HASH}\nB_c==2 {HASH}  # why\n");
        let found = parse_requirements("r.txt", &text).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].name.as_str(), found[0].hashes.len()), ("a", 2));
        assert_eq!((found[1].name.as_str(), found[1].version.as_str()), ("B_c", "2"));
    }

    #[test]
    fn an_index_address_is_refused_at_its_place() {
        assert_eq!(
            message(&format!("a==1 {HASH}\n  --index-url https://example.invalid/simple\n")),
            "r.txt:2:3: `--index-url` is an option, and only pins may stand here"
        );
    }

    #[test]
    fn a_range_a_direct_address_and_a_missing_hash_are_refused() {
        for (text, part) in [
            ("a>=1", "`a>=1` is not an exact pin"),
            ("a==1.*", "is not an exact pin"),
            ("a @ https://example.invalid/a.whl", "is not an exact pin"),
            ("a==1", "`a==1` has no hash"),
            ("a==1 --hash=md5:00", "`--hash=md5:00` is not a hash of `a==1`"),
            ("a==1 ; python_version", "is not a hash"),
        ] {
            assert!(message(text).contains(part), "{text}: {}", message(text));
        }
    }

    #[test]
    fn one_package_in_two_spellings_is_pinned_twice() {
        assert!(message(&format!("a-b==1 {HASH}\nA_B==2 {HASH}")).contains("`a-b` is pinned twice"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a=\\\\ #\n-]{0,60}") {
            let _ = parse_requirements("r.txt", &text);
        }
    }
}
