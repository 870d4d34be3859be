//! How output looks: colours, glyphs and width, decided once and passed as a value.

use console::Style as Paint;

/// How output looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Whether to write colours.
    pub colours: bool,
    /// The characters for marks, bars and rules.
    pub glyphs: Glyphs,
    /// Columns to lay out for.
    pub width: usize,
}

/// Which characters the screen can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glyphs {
    /// Those of Unicode.
    Unicode,
    /// ASCII only.
    Ascii,
}

/// What a piece of text means; the colour follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// It is well.
    Good,
    /// A test is red.
    Bad,
    /// The environment is at fault, not a test: never the colour of a red test.
    Broken,
    /// A person should know.
    Warn,
    /// A step.
    Step,
    /// What matters in its line.
    Strong,
    /// What matters least.
    Dim,
    /// Nothing special.
    Plain,
}

/// The narrowest layout; narrower screens wrap it.
const MIN_WIDTH: usize = 24;

impl Style {
    /// Without colours, for files and tests.
    pub const fn plain(width: usize) -> Self {
        Self { colours: false, glyphs: Glyphs::Unicode, width }
    }

    /// The width to lay out for: never absurdly small.
    pub fn columns(&self) -> usize {
        self.width.max(MIN_WIDTH)
    }

    /// The text in its tone.
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        self.apply(paint(tone), text)
    }

    /// The text as a block of its tone, which stands out from everything around it.
    pub fn badge(&self, tone: Tone, text: &str) -> String {
        self.apply(paint(tone).bold().reverse(), &format!(" {text} "))
    }

    fn apply(&self, paint: Paint, text: &str) -> String {
        if self.colours && !text.is_empty() {
            paint.force_styling(true).apply_to(text).to_string()
        } else {
            text.to_owned()
        }
    }
}

fn paint(tone: Tone) -> Paint {
    match tone {
        Tone::Good => Paint::new().green(),
        Tone::Bad => Paint::new().red().bold(),
        Tone::Broken => Paint::new().magenta().bold(),
        Tone::Warn => Paint::new().yellow(),
        Tone::Step => Paint::new().cyan(),
        Tone::Strong => Paint::new().bold(),
        Tone::Dim => Paint::new().dim(),
        Tone::Plain => Paint::new(),
    }
}

impl Glyphs {
    /// Which characters a terminal can show, by its `TERM` and by the locale in force (the first of `LC_ALL`,
    /// `LC_CTYPE`, `LANG` that is set). A locale that is not set says nothing; today's terminals show Unicode.
    pub fn of_terminal(term: Option<&str>, locale: Option<&str>) -> Self {
        let console = matches!(term, Some("linux" | "dumb" | "vt100" | "vt220"));
        let other_charset = locale.is_some_and(|name| {
            let name = name.to_ascii_lowercase();
            !name.is_empty() && !name.contains("utf-8") && !name.contains("utf8")
        });
        if console || other_charset { Self::Ascii } else { Self::Unicode }
    }

    /// What stands for text that was cut.
    pub const fn ellipsis(self) -> &'static str {
        self.either("…", "..")
    }

    /// The mark of a red case.
    pub const fn cross(self) -> &'static str {
        self.either("✗", "x")
    }

    /// Between two facts on one line.
    pub const fn dot(self) -> &'static str {
        self.either("·", "-")
    }

    /// Left of lines that somebody else wrote.
    pub const fn gutter(self) -> &'static str {
        self.either("│", "|")
    }

    /// From the one that waits to the one that it waits for.
    pub const fn arrow(self) -> &'static str {
        self.either("→", "->")
    }

    /// A horizontal rule's character.
    pub const fn rule(self) -> char {
        match self {
            Self::Unicode => '─',
            Self::Ascii => '-',
        }
    }

    /// A progress bar's characters: done, head, to do.
    pub const fn bar(self) -> (char, char, char) {
        match self {
            Self::Unicode => ('━', '╸', '─'),
            Self::Ascii => ('=', '>', '.'),
        }
    }

    /// A spinner's picture at a tick.
    pub fn spinner(self, tick: u64) -> &'static str {
        const ROUND: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
        const PLAIN: [&str; 4] = ["|", "/", "-", "\\"];
        let frames: &[&'static str] = match self {
            Self::Unicode => &ROUND,
            Self::Ascii => &PLAIN,
        };
        let count = u64::try_from(frames.len()).unwrap_or(1);
        let index = usize::try_from(tick % count).unwrap_or(0);
        frames.get(index).copied().unwrap_or("*")
    }

    const fn either(self, unicode: &'static str, ascii: &'static str) -> &'static str {
        match self {
            Self::Unicode => unicode,
            Self::Ascii => ascii,
        }
    }
}

