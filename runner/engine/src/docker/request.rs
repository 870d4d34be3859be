//! Our values as the client's requests: the one place where the two vocabularies meet.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bollard::models::{
    ContainerCreateBody, DeviceRequest, EndpointIpamConfig, EndpointSettings, HealthConfig, HostConfig,
    HostConfigLogConfig, Ipam, IpamConfig, Mount as ClientMount, MountType, NetworkCreateRequest,
    NetworkingConfig, ResourcesUlimits, VolumeCreateRequest,
};
use testbed_model::stack::{DeviceReservation, Healthcheck, Mount};

use super::spec::{ContainerSpec, LogDriver, NetworkMode, NetworkSpec, Stdin, VolumeSpec};

const NANOSECONDS_PER_MILLISECOND: i64 = 1_000_000;

/// The body that creates a container.
pub(super) fn container(spec: &ContainerSpec) -> ContainerCreateBody {
    let attached = spec.stdin == Stdin::Attached;
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        entrypoint: spec.entrypoint.clone(),
        cmd: spec.command.clone(),
        env: Some(spec.environment.iter().map(|(key, value)| format!("{key}={value}")).collect()),
        working_dir: spec.working_dir.clone(),
        user: spec.user.clone(),
        hostname: spec.hostname.clone(),
        labels: Some(map(&spec.labels)),
        healthcheck: spec.healthcheck.as_ref().map(healthcheck),
        attach_stdin: Some(attached),
        open_stdin: Some(attached),
        stdin_once: Some(attached),
        stop_timeout: spec.stop_timeout_s.map(i64::from),
        host_config: Some(host_config(spec)),
        networking_config: networking(&spec.network),
        ..ContainerCreateBody::default()
    }
}

fn host_config(spec: &ContainerSpec) -> HostConfig {
    let security = spec.no_new_privileges.then(|| vec!["no-new-privileges:true".to_owned()]);
    HostConfig {
        memory: spec.limits.map(|limits| whole(limits.memory_bytes)),
        // Equal to the memory: a service that may swap would turn a limit into slowness.
        memory_swap: spec.limits.map(|limits| whole(limits.memory_bytes)),
        nano_cpus: spec.limits.map(|limits| whole(limits.nano_cpus)),
        cpu_shares: spec.cpu_shares.map(i64::from),
        pids_limit: spec.limits.map(|limits| whole(limits.pids)),
        mounts: Some(spec.mounts.iter().map(mount).collect()),
        tmpfs: Some(map(&spec.tmpfs)),
        shm_size: spec.shm_size.map(whole),
        ulimits: Some(spec.ulimits.iter().map(|(name, limits)| ulimit(name, *limits)).collect()),
        cap_add: Some(list(&spec.cap_add)),
        cap_drop: Some(list(&spec.cap_drop)),
        readonly_rootfs: Some(spec.read_only),
        security_opt: security,
        init: spec.init.then_some(true),
        runtime: spec.runtime.clone(),
        device_requests: Some(spec.devices.iter().map(device).collect()),
        network_mode: Some(network_mode(&spec.network)),
        extra_hosts: Some(spec.extra_hosts.iter().map(|(name, ip)| format!("{name}:{ip}")).collect()),
        dns: Some(spec.dns.iter().map(ToString::to_string).collect()),
        sysctls: Some(map(&spec.sysctls)),
        log_config: Some(log_config(spec.log)),
        ..HostConfig::default()
    }
}

fn network_mode(mode: &NetworkMode) -> String {
    match mode {
        NetworkMode::None => "none".to_owned(),
        NetworkMode::Default => "bridge".to_owned(),
        NetworkMode::Container(id) => format!("container:{id}"),
        NetworkMode::Join { network, .. } => network.clone(),
    }
}

fn networking(mode: &NetworkMode) -> Option<NetworkingConfig> {
    let NetworkMode::Join { network, address, aliases } = mode else {
        return None;
    };
    let endpoint = EndpointSettings {
        aliases: Some(list(aliases)),
        ipam_config: address.map(|address| EndpointIpamConfig {
            ipv4_address: Some(address.to_string()),
            ..EndpointIpamConfig::default()
        }),
        ..EndpointSettings::default()
    };
    Some(NetworkingConfig { endpoints_config: Some(HashMap::from([(network.clone(), endpoint)])) })
}

