//! The subset, as one table: what is supported, with an example, and what is refused, with the reason.
//!
//! The table gives the reference page its content and refused keys their message. A test parses every example, so the
//! table cannot promise what the reader does not read.

use std::fmt::Write as _;

use crate::document::{Fields, Item};
use crate::span::Fault;

/// A kind of map in a compose file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// The file.
    File,
    /// A service.
    Service,
    /// `depends_on.SERVICE`.
    DependsOn,
    /// `healthcheck`.
    Healthcheck,
    /// `deploy`.
    Deploy,
    /// `deploy.resources`.
    Resources,
    /// `deploy.resources.limits`.
    Limits,
    /// `deploy.resources.reservations`.
    Reservations,
    /// An item of `deploy.resources.reservations.devices`.
    Device,
    /// An item of a service's `volumes`, in long form.
    Mount,
    /// An item of a service's `configs`, in long form.
    ConfigMount,
    /// `networks.NAME` of a service.
    Attachment,
    /// A top-level network.
    Network,
    /// A top-level volume.
    Volume,
    /// A top-level config.
    Config,
    /// `x-testbed` of a service.
    ServiceExtension,
    /// `x-testbed` of the file.
    FileExtension,
    /// A probe.
    Probe,
}

/// One key of the table.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Where.
    pub section: Section,
    /// Name.
    pub name: &'static str,
    /// Whether it is supported.
    pub status: Status,
}

/// Whether a key is supported.
#[derive(Clone, Copy, Debug)]
pub enum Status {
    /// It is: what it takes, and an example value in YAML's flow form.
    Supported {
        /// What it takes.
        takes: &'static str,
        /// Example.
        example: &'static str,
    },
    /// It is not: why, and what to do instead.
    Refused {
        /// Why.
        why: &'static str,
        /// Instead.
        instead: &'static str,
    },
}

const fn yes(section: Section, name: &'static str, example: &'static str, takes: &'static str) -> Key {
    Key { section, name, status: Status::Supported { takes, example } }
}

const fn no(section: Section, name: &'static str, why: &'static str, instead: &'static str) -> Key {
    Key { section, name, status: Status::Refused { why, instead } }
}

const RUN_OWNED: &str = "the network belongs to the run and must not collide with another";

