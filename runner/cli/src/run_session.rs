//! What every verb that starts something shares: a run id, a daemon, the events, the signals, and an orderly end.

use std::path::PathBuf;

use testbed_engine::docker::Daemon;
use testbed_engine::events::Events;
use testbed_engine::host::clock;
use testbed_engine::host::environment;
use testbed_engine::host::signals::Signals;
use testbed_engine::image::{Freshness, Images, MissingTools, Provided, Providing};
use testbed_engine::stack::{self, GpuPool, StackContext, Subnet};
use testbed_model::event::Event;
use testbed_model::exit_code::ExitCode;
use testbed_model::hint::Hint;
use testbed_model::id::RunId;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::failure::{Bug, Failure};
use crate::preparation::Preparation;

/// The image of the agent that watches a stack.
pub const AGENT_IMAGE: &str = "agent";

/// One invocation that changes something.
pub struct RunSession {
    /// Its id.
    pub run: RunId,
    /// The daemon.
    pub daemon: Daemon,
    /// Where events go.
    pub events: Events,
    /// Cancelled by a signal, or when the record cannot be kept.
    pub cancel: CancellationToken,
    interrupts: Interrupts,
}

/// Signals, heard from now on: the first one cancels what is under way.
pub struct Interrupts {
    /// Cancelled by a signal.
    pub cancel: CancellationToken,
    interrupted: CancellationToken,
    signals: JoinHandle<()>,
}

impl Interrupts {
    /// Begins to listen; from now on signals end nothing by themselves.
    pub fn heed(events: &Events) -> Result<Self, Failure> {
        let (cancel, interrupted) = (CancellationToken::new(), CancellationToken::new());
        let signals =
            Signals::listen().map_err(|error| Bug(format!("cannot listen for signals: {error}")))?;
        let signals = tokio::spawn(heed(signals, events.clone(), cancel.clone(), interrupted.clone()));
        Ok(Self { cancel, interrupted, signals })
    }

    /// Lets go of the events.
    pub fn end(self) {
        self.signals.abort();
    }
}

/// A setting of the environment is wrong.
#[derive(Debug, thiserror::Error)]
#[error("TESTBED_SUBNETS: {0}")]
struct SubnetSetting(#[from] stack::SubnetError);

impl Hint for SubnetSetting {
    fn hint(&self) -> Option<String> {
        Some("name a private range of /16 to /26, or unset it".into())
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }
}

impl RunSession {
    /// A new run: the daemon answers, and from now on signals end the run in order.
    pub fn begin(daemon: Daemon, events: Events) -> Result<Self, Failure> {
        let random = u32::from_le_bytes(random_bytes()?);
        let interrupts = Interrupts::heed(&events)?;
        let cancel = interrupts.cancel.clone();
        Ok(Self { run: RunId::new(clock::now(), random), daemon, events, cancel, interrupts })
    }

    /// Whether a signal asked the run to end.
    pub fn is_interrupted(&self) -> bool {
        self.interrupts.interrupted.is_cancelled()
    }

    /// What dead runs left is swept first, so that a machine heals by being used.
    pub async fn sweep(&self) -> Result<(), Failure> {
        let swept = stack::gc(&self.daemon).await?;
        let count = swept.containers.len() + swept.networks.len() + swept.volumes.len();
        if count > 0 {
            let message = format!("removed {count} objects that a dead run had left in the daemon");
            self.events.emit(Event::Warning { message, hint: None });
        }
        for (name, words) in swept.stuck {
            let message = format!("`{name}` of a dead run stays in the daemon: {words}");
            let hint = "it is in nobody's way; restarting the daemon makes it let go".to_owned();
            self.events.emit(Event::Warning { message, hint: Some(hint) });
        }
        Ok(())
    }

    /// Has the images in the daemon.
    pub async fn images(
        &self,
        images: &Images,
        names: &[String],
        missing: MissingTools,
    ) -> Result<Vec<Provided>, Failure> {
        let how = Providing {
            events: self.events.clone(),
            cancel: self.cancel.clone(),
            missing,
            freshness: Freshness::Reuse,
        };
        Ok(images.provide(&self.daemon, names, &how).await?)
    }

    /// What a bring-up needs besides the plan.
    pub fn stack_context(
        &self,
        preparation: &Preparation,
        sampling: bool,
        keep_until: Option<jiff::Timestamp>,
    ) -> Result<StackContext, Failure> {
        let range = match environment::variable("TESTBED_SUBNETS") {
            Some(text) => text.parse().map_err(SubnetSetting)?,
            None => Subnet::DEFAULT_RANGE,
        };
        Ok(StackContext {
            run: self.run.clone(),
            agent_image: preparation.images.reference(AGENT_IMAGE)?,
            agent_binary: agent_binary()?,
            range,
            sampling,
            keep_until,
            gpus: GpuPool::new(preparation.facts.clone()),
        })
    }

    /// Lets go of the events, so that whoever tells them comes to an end.
    pub fn end(self) {
        self.interrupts.end();
    }
}

/// The runner's own binary, which containers mount as their agent.
pub fn agent_binary() -> Result<PathBuf, Failure> {
    environment::own_executable()
        .map_err(|error| Bug(format!("cannot tell the own executable: {error}")).into())
}

/// What to do about missing host packages: CI and `--yes` install, everybody else is told the command.
pub fn missing_tools(yes: bool) -> MissingTools {
    let ci = environment::variable("CI").is_some_and(|value| value == "true" || value == "1");
    if yes || ci { MissingTools::Install } else { MissingTools::Name }
}

/// The first signal cancels; later ones change nothing, for the teardown that is under way is the fastest way out.
async fn heed(
    mut signals: Signals,
    events: Events,
    cancel: CancellationToken,
    interrupted: CancellationToken,
) {
    let signal = signals.next().await;
    interrupted.cancel();
    events.emit(Event::Interrupted { signal: signal.to_owned() });
    cancel.cancel();
    loop {
        let signal = signals.next().await;
        let message = format!("{signal} again: the teardown is under way, and ends by itself");
        events.emit(Event::Warning { message, hint: None });
    }
}

/// Four bytes that nobody can guess, for the id of a run.
pub fn random_bytes() -> Result<[u8; 4], Failure> {
    environment::random_bytes().map_err(|error| Bug(format!("no random bytes: {error}")).into())
}
