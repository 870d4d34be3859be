//! `testbed-bench`: measures Testbed side by side with the bare engine API and docker-compose, and leaves nothing behind.

mod args;
mod bare;
mod bench;
mod catalog;
mod chat;
mod compose;
mod error;
mod flip;
mod history;
mod html;
mod narrative;
mod observer;
mod outcome;
mod phases;
mod probe;
mod process;
mod ready;
mod record;
mod stack;
mod start;
mod statistics;
mod table;
mod tier;
mod usage;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use serde_json::json;
use testbed_engine::host::signals::Signals;
use testbed_engine::host::{clock, facts};

use args::{Args, Inside, Role, Which};
use bench::{Bench, Close};
use error::BenchError;
use outcome::{Measured, Section};

/// Something could not be measured. A target that is missed is a finding and does not change the exit code.
const NOT_MEASURED: u8 = 1;
const INTERRUPTED: u8 = 130;

/// From this load on, something else takes its part of the machine.
const BUSY: f64 = 1.0;

/// What a whole run of the bench found.
#[derive(Debug, Default)]
struct Findings {
    sections: Vec<Section>,
    failed: Vec<(&'static str, BenchError)>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let is_inside =
        std::env::args().nth(1).is_some_and(|role| matches!(role.as_str(), "check" | "probe" | "serve"));
    let code = if is_inside {
        match Inside::parse().role {
            Role::Check { question } => probe::check(&question).await,
            Role::Probe => probe::probe().await,
            Role::Serve { after_ms } => flip::serve(after_ms).await,
        }
    } else {
        outside(&Args::parse()).await
    };
    ExitCode::from(code)
}

async fn outside(args: &Args) -> u8 {
    let opened = Bench::open(args.root.as_deref(), args.testbed.as_deref(), args.subnet).await;
    let (bench, mut signals) = match opened
        .and_then(|bench| Ok((bench, Signals::listen().map_err(BenchError::host("listen for signals"))?)))
    {
        Ok(ready) => ready,
        Err(e) => {
            complain("bench", &e);
            return NOT_MEASURED;
        }
    };
    let load = usage::load();
    if let Some(load) = load.filter(|load| *load > BUSY) {
        say(&format!(
            "warning: the machine is busy with something else (load {load}): trust the ratios only"
        ));
    }
    let mut out = io::stdout();
    let measured = tokio::select! {
        findings = measure(&bench, args, &mut out) => Some(findings),
        signal = signals.next() => {
            say(&format!("{signal}: clearing up"));
            None
        }
    };
    let failed = measured.as_ref().is_none_or(|findings| !findings.failed.is_empty());
    let closed = bench.close(if failed { Close::Interrupted } else { Close::Orderly }).await;
    if let Err(e) = &closed {
        complain("bench", e);
    }
    let Some(findings) = measured else { return INTERRUPTED };
    if args.json {
        let told = tell_json(&bench, &findings, load, &mut out).await;
        if told.is_err() {
            return NOT_MEASURED;
        }
    }
    if findings.failed.is_empty() && closed.is_ok() { 0 } else { NOT_MEASURED }
}

async fn measure(bench: &Bench, args: &Args, out: &mut impl Write) -> Findings {
    let rounds = usize::from(args.rounds);
    let mut findings = Findings::default();
    if args.which.includes(Which::Stack) {
        findings.add(args, out, "stack", stack::measure(bench, rounds).await);
    }
    if args.which.includes(Which::Ready) {
        findings.add(args, out, "ready", ready::measure(bench, rounds).await);
    }
    if args.which.includes(Which::Start) {
        findings.add(args, out, "start", start::measure(bench, rounds * START_FACTOR).await);
    }
    if args.which.includes(Which::Catalog) {
        findings.add(args, out, "catalog", catalog::measure(bench, rounds).await);
    }
    if args.which.includes(Which::History) {
        findings.add(args, out, "history", history::measure(bench, rounds).await);
    }
    if args.which.includes(Which::Html) {
        findings.add(args, out, "html", html::measure(rounds).await);
    }
    if args.which.includes(Which::Record) {
        findings.add(args, out, "record", record::measure(bench, rounds).await);
    }
    let (run, early) = (args.which.includes(Which::Run), args.which.includes(Which::Early));
    if run || early {
        match tier::measure(bench, usize::from(args.runs)).await {
            Ok(tiers) => {
                if run {
                    findings.add(args, out, "run", tiers.cost());
                }
                if early {
                    findings.add(args, out, "early", tiers.early());
                }
            }
            Err(e) => findings.add(args, out, "run", Err::<Section, _>(e)),
        }
    }
    findings
}

/// A start takes milliseconds, so more of them cost nothing.
const START_FACTOR: usize = 5;

impl Findings {
    fn add(&mut self, args: &Args, out: &mut impl Write, name: &'static str, measured: impl Into<Measured>) {
        let Measured { section, error } = measured.into();
        if let Some(section) = section.filter(|section| !section.rows.is_empty()) {
            if !args.json {
                // A reader that is gone does not want the rest either.
                let _ = table::write(out, &section).and_then(|()| out.flush());
            }
            self.sections.push(section);
        }
        if let Some(e) = error {
            complain(name, &e);
            self.failed.push((name, e));
        }
    }
}

async fn tell_json(
    bench: &Bench,
    findings: &Findings,
    load: Option<f64>,
    out: &mut impl Write,
) -> io::Result<()> {
    let host = facts::gather(&bench.root, &bench.root).await;
    let daemon = bench.daemon.facts().await.ok();
    let failed =
        findings.failed.iter().map(|(name, error)| json!({ "name": name, "error": error.to_string() }));
    let all = json!({
        "schema": 1,
        "at": clock::now(),
        "host": { "cores": host.cores, "memory_bytes": host.memory_bytes, "kernel": host.kernel, "load": load },
        "daemon": daemon,
        "revision": host.revision,
        "sections": findings.sections,
        "failed": failed.collect::<Vec<_>>(),
    });
    writeln!(out, "{all}")?;
    out.flush()
}

fn complain(name: &str, error: &BenchError) {
    say(&format!("error: {name}: {error}"));
    if let Some(hint) = error.hint() {
        say(&format!("hint: {hint}"));
    }
}

fn say(line: &str) {
    // Nobody reads it: then nobody needs to know.
    let _ = writeln!(io::stderr(), "{line}");
}