/// Every key that the reader knows.
#[rustfmt::skip]
pub const KEYS: &[Key] = &[
    yes(Section::File, "services", "{a: {image: testbed/a}}", "map of services; at least one"),
    yes(Section::File, "networks", "{stack: {}}", "at most one network, which is the stack's own"),
    yes(Section::File, "volumes", "{data: {}}", "named volumes, private to the run"),
    yes(Section::File, "configs", "{settings: {file: ./settings.yaml}}", "files to mount read-only"),
    yes(Section::File, "x-testbed", "{facts: {mode: agg}}", "how to know that the stack serves, and facts of it"),
    no(Section::File, "version", "it is obsolete in the Compose Specification", "leave it out"),
    no(Section::File, "name", "names are made per run, and docker-compose 1.29 refuses it", "leave it out"),
    no(Section::File, "include", "a stack is one file, and docker-compose 1.29 refuses it", "use anchors and merge keys"),
    no(Section::File, "secrets", "nothing secret belongs in a stack", "use `configs` for a file"),

    yes(Section::Service, "image", "testbed/dynamo", "`testbed/NAME`, where NAME is in images/images.lock.json; the lock pins it"),
    yes(Section::Service, "command", "[-m, dynamo.frontend]", "list, or text that is split as a shell would"),
    yes(Section::Service, "entrypoint", "[python3]", "list, or text that is split as a shell would"),
    yes(Section::Service, "environment", "{A: b}", "map, or list of `NAME=value`; a name without a value is refused"),
    yes(Section::Service, "volumes", "['data:/data', '../models:/models:ro']", "short or long form; a bind mount is relative and read-only"),
    yes(Section::Service, "tmpfs", "[/tmp, '/data:size=64m']", "path, or list of paths with options"),
    yes(Section::Service, "networks", "[stack]", "the stack's network; in map form with `aliases`"),
    yes(Section::Service, "depends_on", "{b: {condition: service_started}}", "list, or map with conditions"),
    yes(Section::Service, "healthcheck", "{test: [CMD, 'true'], interval: 1s}", "health check that the daemon executes"),
    yes(Section::Service, "deploy", "{resources: {limits: {cpus: '0.5', memory: 64m}}}", "`resources` alone"),
    yes(Section::Service, "cpu_shares", "256", "whole number; who goes first within the stack while processors are busy, 1024 where it is not said"),
    yes(Section::Service, "shm_size", "64m", "size of /dev/shm"),
    yes(Section::Service, "ulimits", "{nofile: 1024, memlock: {soft: -1, hard: -1}}", "number, or map with `soft` and `hard`"),
    yes(Section::Service, "cap_add", "[SYS_PTRACE]", "list; the profile must allow each under `[hardening]`"),
    yes(Section::Service, "cap_drop", "[ALL]", "list; all are dropped anyway"),
    yes(Section::Service, "read_only", "true", "truth value; `false` only where the profile allows it"),
    yes(Section::Service, "user", "'10001:10001'", "`uid:gid`, or `uid`, whose group is then the same number; root only where the profile allows it"),
    yes(Section::Service, "labels", "{team: serving}", "map, or list of `name=value`; `dev.testbed.` is reserved"),
    yes(Section::Service, "configs", "[settings]", "list of names, or maps with `source` and `target`"),
    yes(Section::Service, "profiles", "[extra]", "list; the service takes part when the profile names one in `compose_profiles`"),
    yes(Section::Service, "working_dir", "/work", "absolute path"),
    yes(Section::Service, "init", "true", "truth value"),
    yes(Section::Service, "stop_grace_period", "10s", "duration"),
    yes(Section::Service, "security_opt", "['no-new-privileges:true']", "`no-new-privileges` alone; `false` only where the profile allows it"),
    yes(Section::Service, "hostname", "a", "the service's own name, which it has anyway"),
    yes(Section::Service, "pids_limit", "512", "whole number"),
    yes(Section::Service, "mem_limit", "64m", "size; not together with `deploy.resources.limits.memory`"),
    yes(Section::Service, "cpus", "0.5", "number of cores; not together with `deploy.resources.limits.cpus`"),
    yes(Section::Service, "x-testbed", "{probe: {tcp: {port: 4222}}}", "how to know that the service serves"),
    no(Section::Service, "ports", "a stack is closed, the host cannot reach into it", "probe and test from inside the network"),
    no(Section::Service, "expose", "every port is open within the stack's network", "leave it out"),
    no(Section::Service, "privileged", "it gives the container the host", "give single capabilities by `cap_add`, allowed by the profile"),
    no(Section::Service, "network_mode", "every service joins the stack's own network", "leave it out"),
    no(Section::Service, "pid", "process namespaces are not shared", "leave it out"),
    no(Section::Service, "ipc", "IPC namespaces are not shared", "use `shm_size`, or a tmpfs"),
    no(Section::Service, "userns_mode", "user namespaces are the daemon's business", "leave it out"),
    no(Section::Service, "cgroup_parent", "the daemon decides on control groups", "leave it out"),
    no(Section::Service, "build", "images come from the lock, so that all runs use the same bits", "write a recipe in images/recipes/ and name it by `image`"),
    no(Section::Service, "pull_policy", "the lock says how an image is had", "leave it out"),
    no(Section::Service, "platform", "the lock says which image serves which processor", "leave it out"),
    no(Section::Service, "env_file", "an environment in another file cannot be explained line by line", "use `environment`, or `[environment]` of the profile"),
    no(Section::Service, "extends", "one place decides what a service is", "use anchors and merge keys"),
    no(Section::Service, "container_name", "names are made per run, so that runs do not collide", "use the service's name"),
    no(Section::Service, "restart", "a service that ends is a finding, not something to hide", "leave it out"),
    no(Section::Service, "scale", "every replica has a name of its own here", "write the service again under another name, with a merge key"),
    no(Section::Service, "secrets", "nothing secret belongs in a stack", "use `configs` for a file"),
    no(Section::Service, "links", "services find each other by name", "use `networks` with `aliases` for another name"),
    no(Section::Service, "external_links", "a stack is closed", "put the other service into the stack"),
    no(Section::Service, "extra_hosts", "a stack is closed, and names are the services' own", "use `networks` with `aliases`"),
    no(Section::Service, "dns", "names are resolved inside the stack", "leave it out"),
    no(Section::Service, "dns_search", "names are resolved inside the stack", "leave it out"),
    no(Section::Service, "dns_opt", "names are resolved inside the stack", "leave it out"),
    no(Section::Service, "domainname", "names are resolved inside the stack", "leave it out"),
    no(Section::Service, "mac_address", RUN_OWNED, "leave it out"),
    no(Section::Service, "devices", "a device file depends on the machine", "reserve accelerators by `deploy.resources.reservations.devices`"),
    no(Section::Service, "gpus", "docker-compose 1.29 refuses it", "use `deploy.resources.reservations.devices`"),
    no(Section::Service, "runtime", "the engine's runtime is chosen from the host's facts", "reserve accelerators by `deploy.resources.reservations.devices`"),
    no(Section::Service, "device_cgroup_rules", "a device depends on the machine", "reserve accelerators by `deploy.resources.reservations.devices`"),
    no(Section::Service, "group_add", "the container's groups are its user's", "give the group in `user`"),
    no(Section::Service, "sysctls", "they change the kernel's behaviour unlike on other machines", "leave it out"),
    no(Section::Service, "logging", "logs go into the run's record", "leave it out"),
    no(Section::Service, "stop_signal", "the image says it", "leave it out"),
    no(Section::Service, "tty", "nobody looks at a service's terminal", "leave it out"),
    no(Section::Service, "stdin_open", "nobody writes to a service", "leave it out"),
    no(Section::Service, "volumes_from", "mounts are written where they are used", "name the volume in both services"),
    no(Section::Service, "storage_opt", "it depends on the machine's storage driver", "leave it out"),
    no(Section::Service, "isolation", "it is for Windows alone", "leave it out"),
    no(Section::Service, "oom_kill_disable", "a container that exceeds its memory is to be seen", "raise `deploy.resources.limits.memory`"),
    no(Section::Service, "oom_score_adj", "it changes what else the host kills", "leave it out"),
    no(Section::Service, "mem_reservation", "a limit is a limit", "use `deploy.resources.limits.memory`"),
    no(Section::Service, "mem_swappiness", "it depends on the machine", "leave it out"),
    no(Section::Service, "memswap_limit", "containers get no swap", "leave it out"),
    no(Section::Service, "cpu_quota", "there is one way to say it", "use `deploy.resources.limits.cpus`"),
    no(Section::Service, "cpu_period", "there is one way to say it", "use `deploy.resources.limits.cpus`"),
    no(Section::Service, "cpu_count", "there is one way to say it", "use `deploy.resources.limits.cpus`"),
    no(Section::Service, "cpu_percent", "there is one way to say it", "use `deploy.resources.limits.cpus`"),
    no(Section::Service, "cpuset", "it depends on the machine", "use `deploy.resources.limits.cpus`"),
    no(Section::Service, "blkio_config", "it depends on the machine's disks", "leave it out"),
    no(Section::Service, "credential_spec", "it is for Windows alone", "leave it out"),
    no(Section::Service, "develop", "docker-compose 1.29 refuses it", "leave it out"),
    no(Section::Service, "annotations", "docker-compose 1.29 refuses it", "use `labels`"),
    no(Section::Service, "attach", "all logs are kept", "leave it out"),
    no(Section::Service, "post_start", "docker-compose 1.29 refuses it", "use a service that ends, and `service_completed_successfully`"),
    no(Section::Service, "pre_stop", "docker-compose 1.29 refuses it", "leave it out"),

    yes(Section::DependsOn, "condition", "service_started", "`service_started`, `service_healthy` or `service_completed_successfully`"),
    no(Section::DependsOn, "restart", "nothing is restarted, and docker-compose 1.29 refuses it", "leave it out"),
    no(Section::DependsOn, "required", "every dependency is, and docker-compose 1.29 refuses it", "leave it out"),

    yes(Section::Healthcheck, "test", "[CMD, 'true']", "list that starts with `CMD`, `CMD-SHELL` or `NONE`, or text for a shell"),
    yes(Section::Healthcheck, "interval", "1s", "duration; 30s without it"),
    yes(Section::Healthcheck, "timeout", "1s", "duration; 30s without it"),
    yes(Section::Healthcheck, "retries", "3", "whole number; 3 without it"),
    yes(Section::Healthcheck, "start_period", "1s", "duration; 0s without it"),
    yes(Section::Healthcheck, "disable", "true", "truth value; the same as `test: [NONE]`"),
    no(Section::Healthcheck, "start_interval", "docker-compose 1.29 refuses it", "use a probe in `x-testbed`, which adapts by itself"),

    yes(Section::Deploy, "resources", "{limits: {cpus: 1}}", "`limits` and `reservations`"),
    no(Section::Deploy, "replicas", "every replica has a name of its own here", "write the service again under another name, with a merge key"),
    no(Section::Deploy, "mode", "it is for Swarm alone", "leave it out"),
    no(Section::Deploy, "placement", "it is for Swarm alone", "leave it out"),
    no(Section::Deploy, "update_config", "it is for Swarm alone", "leave it out"),
    no(Section::Deploy, "rollback_config", "it is for Swarm alone", "leave it out"),
    no(Section::Deploy, "endpoint_mode", "it is for Swarm alone", "leave it out"),
    no(Section::Deploy, "restart_policy", "a service that ends is a finding, not something to hide", "leave it out"),
    no(Section::Deploy, "labels", "they are for Swarm alone", "use the service's `labels`"),

    yes(Section::Resources, "limits", "{memory: 64m}", "`cpus` and `memory`"),
    yes(Section::Resources, "reservations", "{devices: [{capabilities: [gpu]}]}", "`devices` alone"),

    yes(Section::Limits, "cpus", "'0.5'", "number of cores"),
    yes(Section::Limits, "memory", "64m", "size"),
    no(Section::Limits, "pids", "docker-compose 1.29 refuses it", "use `pids_limit` of the service"),

    yes(Section::Reservations, "devices", "[{capabilities: [gpu], count: 1}]", "list of accelerators"),
    no(Section::Reservations, "cpus", "only limits bind on one machine", "use `limits`"),
    no(Section::Reservations, "memory", "only limits bind on one machine", "use `limits`, and `[requirements]` of the profile"),
    no(Section::Reservations, "generic_resources", "they are for Swarm alone", "use `devices`"),

    yes(Section::Device, "capabilities", "[gpu]", "list of text; required"),
    yes(Section::Device, "driver", "nvidia", "text"),
    yes(Section::Device, "count", "all", "whole number or `all`; not together with `device_ids`"),
    yes(Section::Device, "device_ids", "['0']", "list of text"),
    yes(Section::Device, "options", "{virtualization: 'false'}", "map of text"),

    yes(Section::Mount, "type", "volume", "`bind`, `volume` or `tmpfs`; required"),
    yes(Section::Mount, "source", "data", "path or name of a volume"),
    yes(Section::Mount, "target", "/data", "absolute path; required"),
    yes(Section::Mount, "read_only", "true", "truth value; must be `true` for a bind mount"),
    yes(Section::Mount, "tmpfs", "{size: 64m}", "map with `size`, for type `tmpfs`"),
    no(Section::Mount, "bind", "mounts do not propagate", "leave it out"),
    no(Section::Mount, "volume", "a new volume takes over the image's folder, as the daemon has it", "leave it out"),
    no(Section::Mount, "consistency", "it has no effect on Linux", "leave it out"),

    yes(Section::ConfigMount, "source", "settings", "name of a config; required"),
    yes(Section::ConfigMount, "target", "/etc/settings.yaml", "absolute path; `/NAME` without it"),
    no(Section::ConfigMount, "uid", "the file is mounted as it is", "leave it out"),
    no(Section::ConfigMount, "gid", "the file is mounted as it is", "leave it out"),
    no(Section::ConfigMount, "mode", "the file is mounted as it is", "leave it out"),

    yes(Section::Attachment, "aliases", "[registry]", "list of further DNS names"),
    no(Section::Attachment, "ipv4_address", RUN_OWNED, "use the service's name"),
    no(Section::Attachment, "ipv6_address", RUN_OWNED, "use the service's name"),
    no(Section::Attachment, "link_local_ips", RUN_OWNED, "use the service's name"),
    no(Section::Attachment, "priority", "there is one network", "leave it out"),

    yes(Section::Network, "driver", "bridge", "`bridge`, which it is anyway"),
    yes(Section::Network, "internal", "true", "`true`; a profile opens the network by `egress = true`"),
    no(Section::Network, "external", "a stack is closed", "leave it out"),
    no(Section::Network, "name", RUN_OWNED, "leave it out"),
    no(Section::Network, "ipam", RUN_OWNED, "leave it out"),
    no(Section::Network, "driver_opts", RUN_OWNED, "leave it out"),
    no(Section::Network, "attachable", "a stack is closed", "leave it out"),
    no(Section::Network, "enable_ipv6", RUN_OWNED, "leave it out"),
    no(Section::Network, "labels", "the run labels what it creates", "leave it out"),

    yes(Section::Volume, "driver", "local", "`local`, which it is anyway"),
    no(Section::Volume, "external", "a stack owns all that it writes to", "leave it out"),
    no(Section::Volume, "name", "names are made per run, so that runs do not collide", "leave it out"),
    no(Section::Volume, "driver_opts", "they depend on the machine", "use `tmpfs` of the service"),
    no(Section::Volume, "labels", "the run labels what it creates", "leave it out"),

    yes(Section::Config, "file", "./settings.yaml", "path relative to the compose file; required"),
    no(Section::Config, "content", "docker-compose 1.29 refuses it", "use `file`"),
    no(Section::Config, "environment", "nothing comes from the host's environment", "use `file`"),
    no(Section::Config, "external", "a stack is one folder of files", "use `file`"),
    no(Section::Config, "name", "names are made per run, so that runs do not collide", "leave it out"),

    yes(Section::ServiceExtension, "probe", "{http: {port: 8222, path: /healthz}}", "one of `tcp`, `http`, `chat`; asked from inside the network"),

    yes(Section::FileExtension, "ready", "{chat: {service: a, port: 8000, model: tiny}}", "a probe with `service`; when it succeeds, the stack serves"),
    yes(Section::FileExtension, "facts", "{mode: agg}", "map of text, by which cases decide whether they apply"),

    yes(Section::Probe, "tcp", "{port: 4222}", "`port`; a connection is accepted"),
    yes(Section::Probe, "http", "{port: 8000, path: /v1/models, contains: tiny}", "`port`, `path` (`/` without it), `contains`; GET answers 200, with that text in the body"),
    yes(Section::Probe, "chat", "{port: 8000, model: tiny}", "`port`, `model`; a chat completion of one token comes back"),
];

