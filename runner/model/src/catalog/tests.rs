//! What a catalog holds once and tells of every case.

use proptest::prelude::*;

use super::{Announced, Gathering, SuiteCatalog};
use crate::selection::Mark;

pub(crate) fn mark(name: &str) -> Mark {
    Mark { name: name.to_owned(), ..Mark::default() }
}

fn gathered(cases: impl IntoIterator<Item = Announced>) -> SuiteCatalog {
    let mut gathering = Gathering::default();
    cases.into_iter().for_each(|case| gathering.add(case));
    gathering.finish()
}

fn case(id: &str, marks: &[&str]) -> Announced {
    let file = id.split("::").next().map(str::to_owned);
    Announced {
        id: id.to_owned(),
        file,
        marks: marks.iter().map(|name| mark(name)).collect(),
        ..Announced::default()
    }
}

#[test]
fn sets_are_stored_once_and_told_of_every_case() {
    let catalog = gathered([
        case("a.py::test_x", &["gpu_0", "unit"]),
        case("a.py::test_y", &["gpu_0", "unit"]),
        case("b.py::T::test_x[a::b]", &["unit"]),
    ]);
    assert_eq!((catalog.files.len(), catalog.marks.len(), catalog.keywords.len()), (2, 2, 1));
    let entries: Vec<_> = catalog.entries().collect();
    assert_eq!(entries[1].file, Some("a.py"));
    assert_eq!(entries[1].marks[1].name, "unit");
    assert_eq!(
        entries.iter().map(super::Entry::name).collect::<Vec<_>>(),
        ["test_x", "test_y", "test_x[a::b]"]
    );
}

#[test]
fn numbers_that_lead_nowhere_are_empty_sets() {
    let mut catalog = gathered([case("a.py::test_x", &["unit"])]);
    catalog.marks.clear();
    catalog.files.clear();
    let entry = catalog.entries().next().unwrap();
    assert_eq!((entry.marks, entry.file), (&[][..], None));
}

proptest! {
    #[test]
    fn what_is_gathered_is_told_again(
        ids in proptest::collection::vec(("[a-c]\\.py::test_[a-z]{1,3}", proptest::collection::vec("[a-d]", 0..3)), 0..30),
    ) {
        let announced: Vec<Announced> = ids
            .iter()
            .map(|(id, marks)| case(id, &marks.iter().map(String::as_str).collect::<Vec<_>>()))
            .collect();
        let catalog = gathered(announced.clone());
        let text = serde_json::to_string(&catalog).unwrap();
        let catalog: SuiteCatalog = serde_json::from_str(&text).unwrap();
        let told: Vec<Announced> = catalog
            .entries()
            .map(|entry| Announced {
                id: entry.row.id.clone(),
                file: entry.file.map(str::to_owned),
                line: entry.row.line,
                marks: entry.marks.to_vec(),
                keywords: entry.keywords.to_vec(),
                fixtures: entry.fixtures.to_vec(),
                said: entry.row.said,
            })
            .collect();
        prop_assert_eq!(told, announced);
    }
}
