//! Shares of a tier put together: the record of the whole.
//!
//! The plan of the whole is in each share's plan, so what comes out names the same plan as a run without shares, and every case
//! of it is accounted for. Stacks came up once on each machine, and are told apart by the share that they belonged to.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{Manifest, Record, RecordedEnvironment, SCHEMA};
use crate::case::Counts;
use crate::event::{Event, LaneFailure, Stamped};
use crate::exit_code::ExitCode;
use crate::hint::Hint;
use crate::id::RunId;
use crate::lane::LaneId;
use crate::plan::Plan;
use crate::stack::Millis;
use crate::verdict;

/// Records cannot be put together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// There is nothing to put together.
    #[error("one record is no whole: there must be two shares or more")]
    TooFew,
    /// A record is no share.
    #[error("the run `{0}` is not a share of anything: it was not run with `--shard`")]
    NoShare(RunId),
    /// Two shares of different things.
    #[error("the runs `{0}` and `{1}` are shares of different plans")]
    DifferentPlans(RunId, RunId),
    /// Two shares executed the same.
    #[error("the runs `{first}` and `{second}` both have {what}")]
    Twice {
        /// What, in words.
        what: String,
        /// One.
        first: RunId,
        /// The other.
        second: RunId,
    },
    /// Nobody executed it.
    #[error("none of the records has {first}{}", if *count > 1 { format!(", nor {} more", count - 1) } else { String::new() })]
    Missing {
        /// How many cases or lanes.
        count: usize,
        /// The first, in words.
        first: String,
    },
    /// The same image has other contents.
    #[error("the image `{image}` was not the same in the runs `{first}` and `{second}`")]
    OtherImage {
        /// Image.
        image: String,
        /// One.
        first: RunId,
        /// The other.
        second: RunId,
    },
}

impl Hint for MergeError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::TooFew => "name the record of every shard".to_owned(),
            Self::NoShare(_) => "leave it out, or run it with `--shard N/M`".to_owned(),
            Self::DifferentPlans(..) => {
                "shares are of one checkout, one tier and one choice; `testbed plan --diff` says what differs"
                    .to_owned()
            }
            Self::Twice { .. } => {
                "cases are dealt out by how long they took: plan each shard on one machine by `plan --shard N/M \
                 --json`, and run it elsewhere by `run --plan FILE`"
                    .to_owned()
            }
            Self::Missing { .. } => "name the record of every shard, each once".to_owned(),
            Self::OtherImage { .. } => "run the shares with the same images".to_owned(),
        })
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }
}

/// Puts shares together into the record of run `run`, which is to lie in `folder`. Their order decides nothing.
pub fn merge(run: RunId, folder: &str, shares: &[Record]) -> Result<Record, MergeError> {
    let mut shares: Vec<&Record> = shares.iter().collect();
    shares.sort_by(|a, b| a.manifest.run.cmp(&b.manifest.run));
    let whole = whole_of(&shares)?.clone();
    check_complete(&whole, &shares)?;
    check_images(&shares)?;
    let mut manifest = manifest(run, &shares);
    manifest.plan = whole.id().ok();
    let head = Event::RunStarted {
        run: manifest.run.clone(),
        tier: Some(whole.tier),
        plan: manifest.plan.clone(),
        profiles: whole.stacks.iter().map(|stack| stack.profile.clone()).collect(),
        lanes: whole.lanes.iter().map(|lane| lane.id.clone()).collect(),
        skipped: whole.skipped.clone(),
        left_out: whole.left_out(),
        folder: folder.to_owned(),
    };
    let mut events = vec![Stamped { seq: 0, at: manifest.started, elapsed_us: 0, event: head }];
    events.extend(middle(&shares, manifest.started));
    if let (Some(finished), Some(counts), Some(exit_code)) =
        (manifest.finished, manifest.counts, manifest.exit_code)
    {
        let elapsed_us =
            since(manifest.started, finished).max(events.last().map_or(0, |last| last.elapsed_us));
        let run = manifest.run.clone();
        let event = Event::RunFinished { run, counts, exit_code, took_ms: elapsed_us / 1000 };
        events.push(Stamped { seq: 0, at: finished, elapsed_us, event });
    }
    for (seq, stamped) in (0..).zip(&mut events) {
        stamped.seq = seq;
    }
    let damaged = shares.iter().map(|share| share.damaged).sum();
    Ok(Record { manifest, plan: Some(whole), events, damaged })
}

/// A stack's name in the record of the whole, by the share's position from zero among those that are put together.
pub fn stack_name(stack: &str, share: usize) -> String {
    format!("{stack}.{}", share + 1)
}

