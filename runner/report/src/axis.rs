//! What lies on a run's time axis: images, stacks with their services, lanes with their worker slots and cases. The page draws
//! it, and the trace tells it to other tools.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use testbed_model::case::CaseResult;
use testbed_model::event::{Event, LogWindow, Stamped};
use testbed_model::lane::LaneId;

mod lanes;
mod stacks;

/// Everything with a place in time. Times are microseconds since the run's start. It borrows the events' texts as they are, so
/// these should be harmless already (see [`crate::neutral`]).
#[derive(Debug, Default)]
pub struct Axis<'e> {
    /// The wall time of the axis's zero; none where nothing was heard.
    pub zero: Option<Timestamp>,
    /// The last that was heard.
    pub end_us: u64,
    /// When the plan was made and execution began.
    pub planned_us: Option<u64>,
    /// Images, in order of their first mention.
    pub images: Vec<Track<'e>>,
    /// Stacks, in order of their first mention.
    pub stacks: Vec<StackTrack<'e>>,
    /// Lanes, in order of their start.
    pub lanes: Vec<LaneTrack<'e>>,
    /// Cases, in order of their beginning.
    pub cases: Vec<CaseSpan<'e>>,
    /// Warnings and signals.
    pub moments: Vec<Moment<'e>>,
}

/// One thing's states, one after another.
#[derive(Debug)]
pub struct Track<'e> {
    /// Its name.
    pub name: &'e str,
    /// Its states, in the order of time.
    pub spans: Vec<Span<'e>>,
    /// What was heard of it, in the order of time.
    pub moments: Vec<Moment<'e>>,
    open: Option<(State, u64, &'e str)>,
}

/// A stack and its services.
#[derive(Debug)]
pub struct StackTrack<'e> {
    /// The stack itself.
    pub track: Track<'e>,
    /// Its services, in the order of their announcement.
    pub services: Vec<Track<'e>>,
}

/// A lane.
#[derive(Debug)]
pub struct LaneTrack<'e> {
    /// Which.
    pub id: &'e LaneId,
    /// Its states.
    pub track: Track<'e>,
    /// How many cases it executed at a time, at most.
    pub slots: u32,
    busy: Vec<bool>,
    running: HashMap<&'e str, usize>,
}

/// A state over a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span<'e> {
    /// Which.
    pub state: State,
    /// What is known besides, such as the step of an image; may be empty.
    pub note: &'e str,
    /// Begin.
    pub begin_us: u64,
    /// End.
    pub end_us: u64,
}

/// A state of an image, a stack, a service or a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// An image is made or fetched.
    Image = 0,
    /// A container is being created.
    Create = 1,
    /// A service runs and does not serve yet; a stack comes up.
    Probe = 2,
    /// It serves.
    Ready = 3,
    /// It ended while its stack was to be up.
    Down = 4,
    /// It runs again after it had ended; nobody asked it whether it serves.
    Again = 5,
    /// Its stack is torn down.
    Stop = 6,
    /// Something is done for a lane before it can start.
    Prepare = 7,
    /// A lane's tool starts and collects.
    Tool = 8,
    /// A lane's cases are executed.
    Cases = 9,
}

impl State {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::Image,
        Self::Create,
        Self::Probe,
        Self::Ready,
        Self::Down,
        Self::Again,
        Self::Stop,
        Self::Prepare,
        Self::Tool,
        Self::Cases,
    ];

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Create => "create",
            Self::Probe => "start",
            Self::Ready => "ready",
            Self::Down => "down",
            Self::Again => "up again",
            Self::Stop => "stop",
            Self::Prepare => "prepare",
            Self::Tool => "start and collect",
            Self::Cases => "cases",
        }
    }
}

/// Something that happened at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment<'e> {
    /// When.
    pub at_us: u64,
    /// What.
    pub kind: MomentKind,
    /// What was heard; the exit code for a death.
    pub text: Said<'e>,
}

/// Words, or the exit code of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said<'e> {
    /// Words.
    Words(&'e str),
    /// Exit code, and whether the kernel killed it for lack of memory.
    Exit(i64, bool),
}

impl std::fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Words(words) => f.write_str(words),
            Self::Exit(code, oom_killed) => f.write_str(&crate::verdict::ended(*code, *oom_killed)),
        }
    }
}

