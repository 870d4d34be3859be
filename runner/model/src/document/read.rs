//! Typed reading: from the tree to the value that a key must have, or a fault that names the key and its place.

use jiff::civil::Date;

use super::{
    Document, Entry, Form, Kind, Mark, Node, Scalar, Value, parse_bytes, parse_cores, parse_duration,
    parse_micros,
};
use crate::span::{Fault, Place};
use crate::stack::Millis;

/// One value with the path of keys that leads to it.
#[derive(Clone, Debug)]
pub struct Item<'d> {
    document: &'d Document,
    node: &'d Node,
    key_mark: Mark,
    path: String,
}

/// The keys of a map that have not been read yet.
#[derive(Debug)]
pub struct Fields<'d> {
    document: &'d Document,
    mark: Mark,
    path: String,
    rest: Vec<&'d Entry>,
}

impl<'d> Item<'d> {
    pub(super) fn root(document: &'d Document) -> Self {
        Self { document, node: &document.root, key_mark: document.root.mark, path: String::new() }
    }

    /// The keys that lead here: `services.nats.image`; empty for the whole file.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Where the value is.
    pub fn place(&self) -> Place {
        self.document.place(self.node.mark)
    }

    /// Where the value is, as a position.
    pub fn mark(&self) -> Mark {
        self.node.mark
    }

    /// Where the key of the value is, in its file.
    pub fn key_place(&self) -> Place {
        self.document.place(self.key_mark)
    }

    /// Where the key of the value is, as a position.
    pub fn key_mark(&self) -> Mark {
        self.key_mark
    }

