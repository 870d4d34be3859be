//! `testbed list`: the cases of every suite, before anything is selected.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use testbed_model::catalog::{Catalog, Entry, Finding, FindingKind, SuiteCatalog};
use testbed_model::exit_code::ExitCode;
use testbed_model::plan::Filter;
use testbed_model::selection::{Mark, complete};
use testbed_model::tier::Tier;

use crate::args::{ChoiceArgs, ListArgs};
use crate::collection::{self, Ask};
use crate::failure::Failure;
use crate::preparation::{Preparation, Question};
use crate::settings::Settings;

/// A case as programs read it.
#[derive(Debug, Serialize)]
struct Listed<'c> {
    id: &'c str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    /// As they count: today's spellings and defaults included.
    markers: Vec<Mark>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    fixtures: &'c [String],
}

/// A suite as programs read it.
#[derive(Debug, Serialize)]
struct ListedSuite<'c> {
    cases: Vec<Listed<'c>>,
    findings: &'c [Finding],
}

/// All of it.
#[derive(Debug, Serialize)]
struct List<'c> {
    suites: BTreeMap<&'c str, ListedSuite<'c>>,
    uncollected: &'c BTreeMap<String, String>,
}

/// Lists cases, or the markers that they carry.
pub async fn list(settings: &Settings, args: &ListArgs) -> Result<ExitCode, Failure> {
    let preparation = Preparation::read(settings, &[]).await?;
    let choice = ChoiceArgs {
        suites: args.suites.clone(),
        markers: args.markers.clone(),
        keyword: args.keyword.clone(),
        cases: args.cases.clone(),
        ..ChoiceArgs::default()
    };
    let question = preparation.question(Tier::Release, &choice).await?;
    let ask = if args.no_collect { Ask::Nobody } else { Ask::WhoIsHere };
    let catalog = collection::catalog(settings, &question, ask).await?;
    // A marker that nobody knows is refused here as it is by a plan.
    question.plan(&catalog)?;
    if args.known_markers {
        super::print(&markers(&catalog, &question))?;
        return Ok(ExitCode::Passed);
    }
    let chosen = chosen(&catalog, &question);
    if args.json {
        super::print_json(&as_json(&catalog, &chosen, &question))?;
    } else {
        super::print(&readable(&catalog, &chosen))?;
    }
    let empty = chosen.values().all(Vec::is_empty);
    Ok(if empty { ExitCode::NothingSelected } else { ExitCode::Passed })
}

type Chosen<'c> = BTreeMap<&'c str, Vec<Entry<'c>>>;

fn chosen<'c>(catalog: &'c Catalog, question: &Question<'_>) -> Chosen<'c> {
    let of_suite = |(name, known): (&'c String, &'c SuiteCatalog)| {
        let filter = Filter::new(&question.choice, known, question.vocabulary());
        (name.as_str(), known.entries().filter(|entry| filter.fits(entry)).collect())
    };
    catalog.suites.iter().map(of_suite).collect()
}

fn as_json<'c>(catalog: &'c Catalog, chosen: &Chosen<'c>, question: &Question<'_>) -> List<'c> {
    let listed = |entry: &Entry<'c>| Listed {
        id: &entry.row.id,
        file: entry.file,
        line: entry.row.line,
        markers: complete(entry.marks, question.vocabulary()),
        fixtures: entry.fixtures,
    };
    let suites = chosen.iter().filter_map(|(name, entries)| {
        let findings = &catalog.suites.get(*name)?.findings;
        Some((*name, ListedSuite { cases: entries.iter().map(listed).collect(), findings }))
    });
    List { suites: suites.collect(), uncollected: &catalog.uncollected }
}

fn readable(catalog: &Catalog, chosen: &Chosen<'_>) -> String {
    let mut out = String::new();
    for (suite, entries) in chosen {
        let all = catalog.suites.get(*suite).map_or(0, |known| known.cases.len());
        let count =
            if entries.len() == all { all.to_string() } else { format!("{} of {all}", entries.len()) };
        let _ = writeln!(out, "{suite}  {count} cases");
        for entry in entries {
            let _ = writeln!(out, "  {}", entry.row.id);
        }
        for finding in catalog.suites.get(*suite).iter().flat_map(|known| &known.findings) {
            let what = match finding.kind {
                FindingKind::Error => "could not be collected",
                FindingKind::Skipped => "skips itself",
            };
            let _ = writeln!(out, "  {} {what}: {}", finding.file, finding.message);
        }
    }
    for (suite, reason) in &catalog.uncollected {
        let _ = writeln!(out, "{suite}  not collected: {reason}");
    }
    out
}

/// Each marker with the number of cases that carry it, and its meaning where somebody declared it.
fn markers(catalog: &Catalog, question: &Question<'_>) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut meanings: BTreeMap<&str, &str> = BTreeMap::new();
    for known in catalog.suites.values() {
        meanings.extend(known.declared.iter().map(|(name, meaning)| (name.as_str(), meaning.as_str())));
        for entry in known.entries() {
            for mark in complete(entry.marks, question.vocabulary()) {
                *counts.entry(mark.name).or_default() += 1;
            }
        }
    }
    for (name, meaning) in question.vocabulary().groups.values().flatten() {
        meanings.entry(name).or_insert(meaning);
        counts.entry(name.clone()).or_default();
    }
    let width = counts.keys().map(String::len).max().unwrap_or_default();
    let line = |(name, count): (&String, &usize)| {
        let meaning = meanings.get(name.as_str()).copied().unwrap_or_default();
        format!("{name:<width$}  {count:>6}  {meaning}").trim_end().to_owned() + "\n"
    };
    counts.iter().map(line).collect()
}
