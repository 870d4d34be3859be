//! The cases of a suite, given to its lanes or put aside with their reasons.

use std::collections::BTreeMap;

use super::judge::Judge;
use super::verdict::{SkipGroup, SkipReason, Verdict};
use super::{Asker, SkippedLane};
use crate::catalog::{FindingKind, SuiteCatalog, ToolWord};
use crate::lane::{Cases, Lane, LaneId, Withheld};
use crate::project::Suite;

/// The cases of one suite, as they are being given away.
#[derive(Debug)]
pub(super) struct Distribution<'s> {
    suite: &'s Suite,
    lanes: Vec<Lane>,
    ids: BTreeMap<LaneId, Vec<String>>,
    withheld: Vec<Withheld>,
    /// Files that could not be collected, as far as they were asked for.
    broken: Vec<String>,
    /// How many could not be collected in all.
    errors: usize,
    /// In the order of their first mention, which is the catalog's.
    skips: Vec<SkipGroup>,
    places: BTreeMap<SkipReason, usize>,
    /// How many cases the tool itself would execute.
    executable: usize,
}

impl<'s> Distribution<'s> {
    pub fn new(suite: &'s Suite, lanes: Vec<Lane>) -> Self {
        Self {
            suite,
            lanes,
            ids: BTreeMap::new(),
            withheld: Vec::new(),
            broken: Vec::new(),
            errors: 0,
            skips: Vec::new(),
            places: BTreeMap::new(),
            executable: 0,
        }
    }

    pub fn leave_out_all(&mut self, known: &SuiteCatalog, reason: &SkipReason) {
        for row in &known.cases {
            self.leave_out(&row.id, reason.clone());
        }
    }

    /// Takes the files that could not be collected, as far as `is_asked`.
    pub fn try_broken(&mut self, known: &SuiteCatalog, is_asked: impl Fn(&str) -> bool) {
        let errors = known.findings.iter().filter(|finding| finding.kind == FindingKind::Error);
        let files: Vec<String> = errors.map(|finding| finding.file.clone()).collect();
        self.errors = files.len();
        self.broken = files.into_iter().filter(|file| is_asked(file)).collect();
    }

    pub fn judge_all(&mut self, known: &SuiteCatalog, judge: &Judge<'_>) {
        for (at, entry) in known.entries().enumerate() {
            if entry.row.said != Some(ToolWord::NotOfSuite) {
                self.executable += 1;
            }
            match judge.verdict(at, &entry, None) {
                Verdict::Run(lanes) => {
                    for lane in lanes {
                        self.ids.entry(lane).or_default().push(entry.row.id.clone());
                    }
                }
                Verdict::Skip(reason) => {
                    if reason.is_withheld() {
                        let told = Withheld { id: entry.row.id.clone(), reason: reason.to_string() };
                        self.withheld.push(told);
                    }
                    self.leave_out(&entry.row.id, reason);
                }
            }
        }
    }

    fn leave_out(&mut self, id: &str, reason: SkipReason) {
        let place = *self.places.entry(reason.clone()).or_insert_with(|| {
            self.skips.push(SkipGroup { suite: self.suite.name.clone(), reason, cases: Vec::new() });
            self.skips.len() - 1
        });
        if let Some(group) = self.skips.get_mut(place) {
            group.cases.push(id.to_owned());
        }
    }

    /// Lanes with their cases, lanes that came to have none, and the cases that are not executed.
    pub fn finish(mut self) -> (Vec<Lane>, Vec<SkippedLane>, Vec<SkipGroup>) {
        let mut lanes = Vec::new();
        let mut skipped = Vec::new();
        // Where nothing but broken files is left of a suite, they make it red all the same.
        if let (false, true, Some(first)) =
            (self.broken.is_empty(), self.ids.is_empty(), self.lanes.first().map(|lane| &lane.id))
        {
            self.ids.insert(first.clone(), Vec::new());
        }
        for mut lane in self.lanes {
            // A lane that knows its cases asks nobody else's stack.
            lane.covered_by.clear();
            lane.covered_later.clear();
            let Some(ids) = self.ids.remove(&lane.id) else {
                let reason = if self.executable == 0 && self.skips.is_empty() {
                    "the suite has no case".to_owned()
                } else {
                    why_empty(&lane.id, &self.skips)
                };
                skipped.push(SkippedLane { lane: lane.id, reason });
                continue;
            };
            let withheld = std::mem::take(&mut self.withheld);
            let broken = std::mem::take(&mut self.broken);
            // A lane that is not to meet a broken file names its own ones.
            let whole = ids.len() == self.executable && broken.len() == self.errors;
            lane.cases = Some(Cases { ids, whole, files: Vec::new(), broken, withheld });
            lanes.push(lane);
        }
        (lanes, skipped, self.skips)
    }
}

/// Why a lane has no case: a suite's reasons with their counts, or that others execute them all.
fn why_empty(lane: &LaneId, skips: &[SkipGroup]) -> String {
    let narrowed = skips.iter().any(|group| {
        matches!(
            group.reason,
            SkipReason::Expression { whose: Asker::Markers | Asker::Keyword | Asker::Case, .. }
        )
    });
    if skips.is_empty() {
        let others = if lane.profile.is_some() { "profiles" } else { "lanes" };
        return format!("other {others} execute its cases");
    }
    if narrowed {
        return "no case of it fits what was asked for".to_owned();
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for group in skips {
        *counts.entry(group.reason.word()).or_default() += group.cases.len();
    }
    let counts: Vec<String> = counts.into_iter().map(|(word, count)| format!("{word} {count}")).collect();
    let place = if lane.profile.is_some() { "this profile" } else { "it" };
    format!("no case is left for {place} ({})", counts.join(", "))
}
