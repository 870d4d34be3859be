//! Where a lane is executed: the run, the project's copy, the stack's network; and the container that all executors share.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use testbed_model::id::{RunId, label};
use testbed_model::lane::{Lane, LaneId};
use testbed_model::stack::{Millis, Mount, Stack};

use super::job::{Job, ProjectCopy};
use crate::docker::{ContainerSpec, LogDriver, NetworkMode, Stdin};
use crate::host::files::Identity;
use crate::stack::AGENT_PATH;

/// Where the project is mounted, read-only.
const PROJECT: &str = "/mnt/project";

/// Where the project's copy is, unless a suite needs it at its own place.
pub const WORK: &str = "/work";

/// The home folder: caches, configuration, and what Testbed itself puts there.
pub const HOME: &str = "/data";

/// Temporary files.
pub const TEMPORARY: &str = "/tmp";

/// Where models are, for the services of a stack and for who tests them.
const MODELS: &str = "/models";

/// The variable that says so to tests.
const MODELS_VARIABLE: &str = "TESTBED_MODELS";

/// How long a tool may take to end after it was asked to.
pub const GRACE_MS: Millis = 3000;

/// `/dev/shm`, in bytes. Python's multiprocessing needs some.
const SHM_BYTES: u64 = 256 << 20;

/// Shares of busy processors, beside the 1,024 of a service: what is tested goes before who tests it, and both go before lanes
/// that talk to nothing. A compiler at work then slows no answer that a test waits for.
const BESIDE_A_STACK: u32 = 512;
const ALONE: u32 = 128;

/// What all lanes of a run share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Run.
    pub run: RunId,
    /// Value of the label that tells whose the container is.
    pub owner: String,
    /// The user that tools run as.
    pub user: Identity,
    /// The runner's binary on the host.
    pub agent: String,
    /// The folder on the host that holds the pytest plugin.
    pub plugin: String,
    /// The project's root on the host.
    pub root: String,
    /// What is mounted as the project: its root, or a copy that the container's user may read.
    pub project: String,
    /// The project's files.
    pub files: Vec<String>,
    /// The seed of hashes.
    pub seed: u64,
}

/// The stack that a lane is executed against.
#[derive(Clone, Debug, PartialEq)]
pub struct StackSite {
    /// The stack as planned.
    pub stack: Stack,
    /// The place in its network.
    pub network: NetworkMode,
    /// Its services' names.
    pub names: BTreeMap<String, IpAddr>,
    /// Who answers for all other names.
    pub dns: Vec<IpAddr>,
}

/// What is created for a lane and what is done in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Assembly {
    /// The container.
    pub container: ContainerSpec,
    /// The job.
    pub job: Job,
}

/// The user of executors' containers: an unprivileged one where the runner is root, otherwise the runner's own, so that
/// it can write to what is mounted.
pub fn user_for(runner: Identity) -> Identity {
    if runner.is_root() { Identity { uid: 10001, gid: 10001 } } else { runner }
}

impl Assembly {
    /// A hardened container with the agent as its first process and the project's copy at `place`.
    pub fn new(lane: &Lane, site: &Site, stack: Option<&StackSite>, place: &str) -> Self {
        let mut environment = fixed_environment(site);
        if lane.mounts.iter().any(|mount| is_below(mount, MODELS)) {
            environment.insert(MODELS_VARIABLE.to_owned(), MODELS.to_owned());
        }
        environment.extend(lane.environment.clone());
        let job = Job {
            project: Some(ProjectCopy {
                from: PROJECT.to_owned(),
                to: place.to_owned(),
                files: site.files.clone(),
            }),
            folders: ["cache", "config", "share", "state", "testbed"]
                .map(|name| format!("{HOME}/{name}"))
                .into(),
            environment,
            folder: place.to_owned(),
            grace_ms: GRACE_MS,
            ..Job::default()
        };
        Self { container: container(lane, site, stack, place), job }
    }

    /// Mounts a file or folder of the host read-only.
    pub fn mount(&mut self, source: &str, target: &str) {
        self.container.mounts.push(read_only(source, target));
    }

    /// Mounts a folder of the host read-only where it is on the host, below a folder that the image may keep closed.
    pub fn mount_in_place(&mut self, path: &str) {
        open_above(&mut self.container.tmpfs, path);
        self.own_between(path);
        self.mount(path, path);
    }

