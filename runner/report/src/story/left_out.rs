//! What was not run, and why: no case disappears silently.

use testbed_model::case::Outcome;

use super::{LanePhase, LaneStory, Story};
use crate::quantity::count;

/// Cases or lanes that did not run for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// How many and of what: `3 cases`, `lane e2e@vllm`.
    pub what: String,
    /// Why.
    pub reason: String,
    /// Whether that is as planned; otherwise something cut the run short.
    pub planned: bool,
}

/// The reason of a skip that gave none.
const NO_REASON: &str = "skipped without a reason";

impl Story {
    /// What was not run, cut short first, then as planned; cases of one reason together.
    pub fn left_out(&self) -> Vec<LeftOut> {
        let mut out = Vec::new();
        for lane in &self.lanes {
            let missing = lane.without_result().len() + usize::try_from(lane.counts.interrupted).unwrap_or(0);
            let reason = self.why_cut_short(lane);
            if missing > 0 {
                out.push(LeftOut {
                    what: format!("{} of {}", count(missing, "case"), lane.id),
                    reason,
                    planned: false,
                });
            } else if lane.done() == 0 && self.end.is_some() {
                let planned =
                    lane.phase == LanePhase::Finished && lane.failure.is_none() && !lane.interrupted;
                let reason = if planned { "none of its cases is selected".to_owned() } else { reason };
                out.push(LeftOut { what: format!("all of {}", lane.id), reason, planned });
            }
        }
        for (reason, number) in self.skip_reasons() {
            out.push(LeftOut { what: count(number, "case"), reason, planned: true });
        }
        for (reason, number) in self.planned_out() {
            out.push(LeftOut { what: count(number, "case"), reason, planned: true });
        }
        for skip in self.head.iter().flat_map(|head| &head.skipped) {
            let lane = &skip.lane;
            out.push(LeftOut { what: format!("all of {lane}"), reason: skip.reason.clone(), planned: true });
        }
        out
    }

    /// Skip reasons with how many cases gave each, most frequent first.
    fn skip_reasons(&self) -> Vec<(String, usize)> {
        let mut reasons: Vec<(String, usize)> = Vec::new();
        for (_, case) in self.results().filter(|(_, case)| case.result.outcome == Outcome::Skipped) {
            let reason = case.headline().unwrap_or(NO_REASON);
            match reasons.iter_mut().find(|(known, _)| known == reason) {
                Some((_, number)) => *number += 1,
                None => reasons.push((reason.to_owned(), 1)),
            }
        }
        reasons.sort_by_key(|(_, number)| std::cmp::Reverse(*number));
        reasons
    }

    /// The plan's reasons with how many cases each left out, over all suites.
    fn planned_out(&self) -> Vec<(String, usize)> {
        let mut reasons: Vec<(String, usize)> = Vec::new();
        for left in self.head.iter().flat_map(|head| &head.left_out) {
            let cases = usize::try_from(left.cases).unwrap_or(usize::MAX);
            match reasons.iter_mut().find(|(known, _)| *known == left.reason) {
                Some((_, number)) => *number = number.saturating_add(cases),
                None => reasons.push((left.reason.clone(), cases)),
            }
        }
        reasons.sort_by_key(|(_, number)| std::cmp::Reverse(*number));
        reasons
    }

    /// Why announced cases of a lane, or the whole lane, have no result.
    pub(crate) fn why_cut_short(&self, lane: &LaneStory) -> String {
        if let Some(failure) = lane.failure.as_ref().filter(|_| !lane.interrupted) {
            return failure.message.lines().next().unwrap_or_default().to_owned();
        }
        if let Some(signal) = &self.interrupted {
            return format!("interrupted by {signal}");
        }
        if self.lacks_stack(lane) {
            return "its stack could not be brought up".to_owned();
        }
        if self.end.is_none() { "the run has no end".to_owned() } else { "it did not come to it".to_owned() }
    }
}
