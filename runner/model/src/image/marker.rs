//! Environment markers of requirement files, such as `python_version < "3.12"`, for the machine that an image is made for and
//! not for the one that makes it.
//!
//! The grammar and the meaning of comparisons are those of the specification of dependency specifiers (PEP 508).

use std::cmp::Ordering;

use crate::image::Architecture;

/// More brackets within each other than this are no condition any more.
const MAX_DEPTH: usize = 64;

/// What markers are asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// Python's version, such as `3.11`.
    pub python: &'a str,
    /// The machine.
    pub architecture: Architecture,
}

impl Target<'_> {
    /// What a variable stands for; none for one that there is not.
    fn value(&self, name: &str) -> Option<String> {
        Some(match name {
            "python_version" => self.python.to_owned(),
            // Which patch release Debian has is not known here. The oldest needs all that any later one needs.
            "python_full_version" | "implementation_version" => format!("{}.0", self.python),
            "os_name" => "posix".to_owned(),
            "sys_platform" => "linux".to_owned(),
            "platform_system" => "Linux".to_owned(),
            "platform_machine" => match self.architecture {
                Architecture::Amd64 => "x86_64".to_owned(),
                Architecture::Arm64 => "aarch64".to_owned(),
            },
            "platform_python_implementation" => "CPython".to_owned(),
            "implementation_name" => "cpython".to_owned(),
            // A pin is for no extra of a package; of the kernel nothing is known.
            "extra" | "platform_release" | "platform_version" => String::new(),
            _ => return None,
        })
    }
}

/// Whether a marker holds for a target. The error says what cannot be read.
pub fn holds(marker: &str, target: &Target<'_>) -> Result<bool, String> {
    let tokens = tokens(marker)?;
    let mut reader = Reader { tokens: &tokens, target, depth: 0 };
    let answer = reader.any()?;
    match reader.tokens.first() {
        None => Ok(answer),
        Some(token) => Err(format!("nothing can follow before {token}")),
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Text(String),
    Word(String),
    Sign(String),
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => write!(f, "the text `{text}`"),
            Self::Word(text) | Self::Sign(text) => write!(f, "`{text}`"),
        }
    }
}

