//! The stack by the bare engine API at full concurrency: the least that the daemon has to do for it, with nothing around it.
//!
//! It makes its requests by its own hand. The stack is the one that Testbed plans; how it is asked for is not shared.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use bollard::errors::Error::DockerResponseServerError;
use bollard::models::{
    ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HealthConfig, HostConfig, Ipam, IpamConfig,
    Mount as ClientMount, MountType, NetworkCreateRequest, NetworkingConfig, ResourcesUlimits,
};
use bollard::query_parameters::{CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder};
use futures_util::future::try_join_all;
use testbed_engine::host::clock::Clock;
use testbed_model::stack::{Mount, Service, Stack};

use crate::bench::Bench;
use crate::chat::Asker;
use crate::error::BenchError;
use crate::phases::Phases;

/// The place of the service that is asked, from the end of the range.
const ASKED: u32 = 2;

/// What the daemon answers while a network is still in use.
const FORBIDDEN: u16 = 403;

/// How often and after what pause a network that is in use is tried again.
const NETWORK_TRIES: u32 = 300;
const NETWORK_PAUSE: Duration = Duration::from_millis(10);

/// What one round took, in microseconds.
#[derive(Clone, Debug)]
pub struct Round {
    /// From the first request to the first chat.
    pub up_us: u64,
    /// From the first removal to the last one's answer.
    pub down_us: u64,
    /// Where the time went.
    pub phases: Phases,
}

/// Brings the stack up, asks for a chat, and tears it down.
pub async fn round(bench: &Bench, stack: &Stack, label: &str) -> Result<Round, BenchError> {
    let address = bench.address_from_end(ASKED)?;
    let asker = Asker::new(&stack.ready, address)?;
    let network = bench.name(label);
    let clock = Clock::start();
    bench
        .engine
        .create_network(network_body(bench, &network, label))
        .await
        .map_err(BenchError::engine("create a network"))?;
    let network_us = clock.elapsed_us();
    let (first, rest): (Vec<&Service>, Vec<&Service>) =
        stack.services.values().partition(|service| service.name == stack.ready.service);
    let start = |service, address| start(bench, service, &network, label, address, clock);
    let answer = async {
        let started = try_join_all(first.iter().map(|service| start(service, Some(address)))).await?;
        asker.first_answer().await?;
        Ok((started, clock.elapsed_us()))
    };
    let others = try_join_all(rest.iter().map(|service| start(service, None)));
    let ((mut started, up_us), others) = tokio::try_join!(answer, others)?;
    started.extend(others);
    let phases = Phases::read(bench, clock, network_us, &started, up_us).await?;
    let clock = Clock::start();
    let removals = started.iter().map(|started| remove(bench, &started.id));
    try_join_all(removals).await?;
    remove_network(bench, &network).await?;
    Ok(Round { up_us, down_us: clock.elapsed_us(), phases })
}

/// A container that was started, and when, in microseconds since the round's start.
#[derive(Clone, Debug)]
pub struct Started {
    /// The daemon's id of it.
    pub id: String,
    /// When its creation was answered.
    pub creation_us: u64,
    /// When its start was answered.
    pub start_us: u64,
}

async fn start(
    bench: &Bench,
    service: &Service,
    network: &str,
    label: &str,
    address: Option<Ipv4Addr>,
    clock: Clock,
) -> Result<Started, BenchError> {
    let name = bench.name(&format!("{label}-{}", service.name));
    let options = CreateContainerOptionsBuilder::default().name(&name).build();
    let labels = bench.labels_of(label, &service.name);
    let body = container_body(service, network, labels, address);
    let created = bench.engine.create_container(Some(options), body).await;
    let id = created.map_err(BenchError::engine(format!("create `{}`", service.name)))?.id;
    let creation_us = clock.elapsed_us();
    let started = bench.engine.start_container(&id, None).await;
    started.map_err(BenchError::engine(format!("start `{}`", service.name)))?;
    Ok(Started { id, creation_us, start_us: clock.elapsed_us() })
}

async fn remove(bench: &Bench, id: &str) -> Result<(), BenchError> {
    let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
    bench.engine.remove_container(id, Some(options)).await.map_err(BenchError::engine("remove a container"))
}

