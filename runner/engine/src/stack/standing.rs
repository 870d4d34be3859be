//! Stacks that were left standing on purpose, as their labels tell, and the way back into them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use testbed_model::event::Event;
use testbed_model::id::{RunId, label};
use testbed_model::stack::Stack;

use super::addressing::Addressing;
use super::bringup;
use super::error::StackError;
use super::live::{LiveStack, Parts};
use super::logs::LogFollowers;
use super::owner::{Owner, OwnerFate};
use super::request::AGENT_SERVICE;
use super::subnet::Subnet;
use super::teardown::Footprint;
use crate::docker::{ContainerId, Daemon, Labels};
use crate::events::Events;
use crate::host::clock;
use crate::host::identity::{ProcessIdentity, start_ticks};

/// A stack that stands although its run is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The run that brought it up.
    pub run: RunId,
    /// Profile.
    pub profile: String,
    /// Its network.
    pub network: String,
    /// When it may be removed.
    pub until: Timestamp,
    /// The network's address range, where the daemon says it.
    pub subnet: Option<Subnet>,
    /// The containers of its services.
    pub services: BTreeMap<String, ContainerId>,
    /// Services that do not run.
    pub down: BTreeSet<String>,
}

impl Standing {
    /// Takes part in the stack as it stands, without a claim to it: lanes can use it, and it stays when they have ended. Nothing
    /// is started or asked; what does not run is told. With `sampling` its containers are measured meanwhile.
    pub fn adopt(
        &self,
        daemon: &Daemon,
        stack: &Stack,
        sampling: bool,
        events: &Events,
    ) -> Result<LiveStack, StackError> {
        let missing = stack.services.keys().find(|service| !self.services.contains_key(*service));
        if let Some(service) = missing {
            return Err(StackError::UnknownService {
                stack: format!("{} of run {}", self.profile, self.run),
                service: service.clone(),
            });
        }
        let addressing = self.subnet.and_then(|subnet| Addressing::new(stack, subnet));
        let addressing = addressing.ok_or_else(|| {
            let message = format!("the daemon does not say which addresses network `{}` has", self.network);
            StackError::Host { message }
        })?;
        let now = clock::now();
        let run = self.services.keys().filter(|service| !self.down.contains(*service));
        events.emit(Event::StackAdopted {
            stack: self.profile.clone(),
            run: self.run.clone(),
            services: run.cloned().collect(),
            down: self.down.iter().cloned().collect(),
        });
        let mut logs = LogFollowers::default();
        for (service, id) in &self.services {
            logs.follow((daemon, events), (&self.profile, service), id, Some(now));
        }
        let labels = [(label::RUN, self.run.as_str()), (label::PROFILE, self.profile.as_str())];
        let footprint = Footprint {
            network: Some(self.network.clone()),
            containers: self.services.clone(),
            order: bringup::order(stack),
            volumes: Vec::new(),
        };
        Ok(LiveStack::new(Parts {
            daemon: daemon.clone(),
            stack: stack.clone(),
            network: self.network.clone(),
            run: self.run.clone(),
            addressing,
            events: events.clone(),
            footprint,
            logs,
            happenings: daemon.events(&labels, now),
            sampling,
            // Whoever brought it up has claimed them, and its containers hold them.
            granted: None,
            agent: None,
            adopted: Some(self.until),
        }))
    }
}

/// All of them, by run and profile. Stacks of a run that goes on are its own affair.
pub async fn standing(daemon: &Daemon) -> Result<Vec<Standing>, StackError> {
    let here = ProcessIdentity::own().map_err(|e| StackError::Host { message: e.to_string() })?;
    let owned = daemon.list_owned().await?;
    let goes_on = |labels: &Labels| {
        let runner = labels.get(label::OWNER).and_then(|text| text.parse::<Owner>().ok());
        runner.is_some_and(|runner| runner.fate(&here, start_ticks) == OwnerFate::Alive)
    };
    let mut standing: BTreeMap<(RunId, String), Standing> = BTreeMap::new();
    for network in owned.networks {
        let Some((run, profile, until)) = kept(&network.labels) else { continue };
        if !goes_on(&network.labels) {
            let key = (run.clone(), profile.clone());
            let subnet = network.subnet.and_then(|range| range.parse().ok());
            let (services, down) = (BTreeMap::new(), BTreeSet::new());
            let network = network.name;
            standing.insert(key, Standing { run, profile, network, until, subnet, services, down });
        }
    }
    for container in owned.containers {
        let Some((run, profile, _)) = kept(&container.labels) else { continue };
        let service = container.labels.get(label::SERVICE).filter(|service| *service != AGENT_SERVICE);
        if let (Some(stack), Some(service)) = (standing.get_mut(&(run, profile)), service) {
            stack.services.insert(service.clone(), container.id);
            if !container.running {
                stack.down.insert(service.clone());
            }
        }
    }
    Ok(standing.into_values().collect())
}

fn kept(labels: &Labels) -> Option<(RunId, String, Timestamp)> {
    let run = labels.get(label::RUN)?.parse().ok()?;
    let until = labels.get(label::KEEP_UNTIL)?.parse().ok()?;
    Some((run, labels.get(label::PROFILE)?.clone(), until))
}
