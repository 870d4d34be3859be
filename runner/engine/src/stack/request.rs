//! What is asked of the daemon for a stack: pure functions from the plan and the run to specs.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use jiff::Timestamp;
use testbed_model::grant::ServiceGrant;
use testbed_model::id::{RunId, label};
use testbed_model::profile;
use testbed_model::stack::{Limits, Mount, Service, Stack};

use super::addressing::Addressing;
use super::owner::Owner;
use crate::agent::watch::message::STAY;
use crate::docker::{
    ContainerId, ContainerSpec, Labels, LogDriver, NetworkMode, NetworkSpec, Stdin, VolumeSpec,
};
use crate::host::files;

/// The service label of the watching agent. A compose service can not have this name: it holds a dot.
pub const AGENT_SERVICE: &str = "testbed.agent";

/// Where the runner's own binary is mounted in containers that are its agents.
pub const AGENT_PATH: &str = "/testbed/agent";

/// As whom the agent runs.
pub const AGENT_USER: files::Identity = files::Identity { uid: 10001, gid: 10001 };

/// The agent's share: it asks small questions, and a page of the binary that is in use counts as its memory.
const AGENT_LIMITS: Limits = Limits { memory_bytes: 256 << 20, nano_cpus: 1_000_000_000, pids: 64 };

/// A volume lives in memory; its pages count when they are used.
const VOLUME_BYTES: u64 = 1 << 30;

const MILLISECONDS: u64 = 1000;

/// What identifies a stack among all objects of a daemon.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Run.
    pub run: RunId,
    /// The stack's profile.
    pub profile: String,
    /// Who is to be asked whether the stack is still wanted.
    pub owner: Owner,
    /// Until when the stack is meant to stay although its owner has ended.
    pub keep_until: Option<Timestamp>,
}

impl Identity {
    /// The network's name, and the beginning of all other names.
    pub fn network(&self) -> String {
        // The daemon takes no plus in names.
        format!("testbed-{}-{}", self.run, self.profile.replace(profile::PLUS, "."))
    }

    /// The daemon's name for a volume of the stack.
    pub fn volume(&self, volume: &str) -> String {
        format!("{}-{volume}", self.network())
    }

    fn container(&self, service: &str) -> String {
        format!("{}-{service}", self.network())
    }

    /// The labels of everything in the stack.
    pub fn labels(&self) -> Labels {
        let mut labels = Labels::from([
            (label::RUN.to_owned(), self.run.to_string()),
            (label::PROFILE.to_owned(), self.profile.clone()),
            (label::OWNER.to_owned(), self.owner.to_string()),
        ]);
        if let Some(until) = self.keep_until {
            labels.insert(label::KEEP_UNTIL.to_owned(), until.to_string());
        }
        labels
    }

    fn labels_of(&self, service: &str) -> Labels {
        let mut labels = self.labels();
        labels.insert(label::SERVICE.to_owned(), service.to_owned());
        labels
    }
}

/// The stack's network.
pub fn network(identity: &Identity, stack: &Stack, addressing: &Addressing) -> NetworkSpec {
    NetworkSpec {
        name: identity.network(),
        subnet: addressing.subnet().to_string(),
        gateway: Some(addressing.gateway()),
        isolated: !stack.egress,
        labels: identity.labels(),
    }
}

/// The stack's volumes.
pub fn volumes(identity: &Identity, stack: &Stack) -> Vec<VolumeSpec> {
    let volume = |name: &String| VolumeSpec {
        name: identity.volume(name),
        labels: identity.labels(),
        size_bytes: VOLUME_BYTES,
    };
    stack.volumes.iter().map(volume).collect()
}

/// Who answers for names that the stack does not have: the agent, at once, unless there is a way out.
pub fn name_servers(stack: &Stack, addressing: &Addressing) -> Vec<IpAddr> {
    if stack.egress { Vec::new() } else { vec![IpAddr::V4(addressing.agent())] }
}