    /// Gives the user the folders between the project's copy and a place below it: the daemon makes them for its mount, as
    /// root's, and the project's own files could not be copied into them.
    fn own_between(&mut self, path: &str) {
        let place = self.job.folder.clone();
        let Some(owned) = self.container.tmpfs.get(&place).cloned() else { return };
        let Some(inner) = path.strip_prefix(&place).filter(|inner| inner.starts_with('/')) else { return };
        for (at, _) in inner.match_indices('/').skip(1) {
            let folder = format!("{place}{}", &inner[..at]);
            self.container.tmpfs.entry(folder).or_insert_with(|| owned.clone());
        }
    }

    /// Mounts a folder of the host that the container's user may write.
    pub fn mount_writable(&mut self, source: &str, target: &str) {
        let (source, target) = (source.to_owned(), target.to_owned());
        self.container.mounts.push(Mount::Bind { source, target, read_only: false });
    }

    /// Sets a variable of the tools.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.job.environment.insert(name.to_owned(), value.into());
    }
}

fn container(lane: &Lane, site: &Site, stack: Option<&StackSite>, place: &str) -> ContainerSpec {
    // Without the label of a profile: by that one a stack knows its own services.
    let labels = BTreeMap::from([
        (label::RUN.to_owned(), site.run.to_string()),
        (label::OWNER.to_owned(), site.owner.clone()),
        (label::SERVICE.to_owned(), format!("lane {}", lane.id)),
    ]);
    ContainerSpec {
        name: format!("testbed-{}-{}", site.run, slug(&lane.id)),
        image: lane.image_reference.clone(),
        entrypoint: Some(vec![AGENT_PATH.to_owned()]),
        command: Some(vec!["agent".to_owned(), "execute".to_owned()]),
        user: Some(site.user.to_string()),
        hostname: Some("tests".to_owned()),
        labels,
        mounts: [read_only(&site.agent, AGENT_PATH), read_only(&site.project, PROJECT)]
            .into_iter()
            .chain(lane.mounts.iter().cloned())
            .collect(),
        tmpfs: memory_folders(lane, site, place),
        limits: Some(lane.limits),
        cpu_shares: Some(if stack.is_some() { BESIDE_A_STACK } else { ALONE }),
        shm_size: Some(SHM_BYTES),
        ulimits: BTreeMap::from([("core".to_owned(), (0, 0))]),
        cap_drop: BTreeSet::from(["ALL".to_owned()]),
        read_only: true,
        no_new_privileges: true,
        network: stack.map_or(NetworkMode::None, |stack| stack.network.clone()),
        extra_hosts: stack.map_or_else(BTreeMap::new, |stack| stack.names.clone()),
        dns: stack.map_or_else(Vec::new, |stack| stack.dns.clone()),
        stdin: Stdin::Attached,
        log: LogDriver::None,
        ..ContainerSpec::default()
    }
}

