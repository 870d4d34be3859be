//! What is asked of the daemon, as plain values.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use testbed_model::stack::{DeviceReservation, Healthcheck, Limits, Mount};

/// Labels by key.
pub type Labels = BTreeMap<String, String>;

/// A container's id as the daemon gave it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerId(pub String);

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A network's id as the daemon gave it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkId(pub String);

impl fmt::Display for NetworkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A container to be created. The default has no limits and takes nothing away: who makes one says what it may.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContainerSpec {
    /// Name, unique in the daemon.
    pub name: String,
    /// Image reference or id.
    pub image: String,
    /// Replaces the image's entrypoint.
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's command.
    pub command: Option<Vec<String>>,
    /// Environment, over the image's.
    pub environment: BTreeMap<String, String>,
    /// Working folder.
    pub working_dir: Option<String>,
    /// User as `uid:gid`.
    pub user: Option<String>,
    /// Host name inside.
    pub hostname: Option<String>,
    /// Labels.
    pub labels: Labels,
    /// Bind mounts, and volumes by the daemon's name for them.
    pub mounts: Vec<Mount>,
    /// Writable memory file systems: path to options.
    pub tmpfs: BTreeMap<String, String>,
    /// Limits.
    pub limits: Option<Limits>,
    /// Share of the processors beside other containers while all of them are busy; the daemon's own is 1024.
    pub cpu_shares: Option<u32>,
    /// Size of `/dev/shm` in bytes.
    pub shm_size: Option<u64>,
    /// Ulimits by name: soft, hard.
    pub ulimits: BTreeMap<String, (i64, i64)>,
    /// Capabilities given.
    pub cap_add: BTreeSet<String>,
    /// Capabilities taken.
    pub cap_drop: BTreeSet<String>,
    /// Whether the root file system is read-only.
    pub read_only: bool,
    /// Whether processes may not gain privileges.
    pub no_new_privileges: bool,
    /// Whether the daemon's init process reaps zombies.
    pub init: bool,
    /// Container runtime, where it is not the daemon's own.
    pub runtime: Option<String>,
    /// Accelerators.
    pub devices: Vec<DeviceReservation>,
    /// Health check in place of the image's.
    pub healthcheck: Option<Healthcheck>,
    /// Where it stands in the network.
    pub network: NetworkMode,
    /// Names for `/etc/hosts`.
    pub extra_hosts: BTreeMap<String, IpAddr>,
    /// Name servers in place of the host's.
    pub dns: Vec<IpAddr>,
    /// Kernel parameters of the container's namespaces.
    pub sysctls: BTreeMap<String, String>,
    /// Whether somebody will write to its standard input.
    pub stdin: Stdin,
    /// Where its output is kept.
    pub log: LogDriver,
    /// How long a stop may take before the daemon kills, in seconds.
    pub stop_timeout_s: Option<u32>,
}

/// Where a container stands in the network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum NetworkMode {
    /// Loopback only.
    #[default]
    None,
    /// The daemon's default bridge, with a way out.
    Default,
    /// In the namespace of another container, which must run.
    Container(ContainerId),
    /// On a network.
    Join {
        /// Name or id. It need not exist when the container is created, only when it starts.
        network: String,
        /// Address in it; the daemon chooses one if none is given.
        address: Option<Ipv4Addr>,
        /// Further DNS names besides the container's own.
        aliases: BTreeSet<String>,
    },
}

/// A container's standard input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stdin {
    /// At its end from the start.
    #[default]
    Closed,
    /// Open to one attached writer, and at its end when that one leaves.
    Attached,
}

/// Where a container's output is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogDriver {
    /// In a file of the daemon's, from which logs can be read.
    #[default]
    File,
    /// Nowhere: it is there only for who is attached.
    None,
}

/// A network to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkSpec {
    /// Name.
    pub name: String,
    /// Address range such as `10.231.4.64/26`; the daemon's default pool is small and shared, so one is always given.
    pub subnet: String,
    /// The address that would be the gateway's.
    pub gateway: Option<Ipv4Addr>,
    /// Whether there is no way out, and none to the host either.
    pub isolated: bool,
    /// Labels.
    pub labels: Labels,
}

/// A volume to be created, in memory, writable for everyone who mounts it, gone with its last user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeSpec {
    /// Name.
    pub name: String,
    /// Labels.
    pub labels: Labels,
    /// Size in bytes.
    pub size_bytes: u64,
}
