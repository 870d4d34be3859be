//! Selection: which cases of a catalog are asked for.

mod expression;
mod lexer;
mod marker;

pub use expression::{Expression, ExpressionError, Matcher, Name};
pub use lexer::Literal;
pub use marker::{Keywords, Mark, Marks};

#[cfg(test)]
mod tests;
