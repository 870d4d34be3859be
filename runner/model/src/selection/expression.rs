//! Expressions over markers and keywords with the meaning that pytest 8.3 and newer give to `-m` and `-k`.
//!
//! Grammar and meaning are pytest's own (`_pytest/mark/expression.py`): an empty expression selects nothing, a name is
//! asked of a [`Matcher`], `not` binds closer than `and`, `and` closer than `or`.

use super::lexer::{Kind, Literal, Token, tokens};
use super::predicate::Predicate;
use crate::exit_code::ExitCode;
use crate::hint::Hint;

/// More parentheses within each other than this are no selection any more. Python gives up at a similar depth.
const MAX_DEPTH: usize = 200;

/// Words that Python keeps for itself: none can be the name of a marker's argument.
const RESERVED: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def",
    "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is",
    "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
];

/// An expression that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    source: String,
    /// The same without predicates.
    plain: String,
    root: Node,
}

/// A name in an expression, with the arguments that it asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The name.
    pub text: String,
    /// Arguments by name, in the order in which they were written; none without parentheses.
    pub arguments: Vec<(String, Literal)>,
    /// Where it stands, in characters from one.
    pub column: usize,
}

/// Says whether a name holds for a case.
pub trait Matcher {
    /// Whether it does.
    fn matches(&self, name: &Name) -> bool;
}

impl<F: Fn(&Name) -> bool> Matcher for F {
    fn matches(&self, name: &Name) -> bool {
        self(name)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Never,
    Name(Name),
    /// Any of these markers, of which `asked` stand in the source.
    Predicate {
        markers: Vec<Name>,
        asked: Vec<Name>,
    },
    Not(Box<Self>),
    All(Vec<Self>),
    Any(Vec<Self>),
}

/// An expression that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {message}")]
pub struct ExpressionError {
    /// Where, in characters from one.
    pub column: usize,
    /// What, lower case, values in backticks, without final dot.
    pub message: String,
    /// The expression with a caret under the column.
    pub excerpt: Option<String>,
}

impl ExpressionError {
    /// At a position, counted in characters from zero.
    pub(super) fn new(position: usize, message: impl Into<String>) -> Self {
        Self { column: position + 1, message: message.into(), excerpt: None }
    }

    fn within(mut self, source: &str) -> Self {
        let shown: String = source.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.excerpt = Some(format!("{shown}\n{}^", " ".repeat(self.column - 1)));
        self
    }
}

impl Hint for ExpressionError {
    fn hint(&self) -> Option<String> {
        Some("names are joined by `and`, `or`, `not` and parentheses, as for `pytest -m`".to_owned())
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }

    fn rendered(&self) -> Option<String> {
        self.excerpt.clone()
    }
}

impl Expression {
    /// Reads an expression.
    pub fn parse(source: &str) -> Result<Self, ExpressionError> {
        let parse = || -> Result<_, ExpressionError> {
            let mut parser = Parser { tokens: tokens(source), next: 0, depth: 0, replaced: Vec::new() };
            parser.is_sound()?;
            let root = parser.whole()?;
            Ok((root, parser.replaced))
        };
        match parse() {
            Ok((root, replaced)) => {
                Ok(Self { source: source.to_owned(), plain: without_predicates(source, &replaced), root })
            }
            Err(error) => Err(error.within(source)),
        }
    }

    /// The same in words that pytest itself understands: predicates are written out.
    pub fn in_pytests_words(&self) -> &str {
        &self.plain
    }

    /// The text that it was read from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it holds.
    pub fn matches(&self, matcher: &impl Matcher) -> bool {
        self.root.matches(matcher)
    }

