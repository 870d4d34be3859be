//! The words of an expression, as pytest's own scanner cuts them.

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

use super::ExpressionError;

/// The value of a marker's argument in an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Literal {
    /// `"text"` or `'text'`.
    Text(String),
    /// A whole number.
    Integer(i128),
    /// `True` or `False`.
    Bool(bool),
    /// `None`.
    None,
}

/// A word with its place, counted in characters from zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub kind: Kind,
    pub position: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Open,
    Close,
    Or,
    And,
    Not,
    Word(String),
    Equal,
    Text(String),
    Comma,
    End,
    /// Where no word can be read; nothing comes after it.
    Bad(ExpressionError),
}

impl Kind {
    /// The name that pytest gives it in its messages.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Open => "left parenthesis",
            Self::Close => "right parenthesis",
            Self::Or => "or",
            Self::And => "and",
            Self::Not => "not",
            Self::Word(_) => "identifier",
            Self::Equal => "=",
            Self::Text(_) => "str",
            Self::Comma => ",",
            Self::End => "end of input",
            Self::Bad(_) => "no word",
        }
    }
}

/// Cuts a text into words; the last one is [`Kind::End`] or [`Kind::Bad`]. What is bad is told only when reading comes to
/// it, as pytest does: what is wrong before it comes first.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut position = 0;
    loop {
        let rest = chars.get(position..).unwrap_or_default();
        match token(rest) {
            Ok((None, length)) => position += length,
            Ok((Some(kind), length)) => {
                let is_last = kind == Kind::End;
                tokens.push(Token { kind, position });
                if is_last {
                    return tokens;
                }
                position += length;
            }
            Err((offset, message)) => {
                let error = ExpressionError::new(position + offset, message);
                tokens.push(Token { kind: Kind::Bad(error), position });
                return tokens;
            }
        }
    }
}

/// The word at the beginning of a text, none for a space, and its length; or what is wrong there, and where.
fn token(rest: &[char]) -> Result<(Option<Kind>, usize), (usize, String)> {
    let Some(&first) = rest.first() else { return Ok((Some(Kind::End), 0)) };
    Ok(match first {
        ' ' | '\t' => (None, 1),
        '(' => (Some(Kind::Open), 1),
        ')' => (Some(Kind::Close), 1),
        '=' => (Some(Kind::Equal), 1),
        ',' => (Some(Kind::Comma), 1),
        '\'' | '"' => {
            let within = rest.get(1..).unwrap_or_default();
            let Some(length) = within.iter().position(|c| *c == first) else {
                return Err((0, format!("closing quote `{first}` is missing")));
            };
            let content = within.get(..length).unwrap_or_default();
            if let Some(backslash) = content.iter().position(|c| *c == '\\') {
                return Err((
                    1 + backslash,
                    "escaping with `\\` is not supported in marker expressions".to_owned(),
                ));
            }
            (Some(Kind::Text(content.iter().collect())), length + 2)
        }
        _ if is_of_word(first) => {
            let word: Vec<char> = rest.iter().copied().take_while(|c| is_of_word(*c)).collect();
            let text: String = word.iter().collect();
            let kind = match text.as_str() {
                "or" => Kind::Or,
                "and" => Kind::And,
                "not" => Kind::Not,
                _ => Kind::Word(text),
            };
            (Some(kind), word.len())
        }
        other => return Err((0, format!("unexpected character `{other}`"))),
    })
}

/// Python's `\w`, and what node ids hold besides.
fn is_of_word(c: char) -> bool {
    let is_alphanumeric =
        || matches!(c.general_category_group(), GeneralCategoryGroup::Letter | GeneralCategoryGroup::Number);
    matches!(c, '_' | ':' | '+' | '-' | '.' | '[' | ']' | '\\' | '/') || is_alphanumeric()
}