fn tokens(marker: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = marker.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = match first {
            '\'' | '"' => {
                let inner = rest.get(1..).unwrap_or_default();
                let (text, after) = inner.split_once(first).ok_or("a quote is not closed")?;
                (Token::Text(text.to_owned()), after)
            }
            '(' | ')' => (Token::Sign(first.to_string()), rest.get(1..).unwrap_or_default()),
            '<' | '>' | '=' | '!' | '~' => {
                let end = rest.find(|c| !matches!(c, '<' | '>' | '=' | '!' | '~')).unwrap_or(rest.len());
                let (sign, after) = rest.split_at(end);
                (Token::Sign(sign.to_owned()), after)
            }
            c if c.is_ascii_alphanumeric() || c == '_' => {
                let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
                let (word, after) = rest.split_at(rest.find(|c| !inner(c)).unwrap_or(rest.len()));
                (Token::Word(word.to_owned()), after)
            }
            other => return Err(format!("`{other}` has no meaning in a marker")),
        };
        tokens.push(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

struct Reader<'t, 'a> {
    tokens: &'t [Token],
    target: &'a Target<'a>,
    depth: usize,
}

/// A side of a comparison: its value, and whether it was a variable.
struct Side {
    value: String,
    is_variable: bool,
}

impl Reader<'_, '_> {
    fn any(&mut self) -> Result<bool, String> {
        let mut answer = self.all()?;
        while self.takes_word("or") {
            answer |= self.all()?;
        }
        Ok(answer)
    }

    fn all(&mut self) -> Result<bool, String> {
        let mut answer = self.one()?;
        while self.takes_word("and") {
            answer &= self.one()?;
        }
        Ok(answer)
    }

    fn one(&mut self) -> Result<bool, String> {
        if self.takes(&Token::Sign("(".to_owned())) {
            self.depth += 1;
            if self.depth > MAX_DEPTH {
                return Err(format!("more than {MAX_DEPTH} brackets are within each other"));
            }
            let answer = self.any()?;
            self.depth -= 1;
            return if self.takes(&Token::Sign(")".to_owned())) {
                Ok(answer)
            } else {
                Err("a bracket is not closed".to_owned())
            };
        }
        let left = self.side()?;
        let sign = self.sign()?;
        let right = self.side()?;
        if !left.is_variable && !right.is_variable {
            return Err("two texts are compared".to_owned());
        }
        compare(&left.value, &sign, &right.value)
    }

    fn side(&mut self) -> Result<Side, String> {
        match self.next() {
            Some(Token::Text(text)) => Ok(Side { value: text, is_variable: false }),
            Some(Token::Word(name)) => {
                let value =
                    self.target.value(&name).ok_or_else(|| format!("there is no variable `{name}`"))?;
                Ok(Side { value, is_variable: true })
            }
            Some(other) => Err(format!("{other} stands where a variable or a text should")),
            None => Err("it ends too early".to_owned()),
        }
    }

    fn sign(&mut self) -> Result<String, String> {
        match self.next() {
            Some(Token::Sign(sign)) => Ok(sign),
            Some(Token::Word(word)) if word == "in" => Ok(word),
            Some(Token::Word(word)) if word == "not" && self.takes_word("in") => Ok("not in".to_owned()),
            Some(other) => Err(format!("{other} is no comparison")),
            None => Err("it ends too early".to_owned()),
        }
    }

    fn next(&mut self) -> Option<Token> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first.clone())
    }

    fn takes(&mut self, token: &Token) -> bool {
        let is_next = self.tokens.first() == Some(token);
        if is_next {
            self.next();
        }
        is_next
    }

    fn takes_word(&mut self, word: &str) -> bool {
        self.takes(&Token::Word(word.to_owned()))
    }
}

/// Versions are compared as versions, everything else as text.
fn compare(left: &str, sign: &str, right: &str) -> Result<bool, String> {
    let known = matches!(sign, "==" | "!=" | "<" | "<=" | ">" | ">=" | "~=" | "===" | "in" | "not in");
    if !known {
        return Err(format!("`{sign}` is no comparison"));
    }
    if let (Some(prefix), "==" | "!=") = (right.strip_suffix(".*"), sign) {
        let within = left == prefix || left.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.'));
        return Ok(within == (sign == "=="));
    }
    let order = match (Version::parse(left), Version::parse(right)) {
        (Some(left), Some(right)) => left.cmp(&right),
        _ if sign == "~=" => return Err("`~=` compares versions only".to_owned()),
        _ => left.cmp(right),
    };
    Ok(match sign {
        "in" => right.contains(left),
        "not in" => !right.contains(left),
        "===" => left == right,
        "==" => order.is_eq(),
        "!=" => order.is_ne(),
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        ">=" => order.is_ge(),
        // The same up to the last number but one, and not older.
        _ => {
            let series = right.rsplit_once('.').map_or(right, |(series, _)| series);
            order.is_ge() && (left == series || left.starts_with(&format!("{series}.")))
        }
    })
}

