//! The judge of one suite: what becomes of each of its cases, rule after rule.

use std::collections::BTreeMap;

use super::verdict::{Asker, SkipReason, Verdict};
use super::{Filter, Inputs};
use crate::catalog::{Entry, SuiteCatalog, ToolWord};
use crate::lane::{LaneId, SuiteKind};
use crate::project::{Quarantine, Suite};
use crate::selection::{Expression, Mark, Marks, complete, hardware, in_every_spelling, needs};
use crate::tier::Tier;

/// A lane that could take cases of the suite.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// Which.
    pub lane: LaneId,
    /// What it takes.
    pub seat: Seat,
}

/// What a lane takes.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    /// The facts of its stack; none where it has no stack.
    pub facts: Option<BTreeMap<String, String>>,
    /// Whether it executes all that it can, whatever other lanes do: it was named, or is of a matrix.
    pub whole: bool,
    /// What the lane of the project file lets through.
    pub rule: Option<Expression>,
}

/// Judges the cases of one suite.
#[derive(Debug)]
pub(super) struct Judge<'i> {
    inputs: &'i Inputs<'i>,
    suite: &'i Suite,
    candidates: &'i [Candidate],
    /// Why profiles take no part, a phrase each.
    absent: &'i [String],
    own: Option<Expression>,
    filter: Filter<'i>,
    sets: Vec<SetOfMarks>,
}

/// What is true of all cases that share a set of markers.
#[derive(Debug)]
struct SetOfMarks {
    tier: Tier,
    fits_suite: bool,
    skip: Option<SkipReason>,
    hardware: Option<SkipReason>,
    /// Which candidates serve them, or else what each lacks.
    served: Result<Vec<usize>, SkipReason>,
}

/// One rule's answer, for a person who asks why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The rule, in a few words.
    pub rule: &'static str,
    /// What it found.
    pub finding: String,
}

impl<'i> Judge<'i> {
    pub fn new(
        inputs: &'i Inputs<'i>,
        suite: &'i Suite,
        catalog: &SuiteCatalog,
        candidates: &'i [Candidate],
        absent: &'i [String],
    ) -> Self {
        let own = match suite.kind {
            SuiteKind::Pytest => suite.expression.as_deref().and_then(|text| Expression::parse(text).ok()),
            // nextest has a language of its own, and has said which cases fit.
            SuiteKind::Cargo | SuiteKind::PreCommit => None,
        };
        let mut judge = Self {
            inputs,
            suite,
            candidates,
            absent,
            own,
            filter: Filter::new(inputs.choice, catalog, inputs.vocabulary),
            sets: Vec::new(),
        };
        judge.sets = catalog.marks.iter().map(|written| judge.set(written)).collect();
        judge
    }

    fn set(&self, written: &[Mark]) -> SetOfMarks {
        let marks = complete(written, self.inputs.vocabulary);
        // A case that names no tier is of its suite's: a default of the vocabulary would make lint wait for premerge.
        let named = in_every_spelling(written, self.inputs.vocabulary);
        let tiers = named.iter().filter_map(|mark| mark.name.parse::<Tier>().ok());
        let missing = hardware::missing(&marks, self.inputs.facts);
        SetOfMarks {
            tier: tiers.min().unwrap_or(self.suite.tier),
            fits_suite: self.own.as_ref().is_none_or(|expression| expression.matches(&Marks(&marks))),
            skip: marks.iter().find(|mark| mark.name == "skip").map(marked_skip),
            hardware: missing.map(|it| SkipReason::Hardware { needs: it.needs, has: it.has }),
            served: self.served(&marks),
        }
    }

    fn served(&self, marks: &[Mark]) -> Result<Vec<usize>, SkipReason> {
        let mut serving = Vec::new();
        let mut lacks = Vec::new();
        let mut shut_out = false;
        for (index, Candidate { lane, seat }) in self.candidates.iter().enumerate() {
            let lack = seat.facts.as_ref().map_or_else(Vec::new, |facts| needs::lacks(marks, facts));
            let let_through = seat.rule.as_ref().is_none_or(|rule| rule.matches(&Marks(marks)));
            if lack.is_empty() && let_through {
                serving.push(index);
            } else if lack.is_empty() {
                shut_out = true;
            } else {
                let profile = lane.profile.as_deref().unwrap_or_default();
                let lack = format!("{profile} lacks {}", lack.join(" and "));
                if !lacks.contains(&lack) {
                    lacks.push(lack);
                }
            }
        }
        if !serving.is_empty() {
            return Ok(serving);
        }
        if shut_out || (self.candidates.is_empty() && self.absent.is_empty()) {
            return Err(SkipReason::NoLane);
        }
        lacks.extend(self.absent.iter().cloned());
        Err(SkipReason::Profile { lacks })
    }

