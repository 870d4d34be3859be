//! Where a test takes place: a run of its own in the real daemon, on an image that holds nothing, removed in the end.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use libtest_mimic::Trial;
use sha2::{Digest, Sha256};
use testbed_engine::docker::{
    ContainerId, ContainerSpec, Daemon, ExitInfo, Labels, NetworkMode, NetworkSpec, Stdin,
};
use testbed_engine::events::Events;
use testbed_engine::host::clock::{self, Clock};
use testbed_engine::host::identity::ProcessIdentity;
use testbed_engine::stack::{self, GpuPool, LiveStack, Owner, StackContext, StackError, Subnet};
use testbed_model::event::{Event, StackFailure, Stamped};
use testbed_model::facts::{DaemonFacts, Facts};
use testbed_model::gpu::{Accelerators, Gpu, Source};
use testbed_model::id::{RunId, label};
use testbed_model::stack::{Limits, Mount, Probe, Service, Stack};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

use crate::plan;

/// Where the players' binary is in their containers.
pub const PLAYER: &str = "/player";

/// The players' port.
pub const PORT: u16 = 4222;

/// Nothing in these tests takes longer unless it hangs.
const PATIENCE: Duration = Duration::from_mins(1);

pub struct Site {
    pub daemon: Daemon,
    pub context: StackContext,
    pub events: Events,
    emitted: UnboundedReceiver<Stamped>,
    heard: Vec<Event>,
    times_us: Vec<u64>,
    image: String,
    containers: AtomicU32,
}

/// A test that takes place at a site.
pub fn trial<F>(name: &'static str, test: F) -> Trial
where
    F: AsyncFnOnce(&mut Site) + Send + 'static,
{
    Trial::test(name, move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let mut site = Site::open(name).await;
            let result =
                AssertUnwindSafe(tokio::time::timeout(PATIENCE, test(&mut site))).catch_unwind().await;
            let left = site.close().await;
            match result {
                Err(panic) => resume_unwind(panic),
                Ok(Err(_)) => Err(format!("not done after {PATIENCE:?}").into()),
                Ok(Ok(())) if !left.is_empty() => Err(format!("left behind: {left:?}").into()),
                Ok(Ok(())) => Ok(()),
            }
        })
    })
}

impl Site {
    async fn open(name: &str) -> Self {
        let daemon = Daemon::connect().await.expect("these tests need a container engine");
        let (events, emitted) = Events::channel(Clock::start());
        let hash = Sha256::digest(format!("{name} {}", std::process::id()));
        let random = u32::from_be_bytes([0, hash[0], hash[1], hash[2]]);
        let run = RunId::new(clock::now(), random);
        let image = format!("testbed-tests/nothing:{run}");
        let archive = tempfile::tempdir().unwrap();
        let file = archive.path().join("image.tar");
        write_image(&file, &image);
        daemon.load_image(&file, |_| {}).await.unwrap();
        let context = StackContext {
            run,
            agent_image: image.clone(),
            agent_binary: std::env::current_exe().unwrap(),
            range: Subnet::DEFAULT_RANGE,
            sampling: true,
            keep_until: None,
            gpus: GpuPool::new(Facts::default()),
        };
        let (heard, times_us, containers) = (Vec::new(), Vec::new(), AtomicU32::new(0));
        Self { daemon, context, events, emitted, heard, times_us, image, containers }
    }

    /// Has the runner believe that this host has a GPU, and a daemon that passes it.
    pub fn simulate_gpu(&mut self) {
        let gpu = Gpu {
            index: 0,
            uuid: "GPU-00000000-0000-0000-0000-000000000000".to_owned(),
            name: "NVIDIA H200".to_owned(),
            bus: None,
            memory_bytes: 141 << 30,
            used_bytes: 0,
            compute_capability: (9, 0),
            mig: None,
            ecc: None,
            xids: Vec::new(),
            processes: Vec::new(),
        };
        let (source, driver, cuda) = (Source::Simulated, "580.95.05".to_owned(), "13.0".to_owned());
        self.context.gpus = GpuPool::new(Facts {
            gpus: 1,
            accelerators: Some(Accelerators { source, driver, cuda, gpus: vec![gpu] }),
            daemon: Some(DaemonFacts {
                name: "Docker".to_owned(),
                runtimes: vec!["nvidia".to_owned()],
                ..DaemonFacts::default()
            }),
            ..Facts::default()
        });
    }