    /// Every name in it, in order, as often as it is written.
    pub fn names(&self) -> Vec<&Name> {
        let mut names = Vec::new();
        let mut open = vec![&self.root];
        while let Some(node) = open.pop() {
            match node {
                Node::Never => {}
                Node::Name(name) => names.push(name),
                Node::Predicate { asked, .. } => names.extend(asked),
                Node::Not(inner) => open.push(inner),
                Node::All(parts) | Node::Any(parts) => open.extend(parts.iter().rev()),
            }
        }
        names
    }
}

impl Node {
    fn matches(&self, matcher: &impl Matcher) -> bool {
        match self {
            Self::Never => false,
            Self::Name(name) => matcher.matches(name),
            Self::Predicate { markers, .. } => markers.iter().any(|name| matcher.matches(name)),
            Self::Not(inner) => !inner.matches(matcher),
            Self::All(parts) => parts.iter().all(|part| part.matches(matcher)),
            Self::Any(parts) => parts.iter().any(|part| part.matches(matcher)),
        }
    }
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
    /// Predicates with what they stand for: from, to, in characters.
    replaced: Vec<(usize, usize, String)>,
}

impl Parser {
    fn whole(&mut self) -> Result<Node, ExpressionError> {
        if self.accept(&Kind::End)? {
            return Ok(Node::Never);
        }
        let root = self.any()?;
        if self.accept(&Kind::End)? { Ok(root) } else { Err(self.expected(&["end of input"])) }
    }

    fn any(&mut self) -> Result<Node, ExpressionError> {
        let mut parts = vec![self.all()?];
        while self.accept(&Kind::Or)? {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Node::Any(parts) })
    }

    fn all(&mut self) -> Result<Node, ExpressionError> {
        let mut parts = vec![self.not()?];
        while self.accept(&Kind::And)? {
            parts.push(self.not()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Node::All(parts) })
    }

    /// Any number of `not`, which take each other back in pairs.
    fn not(&mut self) -> Result<Node, ExpressionError> {
        let mut negated = false;
        while self.accept(&Kind::Not)? {
            negated = !negated;
        }
        let inner = self.single()?;
        Ok(if negated { Node::Not(Box::new(inner)) } else { inner })
    }

    fn single(&mut self) -> Result<Node, ExpressionError> {
        let position = self.position();
        if self.accept(&Kind::Open)? {
            self.depth += 1;
            self.is_shallow(position)?;
            let inner = self.any()?;
            self.close()?;
            self.depth -= 1;
            return Ok(inner);
        }
        let Some(text) = self.word()? else {
            return Err(self.expected(&["not", "left parenthesis", "identifier"]));
        };
        if let Some(predicate) = Predicate::of(&text)
            && self.has_positional_argument()
        {
            return self.predicate(predicate, position);
        }
        let mut arguments = Vec::new();
        if self.accept(&Kind::Open)? {
            loop {
                let argument = self.argument(&arguments)?;
                arguments.push(argument);
                if !self.accept(&Kind::Comma)? {
                    break;
                }
            }
            self.close()?;
        }
        Ok(Node::Name(Name { text, arguments, column: position + 1 }))
    }

    /// Whether an argument without a name follows, which pytest does not have.
    fn has_positional_argument(&self) -> bool {
        let kind = |ahead: usize| self.tokens.get(self.next + ahead).map(|token| &token.kind);
        kind(0) == Some(&Kind::Open)
            && matches!(kind(1), Some(Kind::Word(_)))
            && kind(2) != Some(&Kind::Equal)
    }

    /// Complains of too many parentheses within each other.
    fn is_shallow(&self, position: usize) -> Result<(), ExpressionError> {
        if self.depth <= MAX_DEPTH {
            return Ok(());
        }
        let message = format!("more than {MAX_DEPTH} parentheses within each other");
        Err(ExpressionError::new(position, message))
    }

    fn predicate(&mut self, predicate: Predicate, position: usize) -> Result<Node, ExpressionError> {
        // What it stands for has parentheses of its own.
        self.depth += 1;
        self.is_shallow(position)?;
        self.depth -= 1;
        let (mut markers, mut asked) = (Vec::new(), Vec::new());
        loop {
            // The opening parenthesis, and then each comma.
            self.advance()?;
            let at = self.position();
            let Some(argument) = self.word()? else { return Err(self.expected(&["identifier"])) };
            let name = |text: String| Name { text, arguments: Vec::new(), column: at + 1 };
            markers.extend(predicate.markers(&argument, at)?.into_iter().map(name));
            if predicate.names_markers() {
                asked.push(name(argument));
            }
            if self.tokens.get(self.next).map(|token| &token.kind) != Some(&Kind::Comma) {
                break;
            }
        }
        let end = self.position() + 1;
        self.close()?;
        let texts: Vec<&str> = markers.iter().map(|name| name.text.as_str()).collect();
        self.replaced.push((position, end, format!("({})", texts.join(" or "))));
        Ok(Node::Predicate { markers, asked })
    }