fn is_below(mount: &Mount, folder: &str) -> bool {
    let target = match mount {
        Mount::Bind { target, .. } | Mount::Volume { target, .. } | Mount::Model { target, .. } => target,
    };
    target.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// The folders that tools may write, in memory: nothing of them is left when the container ends. Their pages count as the
/// container's memory.
fn memory_folders(lane: &Lane, site: &Site, place: &str) -> BTreeMap<String, String> {
    let Identity { uid, gid } = site.user;
    let half = lane.limits.memory_bytes / 2;
    let owned = format!("rw,exec,nosuid,nodev,mode=0755,uid={uid},gid={gid},size={half}");
    let shared = format!("rw,exec,nosuid,nodev,mode=1777,size={half}");
    let mut folders = BTreeMap::from([
        (place.to_owned(), owned.clone()),
        (HOME.to_owned(), owned),
        (TEMPORARY.to_owned(), shared),
    ]);
    open_above(&mut folders, place);
    folders
}

/// Lets everybody pass through the top folder of a place such as `/root/project`, which the image may keep closed.
fn open_above(folders: &mut BTreeMap<String, String>, place: &str) {
    if let Some((top, _)) = place.trim_start_matches('/').split_once('/') {
        folders.entry(format!("/{top}")).or_insert_with(|| "rw,nosuid,nodev,mode=0755,size=1m".to_owned());
    }
}

/// The same for every run, whatever the host has.
fn fixed_environment(site: &Site) -> BTreeMap<String, String> {
    let fixed = [
        ("HOME", HOME),
        ("TMPDIR", TEMPORARY),
        ("XDG_CACHE_HOME", "/data/cache"),
        ("XDG_CONFIG_HOME", "/data/config"),
        ("XDG_DATA_HOME", "/data/share"),
        ("XDG_STATE_HOME", "/data/state"),
        ("USER", "runner"),
        ("LOGNAME", "runner"),
        ("LANG", "C.UTF-8"),
        ("LC_ALL", "C.UTF-8"),
        ("TZ", "UTC"),
        ("TERM", "dumb"),
        ("NO_COLOR", "1"),
        ("HF_HUB_OFFLINE", "1"),
        ("TRANSFORMERS_OFFLINE", "1"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
        ("PYTHONUNBUFFERED", "1"),
    ];
    let mut environment: BTreeMap<String, String> =
        fixed.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    environment.insert("PYTHONHASHSEED".to_owned(), site.seed.to_string());
    environment
}

fn read_only(source: &str, target: &str) -> Mount {
    Mount::Bind { source: source.to_owned(), target: target.to_owned(), read_only: true }
}

/// A lane's name as part of a container's or a file's name.
pub fn slug(lane: &LaneId) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    lane.to_string().chars().map(plain).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::net::{IpAddr, Ipv4Addr};

    use testbed_model::lane::{Habits, Lane, LaneId, LaneTimeouts, SuiteKind};
    use testbed_model::stack::{Limits, Mount, Probe, Ready, Service, Stack, StackTimeouts};
    use testbed_model::tier::TestType;

    use super::{Assembly, Identity, NetworkMode, Site, StackSite, WORK, user_for};

    pub(crate) fn lane(kind: SuiteKind, suite: &str, profile: Option<&str>) -> Lane {
        Lane {
            id: LaneId { suite: suite.to_owned(), part: None, profile: profile.map(str::to_owned) },
            kind,
            test_type: TestType::E2e,
            image: "tests".to_owned(),
            image_reference: "testbed/tests:0123".to_owned(),
            paths: Vec::new(),
            expression: None,
            keyword: None,
            cases: None,
            environment: BTreeMap::from([("DYN_LOG".to_owned(), "info".to_owned())]),
            arguments: Vec::new(),
            habits: Habits::default(),
            workers: 1,
            covered_by: Vec::new(),
            covered_later: Vec::new(),
            timeouts: LaneTimeouts { case_ms: 30_000, suite_ms: 300_000 },
            limits: Limits { memory_bytes: 2 << 30, nano_cpus: 2_000_000_000, pids: 512 },
            mounts: Vec::new(),
        }
    }

    pub(crate) fn site() -> Site {
        Site {
            run: "20261121-143005-a1b2c3".parse().unwrap(),
            owner: "host:1:2".to_owned(),
            user: Identity { uid: 10001, gid: 10001 },
            agent: "/opt/testbed".to_owned(),
            plugin: "/checkout/suites/plugin".to_owned(),
            root: "/home/dev/project".to_owned(),
            project: "/home/dev/project".to_owned(),
            files: vec!["Cargo.toml".to_owned(), "suites/e2e/test_chat.py".to_owned()],
            seed: 0,
        }
    }

    pub(crate) fn service(name: &str, system_port: Option<u16>) -> Service {
        let environment = system_port.map(|port| ("DYN_SYSTEM_PORT".to_owned(), port.to_string()));
        Service {
            name: name.to_owned(),
            image: "dynamo".to_owned(),
            image_reference: "testbed/dynamo:0123".to_owned(),
            entrypoint: None,
            command: None,
            environment: environment.into_iter().collect(),
            working_dir: None,
            user: "10001:10001".to_owned(),
            mounts: Vec::new(),
            tmpfs: BTreeMap::new(),
            depends_on: BTreeMap::new(),
            healthcheck: None,
            probe: None,
            limits: Limits { memory_bytes: 1 << 30, nano_cpus: 1_000_000_000, pids: 256 },
            devices: Vec::new(),
            cpu_shares: None,
            shm_size: None,
            ulimits: BTreeMap::new(),
            cap_add: BTreeSet::new(),
            cap_drop: BTreeSet::new(),
            read_only: true,
            no_new_privileges: true,
            init: false,
            labels: BTreeMap::new(),
            aliases: BTreeSet::new(),
            stop_grace_ms: 1000,
        }
    }

    pub(crate) fn stack_site() -> StackSite {
        let services = [service("nats", None), service("etcd", None), service("frontend", Some(9090))];
        let workers = [service("worker-0", Some(9090))];
        let services = services.into_iter().chain(workers);
        StackSite {
            stack: Stack {
                profile: "mocker".to_owned(),
                source: "compose/mocker.yaml".to_owned(),
                services: services.map(|service| (service.name.clone(), service)).collect(),
                volumes: BTreeSet::new(),
                ready: Ready {
                    service: "frontend".to_owned(),
                    probe: Probe::Chat { port: 8000, model: "tiny".to_owned() },
                },
                facts: BTreeMap::from([("router".to_owned(), "kv".to_owned())]),
                timeouts: StackTimeouts { ready_ms: 60_000, stop_ms: 10_000 },
                egress: false,
                gpu_need: None,
            },
            network: NetworkMode::Join {
                network: "testbed-20261121-143005-a1b2c3-mocker".to_owned(),
                address: Some(Ipv4Addr::new(10, 201, 0, 60)),
                aliases: BTreeSet::new(),
            },
            names: BTreeMap::from([
                ("frontend".to_owned(), IpAddr::V4(Ipv4Addr::new(10, 201, 0, 5))),
                ("nats".to_owned(), IpAddr::V4(Ipv4Addr::new(10, 201, 0, 2))),
            ]),
            dns: vec![IpAddr::V4(Ipv4Addr::new(10, 201, 0, 2))],
        }
    }

    #[test]
    fn the_container_is_hardened_and_closed() {
        let lane = lane(SuiteKind::Pytest, "unit", None);
        insta::assert_debug_snapshot!(Assembly::new(&lane, &site(), None, WORK).container);
    }

    #[test]
    fn the_models_of_a_lane_are_mounted_read_only_and_nothing_asks_for_others() {
        let mut lane = lane(SuiteKind::Pytest, "unit", None);
        let model = Mount::Bind {
            source: "/var/models/tiny-1".to_owned(),
            target: "/models/tiny".to_owned(),
            read_only: true,
        };
        lane.mounts = vec![model.clone()];
        let assembly = Assembly::new(&lane, &site(), None, WORK);
        assert_eq!(assembly.container.mounts.last(), Some(&model));
        assert_eq!(assembly.job.environment["TESTBED_MODELS"], "/models");
        let offline =
            ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"].map(|name| assembly.job.environment[name].as_str());
        assert_eq!(offline, ["1", "1"]);
    }

    #[test]
    fn a_lane_with_a_stack_joins_its_network_and_knows_its_names() {
        let lane = lane(SuiteKind::Pytest, "e2e", Some("mocker"));
        let stack = stack_site();
        let container = Assembly::new(&lane, &site(), Some(&stack), WORK).container;
        insta::assert_debug_snapshot!((
            container.network,
            container.extra_hosts,
            container.dns,
            container.labels
        ));
    }

    #[test]
    fn a_place_below_a_closed_folder_gets_an_open_one_above_it() {
        let lane = lane(SuiteKind::Cargo, "rust", None);
        let tmpfs = Assembly::new(&lane, &site(), None, "/root/project").container.tmpfs;
        assert!(tmpfs["/root"].contains("mode=0755"), "{tmpfs:?}");
        assert!(tmpfs["/root/project"].contains("uid=10001"), "{tmpfs:?}");
        let within = Assembly::new(&lane, &site(), None, "/tmp/x/project").container.tmpfs;
        assert!(within["/tmp"].contains("mode=1777"), "{within:?}");
    }

    #[test]
    fn folders_between_the_copy_and_a_mount_below_it_belong_to_the_user() {
        let lane = lane(SuiteKind::Cargo, "rust-bindings", None);
        let mut assembly = Assembly::new(&lane, &site(), None, "/home/dev/project");
        let before = assembly.container.tmpfs.len();
        assembly.mount_in_place("/home/dev/project/target");
        assembly.mount_in_place("/home/dev/project-2/lib/target");
        assert_eq!(assembly.container.tmpfs.len(), before, "none is needed");
        assembly.mount_in_place("/home/dev/project/lib/python/target");
        let tmpfs = &assembly.container.tmpfs;
        assert_eq!(tmpfs.len(), before + 2, "{tmpfs:?}");
        for folder in ["/home/dev/project/lib", "/home/dev/project/lib/python"] {
            assert_eq!(tmpfs[folder], tmpfs["/home/dev/project"]);
        }
    }

    #[test]
    fn root_gives_up_its_rights_and_others_keep_their_own() {
        let identity = |uid| Identity { uid, gid: uid };
        assert_eq!(user_for(identity(0)), identity(10001));
        assert_eq!(user_for(identity(1000)), identity(1000));
    }

    #[test]
    fn a_suite_may_change_its_environment_and_nothing_else_comes_from_the_host() {
        let mut lane = lane(SuiteKind::Pytest, "unit", None);
        lane.environment.insert("TZ".to_owned(), "Asia/Tokyo".to_owned());
        let environment = Assembly::new(&lane, &site(), None, WORK).job.environment;
        assert_eq!((environment["TZ"].as_str(), environment["DYN_LOG"].as_str()), ("Asia/Tokyo", "info"));
        assert_eq!((environment["PYTHONHASHSEED"].as_str(), environment.get("PATH")), ("0", None));
    }
}