/// A version as far as markers use them: numbers, and perhaps a stage before the release.
#[derive(Debug, PartialEq, Eq)]
struct Version {
    numbers: Vec<u64>,
    /// `dev` is 0, `a` 1, `b` 2, `rc` 3, a release 4.
    stage: (u8, u64),
}

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (numbers, stage) = text.split_at(end);
        let numbers = numbers.strip_suffix('.').filter(|_| !stage.is_empty()).unwrap_or(numbers);
        let numbers: Vec<u64> = numbers.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
        let stages = [("dev", 0), ("a", 1), ("b", 2), ("rc", 3)];
        let stage = match stage {
            "" => (4, 0),
            text => stages.into_iter().find_map(|(name, rank)| {
                let number = text.strip_prefix(name)?;
                Some((rank, if number.is_empty() { 0 } else { number.parse().ok()? }))
            })?,
        };
        Some(Self { numbers, stage })
    }

    fn cmp(&self, other: &Self) -> Ordering {
        let length = self.numbers.len().max(other.numbers.len());
        let padded = |version: &Self| {
            let mut numbers = version.numbers.clone();
            numbers.resize(length, 0);
            numbers
        };
        padded(self).cmp(&padded(other)).then_with(|| self.stage.cmp(&other.stage))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Target, holds};
    use crate::image::Architecture;

    const TARGET: Target<'_> = Target { python: "3.11", architecture: Architecture::Amd64 };

    #[test]
    fn markers_are_asked_of_the_image_and_not_of_the_host() {
        for (marker, expected) in [
            ("python_version < \"3.12\"", true),
            ("python_version < '3.9'", false),
            ("python_version>='3.11'", true),
            ("'3.12' > python_version", true),
            ("python_version == '3.*'", true),
            ("python_version != '3.11.*'", false),
            ("python_version ~= '3.10'", true),
            ("python_version ~= '4.0'", false),
            ("python_full_version <= '3.11.0a6'", false),
            ("python_full_version >= '3.11'", true),
            ("python_version in '3.10 3.11'", true),
            ("python_version not in '3.10'", true),
            ("sys_platform == 'win32' or platform_system == 'Linux'", true),
            ("sys_platform == 'linux' and platform_machine == 'aarch64'", false),
            ("(os_name == 'nt' or os_name == 'posix') and implementation_name == 'cpython'", true),
            ("os_name == 'nt' or os_name == 'posix' and sys_platform == 'win32'", false),
            ("platform_python_implementation != 'PyPy'", true),
            ("extra == 'dev'", false),
        ] {
            assert_eq!(holds(marker, &TARGET), Ok(expected), "{marker}");
        }
        let arm = Target { python: "3.9", architecture: Architecture::Arm64 };
        assert_eq!(holds("platform_machine == 'aarch64' and python_version < '3.10'", &arm), Ok(true));
    }

    #[test]
    fn brackets_within_each_other_have_an_end() {
        let nested = |depth: usize| format!("{}os_name == 'nt'{}", "(".repeat(depth), ")".repeat(depth));
        assert_eq!(holds(&nested(64), &TARGET), Ok(false));
        // Beside each other there can be any number.
        assert_eq!(holds(&[nested(1).as_str(); 1000].join(" or "), &TARGET), Ok(false));
        for depth in [65, 1_000_000] {
            assert!(holds(&nested(depth), &TARGET).unwrap_err().contains("more than 64 brackets"));
        }
    }

    #[test]
    fn what_is_no_marker_says_what_is_wrong() {
        for (marker, part) in [
            ("", "ends too early"),
            ("python_version", "ends too early"),
            ("python_version <", "ends too early"),
            ("python_version < '3", "quote is not closed"),
            ("(python_version < '3'", "bracket is not closed"),
            ("pyhton_version < '3'", "no variable `pyhton_version`"),
            ("'a' == 'a'", "two texts"),
            ("python_version =< '3'", "`=<` is no comparison"),
            ("python_version < '3' '4'", "nothing can follow before the text `4`"),
            ("python_version & '3'", "`&` has no meaning"),
            ("os_name ~= 'posix'", "compares versions only"),
        ] {
            assert!(
                holds(marker, &TARGET).unwrap_err().contains(part),
                "{marker}: {:?}",
                holds(marker, &TARGET)
            );
        }
    }

    proptest! {
        #[test]
        fn no_marker_makes_it_panic(marker in "(python_version|os_name|and|or|not|in|[<>=~!('\")0-9.a é]| ){0,12}") {
            let _ = holds(&marker, &TARGET);
        }
    }
}
