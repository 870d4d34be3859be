//! The second observer: a prober in a container of the bench's, which joins each stack's network as soon as it exists and
//! asks each service from its start on.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::time::Duration;

use bollard::models::{
    EndpointIpamConfig, EndpointSettings, EventMessage, EventMessageTypeEnum, NetworkConnectRequest,
    NetworkDisconnectRequest,
};
use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use testbed_engine::docker::{Attached, ContainerId, ContainerSpec, NetworkMode, StdStream, Stdin, lines_of};
use testbed_engine::host::clock::now;
use testbed_engine::stack::Subnet;
use testbed_model::id::label;
use testbed_model::stack::{Limits, Mount, Probe, Stack};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

use crate::bare::network_body;
use crate::bench::Bench;
use crate::error::BenchError;
use crate::probe::{Question, Sighting};

/// The question about the stack as a whole.
pub const WHOLE: &str = "the whole stack";

/// The label under which the observer's own objects stand.
const LABEL: &str = "observer";

/// Where the bench is mounted to be the prober.
const OWN_PATH: &str = "/testbed/bench";

/// The place in a stack's network, from its end: services are given theirs from the beginning.
const PLACE: u32 = 4;

/// How long the prober may still take once Testbed knows.
const LAST_SIGHTING: Duration = Duration::from_secs(5);

/// A service's beginning to serve, as narrowly as it was seen, by the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_field_names, reason = "the common ending is the unit")]
pub struct Seen {
    /// When the first question was asked.
    pub first_us: i64,
    /// The last moment at which it certainly did not serve: that of the last question in vain, or of its container's start.
    pub not_yet_us: i64,
    /// When its good answer was there.
    pub served_us: i64,
}

/// What the daemon says to begin: networks created, containers created and started.
pub type Starts = BoxStream<'static, Result<EventMessage, BenchError>>;

/// The prober's container, and what is known of the stack that it observes.
pub struct Observer {
    container: ContainerId,
    network: String,
    input: Pin<Box<dyn AsyncWrite + Send>>,
    sightings: UnboundedReceiver<Sighting>,
    joined: Option<String>,
    addresses: BTreeMap<String, Ipv4Addr>,
    started_us: BTreeMap<String, i64>,
    round: usize,
}

