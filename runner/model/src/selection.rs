//! Selection: which cases of a catalog are asked for.

mod complete;
mod expression;
pub mod hardware;
mod lexer;
mod marker;
pub mod needs;
mod pattern;
mod predicate;

pub use complete::{complete, in_every_spelling};
pub use expression::{Expression, ExpressionError, Matcher, Name};
pub use lexer::Literal;
pub use marker::{Keywords, Mark, Marks};
pub use pattern::CasePattern;

#[cfg(test)]
mod tests;