impl Section {
    /// The section's place in a file, as the reference page shows it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::File => "top level",
            Self::Service => "services.NAME",
            Self::DependsOn => "services.NAME.depends_on.SERVICE",
            Self::Healthcheck => "services.NAME.healthcheck",
            Self::Deploy => "services.NAME.deploy",
            Self::Resources => "services.NAME.deploy.resources",
            Self::Limits => "services.NAME.deploy.resources.limits",
            Self::Reservations => "services.NAME.deploy.resources.reservations",
            Self::Device => "services.NAME.deploy.resources.reservations.devices[]",
            Self::Mount => "services.NAME.volumes[]",
            Self::ConfigMount => "services.NAME.configs[]",
            Self::Attachment => "services.NAME.networks.NETWORK",
            Self::Network => "networks.NAME",
            Self::Volume => "volumes.NAME",
            Self::Config => "configs.NAME",
            Self::ServiceExtension => "services.NAME.x-testbed",
            Self::FileExtension => "x-testbed",
            Self::Probe => "probe",
        }
    }

    fn keys(self) -> impl Iterator<Item = &'static Key> {
        KEYS.iter().filter(move |key| key.section == self)
    }

    /// Whether a key is an extension that belongs to others.
    fn is_free(self, name: &str) -> bool {
        match self {
            Self::ServiceExtension | Self::FileExtension | Self::Probe => false,
            Self::File | Self::Service => {
                name.starts_with("x-") && strsim::damerau_levenshtein(name, "x-testbed") > 2
            }
            _ => name.starts_with("x-") && name != "x-testbed",
        }
    }
}

