//! Sections as a table for people.

use std::io::{self, Write};

use crate::outcome::{Comparison, Row, Section, Unit};

/// Writes a section: one line a row, under it one line a ratio.
pub fn write(out: &mut impl Write, section: &Section) -> io::Result<()> {
    writeln!(out, "{}: {}\n", section.name, section.about)?;
    let names = section.rows.iter().map(|row| row.how.len());
    let ratios = section.rows.iter().flat_map(|row| &row.comparisons).map(|c| c.to.len() + RATIO_INDENT);
    let headings = section.rows.iter().map(|row| heading(row).len());
    let width = names.chain(ratios).chain(headings).max().unwrap_or(0) + 2;
    let mut what = String::new();
    for row in &section.rows {
        if heading(row) != what {
            what = heading(row);
            writeln!(out, "  {what:width$}{:>9}{:>9}{:>9}{:>9}{:>6}", "median", "min", "max", "p95", "n")?;
        }
        write_row(out, row, width)?;
    }
    writeln!(out)?;
    for note in &section.notes {
        writeln!(out, "  {note}")?;
    }
    if !section.notes.is_empty() {
        writeln!(out)?;
    }
    Ok(())
}

fn heading(row: &Row) -> String {
    format!("{}, {}", row.what, row.unit.text())
}

/// How much farther than its row a ratio is indented.
const RATIO_INDENT: usize = 4;

fn write_row(out: &mut impl Write, row: &Row, width: usize) -> io::Result<()> {
    let figures = &row.figures;
    let number = |value| number(value, row.unit);
    writeln!(
        out,
        "    {:width$}{:>7}{:>9}{:>9}{:>9}{:>6}",
        row.how,
        number(figures.median),
        number(figures.min),
        number(figures.max),
        number(figures.p95),
        figures.samples,
        width = width,
    )?;
    for comparison in &row.comparisons {
        writeln!(
            out,
            "      / {:width$}{}",
            comparison.to,
            judged(comparison),
            width = width - RATIO_INDENT
        )?;
    }
    Ok(())
}

fn judged(comparison: &Comparison) -> String {
    let by_round = comparison.by_round.map(|ratio| format!("  (by round {ratio:.2})")).unwrap_or_default();
    let judged = comparison.target.zip(comparison.holds).map(|(target, holds)| {
        let verdict = if holds { "holds" } else { "MISSED" };
        format!("  target {target:.2} {verdict}")
    });
    format!("{:>7.2}{by_round}{}", comparison.ratio, judged.unwrap_or_default())
}

/// Enough digits to compare, not more than the measurement has.
fn number(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Milliseconds if value >= 100.0 => format!("{value:.0}"),
        _ => format!("{value:.1}"),
    }
}

#[cfg(test)]
mod tests {
    use super::write;
    use crate::outcome::{Comparison, Row, Section, Unit};

    #[test]
    fn a_table_shows_figures_ratios_and_verdicts() {
        let (ours, theirs) = ([95.0, 110.0, 100.0], [190.0, 210.0, 200.0]);
        let ratio = |target| Comparison::of_medians("bare", &ours, &theirs, Some(target));
        let section = Section {
            name: "stack",
            about: "How long a stack takes",
            rows: vec![
                Row::of("first chat", "bare", Unit::Milliseconds, &theirs).unwrap(),
                Row::of("first chat", "testbed up", Unit::Milliseconds, &ours)
                    .unwrap()
                    .compared(ratio(1.0))
                    .compared(ratio(0.4)),
            ],
            notes: vec!["A note.".to_owned()],
        };
        let mut out = Vec::new();
        write(&mut out, &section).unwrap();
        let expected = "\
stack: How long a stack takes

  first chat, ms     median      min      max      p95     n
    bare                200      190      210      210     3
    testbed up          100     95.0      110      110     3
      / bare           0.50  (by round 0.50)  target 1.00 holds
      / bare           0.50  (by round 0.50)  target 0.40 MISSED

  A note.

";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
