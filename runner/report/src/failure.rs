//! How an error that ends the command reads: what happened, where, why, and the way out.

use testbed_model::hint::Hint;

use crate::neutral;
use crate::style::{Style, Tone};

/// The message for a person: `error:` with the message, the place in the user's file where there is one, causes that the
/// message does not hold already, `hint:` with the way out. Ends with a line end.
pub fn render(error: &dyn Hint, style: &Style) -> String {
    let message = error.to_string();
    let mut out = labelled("error:", Tone::Bad, &message, style);
    if let Some(place) = error.rendered() {
        for line in neutral::text(&place).lines() {
            out.push_str(format!("  {line}").trim_end());
            out.push('\n');
        }
    }
    // Many errors repeat their cause in their own message; saying it twice helps nobody.
    let mut shown = message;
    let mut cause = error.source();
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !shown.contains(&text) {
            out.push_str(&labelled("  caused by:", Tone::Dim, &text, style));
            shown.push_str(&text);
        }
        cause = inner.source();
    }
    if let Some(hint) = error.hint() {
        out.push_str(&labelled("hint:", Tone::Step, &hint, style));
    }
    out
}

/// A label and a text, whose further lines stand below its first.
fn labelled(label: &str, tone: Tone, text: &str, style: &Style) -> String {
    let margin = " ".repeat(label.chars().count());
    let label = style.paint(tone, label);
    let clean = neutral::text(text);
    let lines = clean.trim_end().split('\n').enumerate();
    let led: Vec<String> = lines
        .map(|(index, line)| {
            let lead = if index == 0 { &label } else { &margin };
            format!("{lead} {line}").trim_end().to_owned()
        })
        .collect();
    format!("{}\n", led.join("\n"))
}

#[cfg(test)]
mod tests {
    use testbed_model::exit_code::ExitCode;
    use testbed_model::hint::Hint;

    use super::render;
    use crate::style::Style;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read `a.toml`")]
    struct Unreadable(#[source] Denied);

    #[derive(Debug, thiserror::Error)]
    #[error("permission denied\u{1b}[2J")]
    struct Denied;

    impl Hint for Unreadable {
        fn hint(&self) -> Option<String> {
            Some("check its permissions:\nls -l a.toml".into())
        }

        fn exit_code(&self) -> ExitCode {
            ExitCode::Usage
        }

        fn rendered(&self) -> Option<String> {
            Some("2 | x\n  | ^".into())
        }
    }

    #[test]
    fn an_error_names_the_thing_the_place_the_cause_and_the_way_out() {
        insta::assert_snapshot!(render(&Unreadable(Denied), &Style::plain(80)), @r"
        error: cannot read `a.toml`
          2 | x
            | ^
          caused by: permission denied
        hint: check its permissions:
              ls -l a.toml
        ");
    }

    #[test]
    fn colours_are_there_only_when_asked_for() {
        let style = Style { colours: true, ..Style::plain(80) };
        assert!(render(&Unreadable(Denied), &style).starts_with("\u{1b}["));
    }
}