impl Observer {
    /// Starts the prober in a network of the bench's own.
    pub async fn open(bench: &Bench, stack: &Stack) -> Result<Self, BenchError> {
        let network = bench.name(LABEL);
        let created = bench.engine.create_network(network_body(bench, &network, LABEL)).await;
        created.map_err(BenchError::engine("create a network"))?;
        let container = bench.daemon.create_container(&spec(bench, stack, &network)).await?;
        let Attached { input, output } = bench.daemon.attach(&container).await?;
        bench.daemon.start(&container).await?;
        let (sender, sightings) = unbounded_channel();
        tokio::spawn(async move {
            let mut lines = std::pin::pin!(lines_of(output));
            while let Some(Ok((stream, line))) = lines.next().await {
                if stream == StdStream::Stdout
                    && let Ok(sighting) = serde_json::from_str(&line)
                    && sender.send(sighting).is_err()
                {
                    return;
                }
            }
        });
        let (addresses, started_us) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { container, network, input, sightings, joined: None, addresses, started_us, round: 0 })
    }

    /// Prepares for another stack. What the daemon says from now on is not missed.
    pub fn begin(&mut self, bench: &Bench, round: usize) -> Starts {
        self.round = round;
        self.addresses.clear();
        self.started_us.clear();
        let now = now();
        let since = format!("{}.{:09}", now.as_second(), now.subsec_nanosecond());
        let filters = [("type", vec!["network", "container"]), ("event", vec!["create", "start"])];
        let options = EventsOptionsBuilder::default().since(&since).filters(&filters.into()).build();
        let events = bench.engine.events(Some(options));
        events.map_err(|e| BenchError::engine("report what happens")(e)).boxed()
    }

    /// Joins the network that the runner of this process id makes, and asks each service from its start on. Returns only
    /// what went wrong.
    pub async fn follow(
        &mut self,
        bench: &Bench,
        stack: &Stack,
        runner: u32,
        starts: &mut Starts,
    ) -> BenchError {
        loop {
            let event = match starts.next().await {
                Some(Ok(event)) => event,
                Some(Err(e)) => return e,
                None => {
                    return BenchError::Late {
                        what: "what the daemon says to happen".to_owned(),
                        seconds: 0,
                    };
                }
            };
            if let Err(e) = self.take(bench, stack, runner, event).await {
                return e;
            }
        }
    }

    async fn take(
        &mut self,
        bench: &Bench,
        stack: &Stack,
        runner: u32,
        event: EventMessage,
    ) -> Result<(), BenchError> {
        let actor = event.actor.unwrap_or_default();
        let attributes = actor.attributes.unwrap_or_default();
        let id = actor.id.unwrap_or_default();
        let service = attributes.get(label::SERVICE).map_or("", String::as_str);
        let is_service = is_owned(&attributes, runner) && stack.services.contains_key(service);
        match (event.action.as_deref(), event.typ) {
            (Some("create"), Some(EventMessageTypeEnum::NETWORK)) => self.join(bench, &id, runner).await,
            (Some("create"), _) if is_service => {
                self.addresses.insert(service.to_owned(), address(bench, &id).await?);
                Ok(())
            }
            (Some("start"), _) if is_service => {
                self.started_us.insert(service.to_owned(), event.time_nano.unwrap_or_default() / 1000);
                self.ask_all(stack, service).await
            }
            _ => Ok(()),
        }
    }

    /// Joins a network, if it is the runner's.
    async fn join(&mut self, bench: &Bench, network: &str, runner: u32) -> Result<(), BenchError> {
        // One that is gone already was not the one.
        let Ok(inspected) = bench.engine.inspect_network(network, None).await else { return Ok(()) };
        if !is_owned(&inspected.labels.unwrap_or_default(), runner) {
            return Ok(());
        }
        let ranges = inspected.ipam.unwrap_or_default().config.unwrap_or_default();
        let subnet: Option<Subnet> = ranges.first().and_then(|range| range.subnet.as_ref()?.parse().ok());
        let address = subnet.and_then(|subnet| subnet.address(subnet.positions().checked_sub(PLACE)?));
        let ipam = EndpointIpamConfig {
            ipv4_address: address.map(|address| address.to_string()),
            ..EndpointIpamConfig::default()
        };
        let endpoint = EndpointSettings { ipam_config: Some(ipam), ..EndpointSettings::default() };
        let request =
            NetworkConnectRequest { container: self.container.to_string(), endpoint_config: Some(endpoint) };
        let connected = bench.engine.connect_network(network, request).await;
        connected.map_err(BenchError::engine("let the prober join a network"))?;
        self.joined = Some(network.to_owned());
        Ok(())
    }

    async fn ask_all(&mut self, stack: &Stack, service: &str) -> Result<(), BenchError> {
        if let Some(probe) = stack.services.get(service).and_then(|service| service.probe.clone()) {
            self.ask(service, service, probe).await?;
        }
        if stack.ready.service == service {
            self.ask(WHOLE, service, stack.ready.probe.clone()).await?;
        }
        Ok(())
    }

    async fn ask(&mut self, id: &str, service: &str, probe: Probe) -> Result<(), BenchError> {
        let Some(address) = self.addresses.get(service).copied() else { return Ok(()) };
        let question = Question { id: format!("{}/{id}", self.round), address, probe };
        let mut line = serde_json::to_vec(&question).unwrap_or_default();
        line.push(b'\n');
        let doing = "give the prober a question";
        self.input.write_all(&line).await.map_err(BenchError::host(doing))?;
        self.input.flush().await.map_err(BenchError::host(doing))
    }

    /// Waits for what the prober still has to see, and gives all that it saw in this round.
    pub async fn collect(&mut self, stack: &Stack) -> Result<BTreeMap<String, Seen>, BenchError> {
        let asked = 1 + stack.services.values().filter(|service| service.probe.is_some()).count();
        let mut seen = BTreeMap::new();
        while seen.len() < asked {
            let late = |_| BenchError::Late {
                what: format!("the prober's word of all but {} services", seen.len()),
                seconds: LAST_SIGHTING.as_secs(),
            };
            let Some(sighting) = timeout(LAST_SIGHTING, self.sightings.recv()).await.map_err(late)? else {
                break;
            };
            let Some((round, id)) = sighting.id.split_once('/') else { continue };
            if round == self.round.to_string() {
                let service = if id == WHOLE { &stack.ready.service } else { id };
                let started = self.started_us.get(service).copied();
                let not_yet_us = sighting.in_vain_us.or(started).unwrap_or(sighting.served_us);
                seen.insert(
                    id.to_owned(),
                    Seen { first_us: sighting.first_us, not_yet_us, served_us: sighting.served_us },
                );
            }
        }
        Ok(seen)
    }

    /// Leaves the stack's network.
    pub async fn leave(&mut self, bench: &Bench) -> Result<(), BenchError> {
        let Some(network) = self.joined.take() else { return Ok(()) };
        let request = NetworkDisconnectRequest { container: self.container.to_string(), force: Some(true) };
        let left = bench.engine.disconnect_network(&network, request).await;
        left.map_err(BenchError::engine("let the prober leave a network"))
    }

    /// Removes the prober and its network.
    pub async fn close(self, bench: &Bench) -> Result<(), BenchError> {
        bench.daemon.remove(&self.container).await?;
        bench.daemon.remove_network(&self.network).await?;
        Ok(())
    }
}

