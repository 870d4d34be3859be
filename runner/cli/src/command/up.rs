//! `testbed up`: one profile's stack, held until Ctrl-C, or left standing with a time to live.

use std::fmt::Write as _;

use testbed_engine::docker::Daemon;
use testbed_engine::events::Events;
use testbed_engine::host::clock::Clock;
use testbed_engine::stack::{self, LiveStack, StackHealth};
use testbed_model::exit_code::ExitCode;
use testbed_model::plan::placed_stack;
use testbed_model::stack::Stack;

use crate::args::UpArgs;
use crate::equipping;
use crate::failure::{Bug, Failure};
use crate::keeping;
use crate::mounts;
use crate::preparation::Preparation;
use crate::run_session::{AGENT_IMAGE, RunSession, agent_binary, missing_tools};
use crate::settings::Settings;
use crate::telling::{Show, Telling};

/// Brings the stack up and holds it.
pub async fn up(settings: &Settings, args: &UpArgs) -> Result<ExitCode, Failure> {
    let keep_until = if args.detach { Some(keeping::until("--keep", &args.keep)?) } else { None };
    let preparation = Preparation::read(settings, std::slice::from_ref(&args.profile)).await?;
    let stack = preparation.stack(&args.profile)?;
    let equipment = equipping::of_stack(settings, &preparation.library, &stack).await?;
    let stack = placed_stack(&stack, &equipment.places, preparation.facts.cores);
    mounts::check_stacks([&stack], &agent_binary()?)?;
    let daemon = Daemon::connect().await?;
    let (events, receiver) = Events::channel(Clock::start());
    let session = RunSession::begin(daemon, events)?;
    let show = if args.json { Show::Json } else { Show::Progress };
    let telling = Telling::begin(receiver, show, settings.screen, None, session.cancel.clone());
    let result = hold(args, &preparation, &stack, &session, keep_until).await;
    let interrupted = session.is_interrupted();
    session.end();
    telling.end().await.map_err(|error| Bug(error.to_string()))?;
    match result {
        // Asked to end while it came up: nothing failed, and nothing is left.
        Err(_) if interrupted => Ok(ExitCode::Interrupted),
        result => result,
    }
}

async fn hold(
    args: &UpArgs,
    preparation: &Preparation,
    stack: &Stack,
    session: &RunSession,
    keep_until: Option<jiff::Timestamp>,
) -> Result<ExitCode, Failure> {
    session.sweep().await?;
    let mut images: Vec<String> = stack.services.values().map(|service| service.image.clone()).collect();
    images.push(AGENT_IMAGE.to_owned());
    images.sort();
    images.dedup();
    session.images(&preparation.images, &images, missing_tools(args.yes)).await?;
    // Nobody keeps what would be measured.
    let context = session.stack_context(preparation, false, keep_until)?;
    let live = stack::up(&session.daemon, stack, &context, &session.events, &session.cancel).await?;
    if args.detach {
        super::print(&endpoints(stack, &live, session))?;
        live.leave().await;
        return Ok(ExitCode::Passed);
    }
    let health = if args.once {
        StackHealth::Serving
    } else {
        if !args.json {
            super::print(&endpoints(stack, &live, session))?;
        }
        until_over(&live, session).await
    };
    live.down().await?;
    Ok(if health == StackHealth::Serving { ExitCode::Passed } else { ExitCode::Environment })
}

/// Waits until a signal comes or the stack breaks. A service that dies is told by its event.
async fn until_over(live: &LiveStack, session: &RunSession) -> StackHealth {
    let mut health = live.health();
    tokio::select! {
        () = session.cancel.cancelled() => StackHealth::Serving,
        broken = health.wait_for(|health| *health != StackHealth::Serving) => {
            broken.map_or(StackHealth::Serving, |health| health.clone())
        }
    }
}

/// How to reach the services, from where they can be reached: inside.
fn endpoints(stack: &Stack, live: &LiveStack, session: &RunSession) -> String {
    let mut out =
        format!("stack {} of run {} serves in network {}\n", stack.profile, session.run, live.network());
    for (service, address) in live.addresses() {
        let _ = writeln!(out, "  {service:<12} {address}");
    }
    out.push_str("the network is hermetic: reach it from a container, as in\n");
    let hosts: String = live
        .addresses()
        .iter()
        .map(|(service, address)| format!(" --add-host {service}:{address}"))
        .collect();
    let _ = writeln!(
        out,
        "  docker run --rm --network {}{hosts} testbed/tests curl -s http://{}:8000/v1/models",
        live.network(),
        stack.ready.service
    );
    out
}