fn mount(mount: &Mount) -> ClientMount {
    let (typ, source, target, read_only) = match mount {
        Mount::Bind { source, target, read_only } => (MountType::BIND, source, target, *read_only),
        // One that nobody placed has no source: the daemon refuses a name that is no path.
        Mount::Model { model, target } => (MountType::BIND, model, target, true),
        Mount::Volume { volume, target, read_only } => (MountType::VOLUME, volume, target, *read_only),
    };
    ClientMount {
        typ: Some(typ),
        source: Some(source.clone()),
        target: Some(target.clone()),
        read_only: Some(read_only),
        ..ClientMount::default()
    }
}

fn healthcheck(check: &Healthcheck) -> HealthConfig {
    let nanoseconds =
        |milliseconds: u64| Some(whole(milliseconds).saturating_mul(NANOSECONDS_PER_MILLISECOND));
    HealthConfig {
        test: Some(check.test.clone()),
        interval: nanoseconds(check.interval_ms),
        timeout: nanoseconds(check.timeout_ms),
        retries: Some(i64::from(check.retries)),
        start_period: nanoseconds(check.start_period_ms),
        ..HealthConfig::default()
    }
}

fn ulimit(name: &str, (soft, hard): (i64, i64)) -> ResourcesUlimits {
    ResourcesUlimits { name: Some(name.to_owned()), soft: Some(soft), hard: Some(hard) }
}

fn device(reservation: &DeviceReservation) -> DeviceRequest {
    DeviceRequest {
        driver: reservation.driver.clone(),
        count: reservation.count,
        device_ids: Some(reservation.device_ids.clone()).filter(|ids| !ids.is_empty()),
        capabilities: Some(vec![reservation.capabilities.clone()]).filter(|all| !all[0].is_empty()),
        options: Some(map(&reservation.options)).filter(|options| !options.is_empty()),
    }
}

fn log_config(driver: LogDriver) -> HostConfigLogConfig {
    let typ = match driver {
        LogDriver::File => "json-file",
        LogDriver::None => "none",
    };
    HostConfigLogConfig { typ: Some(typ.to_owned()), config: None }
}

/// The body that creates a network.
pub(super) fn network(spec: &NetworkSpec) -> NetworkCreateRequest {
    // Without an address of the bridge's own there is nothing on the host that a container could reach.
    let options = spec
        .isolated
        .then(|| HashMap::from([("com.docker.network.bridge.inhibit_ipv4".to_owned(), "true".to_owned())]));
    NetworkCreateRequest {
        name: spec.name.clone(),
        driver: Some("bridge".to_owned()),
        internal: Some(spec.isolated),
        options,
        ipam: Some(Ipam {
            config: Some(vec![IpamConfig {
                subnet: Some(spec.subnet.clone()),
                gateway: spec.gateway.map(|gateway| gateway.to_string()),
                ..IpamConfig::default()
            }]),
            ..Ipam::default()
        }),
        labels: Some(map(&spec.labels)),
        ..NetworkCreateRequest::default()
    }
}

/// The body that creates a volume.
pub(super) fn volume(spec: &VolumeSpec) -> VolumeCreateRequest {
    let options = [("type", "tmpfs"), ("device", "tmpfs")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into_iter()
        .chain([("o".to_owned(), format!("size={},mode=1777,nosuid,nodev", spec.size_bytes))]);
    VolumeCreateRequest {
        name: Some(spec.name.clone()),
        driver: Some("local".to_owned()),
        driver_opts: Some(options.collect()),
        labels: Some(map(&spec.labels)),
        ..VolumeCreateRequest::default()
    }
}

/// Limits are planned as unsigned numbers; the daemon's are signed.
fn whole(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn map(values: &BTreeMap<String, String>) -> HashMap<String, String> {
    values.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn list(values: &BTreeSet<String>) -> Vec<String> {
    values.iter().cloned().collect()
}