/// Opens a section's map: refused keys end with their reason, others that the table does not have as unknown. What is
/// unknown is so told before what is missing, for a misspelt key is both. Extensions (`x-...`) are left out where the
/// Compose Specification allows them, but for those that look like a misspelt `x-testbed`.
pub fn open<'d>(section: Section, item: &Item<'d>) -> Result<Fields<'d>, Fault> {
    let mut fields = item.fields()?;
    fields.discard(|name| section.is_free(name));
    check(section, &fields)?;
    Ok(fields)
}

/// The same, where a key without a value is an empty map.
pub fn open_or_nothing<'d>(section: Section, item: &Item<'d>) -> Result<Fields<'d>, Fault> {
    if item.is_null() { item.fields_or_nothing() } else { open(section, item) }
}

fn check(section: Section, fields: &Fields<'_>) -> Result<(), Fault> {
    let within = if fields.path().is_empty() { String::new() } else { format!(" in `{}`", fields.path()) };
    for (name, mark) in fields.keys() {
        let status = section.keys().find(|key| key.name == name).map(|key| key.status);
        match status {
            Some(Status::Supported { .. }) => {}
            Some(Status::Refused { why, instead }) => {
                let message = format!("`{name}` is not supported{within}: {why}");
                return Err(fields.fault_at(mark, message).with_hint(instead));
            }
            None => {
                let known = section.keys().filter(|key| matches!(key.status, Status::Supported { .. }));
                let fault = fields.fault_at(mark, format!("unknown key `{name}`{within}"));
                return Err(fault.with_nearest(name, known.map(|key| key.name)));
            }
        }
    }
    Ok(())
}

