//! Requirement files of Python wheels: exact versions with hashes, and nothing else.

use crate::image::marker::{self, Target};
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

impl Requirement {
    /// The pin in pip's spelling, in one line.
    pub fn line(&self) -> String {
        let hashes: String = self.hashes.iter().map(|hash| format!(" --hash=sha256:{hash}")).collect();
        format!("{}=={}{hashes}\n", self.name, self.version)
    }

    /// Whether both pin one package, in whatever spelling.
    pub fn is_of_package(&self, other: &Self) -> bool {
        normal(&self.name) == normal(&other.name)
    }
}

/// Reads a requirement file: those of its pins whose markers hold for the target. Options, addresses, ranges and pins without
/// a hash are faults: what a layer holds must follow from the file alone, wherever the wheels are fetched from.
pub fn parse_requirements(file: &str, text: &str, target: &Target<'_>) -> Result<Vec<Requirement>, Fault> {
    let mut found: Vec<Requirement> = Vec::new();
    for (offset, line) in logical_lines(text) {
        let place = |message: String| Fault::new(Place::of_offset(file, text, offset), text, message);
        let Some((requirement, holds)) = requirement(&line, target, &place)? else { continue };
        if !holds {
            continue;
        }
        if let Some(twice) = found.iter().find(|other| other.is_of_package(&requirement)) {
            return Err(place(format!("`{}` is pinned twice", twice.name)));
        }
        found.push(requirement);
    }
    Ok(found)
}

/// A line's pin and whether its marker holds; nothing for an empty line.
fn requirement(
    line: &str,
    target: &Target<'_>,
    fault: &impl Fn(String) -> Fault,
) -> Result<Option<(Requirement, bool)>, Fault> {
    let words: Vec<&str> = line.split_whitespace().filter(|word| *word != "\\").collect();
    let line = words.join(" ");
    if let Some(option) = line.split_whitespace().next().filter(|word| word.starts_with('-')) {
        return Err(refused_option(option, fault));
    }
    let (head, options) = line.split_at(line.find(" --").unwrap_or(line.len()));
    let (pin, condition) = head.split_once(';').map_or((head, None), |(pin, marker)| (pin, Some(marker)));
    let pin = pin.trim();
    if pin.is_empty() {
        return Ok(None);
    }
    let (name, version) = exact(pin).ok_or_else(|| not_exact(pin, fault))?;
    let mut hashes = Vec::new();
    for word in options.split_whitespace() {
        hashes.push(hash(word).ok_or_else(|| {
            fault(format!("`{word}` is not a hash of `{pin}`"))
                .with_hint("write `--hash=sha256:` and 64 digits")
        })?);
    }
    if hashes.is_empty() {
        return Err(fault(format!("`{pin}` has no hash")).with_hint(
            "make the file again with `uv pip compile --generate-hashes` or `pip-compile --generate-hashes`",
        ));
    }
    let holds = condition.map_or(Ok(true), |marker| marker::holds(marker, target));
    let holds = holds.map_err(|what| {
        fault(format!("the marker of `{pin}` cannot be read: {what}"))
            .with_hint("write it as `; python_version < \"3.12\"`")
    })?;
    Ok(Some((Requirement { name: name.to_owned(), version: version.to_owned(), hashes }, holds)))
}

fn refused_option(option: &str, fault: &impl Fn(String) -> Fault) -> Fault {
    let way_out = match option {
        "-r" | "--requirement" => "name the other file beside this one",
        "-e" | "--editable" => {
            "what the project itself holds needs no installation: name its folder in PYTHONPATH"
        }
        _ => "say where wheels come from in pip's own configuration",
    };
    fault(format!("`{option}` is an option, and only pins may stand here")).with_hint(way_out)
}

fn not_exact(pin: &str, fault: &impl Fn(String) -> Fault) -> Fault {
    let is_source = [".tar.gz", ".zip", ".tar.bz2", ".tgz"].iter().any(|end| pin.ends_with(end));
    let is_address = is_source || pin.contains(['@', '/']);
    let message = format!("`{pin}` is not an exact pin");
    fault(message).with_hint(if is_address {
        "write `NAME==VERSION`: wheels come from the index, and source distributions are not built"
    } else {
        "write `NAME==VERSION`"
    })
}

/// Name and version of an exact pin. Extras ask for further packages, which have pins of their own.
fn exact(pin: &str) -> Option<(&str, &str)> {
    let (name, version) = pin.split_once("==")?;
    let name = name.trim();
    let name = match name.split_once('[') {
        Some((name, extras)) if is_extras(extras) => name.trim(),
        Some(_) => return None,
        None => name,
    };
    let version = version.trim();
    (is_name(name) && is_version(version)).then_some((name, version))
}

fn is_extras(text: &str) -> bool {
    text.strip_suffix(']').is_some_and(|names| names.split(',').all(|name| is_name(name.trim())))
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

    use super::{Requirement, Target};
    use crate::image::Architecture;
    use crate::span::Fault;

    const HASH: &str = "--hash=sha256:3683cafe88ededdff29c9ae6f651367eac33153487ff84e205082483cd6b3095";

    fn parse_requirements(file: &str, text: &str) -> Result<Vec<Requirement>, Fault> {
        let target = Target { python: "3.11", architecture: Architecture::Amd64 };
        super::parse_requirements(file, text, &target)
    }

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
            ("a==1 --no-binary", "`--no-binary` is not a hash of `a==1`"),
            ("a[x==1", "is not an exact pin"),
            (
                &format!("a==1 ; python_version {HASH}"),
                "the marker of `a==1` cannot be read: it ends too early",
            ),
        ] {
            assert!(message(text).contains(part), "{text}: {}", message(text));
        }
    }

    #[test]
    fn one_package_in_two_spellings_is_pinned_twice() {
        assert!(message(&format!("a-b==1 {HASH}\nA_B==2 {HASH}")).contains("`a-b` is pinned twice"));
    }

    #[test]
    fn a_pin_whose_marker_does_not_hold_is_left_out() {
        let text = format!(
            "a==1 ; python_version < \"3.11\" \\\n    {HASH}\na==2;python_version>='3.11' {HASH}\n\
             b[x, y]==3 {HASH}\nc==4 ; sys_platform == 'win32' {HASH}\n"
        );
        let found = parse_requirements("r.txt", &text).unwrap();
        let lines: Vec<String> = found.iter().map(Requirement::line).collect();
        assert_eq!(lines, [format!("a==2 {HASH}\n"), format!("b==3 {HASH}\n")]);
    }

    #[test]
    fn an_archive_is_told_that_nothing_is_built_from_sources() {
        for text in ["./a-1.tar.gz", "a @ https://example.invalid/a.zip"] {
            let fault = parse_requirements("r.txt", &format!("{text} {HASH}")).unwrap_err();
            assert!(fault.hint.as_deref().unwrap().contains("source distributions are not built"), "{fault}");
        }
        let fault = parse_requirements("r.txt", "-r other.txt").unwrap_err();
        assert_eq!(fault.hint.as_deref(), Some("name the other file beside this one"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a=\\\\ #\n-]{0,60}") {
            let _ = parse_requirements("r.txt", &text);
        }
    }
}
