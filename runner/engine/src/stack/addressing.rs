//! Who has which address in a stack's network: decided here, before the daemon is asked.
//!
//! So names can stand in `/etc/hosts`, nobody needs to be asked where a service is, and a service that is started again
//! is found where it was.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};

use testbed_model::stack::Stack;

use super::bringup;
use super::subnet::Subnet;
use crate::docker::NetworkMode;

/// By custom the bridge's; the daemon keeps it even where the bridge has no address.
const GATEWAY: u32 = 1;
const AGENT: u32 = 2;
const FIRST_SERVICE: u32 = 3;

/// The addresses of one stack.
#[derive(Clone, Debug)]
pub struct Addressing {
    subnet: Subnet,
    services: BTreeMap<String, Ipv4Addr>,
    names: BTreeMap<String, IpAddr>,
    agent: Ipv4Addr,
    guest: Option<String>,
    gateway: Ipv4Addr,
    seats: Arc<Mutex<BTreeSet<Ipv4Addr>>>,
}

/// A place in a stack's network for a container that is not one of its services. The address is given back when the
/// seat is dropped, so it is kept until the container is gone.
#[derive(Debug)]
pub struct Seat {
    /// The network and the address in it.
    pub network: NetworkMode,
    /// The address.
    pub address: Ipv4Addr,
    /// The services' names.
    pub extra_hosts: BTreeMap<String, IpAddr>,
    /// Who answers for all other names.
    pub dns: Vec<IpAddr>,
    free: Arc<Mutex<BTreeSet<Ipv4Addr>>>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).insert(self.address);
    }
}

impl Addressing {
    /// Gives every service of a stack its address, in the order of their names, and its guest the agent's; none if the
    /// range is too small.
    pub fn new(stack: &Stack, subnet: Subnet) -> Option<Self> {
        let mut services = BTreeMap::new();
        let mut names = BTreeMap::new();
        let mut position = FIRST_SERVICE;
        let (agent, guest) = (subnet.address(AGENT)?, bringup::guest(stack));
        for (name, service) in &stack.services {
            let is_guest = guest.as_ref() == Some(name);
            let address = if is_guest { agent } else { subnet.address(position)? };
            services.insert(name.clone(), address);
            for name in service.aliases.iter().chain([name]) {
                names.insert(name.clone(), IpAddr::V4(address));
            }
            position += u32::from(!is_guest);
        }
        let seats = (position..subnet.positions()).filter_map(|position| subnet.address(position)).collect();
        Some(Self {
            subnet,
            services,
            names,
            agent,
            guest,
            gateway: subnet.address(GATEWAY)?,
            seats: Arc::new(Mutex::new(seats)),
        })
    }

    /// The network's range.
    pub const fn subnet(&self) -> Subnet {
        self.subnet
    }

    /// What the bridge would have.
    pub const fn gateway(&self) -> Ipv4Addr {
        self.gateway
    }

    /// The watching agent's.
    pub const fn agent(&self) -> Ipv4Addr {
        self.agent
    }

    /// Whether a service shares the agent's place in the network.
    pub fn is_guest(&self, service: &str) -> bool {
        self.guest.as_deref() == Some(service)
    }

    /// The service that shares the agent's place in the network.
    pub fn guest(&self) -> Option<&str> {
        self.guest.as_deref()
    }

    /// The services', by name.
    pub const fn services(&self) -> &BTreeMap<String, Ipv4Addr> {
        &self.services
    }

    /// Every DNS name of the services.
    pub const fn names(&self) -> &BTreeMap<String, IpAddr> {
        &self.names
    }

    /// A free place in the network; none when all are taken.
    pub fn seat(&self, network: &str, dns: Vec<IpAddr>) -> Option<Seat> {
        let mut free = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        // From the end, and the one that was given back last comes first: the daemon may still hold others.
        let address = free.pop_last()?;
        Some(Seat {
            network: NetworkMode::Join {
                network: network.to_owned(),
                address: Some(address),
                aliases: BTreeSet::new(),
            },
            address,
            extra_hosts: self.names.clone(),
            dns,
            free: Arc::clone(&self.seats),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::IpAddr;

    use super::Addressing;
    use crate::stack::bringup::tests::{service, stack};

    fn addressing(range: &str) -> Option<Addressing> {
        let mut web = service("web", None, &[]);
        web.aliases.insert("www".to_owned());
        let planned = stack([service("db", None, &[]), web], "web");
        Addressing::new(&planned, range.parse().unwrap())
    }

    #[test]
    fn everybody_has_an_address_and_every_name_stands_for_one() {
        let addressing = addressing("10.231.0.64/26").unwrap();
        assert_eq!(addressing.gateway().to_string(), "10.231.0.65");
        assert_eq!(addressing.agent().to_string(), "10.231.0.66");
        assert_eq!(
            addressing.services()["db"],
            addressing.agent(),
            "the first to start is the agent's guest"
        );
        assert_eq!(addressing.services()["web"].to_string(), "10.231.0.67");
        assert_eq!(addressing.names()["www"], IpAddr::V4(addressing.services()["web"]));
        assert_eq!(addressing.names().len(), 3);
    }

    #[test]
    fn seats_are_nobody_elses_and_are_given_back() {
        let addressing = addressing("10.231.0.0/28").unwrap();
        let seats: Vec<_> = std::iter::from_fn(|| addressing.seat("net", Vec::new())).collect();
        let addresses: BTreeSet<_> = seats.iter().map(|seat| seat.address).collect();
        assert_eq!(
            (seats.len(), addresses.len()),
            (11, 11),
            "16 less network, broadcast, gateway, agent with its guest, service"
        );
        assert!(addressing.services().values().all(|address| !addresses.contains(address)));
        assert!(!addresses.contains(&addressing.agent()) && !addresses.contains(&addressing.gateway()));
        drop(seats);
        assert!(addressing.seat("net", Vec::new()).is_some());
    }

    #[test]
    fn a_range_without_room_is_refused() {
        let many = (0..14).map(|n| service(&format!("s{n}"), None, &[]));
        assert!(Addressing::new(&stack(many, "s0"), "10.231.0.0/28".parse().unwrap()).is_none());
    }
}