    /// Removes everything of the run, and says what had been left.
    async fn close(self) -> Vec<String> {
        let left = self.left().await;
        stack::remove_run(&self.daemon, &self.context.run).await.unwrap();
        self.daemon.remove_image(&self.image).await.unwrap();
        left
    }

    /// Names of everything of this run that is in the daemon.
    pub async fn left(&self) -> Vec<String> {
        let owned = self.daemon.list_owned_by(&[(label::RUN, self.context.run.as_str())]).await.unwrap();
        let containers = owned.containers.into_iter().map(|container| container.name);
        let networks = owned.networks.into_iter().map(|network| network.name);
        let volumes = owned.volumes.into_iter().map(|volume| volume.name);
        containers.chain(networks).chain(volumes).collect()
    }

    /// A service that plays a role.
    pub fn player(&self, name: &str, role: &[&str]) -> Service {
        let mut service = plan::service(name, &self.image);
        service.entrypoint = Some(vec![PLAYER.to_owned(), "play".to_owned()]);
        service.command = Some(role.iter().map(|word| (*word).to_owned()).collect());
        service.mounts = vec![player_mount()];
        service
    }

    /// A service that serves on the players' port.
    pub fn server(&self, name: &str) -> Service {
        let mut service = self.player(name, &["serve"]);
        service.probe = Some(Probe::Http { port: PORT, path: "/health".to_owned(), contains: None });
        service
    }

    /// One server, asked for a chat.
    pub fn plain_stack(&self) -> Stack {
        let mut stack = plan::stack([self.server("web")], "web");
        stack.ready.probe = Probe::Chat { port: PORT, model: "tiny".to_owned() };
        stack
    }

    pub async fn up(&self, stack: &Stack) -> Result<LiveStack, StackError> {
        stack::up(&self.daemon, stack, &self.context, &self.events, &CancellationToken::new()).await
    }

    /// The failure of a bring-up that leaves nothing behind.
    pub async fn failure(&self, stack: &Stack) -> (StackFailure, StackError) {
        let error = self.up(stack).await.expect_err("it can not come up");
        assert_eq!(self.left().await, Vec::<String>::new());
        match &error {
            StackError::Failed { failure, .. } => ((**failure).clone(), error),
            other => panic!("{other:?}"),
        }
    }

    /// Everything that was emitted so far.
    pub fn heard(&mut self) -> &[Event] {
        while let Ok(stamped) = self.emitted.try_recv() {
            self.heard.push(stamped.event);
            self.times_us.push(stamped.elapsed_us);
        }
        &self.heard
    }

    /// When the last event of a kind was emitted, in microseconds.
    pub fn when(&mut self, kind: impl Fn(&Event) -> bool) -> u64 {
        let position = self.heard().iter().rposition(kind).expect("such an event");
        self.times_us[position]
    }

    /// The image that holds nothing.
    pub fn image(&self) -> &str {
        &self.image
    }

    /// Lines that a service logged so far.
    pub fn logged(&mut self, service: &str) -> Vec<String> {
        let lines = self.heard().iter().filter_map(|event| match event {
            Event::ServiceLog { service: of, line, .. } if of == service => Some(line.clone()),
            _ => None,
        });
        lines.collect()
    }

