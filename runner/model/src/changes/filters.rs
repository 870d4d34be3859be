//! The filters file: names for groups of files, in the format of dorny/paths-filter and tj-actions/changed-files.
//!
//! A key has one pattern or a list of them; lists within lists, which aliases make, are one flat list, and text of several
//! lines is one pattern a line. A map in a list (`added|modified: PATTERN`) holds for these kinds of change only.
//!
//! Tools agree on what a key means until a pattern starts with `!`; [`Reading`] has the meanings that are in use. Dynamo's CI
//! reads its `.github/filters.yaml` with tj-actions/changed-files 42.1.0 (`.github/actions/changed-files/action.yml`), so
//! [`Reading::InOrder`] is the default. Without `!` it is the same as [`Reading::Some`].
//!
//! All of them match names that start with a dot like any other (`dot: true`), and `*` stays within a folder.

use std::collections::{BTreeMap, BTreeSet};

use globset::{GlobBuilder, GlobMatcher};

use super::{ChangeKind, ChangedFile};
use crate::document::{Item, Mark, Value, from_yaml};
use crate::glob;
use crate::span::Fault;

/// The words for kinds of change that paths-filter knows (`src/file.ts`). It lists files with rename detection off, so a
/// renamed or copied file is an added one, and the words for them mean that here.
const KINDS: [(&str, ChangeKind); 6] = [
    ("added", ChangeKind::Added),
    ("copied", ChangeKind::Added),
    ("deleted", ChangeKind::Deleted),
    ("modified", ChangeKind::Modified),
    ("renamed", ChangeKind::Added),
    ("unmerged", ChangeKind::Modified),
];

/// What the patterns of one key mean together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    /// The last pattern that fits a file decides: `!` takes away what was matched before it, and a later pattern without `!`
    /// brings it back. Patterns that all have `!` stand for everything but them. So does tj-actions/changed-files, through
    /// micromatch.
    #[default]
    InOrder,
    /// One pattern that holds is enough, each by itself: `!docs/**` holds for every file outside `docs`, so such a key matches
    /// nearly everything. So does dorny/paths-filter up to 4.0.2 by default (`predicate-quantifier: some`; its issue 260).
    Some,
    /// Every pattern must hold: dorny/paths-filter with `predicate-quantifier: every`.
    Every,
}

/// The keys of a filters file.
#[derive(Clone, Debug)]
pub struct Filters {
    reading: Reading,
    filters: Vec<Filter>,
}

/// One key with its patterns.
#[derive(Clone, Debug)]
pub struct Filter {
    /// The key.
    pub name: String,
    /// Where it is.
    pub mark: Mark,
    parts: Vec<Part>,
}

/// One entry of a key's list: a pattern, or several for some kinds of change.
#[derive(Clone, Debug)]
struct Part {
    kinds: Option<BTreeSet<ChangeKind>>,
    patterns: Vec<Pattern>,
}

#[derive(Clone, Debug)]
struct Pattern {
    negated: bool,
    matcher: GlobMatcher,
}

/// A filters file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct FiltersError(#[from] pub Fault);

crate::hint::of_fault!(FiltersError);

impl Filters {
    /// Reads a filters file; `file` is its name for messages.
    pub fn parse(file: &str, text: &str, reading: Reading) -> Result<Self, FiltersError> {
        let document = from_yaml(file, text)?;
        let mut filters = Vec::new();
        for (name, item) in document.item().fields()?.take_rest() {
            let mut parts = Vec::new();
            read_parts(&item, &mut parts)?;
            filters.push(Filter { name: name.to_owned(), mark: item.key_mark(), parts });
        }
        Ok(Self { reading, filters })
    }