/// The reference page, in Markdown.
pub fn reference() -> String {
    let mut out = String::from(
        "# Stacks: the supported subset of the Compose Specification\n\n\
         <!-- Generated from runner/model/src/compose/subset.rs; a test keeps them equal. -->\n\n\
         A stack is one file under `compose/`. Whatever is not listed here is an error that names file, line and column.\n\
         The same files pass `docker-compose config`.\n\n\
         - YAML 1.2 with anchors, aliases and merge keys (`<<`). One document, no tags, no key twice. A plain value that\n  \
         YAML readers disagree on (`yes`, `010`, `1:30`) must be quoted.\n\
         - Variables in values: `$X`, `${X}`, `${X:-default}`, `${X-default}`, `${X:?message}`, `${X?message}`; `$$` is a\n  \
         dollar. Values come from `[variables]` of the profile, never from the host.\n\
         - Sizes: `512m`, `2GiB`; units are powers of 1024. Durations: `30s`, `1m30s`, `500ms`.\n\
         - Extensions `x-...` are free at the top level and in every map of the Compose Specification; `x-testbed` is ours.\n",
    );
    let mut sections: Vec<Section> = KEYS.iter().map(|key| key.section).collect();
    sections.dedup();
    for section in sections {
        let _ = write!(out, "\n## `{}`\n\n| key | takes | example |\n|---|---|---|\n", section.title());
        for key in section.keys() {
            if let Status::Supported { takes, example } = key.status {
                let _ = writeln!(out, "| `{}` | {takes} | `{}: {example}` |", key.name, key.name);
            }
        }
        let refused: Vec<String> = section
            .keys()
            .filter_map(|key| match key.status {
                Status::Refused { why, instead } => Some(format!("| `{}` | {why} | {instead} |", key.name)),
                Status::Supported { .. } => None,
            })
            .collect();
        if !refused.is_empty() {
            let _ = writeln!(out, "\n| refused | why | instead |\n|---|---|---|\n{}", refused.join("\n"));
        }
    }
    out
}
