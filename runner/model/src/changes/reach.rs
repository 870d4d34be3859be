//! What a changed Python file reaches through imports, and why.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The name of the files whose content concerns every case in their folder and below.
const CONFTEST: &str = "conftest.py";

/// Which file imports which, backwards.
#[derive(Debug, Default)]
pub(super) struct Importers<'c> {
    importers: BTreeMap<&'c str, BTreeSet<&'c str>>,
}

/// The files with cases that a change reaches, and the folders below which it concerns all cases; each with the reason.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Reached<'c> {
    pub files: BTreeMap<&'c str, String>,
    pub folders: BTreeMap<&'c str, String>,
}

impl<'c> Importers<'c> {
    pub(super) fn new(imports: &'c BTreeMap<String, Vec<String>>) -> Self {
        let mut importers: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (file, imported) in imports {
            importers.entry(file).or_default();
            for imported in imported {
                importers.entry(imported).or_default().insert(file);
            }
        }
        Self { importers }
    }

    /// What a change of `file` reaches among `tests`, the files with cases.
    pub(super) fn reached(&self, file: &'c str, tests: &BTreeSet<&'c str>) -> Reached<'c> {
        let mut reached = Reached::default();
        // The file that each file was reached by, which is one of its own imports. Breadth first: the shortest way is told.
        let mut from: BTreeMap<&str, Option<&str>> = BTreeMap::from([(file, None)]);
        let mut open: VecDeque<&str> = VecDeque::from([file]);
        while let Some(next) = open.pop_front() {
            let by = from.get(next).copied().flatten();
            if tests.contains(next) {
                let why = by.map_or_else(|| format!("its file `{file}` changed"), |by| imports(file, by));
                reached.files.insert(next, why);
            }
            if let Some(folder) = conftest_folder(next) {
                let what = by.map_or_else(|| "changed".to_owned(), |by| imports(file, by));
                reached.folders.insert(folder, format!("`{next}` above it {what}"));
            }
            for importer in self.importers.get(next).into_iter().flatten() {
                if !from.contains_key(importer) {
                    from.insert(importer, Some(next));
                    open.push_back(importer);
                }
            }
        }
        reached
    }
}

impl Reached<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.folders.is_empty()
    }

    /// Why a case of a file is concerned.
    pub(super) fn why(&self, file: &str) -> Option<&str> {
        let above = || self.folders.iter().find(|(folder, _)| is_below(file, folder)).map(|(_, why)| why);
        self.files.get(file).or_else(above).map(String::as_str)
    }
}

/// The folder whose cases a file concerns by being a `conftest.py`.
fn conftest_folder(file: &str) -> Option<&str> {
    match file.rsplit_once('/') {
        Some((folder, CONFTEST)) => Some(folder),
        None if file == CONFTEST => Some(""),
        _ => None,
    }
}

fn is_below(file: &str, folder: &str) -> bool {
    folder.is_empty() || file.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// "imports `a.py`, which changed"; `by` is the import that leads there.
fn imports(changed: &str, by: &str) -> String {
    let through = if by == changed { String::new() } else { format!(" through `{by}`") };
    format!("imports `{changed}`{through}, which changed")
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::Importers;

    fn imports() -> BTreeMap<String, Vec<String>> {
        let lines = [
            ("t/test_a.py", &["lib/x.py"][..]),
            ("t/test_b.py", &["t/help.py"]),
            ("t/help.py", &["lib/x.py", "lib/y.py"]),
            ("lib/y.py", &["t/help.py"]),
            ("t/sub/conftest.py", &["lib/z.py"]),
            ("plugin.py", &[]),
        ];
        lines
            .iter()
            .map(|(file, of)| ((*file).to_owned(), of.iter().map(|&one| one.to_owned()).collect()))
            .collect()
    }

    fn check(changed: &str, file: &str, expected: Option<&str>) {
        let imports = imports();
        let tests = BTreeSet::from(["t/test_a.py", "t/test_b.py", "t/sub/test_c.py", "t/subject.py"]);
        let reached = Importers::new(&imports).reached(changed, &tests);
        assert_eq!(reached.why(file), expected, "{changed} -> {file}");
    }

    #[test]
    fn a_change_reaches_what_imports_it_in_any_number_of_steps() {
        check("t/test_a.py", "t/test_a.py", Some("its file `t/test_a.py` changed"));
        check("t/test_a.py", "t/test_b.py", None);
        check("lib/x.py", "t/test_a.py", Some("imports `lib/x.py`, which changed"));
        check("lib/y.py", "t/test_b.py", Some("imports `lib/y.py` through `t/help.py`, which changed"));
        check("plugin.py", "t/test_a.py", None);
    }

    #[test]
    fn a_conftest_concerns_every_case_below_its_folder() {
        check("t/sub/conftest.py", "t/sub/test_c.py", Some("`t/sub/conftest.py` above it changed"));
        check(
            "lib/z.py",
            "t/sub/test_c.py",
            Some("`t/sub/conftest.py` above it imports `lib/z.py`, which changed"),
        );
        check("t/sub/conftest.py", "t/subject.py", None);
        check("conftest.py", "t/test_a.py", Some("`conftest.py` above it changed"));
    }

    #[test]
    fn imports_in_a_circle_come_to_an_end() {
        check("t/help.py", "t/test_b.py", Some("imports `t/help.py`, which changed"));
    }
}