fn whole_of<'r>(shares: &[&'r Record]) -> Result<&'r Plan, MergeError> {
    let mut whole: Option<(&Plan, &RunId)> = None;
    for share in shares {
        let run = &share.manifest.run;
        let own = share.plan.as_ref().and_then(|plan| plan.whole.as_deref());
        let own = own.ok_or_else(|| MergeError::NoShare(run.clone()))?;
        match whole {
            Some((known, first)) if known != own => {
                return Err(MergeError::DifferentPlans(first.clone(), run.clone()));
            }
            _ => whole = Some((own, run)),
        }
    }
    whole.filter(|_| shares.len() > 1).map(|(plan, _)| plan).ok_or(MergeError::TooFew)
}

/// What of a lane somebody must have executed: a case, or all of it where nobody knew its cases.
type Piece<'p> = (&'p LaneId, Option<&'p str>);

fn pieces(plan: &Plan) -> impl Iterator<Item = Piece<'_>> {
    plan.lanes.iter().flat_map(|lane| {
        let cases = lane.cases.iter().flat_map(|cases| &cases.ids);
        let unknown = lane.cases.is_none().then_some((&lane.id, None));
        cases.map(|case| (&lane.id, Some(case.as_str()))).chain(unknown)
    })
}

fn words((lane, case): Piece<'_>) -> String {
    case.map_or_else(|| format!("the lane `{lane}`"), |case| format!("`{case}` of `{lane}`"))
}

fn check_complete(whole: &Plan, shares: &[&Record]) -> Result<(), MergeError> {
    let mut seen: BTreeMap<Piece<'_>, &RunId> = BTreeMap::new();
    for share in shares {
        let run = &share.manifest.run;
        for piece in share.plan.iter().flat_map(pieces) {
            if let Some(first) = seen.insert(piece, run) {
                let (first, second) = (first.clone(), run.clone());
                return Err(MergeError::Twice { what: words(piece), first, second });
            }
        }
    }
    let missing: Vec<Piece<'_>> = pieces(whole).filter(|piece| !seen.contains_key(piece)).collect();
    match missing.first() {
        None => Ok(()),
        Some(first) => Err(MergeError::Missing { count: missing.len(), first: words(*first) }),
    }
}

fn check_images(shares: &[&Record]) -> Result<(), MergeError> {
    let mut seen: BTreeMap<&str, (&str, &RunId)> = BTreeMap::new();
    for share in shares {
        for (image, recorded) in &share.manifest.images {
            let (id, first) = *seen.entry(image).or_insert((&recorded.id, &share.manifest.run));
            if id != recorded.id {
                let (first, second) = (first.clone(), share.manifest.run.clone());
                return Err(MergeError::OtherImage { image: image.clone(), first, second });
            }
        }
    }
    Ok(())
}

fn manifest(run: RunId, shares: &[&Record]) -> Manifest {
    let of = |share: &&Record| share.manifest.clone();
    let manifests: Vec<Manifest> = shares.iter().map(of).collect();
    let first = manifests.first().cloned();
    let finished: Option<Vec<Timestamp>> = manifests.iter().map(|share| share.finished).collect();
    let codes: Option<Vec<ExitCode>> = manifests.iter().map(|share| share.exit_code).collect();
    Manifest {
        schema: SCHEMA,
        run,
        testbed: first.as_ref().map(|first| first.testbed.clone()).unwrap_or_default(),
        arguments: first.as_ref().map(|first| first.arguments.clone()).unwrap_or_default(),
        tier: first.as_ref().and_then(|first| first.tier),
        plan: None,
        images: manifests.iter().flat_map(|share| share.images.clone()).collect(),
        environments: together(manifests.iter().flat_map(|share| &share.environments)),
        facts: first.as_ref().map(|first| first.facts.clone()).unwrap_or_default(),
        changes: first.as_ref().and_then(|first| first.changes.clone()),
        seed: first.as_ref().map_or(0, |first| first.seed),
        budget_ms: first.as_ref().and_then(|first| first.budget_ms),
        shares: manifests.iter().map(|share| share.run.clone()).collect(),
        started: manifests.iter().map(|share| share.started).min().unwrap_or_default(),
        finished: finished.and_then(|all| all.into_iter().max()),
        counts: Some(Counts::sum(
            shares.iter().map(|share| share.manifest.counts.unwrap_or_else(|| counted(share))),
        )),
        // A share without an end was killed: the whole has no verdict, as an interrupted run has none.
        exit_code: Some(codes.map_or(ExitCode::Interrupted, verdict::together)),
    }
}