    /// Waits until something holds of what was emitted.
    pub async fn until(&mut self, mut holds: impl FnMut(&mut Self) -> bool) {
        while !holds(self) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn labels(&self) -> Labels {
        Labels::from([
            (label::RUN.to_owned(), self.context.run.to_string()),
            (label::OWNER.to_owned(), owner()),
        ])
    }

    /// A network with a way out.
    pub async fn open_network(&self, subnet: &str) -> String {
        let name = format!("testbed-{}-open", self.context.run);
        let labels = self.labels();
        let spec = NetworkSpec {
            name: name.clone(),
            subnet: subnet.to_owned(),
            gateway: None,
            isolated: false,
            labels,
        };
        self.daemon.create_network(&spec).await.unwrap();
        name
    }

    /// A running container that is no service, playing a role.
    pub async fn container(&self, role: &[&str], fill: impl FnOnce(&mut ContainerSpec)) -> ContainerId {
        let number = self.containers.fetch_add(1, Ordering::Relaxed);
        let mut spec = ContainerSpec {
            name: format!("testbed-{}-extra-{number}", self.context.run),
            image: self.image.clone(),
            entrypoint: Some(vec![PLAYER.to_owned(), "play".to_owned()]),
            command: Some(role.iter().map(|word| (*word).to_owned()).collect()),
            user: Some("10001:10001".to_owned()),
            labels: self.labels(),
            mounts: vec![player_mount()],
            limits: Some(Limits { memory_bytes: 64 << 20, nano_cpus: 500_000_000, pids: 64 }),
            network: NetworkMode::None,
            stdin: Stdin::Closed,
            ..ContainerSpec::default()
        };
        fill(&mut spec);
        let id = self.daemon.create_container(&spec).await.unwrap();
        self.daemon.start(&id).await.unwrap();
        id
    }

    /// Has a container play its role to the end, and returns what it said.
    pub async fn ask(&self, role: &[&str], fill: impl FnOnce(&mut ContainerSpec)) -> String {
        let id = self.container(role, fill).await;
        let ExitInfo { code, .. } = self.daemon.wait(&id).await.unwrap();
        let lines = self.daemon.last_logs(&id, 100).await.unwrap();
        let said: Vec<String> = lines.into_iter().map(|line| line.line).collect();
        assert_eq!(code, 0, "{said:?}");
        self.daemon.remove(&id).await.unwrap();
        said.join("\n")
    }

    /// The same from inside of a stack.
    pub async fn ask_inside(&self, live: &LiveStack, role: &[&str]) -> String {
        let seat = live.seat().expect("a free seat");
        self.ask(role, |spec| {
            spec.network = seat.network.clone();
            spec.extra_hosts = seat.extra_hosts.clone();
            spec.dns.clone_from(&seat.dns);
        })
        .await
    }
}

/// The value of the label that names the owner.
pub fn owner() -> String {
    Owner::from(&ProcessIdentity::own().unwrap()).to_string()
}

fn player_mount() -> Mount {
    Mount::Bind {
        source: std::env::current_exe().unwrap().to_string_lossy().into_owned(),
        target: PLAYER.to_owned(),
        read_only: true,
    }
}

/// An image of two folders.
fn write_image(file: &Path, reference: &str) {
    let folder = |name: &str, mode: u32| {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_path(name).unwrap();
        header.set_mode(mode);
        header.set_size(0);
        header.set_cksum();
        header
    };
    let mut layer = tar::Builder::new(Vec::new());
    for (name, mode) in [("data/", 0o1777), ("tmp/", 0o1777)] {
        layer.append(&folder(name, mode), std::io::empty()).unwrap();
    }
    let layer = layer.into_inner().unwrap();
    let digest = format!("sha256:{}", hex(&Sha256::digest(&layer)));
    let config = serde_json::json!({
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": { "type": "layers", "diff_ids": [digest] },
    });
    let manifest =
        serde_json::json!([{ "Config": "config.json", "Layers": ["layer.tar"], "RepoTags": [reference] }]);
    let files: BTreeMap<&str, Vec<u8>> = BTreeMap::from([
        ("config.json", config.to_string().into_bytes()),
        ("layer.tar", layer),
        ("manifest.json", manifest.to_string().into_bytes()),
    ]);
    let mut archive = tar::Builder::new(std::fs::File::create(file).unwrap());
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        header.set_size(bytes.len() as u64);
        archive.append_data(&mut header, PathBuf::from(name), bytes.as_slice()).unwrap();
    }
    archive.finish().unwrap();
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