    /// The value itself.
    pub fn value(&self) -> &'d Value {
        &self.node.value
    }

    /// A fault at the value; the message starts with the key.
    pub fn fault(&self, what: impl AsRef<str>) -> Fault {
        let message = format!("{} {}", self.name(), what.as_ref());
        self.document.fault(self.node.mark, message)
    }

    /// A fault at the value's key.
    pub fn fault_at_key(&self, message: impl Into<String>) -> Fault {
        self.document.fault(self.key_mark, message)
    }

    /// Whether the key is there without a value.
    pub fn is_null(&self) -> bool {
        matches!(&self.node.value, Value::Scalar(scalar) if scalar.kind() == Kind::Null)
    }

    /// Text. A number is not text, and neither is anything that some YAML reader would not take for text.
    pub fn text(&self) -> Result<&'d str, Fault> {
        let scalar = self.scalar("text")?;
        match scalar.kind() {
            Kind::Text => Ok(&scalar.text),
            Kind::Ambiguous(other) => Err(self.ambiguous(scalar, other)),
            kind => Err(self.wrong("text", kind.nature())),
        }
    }

    /// Text that is not empty.
    pub fn full_text(&self) -> Result<&'d str, Fault> {
        let text = self.text()?;
        if text.trim().is_empty() { Err(self.fault("must not be empty")) } else { Ok(text) }
    }

    /// Text or a number, as text. A fraction with trailing zeros is ambiguous, for YAML readers drop them.
    pub fn text_or_number(&self) -> Result<&'d str, Fault> {
        let scalar = self.scalar("text or a number")?;
        match scalar.kind() {
            Kind::Text | Kind::Integer => Ok(&scalar.text),
            Kind::Fraction if !scalar.text.ends_with('0') => Ok(&scalar.text),
            Kind::Fraction => Err(self.ambiguous(scalar, "another number")),
            Kind::Ambiguous(other) => Err(self.ambiguous(scalar, other)),
            Kind::Boolean(_) => {
                let fault =
                    self.fault(format!("must be text or a number, not the truth value `{}`", scalar.text));
                Err(fault.with_hint("put it in quotes"))
            }
            kind @ Kind::Null => Err(self.wrong("text or a number", kind.nature())),
        }
    }

    /// A truth value.
    pub fn boolean(&self) -> Result<bool, Fault> {
        let scalar = self.scalar("`true` or `false`")?;
        match (scalar.kind(), scalar.form, scalar.text.as_str()) {
            (Kind::Boolean(truth), ..) => Ok(truth),
            (_, Form::Substituted, "true") => Ok(true),
            (_, Form::Substituted, "false") => Ok(false),
            _ => Err(self.wrong("`true` or `false`", &format!("`{}`", scalar.text))),
        }
    }

    /// A whole number that fits the wanted type.
    pub fn integer<N: TryFrom<i128>>(&self) -> Result<N, Fault> {
        let scalar = self.scalar("a whole number")?;
        let readable = scalar.kind() == Kind::Integer || scalar.form == Form::Substituted;
        let number = scalar.text.parse::<i128>().ok().filter(|_| readable);
        let Some(number) = number else {
            let fault = self.wrong("a whole number", &format!("`{}`", scalar.text));
            let quoted = scalar.form == Form::Quoted && scalar.text.parse::<i128>().is_ok();
            return Err(if quoted { fault.with_hint("leave the quotes out") } else { fault });
        };
        N::try_from(number).map_err(|_| self.fault(format!("is out of range: `{number}`")))
    }

    /// A duration such as `30s`.
    pub fn duration(&self) -> Result<Millis, Fault> {
        self.parsed(parse_duration, "a duration such as `30s` or `1m30s`")
    }

    /// A duration such as `10ms` or `500us`, in microseconds.
    pub fn micros(&self) -> Result<u64, Fault> {
        self.parsed(parse_micros, "a duration such as `10ms` or `500us`")
    }

    /// A day such as `2026-12-31`, in quotes or without.
    pub fn date(&self) -> Result<Date, Fault> {
        const WANTED: &str = "a date such as `2026-12-31`";
        let text = &self.scalar(WANTED)?.text;
        // A parser of dates takes more than days: a day with a time, or without hyphens.
        let is_day = text.len() == "2026-12-31".len() && text.as_bytes().get(4) == Some(&b'-');
        let date = text.parse::<Date>().ok().filter(|_| is_day);
        date.ok_or_else(|| self.wrong(WANTED, &format!("`{text}`")))
    }

    /// A size such as `512MiB`.
    pub fn bytes(&self) -> Result<u64, Fault> {
        self.parsed(parse_bytes, "a size such as `512m` or `2GiB`")
    }

    /// Processor cores such as `0.5`, in billionths of a core.
    pub fn cores(&self) -> Result<u64, Fault> {
        self.parsed(parse_cores, "a number of cores such as `2` or `0.5`")
    }

    /// A container's memory in bytes. The daemon refuses less than 6 MiB.
    pub fn memory(&self) -> Result<u64, Fault> {
        match self.bytes()? {
            0..0x0060_0000 => Err(self.fault("must be at least `6m`, which the daemon wants")),
            bytes => Ok(bytes),
        }
    }

    /// A container's processors in billionths of a core. The daemon refuses less than a hundredth of a core.
    pub fn processors(&self) -> Result<u64, Fault> {
        match self.cores()? {
            0..10_000_000 => Err(self.fault("must be at least `0.01`, which the daemon wants")),
            cores => Ok(cores),
        }
    }

    /// One of some words.
    pub fn word<T: Copy>(&self, words: &[(&str, T)]) -> Result<T, Fault> {
        let scalar = self.scalar("text")?;
        words.iter().find(|(word, _)| *word == scalar.text).map(|(_, value)| *value).ok_or_else(|| {
            self.fault(format!("cannot be `{}`", scalar.text))
                .with_nearest(&scalar.text, words.iter().map(|(word, _)| *word))
        })
    }

    /// The items of a list.
    pub fn items(&self) -> Result<Vec<Self>, Fault> {
        let Value::List(nodes) = &self.node.value else {
            return Err(self.wrong("a list", self.node.value.nature()));
        };
        let item = |(index, node): (usize, &'d Node)| Self {
            document: self.document,
            node,
            key_mark: node.mark,
            path: format!("{}[{index}]", self.path),
        };
        Ok(nodes.iter().enumerate().map(item).collect())
    }

    /// A list of texts.
    pub fn texts(&self) -> Result<Vec<String>, Fault> {
        self.items()?.iter().map(|item| item.text().map(str::to_owned)).collect()
    }

    /// The keys of a map.
    pub fn fields(&self) -> Result<Fields<'d>, Fault> {
        let Value::Map(entries) = &self.node.value else {
            return Err(self.wrong("a map", self.node.value.nature()));
        };
        Ok(Fields {
            document: self.document,
            mark: self.key_mark,
            path: self.path.clone(),
            rest: entries.iter().collect(),
        })
    }

    /// The keys of a map, or none where the key has no value.
    pub fn fields_or_nothing(&self) -> Result<Fields<'d>, Fault> {
        if self.is_null() {
            return Ok(Fields {
                document: self.document,
                mark: self.key_mark,
                path: self.path.clone(),
                rest: Vec::new(),
            });
        }
        self.fields()
    }

    /// The fault of a value that is of another type than the key wants.
    pub fn wrong(&self, wanted: &str, found: &str) -> Fault {
        self.fault(format!("must be {wanted}, not {found}"))
    }

    fn parsed(&self, parse: fn(&str) -> Option<u64>, wanted: &str) -> Result<u64, Fault> {
        let scalar = self.scalar(wanted)?;
        match scalar.kind() {
            Kind::Ambiguous(other) => Err(self.ambiguous(scalar, other)),
            kind @ (Kind::Null | Kind::Boolean(_)) => Err(self.wrong(wanted, kind.nature())),
            Kind::Text | Kind::Integer | Kind::Fraction => {
                parse(&scalar.text).ok_or_else(|| self.wrong(wanted, &format!("`{}`", scalar.text)))
            }
        }
    }

    fn scalar(&self, wanted: &str) -> Result<&'d Scalar, Fault> {
        match &self.node.value {
            Value::Scalar(scalar) => Ok(scalar),
            other => Err(self.wrong(wanted, other.nature())),
        }
    }

    fn ambiguous(&self, scalar: &Scalar, other: &str) -> Fault {
        self.fault(format!("is ambiguous: some readers take `{}` for {other}", scalar.text))
            .with_hint("put it in quotes")
    }

    fn name(&self) -> String {
        if self.path.is_empty() { "the file".to_owned() } else { format!("`{}`", self.path) }
    }
}

