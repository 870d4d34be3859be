//! Figures of a stack's containers while it serves, as samples.
//!
//! A container's control group is read where it is, on this host; where the daemon is on another one it is asked, for all of a stack at
//! once, once in a while.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use testbed_model::event::Event;
use testbed_model::record::sample::{CPU, Figures, MEMORY, Source};
use testbed_model::stack::{Probe, Stack};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::agent::watch::message::Order;
use crate::docker::{ContainerId, Daemon};
use crate::events::Events;
use crate::host::control_group::{ControlGroup, Usage};

use super::addressing::Addressing;
use super::request::AGENT_SERVICE;

/// Between two samples of a container. Cases last for seconds, and a request costs the daemon milliseconds of processor time.
const EVERY: Duration = Duration::from_secs(1);

/// Emits samples of containers until it is stopped. A container that is down has none.
pub(super) async fn measure(
    daemon: Daemon,
    events: Events,
    stack: String,
    containers: BTreeMap<String, ContainerId>,
    stop: CancellationToken,
) {
    // The agent is ours, and no part of what is tested.
    let services = containers.into_iter().filter(|(service, _)| service != AGENT_SERVICE);
    let mut services: Vec<Measured> =
        services.map(|(service, id)| Measured { service, id, how: How::Unknown }).collect();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let looks =
            services.iter_mut().map(async |service| (service.service.clone(), service.look(&daemon).await));
        let seen = tokio::select! {
            () = stop.cancelled() => return,
            seen = join_all(looks) => seen,
        };
        for (service, usage) in seen {
            let Some(usage) = usage else { continue };
            let figures = Figures::from([
                (CPU.to_owned(), usage.cpu.as_secs_f64()),
                (MEMORY.to_owned(), to_f64(usage.memory_bytes)),
            ]);
            let stack = stack.clone();
            events.emit(Event::Sampled { stack, service, source: Source::Container, figures });
        }
    }
}

/// A service that is measured.
struct Measured {
    service: String,
    id: ContainerId,
    how: How,
}

/// How what a container uses is known.
enum How {
    /// It was not seen running yet.
    Unknown,
    /// From its control group on this host.
    Here(ControlGroup),
    /// From the daemon, which is on another host, or where control groups cannot be read.
    Asked,
}

impl Measured {
    /// What it uses at this moment; none where it does not run. What the daemon does not tell is no reason to end anything: the
    /// stack's own watcher tells what is wrong with it.
    async fn look(&mut self, daemon: &Daemon) -> Option<Usage> {
        if matches!(self.how, How::Unknown) {
            let pid = daemon.state(&self.id).await.ok()?.pid?;
            self.how = ControlGroup::of_process(pid, &self.id.0).map_or(How::Asked, How::Here);
        }
        match &self.how {
            How::Unknown => None,
            How::Here(group) => group.usage(),
            How::Asked => daemon.usage(&self.id).await.ok()?,
        }
    }
}

/// Where the servers of Dynamo, of its engines, of etcd and of NATS tell their health. A service that is asked for it there has metrics too;
/// another one might take offence at a question that it does not know, and its log is evidence.
const HEALTH: [&str; 5] = ["/health", "/healthz", "/live", "/ready", "/v1/models"];

/// Has the agent look at the metrics of every service that can be expected to have some.
pub(super) fn orders(stack: &Stack, addressing: &Addressing) -> Vec<Order> {
    let order = |(service, address): (&String, &std::net::Ipv4Addr)| {
        let probe = stack.services.get(service)?.probe.as_ref();
        let asked = probe.or_else(|| (stack.ready.service == *service).then_some(&stack.ready.probe))?;
        let port = match asked {
            Probe::Http { port, path, .. } if HEALTH.contains(&path.as_str()) => *port,
            Probe::Chat { port, .. } => *port,
            _ => return None,
        };
        Some(Order::Look { id: service.clone(), address: *address, port })
    };
    addressing.services().iter().filter_map(order).collect()
}

/// Bytes as a figure. Beyond eight petabytes it is rounded.
#[allow(clippy::cast_precision_loss)]
const fn to_f64(bytes: u64) -> f64 {
    bytes as f64
}