    fn argument(&mut self, before: &[(String, Literal)]) -> Result<(String, Literal), ExpressionError> {
        let position = self.position();
        let Some(name) = self.word()? else { return Err(self.expected(&["identifier"])) };
        if !is_identifier(&name) {
            return Err(ExpressionError::new(position, format!("`{name}` cannot be an argument's name")));
        }
        if RESERVED.contains(&name.as_str()) {
            return Err(ExpressionError::new(position, format!("`{name}` is a word of Python's own")));
        }
        if before.iter().any(|(other, _)| *other == name) {
            return Err(ExpressionError::new(position, format!("the argument `{name}` is given twice")));
        }
        if !self.accept(&Kind::Equal)? {
            return Err(self.expected(&["="]));
        }
        Ok((name, self.literal()?))
    }

    fn literal(&mut self) -> Result<Literal, ExpressionError> {
        let position = self.position();
        if let Some(Kind::Text(text)) = self.tokens.get(self.next).map(|token| token.kind.clone()) {
            self.advance()?;
            return Ok(Literal::Text(text));
        }
        let Some(word) = self.word()? else { return Err(self.expected(&["identifier"])) };
        let digits = word.strip_prefix('-').unwrap_or(&word);
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        match word.as_str() {
            "True" => Ok(Literal::Bool(true)),
            "False" => Ok(Literal::Bool(false)),
            "None" => Ok(Literal::None),
            _ if is_number => word
                .parse()
                .map(Literal::Integer)
                .map_err(|_| ExpressionError::new(position, format!("the number `{word}` is too large"))),
            _ => {
                let message = format!(
                    "`{word}` is no value: it must be a number, `True`, `False`, `None` or text in quotes"
                );
                Err(ExpressionError::new(position, message))
            }
        }
    }

    fn close(&mut self) -> Result<(), ExpressionError> {
        if self.accept(&Kind::Close)? { Ok(()) } else { Err(self.expected(&["right parenthesis"])) }
    }

    fn accept(&mut self, kind: &Kind) -> Result<bool, ExpressionError> {
        let is_next = self.tokens.get(self.next).is_some_and(|token| token.kind == *kind);
        // The end stays, so that every complaint finds it.
        if is_next && *kind != Kind::End {
            self.advance()?;
        }
        Ok(is_next)
    }

    fn word(&mut self) -> Result<Option<String>, ExpressionError> {
        let Some(Kind::Word(word)) = self.tokens.get(self.next).map(|token| &token.kind) else {
            return Ok(None);
        };
        let word = word.clone();
        self.advance()?;
        Ok(Some(word))
    }

    fn advance(&mut self) -> Result<(), ExpressionError> {
        self.next += 1;
        self.is_sound()
    }

    /// Complains of what is no word, as soon as it is the next one.
    fn is_sound(&self) -> Result<(), ExpressionError> {
        match self.tokens.get(self.next).map(|token| &token.kind) {
            Some(Kind::Bad(error)) => Err(error.clone()),
            _ => Ok(()),
        }
    }

    fn position(&self) -> usize {
        self.tokens.get(self.next).map_or(0, |token| token.position)
    }

    fn expected(&self, what: &[&str]) -> ExpressionError {
        let got = self.tokens.get(self.next).map_or("end of input", |token| token.kind.name());
        ExpressionError::new(self.position(), format!("expected {}; got {got}", what.join(" or ")))
    }
}

/// The source with each predicate replaced by what it stands for.
fn without_predicates(source: &str, replaced: &[(usize, usize, String)]) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut plain = String::with_capacity(source.len());
    let mut next = 0;
    for (start, end, text) in replaced {
        plain.extend(chars.get(next..*start).unwrap_or_default());
        plain.push_str(text);
        next = *end;
    }
    plain.extend(chars.get(next..).unwrap_or_default());
    plain
}

/// Whether Python takes a text for a name.
fn is_identifier(text: &str) -> bool {
    let mut chars = text.chars();
    let first = chars.next().is_some_and(|c| c == '_' || unicode_ident::is_xid_start(c));
    first && chars.all(unicode_ident::is_xid_continue)
}