    /// The keys in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Filter> {
        self.filters.iter()
    }

    /// The key of a name.
    pub fn get(&self, name: &str) -> Option<&Filter> {
        self.filters.iter().find(|filter| filter.name == name)
    }

    /// Whether a key covers a file; nothing where there is no such key.
    pub fn covers(&self, name: &str, file: &ChangedFile) -> Option<bool> {
        Some(self.get(name)?.covers(file, self.reading))
    }

    /// The names of all keys that cover a file.
    pub fn covering(&self, file: &ChangedFile) -> Vec<&str> {
        let covers = |filter: &&Filter| filter.covers(file, self.reading);
        self.filters.iter().filter(covers).map(|filter| filter.name.as_str()).collect()
    }

    /// The files that no key covers. A key that covers every file there can be, such as Dynamo's `all`, says nothing of any
    /// file and does not count.
    pub fn uncovered<'f>(&self, files: &'f [ChangedFile]) -> Vec<&'f ChangedFile> {
        let telling: Vec<&Filter> = self.filters.iter().filter(|filter| !filter.is_everything()).collect();
        files.iter().filter(|file| !telling.iter().any(|filter| filter.covers(file, self.reading))).collect()
    }
}

impl Filter {
    /// Whether the key covers a file.
    pub fn covers(&self, file: &ChangedFile, reading: Reading) -> bool {
        match reading {
            Reading::InOrder => self.covers_in_order(file),
            Reading::Some => self.parts.iter().any(|part| part.holds(file)),
            Reading::Every => !self.parts.is_empty() && self.parts.iter().all(|part| part.holds(file)),
        }
    }

    fn covers_in_order(&self, file: &ChangedFile) -> bool {
        let patterns = || self.parts.iter().flat_map(|part| part.patterns.iter().map(move |one| (part, one)));
        let only_negated = patterns().next().is_some() && patterns().all(|(_, pattern)| pattern.negated);
        let fitting = |(part, pattern): &(&Part, &Pattern)| {
            part.is_about(file.kind) && pattern.matcher.is_match(&file.path)
        };
        patterns().rfind(fitting).map_or(only_negated, |(_, pattern)| !pattern.negated)
    }

    fn is_everything(&self) -> bool {
        self.parts.iter().flat_map(|part| &part.patterns).any(|one| one.matcher.glob().glob() == "**")
            && self.parts.iter().flat_map(|part| &part.patterns).all(|one| !one.negated)
    }
}

impl Part {
    fn is_about(&self, kind: ChangeKind) -> bool {
        self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&kind))
    }

    fn holds(&self, file: &ChangedFile) -> bool {
        let holds = |pattern: &Pattern| pattern.matcher.is_match(&file.path) != pattern.negated;
        self.is_about(file.kind) && self.patterns.iter().any(holds)
    }
}

fn read_parts(item: &Item<'_>, parts: &mut Vec<Part>) -> Result<(), Fault> {
    match item.value() {
        Value::List(_) => {
            for item in item.items()? {
                read_parts(&item, parts)?;
            }
        }
        Value::Map(_) => {
            for (words, item) in item.fields()?.take_rest() {
                let mut patterns = Vec::new();
                read_patterns(&item, &mut patterns)?;
                parts.push(Part { kinds: Some(kinds(words, &item)?), patterns });
            }
        }
        Value::Scalar(_) => {
            let mut patterns = Vec::new();
            read_patterns(item, &mut patterns)?;
            parts.extend(patterns.into_iter().map(|pattern| Part { kinds: None, patterns: vec![pattern] }));
        }
    }
    Ok(())
}

fn read_patterns(item: &Item<'_>, patterns: &mut Vec<Pattern>) -> Result<(), Fault> {
    if let Value::List(_) = item.value() {
        return item.items()?.iter().try_for_each(|item| read_patterns(item, patterns));
    }
    for line in item.full_text()?.lines().map(str::trim).filter(|line| !line.is_empty()) {
        patterns.push(pattern(line, item)?);
    }
    Ok(())
}

