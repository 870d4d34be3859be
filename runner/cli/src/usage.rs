//! From the words typed to the command line, and what is said of words that make none.

use std::error::Error as _;
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _};
use testbed_model::exit_code::ExitCode;
use testbed_model::hint::Hint;

use crate::args::{Cli, UnknownWord, check_first_word};
use crate::failure::{Failure, OutputError};

/// What the words amount to.
pub enum Asked {
    /// Something to do.
    Do(Box<Cli>),
    /// Help or the version, which has been shown.
    Shown(ExitCode),
}

/// Words that make no command line.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Misunderstood {
    message: String,
    way_out: String,
}

impl Hint for Misunderstood {
    fn hint(&self) -> Option<String> {
        Some(self.way_out.clone())
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }
}

/// The program's name.
const NAME: &str = "testbed";

/// Arguments of a run that may be given without its verb, with the words that name them.
const OF_A_RUN: [(&str, &str); 6] = [
    ("profiles", "--profile"),
    ("suites", "--suite"),
    ("json", "--json"),
    ("yes", "--yes"),
    ("repeat", "--repeat"),
    ("until_fail", "--until-fail"),
];

/// Understands the words, the program's name first.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Asked, Failure> {
    let words: Vec<OsString> = words.into_iter().collect();
    let first = words.get(1).and_then(|word| word.to_str()).map(str::to_owned);
    let parsed = Cli::command().try_get_matches_from(words).and_then(|matches| {
        let cli = Cli::from_arg_matches(&matches)?;
        Ok((matches, cli))
    });
    match parsed {
        Ok((matches, cli)) => match misplaced(&matches) {
            None => Ok(Asked::Do(Box::new(cli))),
            Some(misunderstood) => Err(misunderstood.into()),
        },
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => shown(&error, ExitCode::Passed),
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => shown(&error, ExitCode::Usage),
            _ => Err(misunderstood(&error, first.as_deref()).into()),
        },
    }
}

/// A shell's completion script. It offers what people can see: the generator by itself would offer hidden verbs too.
pub fn completions(shell: clap_complete::Shell) -> String {
    let full = Cli::command();
    let visible = full.get_subcommands().filter(|verb| !verb.is_hide_set()).cloned();
    let mut command = clap::Command::new(NAME)
        .version(env!("CARGO_PKG_VERSION"))
        .args(full.get_arguments())
        .subcommands(visible);
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, NAME, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

fn shown(error: &clap::Error, code: ExitCode) -> Result<Asked, Failure> {
    match error.print() {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(OutputError(error).into()),
        _ => Ok(Asked::Shown(code)),
    }
}

/// A tier, or a flag of a run, in front of another verb: it would have no effect there.
fn misplaced(matches: &ArgMatches) -> Option<Misunderstood> {
    let verb = matches.subcommand_name()?;
    let given = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    if given("tier") {
        return Some(Misunderstood {
            message: format!("the verb `{verb}` does not go with a tier in front of it"),
            way_out: format!("write one of them first: `testbed {verb} --help` says what may follow"),
        });
    }
    OF_A_RUN.iter().find(|(id, _)| given(id)).map(|(_, flag)| Misunderstood {
        message: format!("`{flag}` has no effect in front of the verb `{verb}`"),
        way_out: format!("write it behind the verb, if `testbed {verb} --help` lists it"),
    })
}

/// Words an error of the parser as the house does. Where the first word is no verb and no tier, that is what is wrong,
/// whatever the parser stumbled over later.
fn misunderstood(error: &clap::Error, first: Option<&str>) -> Misunderstood {
    let of_first = first.filter(|word| !word.starts_with('-')).and_then(|word| check_first_word(word).err());
    let of_parser = || error.source().and_then(|source| source.downcast_ref::<UnknownWord>());
    if let Some(unknown) = of_first.as_ref().or_else(of_parser) {
        return Misunderstood { message: unknown.to_string(), way_out: unknown.suggestion.clone() };
    }
    let said = Said { error };
    let argument = said.first(ContextKind::InvalidArg);
    let value = said.first(ContextKind::InvalidValue);
    let message = match (error.kind(), &argument, &value) {
        (ErrorKind::UnknownArgument, Some(argument), _) => Some(format!("unknown argument `{argument}`")),
        (ErrorKind::InvalidSubcommand, ..) => {
            said.first(ContextKind::InvalidSubcommand).map(|verb| format!("unknown verb `{verb}`"))
        }
        (ErrorKind::MissingRequiredArgument, ..) => {
            Some(format!("missing: `{}`", said.all(ContextKind::InvalidArg).join("`, `")))
        }
        (ErrorKind::ArgumentConflict, Some(argument), _) => said
            .first(ContextKind::PriorArg)
            .map(|prior| format!("`{argument}` does not go together with `{prior}`")),
        (ErrorKind::InvalidValue, Some(argument), Some(value)) if value.is_empty() => {
            Some(format!("`{argument}` needs a value"))
        }
        (ErrorKind::InvalidValue, Some(argument), Some(value)) => {
            Some(format!("`{argument}` cannot be `{value}`"))
        }
        _ => None,
    };
    Misunderstood { message: message.unwrap_or_else(|| said.in_its_own_words()), way_out: said.way_out() }
}

/// What the parser knows of an error.
struct Said<'e> {
    error: &'e clap::Error,
}

