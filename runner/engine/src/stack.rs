//! A stack's life: up, watched, controlled, down; and what dead runs left, swept.
//!
//! [`up`] brings a planned stack up in a network of its own and returns when it serves. The decisions are
//! [`bringup::Bringup`]'s, a state machine without a daemon; `attempt` performs them.

mod addressing;
mod attempt;
pub mod bringup;
mod error;
mod gc;
mod gpus;
mod link;
mod live;
mod logs;
mod measuring;
mod owner;
mod request;
mod standing;
mod subnet;
mod teardown;

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use testbed_model::event::Event;
use testbed_model::id::RunId;
use testbed_model::stack::Stack;
use tokio_util::sync::CancellationToken;

pub use addressing::Seat;
pub use error::StackError;
pub use gc::{Swept, gc};
pub use gpus::GpuPool;
pub use live::{ControlOp, LiveStack, StackHealth};
pub use owner::{Owner, OwnerError, OwnerFate};
pub use request::{AGENT_PATH, AGENT_SERVICE, AGENT_USER};
pub use standing::{Standing, standing};
pub use subnet::{Subnet, SubnetError};

use crate::docker::Daemon;
use crate::events::Events;
use crate::host::clock::Clock;
use crate::host::identity::ProcessIdentity;
use crate::host::network::route_table;
use addressing::Addressing;
use attempt::{Attempt, End};
use request::Identity;

/// How many address ranges are tried before the daemon's word is taken that none is free.
const ATTEMPTS: usize = 16;

/// What a bring-up needs to know besides the plan.
#[derive(Clone, Debug)]
pub struct StackContext {
    /// The run that owns the stack.
    pub run: RunId,
    /// Image for the watching agent; it needs to hold nothing.
    pub agent_image: String,
    /// The runner's own binary on the daemon's host.
    pub agent_binary: PathBuf,
    /// Where stacks take their addresses from.
    pub range: Subnet,
    /// Whether its services are measured while it serves.
    pub sampling: bool,
    /// Until when the stack is meant to stay although this process has ended; none if it goes with it.
    pub keep_until: Option<Timestamp>,
    /// The host's GPUs.
    pub gpus: GpuPool,
}

/// Brings a stack up and returns when it serves, or when it is clear that it will not: then nothing of it is left.
///
/// Cancelling the token ends it at any moment, with everything removed before the return. Dropping the returned future
/// does the same in the background.
pub async fn up(
    daemon: &Daemon,
    stack: &Stack,
    context: &StackContext,
    events: &Events,
    cancel: &CancellationToken,
) -> Result<LiveStack, StackError> {
    let cancel = cancel.child_token();
    let guard = cancel.clone().drop_guard();
    let (daemon, stack, context, events) = (daemon.clone(), stack.clone(), context.clone(), events.clone());
    let task = tokio::spawn(async move { bring_up(&daemon, &stack, &context, &events, &cancel).await });
    let result = task.await;
    guard.disarm();
    result.unwrap_or_else(|e| Err(StackError::Host { message: e.to_string() }))
}

/// Removes everything that a run made, whether its process lives or not.
pub async fn remove_run(daemon: &Daemon, run: &RunId) -> Result<(), StackError> {
    let left = teardown::sweep(daemon, run.as_str(), None).await?;
    teardown::must_be_empty(format!("run `{run}`"), left)
}

/// Removes one stack of a run, whether its process lives or not.
pub async fn remove_stack(daemon: &Daemon, run: &RunId, profile: &str) -> Result<(), StackError> {
    let left = teardown::sweep(daemon, run.as_str(), Some(profile)).await?;
    teardown::must_be_empty(format!("stack `{profile}` of run `{run}`"), left)
}

async fn bring_up(
    daemon: &Daemon,
    stack: &Stack,
    context: &StackContext,
    events: &Events,
    cancel: &CancellationToken,
) -> Result<LiveStack, StackError> {
    let clock = Clock::start();
    let process = ProcessIdentity::own().map_err(|e| StackError::Host { message: e.to_string() })?;
    let identity = Identity {
        run: context.run.clone(),
        profile: stack.profile.clone(),
        owner: Owner::from(&process),
        keep_until: context.keep_until,
    };
    let refused = |why| StackError::Gpus { stack: stack.profile.clone(), why: Box::new(why) };
    let granted = context.gpus.grant(stack).map_err(refused)?.map(Arc::new);
    if let Some(granted) = &granted {
        gpus::check_demands(daemon, stack, granted).await?;
        let (stack, services) = (stack.profile.clone(), granted.indices());
        events.emit(Event::GpusGranted { stack, services });
    }
    // Without the table nothing is known to be taken; the daemon refuses what is.
    let taken = subnet::routed(&route_table().unwrap_or_default());
    let candidates = context.range.candidates(&identity.network(), &taken);
    for (tried, subnet) in candidates.into_iter().take(ATTEMPTS).enumerate() {
        let addressing = Addressing::new(stack, subnet).ok_or_else(|| StackError::TooLarge {
            stack: stack.profile.clone(),
            services: stack.services.len(),
            subnet,
        })?;
        let attempt = Attempt::new(daemon, stack, context, &identity, addressing, events, clock)
            .with_gpus(granted.clone());
        match attempt.run(tried, cancel).await {
            End::Up(live) => return Ok(*live),
            End::Overlap => {}
            End::Down(error) => return Err(error),
        }
    }
    Err(StackError::NoSubnet { stack: stack.profile.clone(), range: context.range })
}
