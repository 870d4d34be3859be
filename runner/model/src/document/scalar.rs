//! Scalars, and what a plain one means.
//!
//! YAML 1.1 readers (docker-compose, `PyYAML`) and YAML 1.2 readers take some plain scalars differently: `yes`, `010`,
//! `1:30`. A file that passes both must not depend on that, so such a scalar is ambiguous here and has to be quoted.

/// A scalar as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// The text, after escapes and quotes.
    pub text: String,
    /// How it was written.
    pub form: Form,
}

/// How a scalar was written, which decides what it can mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Without quotes: its meaning follows from its text.
    Plain,
    /// In quotes or as a block: text.
    Quoted,
    /// A variable took part: text, and whatever the key wants to read from it.
    Substituted,
}

/// What a scalar means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Null,
    /// A truth value.
    Boolean(bool),
    /// A whole number in decimal.
    Integer,
    /// A decimal fraction.
    Fraction,
    /// Text.
    Text,
    /// Readers disagree: what some of them take it for.
    Ambiguous(&'static str),
}

impl Kind {
    /// For messages: `a number`.
    pub const fn nature(self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Boolean(_) => "a truth value",
            Self::Integer | Self::Fraction => "a number",
            Self::Text | Self::Ambiguous(_) => "text",
        }
    }
}

impl Scalar {
    /// What the scalar means.
    pub fn kind(&self) -> Kind {
        match self.form {
            Form::Plain => plain_kind(&self.text),
            Form::Quoted | Form::Substituted => Kind::Text,
        }
    }
}

fn plain_kind(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Kind::Null,
        "true" => return Kind::Boolean(true),
        "false" => return Kind::Boolean(false),
        _ => {}
    }
    if ["true", "false", "yes", "no", "on", "off", "y", "n"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word))
    {
        return Kind::Ambiguous("a truth value");
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if is_decimal(unsigned) && !text.starts_with('+') {
        return Kind::Integer;
    }
    if let Some((whole, fraction)) = unsigned.split_once('.')
        && is_decimal(whole)
        && is_digits(fraction)
        && !text.starts_with('+')
    {
        return Kind::Fraction;
    }
    if is_loose_number(unsigned) {
        return Kind::Ambiguous("a number");
    }
    if is_date(text) {
        return Kind::Ambiguous("a date");
    }
    Kind::Text
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Digits without a leading zero.
fn is_decimal(text: &str) -> bool {
    is_digits(text) && (text == "0" || !text.starts_with('0'))
}

/// Whatever YAML 1.1 or 1.2 could take for a number besides the canonical forms (<https://yaml.org/type/int.html>,
/// <https://yaml.org/type/float.html>).
fn is_loose_number(text: &str) -> bool {
    if matches!(text, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let of =
        |text: &str, set: fn(&u8) -> bool| !text.is_empty() && text.bytes().all(|b| b == b'_' || set(&b));
    if let Some(rest) = text.strip_prefix("0x") {
        return of(rest, u8::is_ascii_hexdigit);
    }
    if let Some(rest) = text.strip_prefix("0b") {
        return of(rest, |b| matches!(b, b'0' | b'1'));
    }
    if let Some(rest) = text.strip_prefix("0o") {
        return of(rest, u8::is_ascii_digit);
    }
    if text.starts_with(|c: char| c.is_ascii_digit()) && text.contains(':') {
        return text.split(':').skip(1).all(|part| {
            let whole = part.split('.').next().unwrap_or(part);
            matches!(whole.len(), 1 | 2) && whole.parse::<u8>().is_ok_and(|n| n < 60)
        });
    }
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (text, None),
    };
    let has_digit = mantissa.bytes().any(|b| b.is_ascii_digit());
    has_digit
        && mantissa.bytes().filter(|b| *b == b'.').count() <= 1
        && mantissa.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'_' | b'.'))
        && !mantissa.starts_with('_')
        && exponent.is_none_or(is_digits)
}

/// `2026-11-21`, with or without a time after it.
fn is_date(text: &str) -> bool {
    let day = text.split(['T', 't', ' ']).next().unwrap_or(text);
    let parts: Vec<&str> = day.split('-').collect();
    matches!(parts.as_slice(), [year, month, day]
        if year.len() == 4 && [year, month, day].iter().all(|part| is_digits(part))
            && month.len() <= 2 && day.len() <= 2)
}

#[cfg(test)]
mod tests {
    use super::{Form, Kind, Scalar};

    fn kind(text: &str) -> Kind {
        Scalar { text: text.to_owned(), form: Form::Plain }.kind()
    }

    #[test]
    fn what_all_readers_agree_on_has_its_meaning() {
        assert_eq!(kind("true"), Kind::Boolean(true));
        assert_eq!(kind("~"), Kind::Null);
        for text in ["0", "-7", "8222"] {
            assert_eq!(kind(text), Kind::Integer, "{text}");
        }
        assert_eq!(kind("0.5"), Kind::Fraction);
        for text in [
            "-js",
            "2.9.10",
            "1g",
            "http://etcd:2379",
            "10001:10001",
            "v1",
            "service_started",
            "-",
            "1:99",
            "_1",
        ] {
            assert_eq!(kind(text), Kind::Text, "{text}");
        }
    }

    #[test]
    fn what_readers_disagree_on_is_ambiguous() {
        for text in ["yes", "No", "ON", "True", "y"] {
            assert_eq!(kind(text), Kind::Ambiguous("a truth value"), "{text}");
        }
        for text in
            ["010", "1_000", "0x1f", "0b1", "1e3", "+5", "1:30", "1000:10", ".5", "5.", "-.inf", "1.5e+3"]
        {
            assert_eq!(kind(text), Kind::Ambiguous("a number"), "{text}");
        }
        for text in ["2026-11-21", "2026-1-2T10:00:00Z"] {
            assert_eq!(kind(text), Kind::Ambiguous("a date"), "{text}");
        }
    }

    #[test]
    fn quotes_make_text_of_anything() {
        assert_eq!(Scalar { text: "yes".into(), form: Form::Quoted }.kind(), Kind::Text);
    }
}