fn together<'e>(all: impl Iterator<Item = &'e RecordedEnvironment>) -> Vec<RecordedEnvironment> {
    let mut out: Vec<RecordedEnvironment> = Vec::new();
    for one in all {
        match out.iter_mut().find(|known| known.id == one.id) {
            Some(known) => {
                let new: Vec<LaneId> =
                    one.lanes.iter().filter(|lane| !known.lanes.contains(lane)).cloned().collect();
                known.lanes.extend(new);
            }
            None => out.push(one.clone()),
        }
    }
    out
}

/// The counts of a run that did not live to count.
fn counted(share: &Record) -> Counts {
    let mut counts = Counts::default();
    for stamped in &share.events {
        if let Event::CaseFinished { result, .. } = &stamped.event {
            counts.add(result);
        }
    }
    counts
}

/// The end of a lane over all shares that had a part of it.
#[derive(Default)]
struct LaneEnd {
    counts: Vec<Counts>,
    took_ms: Millis,
    failure: Option<LaneFailure>,
}

/// The events between the beginning and the end, on one time axis.
fn middle(shares: &[&Record], started: Timestamp) -> Vec<Stamped> {
    let mut all: Vec<(usize, Stamped)> = Vec::new();
    let mut ends: BTreeMap<&LaneId, LaneEnd> = BTreeMap::new();
    for (number, share) in shares.iter().enumerate() {
        let later_us = since(started, share.manifest.started);
        for stamped in &share.events {
            if let Event::LaneFinished { lane, counts, took_ms, failure } = &stamped.event {
                let end = ends.entry(lane).or_default();
                end.counts.push(*counts);
                end.took_ms = end.took_ms.max(*took_ms);
                end.failure = end.failure.take().or_else(|| failure.clone());
            }
            if let Some(event) = retold(&stamped.event, number) {
                let elapsed_us = stamped.elapsed_us.saturating_add(later_us);
                all.push((number, Stamped { elapsed_us, event, ..*stamped }));
            }
        }
    }
    all.sort_by_key(|(share, stamped)| (stamped.elapsed_us, *share, stamped.seq));
    let mut begun = BTreeSet::new();
    let mut open: BTreeMap<LaneId, usize> =
        ends.iter().map(|(lane, end)| ((*lane).clone(), end.counts.len())).collect();
    let mut out = Vec::new();
    for (_, mut stamped) in all {
        match &mut stamped.event {
            // A lane begins with its first share and ends with its last.
            Event::LaneStarted { lane, .. } if !begun.insert(lane.clone()) => continue,
            Event::LaneFinished { lane, counts, took_ms, failure } => {
                let left = open.entry(lane.clone()).or_insert(1);
                *left -= 1;
                if *left > 0 {
                    continue;
                }
                if let Some(end) = ends.get_mut(&*lane) {
                    *counts = Counts::sum(end.counts.iter().copied());
                    *took_ms = end.took_ms;
                    *failure = end.failure.take();
                }
            }
            _ => {}
        }
        out.push(stamped);
    }
    out
}

/// The samples of all shares, in the order of their runs, as the whole tells them.
pub fn samples(shares: &[(Timestamp, Vec<Stamped>)]) -> Vec<Stamped> {
    let started = shares.iter().map(|(started, _)| *started).min().unwrap_or_default();
    let mut all = Vec::new();
    for (number, (begun, samples)) in shares.iter().enumerate() {
        let later_us = since(started, *begun);
        let told = samples.iter().filter_map(|stamped| {
            let elapsed_us = stamped.elapsed_us.saturating_add(later_us);
            Some(Stamped { elapsed_us, event: retold(&stamped.event, number)?, ..*stamped })
        });
        all.extend(told);
    }
    all.sort_by_key(|stamped| stamped.elapsed_us);
    all
}

/// An event of a share as the whole tells it; none where the whole has its own.
fn retold(event: &Event, share: usize) -> Option<Event> {
    let mut event = event.clone();
    match &mut event {
        Event::RunStarted { .. } | Event::RunFinished { .. } => return None,
        Event::StackStarting { stack, .. }
        | Event::ServiceStarting { stack, .. }
        | Event::ServiceStarted { stack, .. }
        | Event::ProbeAnswered { stack, .. }
        | Event::ServiceReady { stack, .. }
        | Event::ServiceExited { stack, .. }
        | Event::StackReady { stack, .. }
        | Event::StackFailed { stack, .. }
        | Event::StackStopping { stack }
        | Event::StackStopped { stack, .. }
        | Event::StackAdopted { stack, .. }
        | Event::GpusGranted { stack, .. }
        | Event::StackKept { stack, .. }
        | Event::ServiceLog { stack, .. }
        | Event::Sampled { stack, .. } => *stack = stack_name(stack, share),
        _ => {}
    }
    Some(event)
}

/// Microseconds from one time to another, none where clocks disagree.
fn since(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.as_microsecond() - from.as_microsecond()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