fn pattern(text: &str, item: &Item<'_>) -> Result<Pattern, Fault> {
    // Two negations take each other back, and `!(` starts an extended pattern.
    let mut negated = false;
    let mut rest = text;
    while let Some(tail) = rest.strip_prefix('!').filter(|tail| !tail.starts_with('(')) {
        negated = !negated;
        rest = tail;
    }
    if let Some(sign) = ["!(", "?(", "+(", "*(", "@("].into_iter().find(|sign| rest.contains(sign)) {
        let fault =
            item.fault(format!("has the pattern `{text}`, and tools disagree on what `{sign}` means"));
        return Err(fault.with_hint("write it as several patterns, of which some start with `!`"));
    }
    let mut builder = GlobBuilder::new(rest);
    match glob::compile(rest, builder.literal_separator(true).backslash_escape(true)) {
        Ok(matcher) => Ok(Pattern { negated, matcher }),
        Err(what) => Err(item.fault(format!("has the pattern `{text}`, which is none: {what}"))),
    }
}

/// `added|modified` as a set.
fn kinds(words: &str, item: &Item<'_>) -> Result<BTreeSet<ChangeKind>, Fault> {
    let known: BTreeMap<&str, ChangeKind> = KINDS.into_iter().collect();
    let mut kinds = BTreeSet::new();
    for word in words.split('|').map(str::trim).filter(|word| !word.is_empty()) {
        let Some(kind) = known.get(word.to_lowercase().as_str()) else {
            let fault = item.fault_at_key(format!("unknown kind of change `{word}`"));
            return Err(fault.with_nearest(word, known.keys().copied()));
        };
        kinds.insert(*kind);
    }
    if kinds.is_empty() {
        return Err(item.fault_at_key("no kind of change is named").with_hint("such as `added|modified`"));
    }
    Ok(kinds)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Filters, Reading};
    use crate::changes::{ChangeKind, ChangedFile};
    use crate::hint::Hint as _;

    /// The shape of Dynamo's own file: an anchor that is used in a list, negations last, a key for everything.
    const DYNAMO: &str = "\
all:
  - '**'
docs:
  - 'docs/**'
  - '**/*.md'
  - '!lib/sidecar/**'
ci: &ci
  - '.github/workflows/**'
core:
  - *ci
  - '*.toml'
  - 'lib/**'
  - 'deploy/.*'
  - 'components/src/dynamo/sglang*/**'
  - '!lib/sidecar/**'
  - '!**/*.md'
sidecar:
  - 'lib/sidecar/**'
