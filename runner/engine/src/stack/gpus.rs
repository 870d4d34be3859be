//! The host's GPUs among stacks: which are free, whose they are while a stack stands, and whether a container has what it was granted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt;
use testbed_model::demand;
use testbed_model::facts::Facts;
use testbed_model::gpu::{Gpu, Source};
use testbed_model::grant::{Grant, SeenGpus, ServiceGrant, Ungranted, discrepancy, grant};
use testbed_model::stack::Stack;

use super::error::StackError;
use super::request::AGENT_PATH;
use crate::docker::{ContainerId, Daemon, DaemonError, StdStream};
use crate::host::lock::{self, FileLock};

/// GPUs that stacks of this process, and by locks those of others on this host, share.
#[derive(Clone, Debug)]
pub struct GpuPool {
    facts: Arc<Facts>,
    /// Where claims are seen by other processes.
    locks: Option<PathBuf>,
    held: Arc<Mutex<BTreeMap<u32, Option<FileLock>>>>,
}

/// GPUs of one stack, until this is dropped.
#[derive(Debug)]
pub struct Granted {
    grant: Grant,
    pool: GpuPool,
}

impl GpuPool {
    /// The GPUs of a host with these facts. GPUs that are simulated are nobody else's.
    pub fn new(facts: Facts) -> Self {
        let source = facts.accelerators.as_ref().map(|accelerators| accelerators.source);
        let locks = (source != Some(Source::Simulated)).then(|| lock::shared_folder("gpus"));
        Self { facts: Arc::new(facts), locks, held: Arc::default() }
    }

    /// GPUs for a stack; none where it reserves none.
    pub(super) fn grant(&self, stack: &Stack) -> Result<Option<Granted>, Ungranted> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken: BTreeSet<u32> = held.keys().copied().collect();
        loop {
            let Some(grant) = grant(stack, &self.facts, &taken)? else { return Ok(None) };
            let mut locks = BTreeMap::new();
            let mut others = BTreeSet::new();
            for gpu in grant.services.values().flat_map(|service| &service.gpus) {
                let path = self.locks.as_ref().map(|locks| locks.join(format!("{}.lock", gpu.uuid)));
                // Where nobody can write, nobody can claim either: then GPUs are shared as ever.
                let lock = match path.map(|path| lock::try_lock(&path)) {
                    Some(Ok(None)) => {
                        others.insert(gpu.index);
                        continue;
                    }
                    Some(Ok(Some(lock))) => Some(lock),
                    Some(Err(_)) | None => None,
                };
                locks.insert(gpu.index, lock);
            }
            if others.is_empty() {
                held.append(&mut locks);
                drop(held);
                return Ok(Some(Granted { grant, pool: self.clone() }));
            }
            // Another process has some of them: what it has is taken, and the choice is made again.
            taken.append(&mut others);
        }
    }
}

impl Granted {
    /// What a service gets; none where it reserves nothing.
    pub(super) fn of(&self, service: &str) -> Option<&ServiceGrant> {
        self.grant.services.get(service)
    }

    /// Indices of GPUs by service.
    pub(super) fn indices(&self) -> BTreeMap<String, Vec<u32>> {
        let own = |(name, service): (&String, &ServiceGrant)| {
            (name.clone(), service.gpus.iter().map(|gpu| gpu.index).collect())
        };
        self.grant.services.iter().map(own).collect()
    }
}

/// Asks what the images of services with GPUs demand of driver and GPUs, before anything is made of them. One that the daemon does not have
/// is told by what follows.
pub(super) async fn check_demands(
    daemon: &Daemon,
    stack: &Stack,
    granted: &Granted,
) -> Result<(), StackError> {
    let Some(accelerators) = &granted.pool.facts.accelerators else { return Ok(()) };
    for (name, service) in &stack.services {
        let Some(own) = granted.of(name) else { continue };
        let Some(image) = daemon.image(&service.image_reference).await? else { continue };
        let mut environment = image.environment;
        environment.extend(service.environment.clone());
        let is_own = |gpu: &&Gpu| own.gpus.iter().any(|granted| granted.index == gpu.index);
        let gpus = accelerators.gpus.iter().filter(is_own);
        if let Some(unmet) = demand::unmet(&environment, accelerators, gpus) {
            return Err(StackError::Demand {
                stack: stack.profile.clone(),
                service: name.clone(),
                image: service.image_reference.clone(),
                unmet: Box::new(unmet),
            });
        }
    }
    Ok(())
}

impl Drop for Granted {
    fn drop(&mut self) {
        let mut held = self.pool.held.lock().unwrap_or_else(PoisonError::into_inner);
        for gpu in self.grant.services.values().flat_map(|service| &service.gpus) {
            held.remove(&gpu.index);
        }
    }
}

/// Looks from inside whether a container that was started has the GPUs that it was granted.
pub(super) async fn verify(
    daemon: &Daemon,
    container: &ContainerId,
    service: &str,
    granted: &ServiceGrant,
) -> Result<(), DaemonError> {
    let command = [AGENT_PATH, "agent", "devices"].map(str::to_owned);
    let looked = async {
        let mut execution = daemon.execute(container, &command, None).await?;
        let mut told = Vec::new();
        while let Some(chunk) = execution.attached.output.next().await {
            if let (StdStream::Stdout, bytes) = chunk? {
                told.extend_from_slice(&bytes);
            }
        }
        Ok::<_, DaemonError>(told)
    };
    let told = match looked.await {
        Ok(told) => told,
        Err(error) => {
            // One that has ended already tells why itself.
            let ended = daemon.state(container).await.is_ok_and(|state| state.exit.is_some());
            return if ended { Ok(()) } else { Err(error) };
        }
    };
    let seen: SeenGpus = serde_json::from_slice(&told).map_err(|_| DaemonError::Gpus {
        message: format!(
            "nobody can tell which GPUs `{service}` has: the agent inside said `{}`",
            String::from_utf8_lossy(&told).trim()
        ),
    })?;
    match discrepancy(service, &granted.gpus, &seen) {
        None => Ok(()),
        Some(message) => Err(DaemonError::Gpus { message }),
    }
}