/// A busy daemon lets go of a container's place in the network a moment after it said that the container is gone.
async fn remove_network(bench: &Bench, network: &str) -> Result<(), BenchError> {
    let mut tries = 0;
    loop {
        match bench.engine.remove_network(network).await {
            Err(DockerResponseServerError { status_code: FORBIDDEN, .. }) if tries < NETWORK_TRIES => {
                tries += 1;
                tokio::time::sleep(NETWORK_PAUSE).await;
            }
            result => return result.map_err(BenchError::engine("remove a network")),
        }
    }
}

/// Internal, as Testbed's is, but with an address of the bridge's own: the bench asks from the host.
pub fn network_body(bench: &Bench, name: &str, label: &str) -> NetworkCreateRequest {
    let range = IpamConfig { subnet: Some(bench.subnet.to_string()), ..IpamConfig::default() };
    NetworkCreateRequest {
        name: name.to_owned(),
        driver: Some("bridge".to_owned()),
        internal: Some(true),
        ipam: Some(Ipam { config: Some(vec![range]), ..Ipam::default() }),
        labels: Some(bench.labels(label)),
        ..NetworkCreateRequest::default()
    }
}

fn container_body(
    service: &Service,
    network: &str,
    labels: HashMap<String, String>,
    address: Option<Ipv4Addr>,
) -> ContainerCreateBody {
    let mut aliases: Vec<String> = service.aliases.iter().cloned().collect();
    aliases.push(service.name.clone());
    let endpoint = EndpointSettings {
        aliases: Some(aliases),
        ipam_config: address.map(|address| EndpointIpamConfig {
            ipv4_address: Some(address.to_string()),
            ..EndpointIpamConfig::default()
        }),
        ..EndpointSettings::default()
    };
    let environment = service.environment.iter().map(|(name, value)| format!("{name}={value}"));
    ContainerCreateBody {
        image: Some(service.image_reference.clone()),
        entrypoint: service.entrypoint.clone(),
        cmd: service.command.clone(),
        env: Some(environment.collect()),
        working_dir: service.working_dir.clone(),
        user: Some(service.user.clone()),
        hostname: Some(service.name.clone()),
        labels: Some(labels),
        // What the image may bring along is off, unless the stack asks for it.
        healthcheck: service
            .healthcheck
            .as_ref()
            .map(|check| HealthConfig { test: Some(check.test.clone()), ..HealthConfig::default() }),
        host_config: Some(host_config(service, network)),
        networking_config: Some(NetworkingConfig {
            endpoints_config: Some(HashMap::from([(network.to_owned(), endpoint)])),
        }),
        ..ContainerCreateBody::default()
    }
}

fn host_config(service: &Service, network: &str) -> HostConfig {
    let limits = &service.limits;
    let ulimits = service.ulimits.iter().map(|(name, (soft, hard))| ResourcesUlimits {
        name: Some(name.clone()),
        soft: Some(*soft),
        hard: Some(*hard),
    });
    HostConfig {
        network_mode: Some(network.to_owned()),
        memory: Some(limits.memory_bytes.cast_signed()),
        memory_swap: Some(limits.memory_bytes.cast_signed()),
        nano_cpus: Some(limits.nano_cpus.cast_signed()),
        pids_limit: Some(limits.pids.cast_signed()),
        cap_add: Some(service.cap_add.iter().cloned().collect()),
        cap_drop: Some(service.cap_drop.iter().cloned().collect()),
        security_opt: service.no_new_privileges.then(|| vec!["no-new-privileges:true".to_owned()]),
        readonly_rootfs: Some(service.read_only),
        tmpfs: Some(service.tmpfs.clone().into_iter().collect()),
        mounts: Some(service.mounts.iter().map(mount).collect()),
        ulimits: Some(ulimits.collect()),
        cpu_shares: service.cpu_shares.map(i64::from),
        shm_size: service.shm_size.map(u64::cast_signed),
        init: service.init.then_some(true),
        ..HostConfig::default()
    }
}

fn mount(mount: &Mount) -> ClientMount {
    let (kind, source, target, read_only) = match mount {
        Mount::Bind { source, target, read_only } => (MountType::BIND, source, target, read_only),
        Mount::Model { model, target } => (MountType::BIND, model, target, &true),
        Mount::Volume { volume, target, read_only } => (MountType::VOLUME, volume, target, read_only),
    };
    ClientMount {
        typ: Some(kind),
        source: Some(source.clone()),
        target: Some(target.clone()),
        read_only: Some(*read_only),
        ..ClientMount::default()
    }
}
