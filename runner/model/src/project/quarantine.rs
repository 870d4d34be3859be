//! A quarantine written into a project file, which otherwise stays as its people wrote it.

use jiff::civil::Date;
use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, Value};

use super::{Project, ProjectError, Quarantine, parse};
use crate::exit_code::ExitCode;
use crate::hint::Hint;

/// A quarantine that somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewQuarantine {
    /// A case's id, or a pattern of ids.
    pub case: String,
    /// The ticket that tells why.
    pub ticket: String,
    /// The last day on which it holds.
    pub until: Date,
    /// Who mends the cases.
    pub owner: Option<String>,
    /// Why, in a sentence.
    pub reason: Option<String>,
}

/// A quarantine that is not written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuarantineError {
    /// It would be over before it begins.
    #[error("a quarantine until {until} is over already: today is {today}")]
    Over {
        /// Its last day.
        until: Date,
        /// Today.
        today: Date,
    },
    /// The case has one.
    #[error("`{case}` is in quarantine until {until} already, for `{ticket}`")]
    Already {
        /// As asked for.
        case: String,
        /// The ticket of the one that is there.
        ticket: String,
        /// Its last day.
        until: Date,
        /// Its line in the project file.
        line: u32,
    },
    /// The project file cannot hold it.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// The project file is written in a way that nothing can be added to.
    #[error("`quarantine` in the project file is neither `[[quarantine]]` nor a list of tables")]
    Form,
}

impl Hint for QuarantineError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Over { .. } => Some("name a day that is still to come, as 2026-12-31".to_owned()),
            Self::Already { line, .. } => Some(format!("change `until` there, in line {line}")),
            Self::Project(error) => error.hint(),
            Self::Form => Some("write it as `[[quarantine]]`".to_owned()),
        }
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }

    fn rendered(&self) -> Option<String> {
        match self {
            Self::Project(error) => error.rendered(),
            _ => None,
        }
    }
}

/// The text of a project file with one more quarantine, and that quarantine as it will be read. Comments, order and spelling of all
/// else stay.
pub fn add_quarantine(
    file: &str,
    text: &str,
    new: &NewQuarantine,
    today: Date,
) -> Result<(String, Quarantine), QuarantineError> {
    if new.until < today {
        return Err(QuarantineError::Over { until: new.until, today });
    }
    let Project { quarantines, .. } = parse(file, text)?;
    let is_it =
        |known: &&Quarantine| known.until >= today && known.cases.iter().any(|it| it.text == new.case);
    if let Some(known) = quarantines.iter().find(is_it) {
        return Err(QuarantineError::Already {
            case: new.case.clone(),
            ticket: known.ticket.clone(),
            until: known.until,
            line: known.mark.line,
        });
    }
    let mut document: DocumentMut = text.parse().map_err(|_| QuarantineError::Form)?;
    match document.entry("quarantine").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new())) {
        Item::ArrayOfTables(tables) => tables.push(table(new)),
        Item::Value(Value::Array(list)) => list.push(inline(new)),
        _ => return Err(QuarantineError::Form),
    }
    let mut edited = document.to_string();
    if !edited.ends_with('\n') {
        edited.push('\n');
    }
    let mut read = parse(file, &edited)?.quarantines;
    let written = read.pop().ok_or(QuarantineError::Form)?;
    Ok((edited, written))
}

fn values(new: &NewQuarantine) -> Vec<(&'static str, Value)> {
    let date = toml_edit::Datetime {
        date: Some(toml_edit::Date {
            year: u16::try_from(new.until.year()).unwrap_or_default(),
            month: u8::try_from(new.until.month()).unwrap_or_default(),
            day: u8::try_from(new.until.day()).unwrap_or_default(),
        }),
        time: None,
        offset: None,
    };
    let mut values = vec![
        ("cases", Value::Array(Array::from_iter([new.case.as_str()]))),
        ("ticket", new.ticket.as_str().into()),
        ("until", date.into()),
    ];
    values.extend(new.owner.as_deref().map(|owner| ("owner", owner.into())));
    values.extend(new.reason.as_deref().map(|reason| ("reason", reason.into())));
    values
}

