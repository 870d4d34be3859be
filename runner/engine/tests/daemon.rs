//! What only a real daemon can show. Every test removes what it made, also when it fails.
//!
//! The containers execute this very binary, which is linked statically and needs nothing of its image: as the agent that
//! watches a stack, or as one of the players in `daemon/play.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test that can not go on fails, and its players stand outside of the house"
)]

#[path = "daemon/act.rs"]
mod act;
#[path = "daemon/failures.rs"]
mod failures;
#[path = "daemon/hermetic.rs"]
mod hermetic;
#[path = "daemon/lanes.rs"]
mod lanes;
#[path = "daemon/life.rs"]
mod life;
#[path = "fixture/plan.rs"]
mod plan;
#[path = "daemon/play.rs"]
mod play;
#[path = "daemon/site.rs"]
mod site;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["agent", "watch", rest @ ..] => {
            let rest = rest.iter().map(|word| (*word).to_owned()).collect();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            ExitCode::from(runtime.block_on(testbed_engine::agent::watch::main(rest)))
        }
        ["agent", "execute"] => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            ExitCode::from(runtime.block_on(testbed_engine::agent::execute::main()))
        }
        ["play", "act", acts @ ..] => act::act(acts),
        ["play", role, rest @ ..] => play::play(role, rest),
        _ => {
            let mut arguments = Arguments::from_args();
            // They share the daemon, and two cores.
            arguments.test_threads = Some(1);
            libtest_mimic::run(&arguments, trials()).exit_code()
        }
    }
}

fn trials() -> Vec<Trial> {
    [life::trials(), hermetic::trials(), failures::trials(), lanes::trials()].into_iter().flatten().collect()
}