impl Said<'_> {
    fn all(&self, kind: ContextKind) -> Vec<String> {
        match self.error.get(kind) {
            Some(ContextValue::String(text)) => vec![text.clone()],
            Some(ContextValue::Strings(texts)) => texts.clone(),
            Some(ContextValue::StyledStr(text)) => vec![text.to_string()],
            _ => Vec::new(),
        }
    }

    fn first(&self, kind: ContextKind) -> Option<String> {
        self.all(kind).into_iter().next()
    }

    /// The nearest name, or what there is to choose from, or how the command is used.
    fn way_out(&self) -> String {
        let near = [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue];
        if let Some(name) = near.into_iter().find_map(|kind| self.first(kind)) {
            return format!("did you mean `{name}`?");
        }
        let values = self.all(ContextKind::ValidValue);
        if !values.is_empty() {
            return format!("known: `{}`", values.join("`, `"));
        }
        match self.first(ContextKind::Usage) {
            Some(usage) => {
                let lines: Vec<&str> = usage
                    .trim_start_matches("Usage:")
                    .lines()
                    .map(str::trim)
                    .filter(|l| !l.is_empty())
                    .collect();
                format!("`{}`", lines.join("`, or `"))
            }
            None => "`testbed --help` says what there is".to_owned(),
        }
    }

    /// The parser's own first line, in the house's spelling.
    fn in_its_own_words(&self) -> String {
        let text = self.error.render().to_string();
        let line = text.lines().next().unwrap_or_default();
        line.trim_start_matches("error: ").replace('\'', "`")
    }
}

#[cfg(test)]
mod tests {
    use testbed_model::event::Event;
    use testbed_model::exit_code::ExitCode;

    use super::{Asked, parse};

    fn refusal(line: &str) -> String {
        match parse(line.split_whitespace().map(Into::into)) {
            Err(failure) => {
                assert_eq!(failure.exit_code(), ExitCode::Usage);
                let Event::Warning { message, hint } = failure.event() else { panic!("no message") };
                format!("{message}; {}", hint.unwrap())
            }
            Ok(_) => panic!("`{line}` was understood"),
        }
    }

    #[test]
    fn a_misspelt_tier_or_verb_offers_the_nearest() {
        for (typed, meant) in [("premrege", "premerge"), ("imagse", "images")] {
            let told = refusal(&format!("testbed {typed}"));
            assert_eq!(told, format!("unknown tier or verb `{typed}`; did you mean `{meant}`?"));
        }
    }

    #[test]
    fn flags_of_everything_may_stand_before_the_verb_and_flags_of_a_run_may_not() {
        let parsed = parse("testbed --root /x --color never plan".split_whitespace().map(Into::into));
        assert!(matches!(parsed, Ok(Asked::Do(cli)) if cli.common.root.is_some()));
        assert!(refusal("testbed --profile x plan").contains("`--profile` has no effect"));
        assert!(refusal("testbed premerge gc").contains("the verb `gc`"));
    }
}