/// A service's container, in a place of its own in the stack's network or in that of a container that holds one for it.
pub fn service(
    identity: &Identity,
    stack: &Stack,
    service: &Service,
    addressing: &Addressing,
    host: Option<&ContainerId>,
) -> ContainerSpec {
    let mut labels = service.labels.clone();
    labels.extend(identity.labels_of(&service.name));
    let mounts = service.mounts.iter().map(|mount| match mount {
        Mount::Volume { volume, target, read_only } => {
            Mount::Volume { volume: identity.volume(volume), target: target.clone(), read_only: *read_only }
        }
        other @ (Mount::Bind { .. } | Mount::Model { .. }) => other.clone(),
    });
    // Name, names and name servers belong to the place, so a guest finds its host's.
    let (network, hostname, extra_hosts, dns) = match host {
        Some(host) => (NetworkMode::Container(host.clone()), None, BTreeMap::new(), Vec::new()),
        None => (
            place(identity, addressing.services().get(&service.name).copied(), Some(service)),
            Some(service.name.clone()),
            addressing.names().clone(),
            name_servers(stack, addressing),
        ),
    };
    ContainerSpec {
        name: identity.container(&service.name),
        image: service.image_reference.clone(),
        entrypoint: service.entrypoint.clone(),
        command: service.command.clone(),
        environment: service.environment.clone(),
        working_dir: service.working_dir.clone(),
        user: Some(service.user.clone()),
        hostname,
        labels,
        mounts: mounts.collect(),
        tmpfs: service.tmpfs.clone(),
        limits: Some(service.limits),
        // The daemon's own share, unless the stack says so: who tests has less (see `exec::site`).
        cpu_shares: service.cpu_shares,
        shm_size: service.shm_size,
        ulimits: service.ulimits.clone(),
        cap_add: service.cap_add.clone(),
        cap_drop: service.cap_drop.clone(),
        read_only: service.read_only,
        no_new_privileges: service.no_new_privileges,
        init: service.init,
        runtime: None,
        devices: service.devices.clone(),
        healthcheck: service.healthcheck.clone(),
        network,
        extra_hosts,
        dns,
        sysctls: BTreeMap::new(),
        stdin: Stdin::Closed,
        log: LogDriver::File,
        stop_timeout_s: u32::try_from(service.stop_grace_ms.div_ceil(MILLISECONDS)).ok(),
    }
}

/// The same container with the GPUs that the service was granted, and the agent that looks from inside whether they are there.
pub fn with_gpus(mut spec: ContainerSpec, granted: &ServiceGrant, binary: &Path) -> ContainerSpec {
    spec.devices.retain(|device| !device.is_of_gpus());
    spec.devices.extend(granted.devices.iter().cloned());
    spec.runtime.clone_from(&granted.runtime);
    spec.environment.extend(granted.environment.clone());
    spec.mounts.push(agent_mount(binary));
    spec
}

fn agent_mount(binary: &Path) -> Mount {
    Mount::Bind {
        source: binary.to_string_lossy().into_owned(),
        target: AGENT_PATH.to_owned(),
        read_only: true,
    }
}

/// A place in the stack's network, under the names of a service.
fn place(identity: &Identity, address: Option<Ipv4Addr>, service: Option<&Service>) -> NetworkMode {
    let names = service.into_iter().flat_map(|service| service.aliases.iter().chain([&service.name]));
    NetworkMode::Join { network: identity.network(), address, aliases: names.cloned().collect() }
}

/// The watching agent's container: the runner's own binary on an image that holds nothing. Its place in the network is
/// also its guest's, so it goes by that one's name.
pub fn agent(
    identity: &Identity,
    stack: &Stack,
    addressing: &Addressing,
    image: &str,
    binary: &Path,
) -> ContainerSpec {
    let guest = addressing.guest().and_then(|guest| stack.services.get(guest));
    let mut command = vec!["agent".to_owned(), "watch".to_owned()];
    command.extend(identity.keep_until.map(|_| STAY.to_owned()));
    ContainerSpec {
        name: format!("{}.agent", identity.network()),
        image: image.to_owned(),
        entrypoint: Some(vec![AGENT_PATH.to_owned()]),
        command: Some(command),
        user: Some(AGENT_USER.to_string()),
        hostname: Some(guest.map_or("agent", |guest| guest.name.as_str()).to_owned()),
        labels: identity.labels_of(AGENT_SERVICE),
        mounts: vec![agent_mount(binary)],
        limits: Some(AGENT_LIMITS),
        cap_drop: ["ALL".to_owned()].into(),
        read_only: true,
        no_new_privileges: true,
        network: place(identity, Some(addressing.agent()), guest),
        extra_hosts: addressing.names().clone(),
        dns: name_servers(stack, addressing),
        // The agent answers for names as a user without rights.
        sysctls: [("net.ipv4.ip_unprivileged_port_start".to_owned(), "0".to_owned())].into(),
        stdin: Stdin::Attached,
        log: LogDriver::None,
        ..ContainerSpec::default()
    }
}
