//! The live view on a terminal: what goes on, redrawn in place at a steady rate; above it stays what a person should know.
//!
//! One bar of indicatif draws the whole picture, so that there is one timer and one draw per tick however many stacks and
//! lanes there are. Events only change the story; drawing it is the timer's business.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressState, ProgressStyle, TermLike};
use testbed_model::event::Stamped;

use crate::fit;
use crate::neutral::{neutral, shows};
use crate::notice::{Level, Notice, VERB_WIDTH, notice};
use crate::reporter::Reporter;
use crate::story::Story;
use crate::style::Style;

mod lines;
mod picture;

use lines::Lines;
use picture::ScreenSize;

/// Draws a second; more would not be seen, and a test machine's cores are for the tests.
pub const DRAWS_PER_SECOND: u8 = 10;

/// The live view.
pub struct Live<T> {
    bar: ProgressBar,
    state: Arc<Mutex<State>>,
    term: T,
    style: Style,
}

/// What the timer draws.
struct State {
    story: Story,
    /// The bar's own time when the last event came, to tell the time between events.
    heard: Duration,
}

impl<T: TermLike + Clone + 'static> Live<T> {
    /// A live view on `term`, which has to be a terminal: `console::Term::buffered_stderr()`. Its size is asked at each draw;
    /// of the style, colours and glyphs count.
    pub fn new(term: T, style: Style) -> Self {
        let live = Self::still(term, style);
        live.bar.enable_steady_tick(Duration::from_millis(1000 / u64::from(DRAWS_PER_SECOND)));
        live
    }

    /// The view without its timer.
    fn still(term: T, style: Style) -> Self {
        let state = Arc::new(Mutex::new(State { story: Story::watching(), heard: Duration::ZERO }));
        let (seen, screen) = (Arc::clone(&state), term.clone());
        let draw = move |bar: &ProgressState, out: &mut dyn fmt::Write| {
            let state = seen.lock().unwrap_or_else(PoisonError::into_inner);
            let since = bar.elapsed().saturating_sub(state.heard);
            let since_us = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
            let now_us = state.story.elapsed_us.saturating_add(since_us);
            let size = ScreenSize { columns: screen.width(), rows: screen.height() };
            let lines = picture::draw(&state.story, now_us, size, &style);
            // A bar's text cannot fail to be written: it is a string.
            let _ = out.write_str(&lines.join("\n"));
        };
        let target =
            ProgressDrawTarget::term_like_with_hz(Box::new(Lines::new(term.clone())), DRAWS_PER_SECOND);
        let template =
            ProgressStyle::with_template("{picture}").unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(None, target)
            .with_style(template.with_key("picture", draw))
            .with_finish(ProgressFinish::AndClear);
        Self { bar, state, term, style }
    }

    /// Leaves lines standing above the picture.
    fn print(&self, notice: &Notice) -> io::Result<()> {
        self.bar.suspend(|| {
            for line in self.lines(notice) {
                self.term.write_line(&line)?;
            }
            self.term.flush()
        })
    }

    /// A notice as lines within the screen's width.
    fn lines(&self, notice: &Notice) -> Vec<String> {
        let style = &self.style;
        let width = usize::from(self.term.width()).saturating_sub(1).max(VERB_WIDTH + 2);
        let room = width - VERB_WIDTH - 1;
        let mut row = notice.row.clone();
        if let Some(tail) = &notice.tail {
            row = row.plain(fit::end(tail, room.saturating_sub(notice.row.columns()).max(12), style.glyphs));
        }
        let verb = style.paint(notice.tone, &fit::right(notice.verb, VERB_WIDTH));
        let below = notice.below.iter().map(|line| {
            let cut = fit::start(line, room, style.glyphs);
            format!("{}{cut}", " ".repeat(VERB_WIDTH + 1))
        });
        std::iter::once(format!("{verb} {}", row.render_within(style, room))).chain(below).collect()
    }
}

impl<T: TermLike + Clone + 'static> Reporter for Live<T> {
    fn on(&mut self, event: &Stamped) -> io::Result<()> {
        if !shows(&event.event) {
            return Ok(());
        }
        let clean = neutral(&event.event);
        let heard = self.bar.elapsed();
        let told = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let told = notice(&clean, event.elapsed_us, &state.story, self.style.glyphs);
            state.story.fold_neutral(event.at, event.elapsed_us, clean);
            state.heard = heard;
            told.filter(|notice| notice.level == Level::News)
        };
        // Outside of the lock: printing draws, and drawing takes it.
        told.map_or(Ok(()), |notice| self.print(&notice))
    }

    fn finish(&mut self) -> io::Result<()> {
        self.bar.finish_and_clear();
        Ok(())
    }
}

impl<T> fmt::Debug for Live<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("style", &self.style).finish_non_exhaustive()
    }
}