/// A kind of moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum MomentKind {
    /// A probe's answer changed.
    Probe = 0,
    /// A service ended because a case asked for it.
    Stopped = 1,
    /// A service ended although nobody asked for it.
    Died = 2,
    /// A warning.
    Warning = 3,
    /// A signal asked the run to end.
    Signal = 4,
    /// A stack did not come up.
    Failed = 5,
}

impl MomentKind {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::Stopped => "stopped by a case",
            Self::Died => "died",
            Self::Warning => "warning",
            Self::Signal => "signal",
            Self::Failed => "failed",
        }
    }
}

/// A case in its worker slot.
#[derive(Clone, Copy, Debug)]
pub struct CaseSpan<'e> {
    /// Which lane, as an index of [`Axis::lanes`].
    pub lane: usize,
    /// Which of the lane's slots, from zero.
    pub slot: u32,
    /// The case's id.
    pub id: &'e str,
    /// Begin.
    pub begin_us: u64,
    /// End; that of the axis where it has none.
    pub end_us: u64,
    /// How it ended; none where that was not heard.
    pub result: Option<&'e CaseResult>,
    /// What the services said meanwhile, for a red case.
    pub service_logs: &'e [LogWindow],
}

impl<'e> Axis<'e> {
    /// Lays events on the axis.
    pub fn of(events: &'e [Stamped]) -> Self {
        let mut axis = Self {
            zero: events.first().and_then(|first| {
                let elapsed = i64::try_from(first.elapsed_us).ok()?;
                first.at.checked_sub(SignedDuration::from_micros(elapsed)).ok()
            }),
            ..Self::default()
        };
        for stamped in events {
            axis.end_us = axis.end_us.max(stamped.elapsed_us);
            axis.take(stamped.elapsed_us, &stamped.event);
        }
        axis.close();
        axis
    }

    fn take(&mut self, at: u64, event: &'e Event) {
        match event {
            Event::RunStarted { .. } => self.planned_us = Some(at),
            Event::ImageProgress { image, step, .. } => {
                let track = found(&mut self.images, image);
                if track.open.is_none_or(|(_, _, known)| known != step) {
                    track.change(at, Some((State::Image, step)));
                }
            }
            Event::ImageReady { image, .. } => found(&mut self.images, image).change(at, None),
            Event::Warning { message, .. } => self.moment(at, MomentKind::Warning, message),
            Event::Interrupted { signal } => self.moment(at, MomentKind::Signal, signal),
            _ => {
                self.take_stack(at, event);
                self.take_lane(at, event);
            }
        }
    }

    fn moment(&mut self, at_us: u64, kind: MomentKind, text: &'e str) {
        self.moments.push(Moment { at_us, kind, text: Said::Words(text) });
    }

    /// Ends what is still open, and brings the cases into the order of their beginning.
    fn close(&mut self) {
        let end = self.end_us;
        let services = self
            .stacks
            .iter_mut()
            .flat_map(|stack| std::iter::once(&mut stack.track).chain(stack.services.iter_mut()));
        let lanes = self.lanes.iter_mut().map(|lane| &mut lane.track);
        for track in self.images.iter_mut().chain(services).chain(lanes) {
            track.change(end, None);
        }
        self.images.retain(|image| !image.spans.is_empty());
        for case in &mut self.cases {
            case.end_us = case.end_us.min(end);
        }
        self.cases.sort_by_key(|case| case.begin_us);
    }
}

impl<'e> Track<'e> {
    const fn new(name: &'e str) -> Self {
        Self { name, spans: Vec::new(), moments: Vec::new(), open: None }
    }

    /// Ends the state that goes on, and begins another, if any.
    fn change(&mut self, at: u64, next: Option<(State, &'e str)>) {
        if let Some((state, begin_us, note)) = self.open.take()
            && at > begin_us
        {
            self.spans.push(Span { state, note, begin_us, end_us: at });
        }
        self.open = next.map(|(state, note)| (state, at, note));
    }

    fn state(&self) -> Option<State> {
        self.open.map(|(state, ..)| state)
    }
}

/// The track of that name, made if it is new.
fn found<'t, 'e>(tracks: &'t mut Vec<Track<'e>>, name: &'e str) -> &'t mut Track<'e> {
    let at = tracks.iter().position(|track| track.name == name).unwrap_or_else(|| {
        tracks.push(Track::new(name));
        tracks.len() - 1
    });
    &mut tracks[at]
}

#[cfg(test)]
mod tests;