    /// The verdict of one case. Every rule that is asked leaves a step, if somebody wants to know.
    pub fn verdict(&self, at: usize, entry: &Entry<'_>, mut steps: Option<&mut Vec<Step>>) -> Verdict {
        let Some(set) = self.sets.get(index(entry.row.marks)) else {
            return Verdict::Skip(SkipReason::NoLane);
        };
        for (rule, judged) in RULES {
            let finding = judged(self, &Asked { at, entry }, set);
            if let Some(steps) = steps.as_deref_mut() {
                let finding =
                    finding.as_ref().map_or_else(|| "lets it through".to_owned(), ToString::to_string);
                steps.push(Step { rule, finding });
            }
            if let Some(reason) = finding {
                return Verdict::Skip(reason);
            }
        }
        let lanes = self.lanes_of(set);
        if let Some(steps) = steps {
            let names: Vec<String> = lanes.iter().map(ToString::to_string).collect();
            steps.push(Step { rule: "lane", finding: names.join(", ") });
        }
        Verdict::Run(lanes)
    }

    /// The first lane that serves a case executes it, and every one that executes all that it can.
    fn lanes_of(&self, set: &SetOfMarks) -> Vec<LaneId> {
        let serving = set.served.as_ref().map_or(&[][..], Vec::as_slice);
        let candidates = || serving.iter().filter_map(|index| self.candidates.get(*index));
        let first = candidates().find(|candidate| !candidate.seat.whole);
        let whole = candidates().filter(|candidate| candidate.seat.whole);
        first.into_iter().chain(whole).map(|candidate| candidate.lane.clone()).collect()
    }
}

/// The case that a rule is asked about.
struct Asked<'c> {
    /// Its place in the catalog of its suite.
    at: usize,
    entry: &'c Entry<'c>,
}

type Rule = fn(&Judge<'_>, &Asked<'_>, &SetOfMarks) -> Option<SkipReason>;

/// The rules in their order: what was asked for comes first, so that a reason names it before anything that the person who
/// asks did not ask about.
const RULES: [(&str, Rule); 11] = [
    ("-m", |judge, asked, _| {
        judge.withheld_by(Asker::Markers).filter(|_| !judge.filter.fits_markers(asked.entry))
    }),
    ("-k", |judge, asked, _| {
        judge.withheld_by(Asker::Keyword).filter(|_| !judge.filter.fits_keyword(asked.entry))
    }),
    ("--case", |judge, asked, _| {
        judge.withheld_by(Asker::Case).filter(|_| !judge.filter.fits_case(asked.entry))
    }),
    ("tier", |judge, _, set| {
        (set.tier > judge.inputs.tier).then_some(SkipReason::OtherTier { tier: set.tier })
    }),
    ("suite", |judge, asked, set| {
        let text = judge.suite.expression.as_deref().unwrap_or_default();
        let tool = asked.entry.row.said == Some(ToolWord::NotOfSuite);
        (tool || !set.fits_suite).then(|| expression(Asker::Suite, text))
    }),
    ("project", |_, asked, _| {
        (asked.entry.row.said == Some(ToolWord::LeftOut)).then_some(SkipReason::LeftOut)
    }),
    ("changes", |judge, asked, _| {
        let impact = judge.inputs.impact.filter(|impact| !impact.is_everything())?;
        impact.because(&judge.suite.name, asked.at).is_none().then_some(SkipReason::NotAffected)
    }),
    ("skip", |_, asked, set| match asked.entry.row.said {
        Some(ToolWord::Ignored) => Some(SkipReason::MarkedSkip { reason: Some("#[ignore]".to_owned()) }),
        _ => set.skip.clone(),
    }),
    ("quarantine", |judge, asked, _| {
        let holds = |it: &&Quarantine| {
            it.until >= judge.inputs.today
                && it.cases.iter().any(|pattern| pattern.matcher.is_match(&asked.entry.row.id))
        };
        let it = judge.inputs.project.quarantines.iter().find(holds)?;
        Some(SkipReason::Quarantined { ticket: it.ticket.clone(), until: it.until.to_string() })
    }),
    ("hardware", |_, _, set| set.hardware.clone()),
    ("profile", |_, _, set| set.served.as_ref().err().cloned()),
];

impl Judge<'_> {
    /// The reason of a case that does not fit what was asked for under a flag.
    fn withheld_by(&self, whose: Asker) -> Option<SkipReason> {
        Some(expression(whose, &self.filter.asked(whose)?))
    }
}

fn expression(whose: Asker, text: &str) -> SkipReason {
    SkipReason::Expression { whose, text: text.to_owned() }
}

/// What the marker `skip` says: its first argument, or `reason`.
fn marked_skip(mark: &Mark) -> SkipReason {
    let said = mark.kwargs.get("reason").or_else(|| mark.args.first());
    SkipReason::MarkedSkip { reason: said.and_then(|value| value.as_str()).map(str::to_owned) }
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::RULES;

    #[test]
    fn no_rule_is_there_twice() {
        let mut names: Vec<&str> = RULES.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), RULES.len());
    }
}
