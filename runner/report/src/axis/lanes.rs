//! Lanes, their worker slots and their cases on the time axis.

use std::collections::HashMap;

use testbed_model::event::{Event, LogWindow};
use testbed_model::lane::LaneId;

use super::{Axis, CaseSpan, LaneTrack, State, Track};

impl<'e> Axis<'e> {
    pub(super) fn take_lane(&mut self, at: u64, event: &'e Event) {
        match event {
            Event::LanePreparing { lane, step } => {
                let lane = self.lane(lane);
                self.lanes[lane].track.change(at, Some((State::Prepare, step)));
            }
            Event::LaneStarted { lane, .. } => {
                let lane = self.lane(lane);
                self.lanes[lane].track.change(at, Some((State::Tool, "")));
            }
            Event::CaseStarted { lane, case } => {
                let lane = self.lane(lane);
                self.begin_case(at, lane, case);
            }
            Event::CaseFinished { lane, result, service_logs } => {
                let lane = self.lane(lane);
                let begun = self.lanes[lane].running.remove(result.case.id.as_str());
                let case = begun.unwrap_or_else(|| {
                    // Of a case that only its end was heard of, the tool says how long it took.
                    self.place(at.saturating_sub(result.duration_ms * 1000), lane, &result.case.id)
                });
                let logs: &'e [LogWindow] = service_logs;
                if let Some(span) = self.cases.get_mut(case) {
                    (span.end_us, span.result, span.service_logs) = (at, Some(result), logs);
                    let slot = usize::try_from(span.slot).unwrap_or_default();
                    if let Some(busy) = self.lanes[lane].busy.get_mut(slot) {
                        *busy = false;
                    }
                }
            }
            Event::LaneFinished { lane, .. } => {
                let lane = self.lane(lane);
                let lane = &mut self.lanes[lane];
                lane.track.change(at, None);
                for case in lane.running.values() {
                    if let Some(span) = self.cases.get_mut(*case) {
                        span.end_us = at;
                    }
                }
            }
            _ => {}
        }
    }

    fn begin_case(&mut self, at: u64, lane: usize, id: &'e str) {
        if self.lanes[lane].track.state() != Some(State::Cases) {
            self.lanes[lane].track.change(at, Some((State::Cases, "")));
        }
        // A case that is tried again goes on.
        if !self.lanes[lane].running.contains_key(id) {
            let case = self.place(at, lane, id);
            self.lanes[lane].running.insert(id, case);
        }
    }

    /// Gives a case the lowest free slot of its lane.
    fn place(&mut self, begin_us: u64, lane: usize, id: &'e str) -> usize {
        let of_lane = &mut self.lanes[lane];
        let slot = of_lane.busy.iter().position(|busy| !busy).unwrap_or_else(|| {
            of_lane.busy.push(false);
            of_lane.busy.len() - 1
        });
        of_lane.busy[slot] = true;
        let slot = u32::try_from(slot).unwrap_or(u32::MAX);
        of_lane.slots = of_lane.slots.max(slot.saturating_add(1));
        let end_us = u64::MAX;
        self.cases.push(CaseSpan { lane, slot, id, begin_us, end_us, result: None, service_logs: &[] });
        self.cases.len() - 1
    }

    fn lane(&mut self, id: &'e LaneId) -> usize {
        self.lanes.iter().position(|lane| lane.id == id).unwrap_or_else(|| {
            let track = Track::new("");
            self.lanes.push(LaneTrack { id, track, slots: 0, busy: Vec::new(), running: HashMap::new() });
            self.lanes.len() - 1
        })
    }
}