impl<'d> Fields<'d> {
    /// The path of keys to this map; empty for the whole file.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Takes a key's value, if the key is there.
    pub fn take(&mut self, key: &str) -> Option<Item<'d>> {
        let index = self.rest.iter().position(|entry| entry.key == key)?;
        let entry = self.rest.remove(index);
        Some(self.item(entry))
    }

    /// Takes a key's value, or says that it is missing.
    pub fn require(&mut self, key: &str) -> Result<Item<'d>, Fault> {
        self.take(key).ok_or_else(|| self.missing(key))
    }

    /// Takes what is left, with its keys.
    pub fn take_rest(&mut self) -> Vec<(&'d str, Item<'d>)> {
        let rest = std::mem::take(&mut self.rest);
        rest.into_iter().map(|entry| (entry.key.as_str(), self.item(entry))).collect()
    }

    /// The keys that have not been read.
    pub fn rest(&self) -> impl Iterator<Item = &'d str> {
        self.rest.iter().map(|entry| entry.key.as_str())
    }

    /// The keys that have not been read, with their positions.
    pub fn keys(&self) -> impl Iterator<Item = (&'d str, Mark)> {
        self.rest.iter().map(|entry| (entry.key.as_str(), entry.mark))
    }

    /// Leaves out the keys that `unwanted` picks.
    pub fn discard(&mut self, unwanted: impl Fn(&str) -> bool) {
        self.rest.retain(|entry| !unwanted(&entry.key));
    }

    /// Says that what is left is unknown, if anything is left; `known` are the keys that could have been meant.
    pub fn finish(self, known: &[&str]) -> Result<(), Fault> {
        match self.rest.first() {
            None => Ok(()),
            Some(entry) => Err(self.unknown(entry, known.iter().copied())),
        }
    }

    /// A fault at the map's own key.
    pub fn fault(&self, message: impl Into<String>) -> Fault {
        self.fault_at(self.mark, message)
    }

    /// A fault at one of the map's keys.
    pub fn fault_at(&self, mark: Mark, message: impl Into<String>) -> Fault {
        self.document.fault(mark, message)
    }

    /// The fault of a key that must be there.
    pub fn missing(&self, key: &str) -> Fault {
        let where_ = self.describe();
        self.fault(format!("the key `{key}` is missing{where_}"))
    }

    fn unknown<'a>(&self, entry: &Entry, known: impl IntoIterator<Item = &'a str>) -> Fault {
        let where_ = self.describe();
        let message = format!("unknown key `{}`{where_}", entry.key);
        self.document.fault(entry.mark, message).with_nearest(&entry.key, known)
    }

    fn describe(&self) -> String {
        if self.path.is_empty() { String::new() } else { format!(" in `{}`", self.path) }
    }

    fn item(&self, entry: &'d Entry) -> Item<'d> {
        let path =
            if self.path.is_empty() { entry.key.clone() } else { format!("{}.{}", self.path, entry.key) };
        Item { document: self.document, node: &entry.value, key_mark: entry.mark, path }
    }
}