/// What the person asked for (`--color`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColourChoice {
    /// As the surroundings suggest.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What decides about colours besides the choice. The environment's values are as they are set; none when not set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Surroundings<'a> {
    /// Whether the output is a terminal.
    pub terminal: bool,
    /// `TERM`.
    pub term: Option<&'a str>,
    /// `NO_COLOR`: any value that is not empty turns colours off (no-color.org).
    pub no_color: Option<&'a str>,
    /// `CLICOLOR`: `0` turns colours off (bixense.com/clicolors).
    pub clicolor: Option<&'a str>,
    /// `CLICOLOR_FORCE`: anything but `0` turns colours on where there is no terminal.
    pub clicolor_force: Option<&'a str>,
}

impl ColourChoice {
    /// Whether to use colours. The flag outranks the environment; `NO_COLOR` outranks the other variables.
    pub fn resolve(self, around: &Surroundings<'_>) -> bool {
        let set = |value: Option<&str>| value.is_some_and(|v| !v.is_empty());
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto if set(around.no_color) => false,
            Self::Auto if set(around.clicolor_force) && around.clicolor_force != Some("0") => true,
            Self::Auto if around.clicolor == Some("0") => false,
            Self::Auto => around.terminal && around.term != Some("dumb"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ColourChoice, Glyphs, Style, Surroundings, Tone};

    #[test]
    fn colours_follow_the_flag_then_no_color_then_the_other_variables_then_the_terminal() {
        let none = Surroundings::default();
        let terminal = Surroundings { terminal: true, term: Some("xterm"), ..none };
        let check = |choice: ColourChoice, around: Surroundings<'_>, expected: bool| {
            assert_eq!(choice.resolve(&around), expected, "{choice:?} {around:?}");
        };
        check(ColourChoice::Auto, none, false);
        check(ColourChoice::Auto, terminal, true);
        check(ColourChoice::Auto, Surroundings { term: Some("dumb"), ..terminal }, false);
        check(ColourChoice::Auto, Surroundings { no_color: Some("1"), ..terminal }, false);
        check(ColourChoice::Auto, Surroundings { no_color: Some(""), ..terminal }, true);
        check(ColourChoice::Auto, Surroundings { clicolor: Some("0"), ..terminal }, false);
        check(ColourChoice::Auto, Surroundings { clicolor_force: Some("1"), ..none }, true);
        check(ColourChoice::Auto, Surroundings { clicolor_force: Some("0"), ..none }, false);
        check(
            ColourChoice::Auto,
            Surroundings { clicolor_force: Some("1"), no_color: Some("1"), ..none },
            false,
        );
        check(ColourChoice::Always, Surroundings { no_color: Some("1"), ..none }, true);
        check(ColourChoice::Never, terminal, false);
    }

    #[test]
    fn a_terminal_without_unicode_gets_ascii() {
        assert_eq!(Glyphs::of_terminal(Some("xterm-256color"), None), Glyphs::Unicode);
        assert_eq!(Glyphs::of_terminal(Some("xterm"), Some("C.UTF-8")), Glyphs::Unicode);
        assert_eq!(Glyphs::of_terminal(Some("xterm"), Some("C")), Glyphs::Ascii);
        assert_eq!(Glyphs::of_terminal(Some("linux"), Some("en_US.UTF-8")), Glyphs::Ascii);
    }

    #[test]
    fn a_style_without_colours_adds_nothing() {
        let plain = Style::plain(80);
        assert_eq!(plain.paint(Tone::Bad, "red"), "red");
        assert_eq!(plain.badge(Tone::Bad, "RED"), " RED ");
        assert!(Style { colours: true, ..plain }.paint(Tone::Bad, "red").starts_with('\u{1b}'));
    }
}