fn spec(bench: &Bench, stack: &Stack, network: &str) -> ContainerSpec {
    ContainerSpec {
        name: bench.name(LABEL),
        // The bench needs nothing of an image, so any will do that is here.
        image: stack.services.values().next().map(|any| any.image_reference.clone()).unwrap_or_default(),
        entrypoint: Some(vec![OWN_PATH.to_owned()]),
        command: Some(vec!["probe".to_owned()]),
        user: Some("10001:10001".to_owned()),
        labels: bench.labels_of(LABEL, LABEL).into_iter().collect(),
        mounts: vec![Mount::Bind {
            source: bench.own.to_string_lossy().into_owned(),
            target: OWN_PATH.to_owned(),
            read_only: true,
        }],
        limits: Some(Limits { memory_bytes: 256 << 20, nano_cpus: 2_000_000_000, pids: 64 }),
        cap_drop: ["ALL".to_owned()].into(),
        read_only: true,
        no_new_privileges: true,
        network: NetworkMode::Join {
            network: network.to_owned(),
            address: None,
            aliases: std::collections::BTreeSet::new(),
        },
        stdin: Stdin::Attached,
        ..ContainerSpec::default()
    }
}

/// Whether these labels say that the process of this id made the object.
fn is_owned(labels: &HashMap<String, String>, process: u32) -> bool {
    let owner = labels.get(label::OWNER).and_then(|owner| owner.rsplit(':').nth(1)?.parse().ok());
    owner == Some(process)
}

/// The address that a created container will have, or that of the container whose place in the network it shares.
async fn address(bench: &Bench, container: &str) -> Result<Ipv4Addr, BenchError> {
    let look = async |container: &str| {
        let inspected = bench.engine.inspect_container(container, None).await;
        inspected.map_err(BenchError::engine("look at a container"))
    };
    let mut inspected = look(container).await?;
    let mode = inspected.host_config.as_ref().and_then(|host| host.network_mode.clone());
    if let Some(host) = mode.as_deref().and_then(|mode| mode.strip_prefix("container:")) {
        inspected = look(host).await?;
    }
    let endpoints = inspected.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
    let configured = endpoints.into_values().find_map(|endpoint| endpoint.ipam_config?.ipv4_address);
    configured.and_then(|address| address.parse().ok()).ok_or_else(|| BenchError::Missing {
        message: format!("container `{container}` has no address of its own"),
        hint: "measure with a Testbed that gives its services addresses",
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use testbed_model::id::label;

    use super::is_owned;

    #[test]
    fn an_object_belongs_to_the_process_that_its_label_names() {
        let labels = HashMap::from([(label::OWNER.to_owned(), "a:b:4711:12.34.56".to_owned())]);
        assert!(is_owned(&labels, 4711));
        assert!(!is_owned(&labels, 12));
        assert!(!is_owned(&HashMap::new(), 4711));
    }
}