";

    fn modified(path: &str) -> ChangedFile {
        ChangedFile { path: path.to_owned(), kind: ChangeKind::Modified }
    }

    fn read(text: &str, reading: Reading) -> Filters {
        Filters::parse("filters.yaml", text, reading).unwrap()
    }

    fn check(text: &str, reading: Reading, path: &str, expected: &[&str]) {
        assert_eq!(read(text, reading).covering(&modified(path)), expected, "{path} by {reading:?}");
    }

    #[test]
    fn the_filters_of_dynamo_are_read_as_its_ci_reads_them() {
        for (path, expected) in [
            (".github/workflows/pr.yml", &["all", "ci", "core"][..]),
            ("lib/runtime/src/lib.rs", &["all", "core"]),
            ("lib/README.md", &["all", "docs"]),
            ("lib/sidecar/README.md", &["all", "sidecar"]),
            ("Cargo.toml", &["all", "core"]),
            ("lib.toml/x.txt", &["all"]),
            ("deploy/.helmignore", &["all", "core"]),
            ("components/src/dynamo/sglang_omni/a.py", &["all", "core"]),
            ("docs/a/b.png", &["all", "docs"]),
        ] {
            check(DYNAMO, Reading::InOrder, path, expected);
        }
    }

    #[test]
    fn a_file_that_only_the_key_for_everything_covers_is_uncovered() {
        let files = [modified("lib/a.rs"), modified("new/thing.rs"), modified("README.md")];
        let filters = read(DYNAMO, Reading::InOrder);
        let uncovered: Vec<&str> = filters.uncovered(&files).iter().map(|file| file.path.as_str()).collect();
        assert_eq!(uncovered, ["new/thing.rs"]);
    }

    #[test]
    fn a_negation_means_what_the_tool_of_the_reading_takes_it_for() {
        let last = "k: ['lib/**', '!**/*.md']";
        let first = "k: ['!**/*.md', 'lib/**']";
        let only = "k: ['!**/*.md']";
        for (text, reading, path, expected) in [
            (last, Reading::InOrder, "lib/a.rs", true),
            (last, Reading::InOrder, "lib/a.md", false),
            (last, Reading::InOrder, "b.rs", false),
            (first, Reading::InOrder, "lib/a.md", true),
            (first, Reading::InOrder, "b.md", false),
            (only, Reading::InOrder, "b.rs", true),
            (only, Reading::InOrder, "b.md", false),
            (last, Reading::Some, "lib/a.md", true),
            (last, Reading::Some, "b.rs", true),
            (last, Reading::Some, "b.md", false),
            (last, Reading::Every, "lib/a.rs", true),
            (last, Reading::Every, "lib/a.md", false),
            (last, Reading::Every, "b.rs", false),
            ("k: []", Reading::Every, "b.rs", false),
            ("k: ['!!lib/**']", Reading::InOrder, "lib/a.rs", true),
        ] {
            check(text, reading, path, if expected { &["k"] } else { &[] });
        }
    }

    #[test]
    fn kinds_of_change_narrow_a_pattern() {
        let text = "k:\n  - added|Deleted: 'src/**'\n  - modified: ['a/*.rs', 'b/*.rs']\n";
        for reading in [Reading::InOrder, Reading::Some] {
            let filters = read(text, reading);
            for (path, kind, expected) in [
                ("src/x", ChangeKind::Added, true),
                ("src/x", ChangeKind::Deleted, true),
                ("src/x", ChangeKind::Modified, false),
                ("b/x.rs", ChangeKind::Modified, true),
                ("b/x.rs", ChangeKind::Added, false),
            ] {
                let file = ChangedFile { path: path.to_owned(), kind };
                assert_eq!(filters.covers("k", &file), Some(expected), "{path} {kind:?}");
            }
        }
        assert_eq!(read(text, Reading::Some).covers("other", &modified("x")), None);
    }

    #[test]
    fn one_pattern_and_text_of_several_lines_need_no_list() {
        check("k: 'lib/**'\nj: |\n  lib/*\n  !lib/b\n", Reading::InOrder, "lib/a", &["k", "j"]);
        check("k: 'lib/**'\nj: |\n  lib/*\n  !lib/b\n", Reading::InOrder, "lib/b", &["k"]);
    }

    #[test]
    fn what_cannot_be_read_names_its_place_and_the_way_out() {
        let message = |text: &str| {
            let error = Filters::parse("filters.yaml", text, Reading::InOrder).unwrap_err();
            format!("{error}\nhint: {}", error.hint().unwrap_or_default())
        };
        insta::assert_snapshot!(message("k:\n  - 'lib/!(a)/**'\n"), @r"
        filters.yaml:2:5: `k[0]` has the pattern `lib/!(a)/**`, and tools disagree on what `!(` means
        hint: write it as several patterns, of which some start with `!`
        ");
        insta::assert_snapshot!(message("k:\n  - add: 'lib/**'\n"), @r"
        filters.yaml:2:5: unknown kind of change `add`
        hint: did you mean `added`?
        ");
        insta::assert_snapshot!(message("k: ['a[']"), @r"
        filters.yaml:1:5: `k[0]` has the pattern `a[`, which is none: unclosed character class; missing ']'
        hint:
        ");
        insta::assert_snapshot!(message("- a"), @r"
        filters.yaml:1:1: the file must be a map, not a list
        hint:
        ");
    }

    proptest! {
        #[test]
        fn without_negations_order_and_any_are_the_same(
            patterns in proptest::collection::vec("(a|b|\\*\\*|\\*)(/(a|b|\\*))?", 1..5),
            path in "[ab](/[ab]){0,2}",
        ) {
            let list: Vec<String> = patterns.iter().map(|one| format!("'{one}'")).collect();
            let text = format!("k: [{}]", list.join(", "));
            let file = modified(&path);
            prop_assert_eq!(
                read(&text, Reading::InOrder).covers("k", &file),
                read(&text, Reading::Some).covers("k", &file)
            );
        }
    }
}