fn table(new: &NewQuarantine) -> Table {
    let mut table = Table::new();
    table.extend(values(new));
    // A line between it and what is above.
    table.decor_mut().set_prefix("\n");
    table
}

fn inline(new: &NewQuarantine) -> InlineTable {
    let mut table = InlineTable::new();
    table.extend(values(new));
    table
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::{NewQuarantine, QuarantineError, add_quarantine};
    use crate::hint::Hint as _;

    const HEAD: &str =
        "# what we test\n[project]\nname = \"x\"   # short\n\n[[suite]]\nname = \"unit\"\nkind = 'cargo'\n";

    fn new(case: &str) -> NewQuarantine {
        NewQuarantine {
            case: case.to_owned(),
            ticket: "DYN-1".to_owned(),
            until: date(2026, 12, 31),
            owner: None,
            reason: None,
        }
    }

    fn added(text: &str, new: &NewQuarantine) -> Result<String, QuarantineError> {
        add_quarantine("testbed.toml", text, new, date(2026, 11, 21)).map(|(text, _)| text)
    }

    #[test]
    fn a_quarantine_comes_last_and_all_else_stays_as_it_was() {
        let owned = NewQuarantine {
            owner: Some("kim".to_owned()),
            reason: Some("it \"flaps\"".to_owned()),
            ..new("a b::c[1-x]")
        };
        let once = added(HEAD, &new("t.py::test_a[x]")).unwrap();
        let twice = added(&once, &owned).unwrap();
        assert_eq!(
            twice.strip_prefix(HEAD).unwrap(),
            "
[[quarantine]]
cases = [\"t.py::test_a[x]\"]
ticket = \"DYN-1\"
until = 2026-12-31

[[quarantine]]
cases = [\"a b::c[1-x]\"]
ticket = \"DYN-1\"
until = 2026-12-31
owner = \"kim\"
reason = 'it \"flaps\"'
"
        );
        let (_, read) = add_quarantine("testbed.toml", HEAD, &owned, date(2026, 11, 21)).unwrap();
        assert_eq!((read.owner.as_deref(), read.until), (Some("kim"), date(2026, 12, 31)));
        assert!(read.cases[0].matcher.is_match("a b::c[1-x]"));
    }

    #[test]
    fn it_joins_those_that_are_there_wherever_they_are() {
        let between = format!(
            "[[quarantine]]\ncases = [\"a\"]\nticket = \"T\"\nuntil = 2020-01-01 # long ago\n\n{HEAD}"
        );
        let text = added(&between, &new("a")).unwrap();
        assert!(text.contains("# long ago\n\n[[quarantine]]\ncases = [\"a\"]\nticket = \"DYN-1\""), "{text}");
        assert!(text.ends_with(HEAD), "{text}");
        let inline =
            format!("quarantine = [{{ cases = [\"a\"], ticket = \"T\", until = 2020-01-01 }}]\n{HEAD}");
        let text = added(&inline, &new("b")).unwrap();
        assert!(
            text.starts_with("quarantine = [{ cases = [\"a\"], ticket = \"T\", until = 2020-01-01 }, {"),
            "{text}"
        );
    }

    #[test]
    fn what_is_over_or_there_already_is_refused() {
        let told = |error: QuarantineError| format!("{error}\nhint: {}", error.hint().unwrap());
        let past = NewQuarantine { until: date(2026, 11, 20), ..new("a") };
        insta::assert_snapshot!(told(added(HEAD, &past).unwrap_err()), @r"
        a quarantine until 2026-11-20 is over already: today is 2026-11-21
        hint: name a day that is still to come, as 2026-12-31
        ");
        let once = added(HEAD, &new("a")).unwrap();
        insta::assert_snapshot!(told(added(&once, &new("a")).unwrap_err()), @r"
        `a` is in quarantine until 2026-12-31 already, for `DYN-1`
        hint: change `until` there, in line 9
        ");
        assert!(matches!(added("[project", &new("a")), Err(QuarantineError::Project(_))));
        assert!(matches!(added(HEAD, &new(" ")), Err(QuarantineError::Project(_))));
    }
}
