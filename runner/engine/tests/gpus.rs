//! GPU profiles without a GPU: what exactly is asked of the daemon for each of them, on simulated hosts and through a fake daemon, and
//! what is said when it gives something else.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that can not go on fails, and its players stand outside of the house"
)]

#[path = "faults/fake.rs"]
#[allow(dead_code, reason = "the other tests use all of it")]
mod fake;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use axum::http::Method;
use fake::{Behaviour, FakeDaemon, Script};
use serde_json::{Value, json};
use testbed_engine::configuration::Texts;
use testbed_engine::docker::Daemon;
use testbed_engine::events::Events;
use testbed_engine::host::clock::Clock;
use testbed_engine::image::Images;
use testbed_engine::models::Library;
use testbed_engine::stack::{GpuPool, LiveStack, StackContext, StackError, Subnet, up};
use testbed_model::facts::{DaemonFacts, Facts};
use testbed_model::gpu::{Accelerators, Gpu, Source};
use testbed_model::hint::Hint as _;
use testbed_model::plan::{Environment, Places, placed_stack, plan_stack};
use testbed_model::profile;
use testbed_model::stack::Stack;
use tokio_util::sync::CancellationToken;

const PROFILES: [&str; 8] = [
    "vllm-agg",
    "vllm-router",
    "vllm-disagg",
    "vllm-kvbm",
    "sglang-agg",
    "sglang-disagg",
    "trtllm-agg",
    "trtllm-disagg",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A host with so many H200 and an engine with NVIDIA's runtime.
fn host(gpus: u32) -> Facts {
    let gpu = |index| Gpu {
        index,
        uuid: format!("GPU-00000000-0000-0000-0000-{index:012}"),
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
    Facts {
        cores: 64,
        memory_bytes: 512 << 30,
        gpus,
        architecture: "x86_64".to_owned(),
        accelerators: Some(Accelerators {
            source: Source::Simulated,
            driver: "580.95.05".to_owned(),
            cuda: "13.1".to_owned(),
            gpus: (0..gpus).map(gpu).collect(),
        }),
        daemon: Some(DaemonFacts {
            name: "Docker".to_owned(),
            version: "27.5.1".to_owned(),
            runtimes: vec!["nvidia".to_owned(), "runc".to_owned()],
            ..DaemonFacts::default()
        }),
        ..Facts::default()
    }
}

fn environment(name: &str) -> Environment {
    let texts = Texts::read(&root(), &root()).unwrap();
    let resolved = profile::resolve(name, &texts.profiles, &[]).unwrap();
    Environment::new(resolved, &texts.stacks).unwrap()
}

/// The profile's stack, its files below a root that is the same everywhere.
fn stack(name: &str) -> Stack {
    let cache = tempfile::tempdir().unwrap();
    let references = Images::open(&root().join("images"), cache.path()).unwrap().references();
    let library = Library::open(&root(), cache.path()).unwrap();
    let planned = plan_stack(&environment(name), &references, library.models()).unwrap();
    let models = library.models().names().map(|model| (model.to_owned(), format!("/testbed/models/{model}")));
    let places = Places { root: "/testbed".to_owned(), models: models.collect() };
    placed_stack(&planned, &places, 64)
}

struct Bench {
    fake: FakeDaemon,
    daemon: Daemon,
    context: StackContext,
    events: Events,
}

impl Bench {
    async fn new(script: Script, facts: Facts) -> Self {
        let fake = FakeDaemon::start(script);
        let daemon = Daemon::connect_to(&fake.address()).await.unwrap();
        let context = StackContext {
            run: "20261121-143005-a1b2c3".parse().unwrap(),
            agent_image: "image/agent:1".to_owned(),
            agent_binary: PathBuf::from("/opt/testbed"),
            range: Subnet::DEFAULT_RANGE,
            sampling: false,
            keep_until: None,
            gpus: GpuPool::new(facts),
        };
        Self { fake, daemon, context, events: Events::channel(Clock::start()).0 }
    }

    async fn up(&self, stack: &Stack) -> Result<LiveStack, StackError> {
        up(&self.daemon, stack, &self.context, &self.events, &CancellationToken::new()).await
    }

    /// What was asked for to create services, by service.
    fn requests(&self) -> BTreeMap<String, Value> {
        let created = self.fake.received().into_iter().filter(|request| {
            request.method == Method::POST && request.path.starts_with("containers/create")
        });
        created
            .filter_map(|request| {
                let service = request.body["Labels"]["dev.testbed.service"].as_str()?.to_owned();
                (!service.starts_with("testbed.")).then(|| (service, readable(request.body)))
            })
            .collect()
    }
}

/// Without what says nothing: fields that are empty.
fn readable(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| (name, readable(value)))
            .filter(|(_, value)| !matches!(value, Value::Null) && *value != json!([]) && *value != json!({}))
            .collect(),
        Value::Array(items) => items.into_iter().map(readable).collect(),
        other => other,
    }
}

#[tokio::test]
async fn what_is_asked_for_each_gpu_profile_is_as_reviewed() {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"\b10\.\d+\.\d+\.\d+(/\d+)?\b", "ADDRESS");
    settings.add_filter(r"testbed/(\w[\w-]*):[0-9a-f]{16}", "testbed/$1:CONTENT");
    // The order in which containers are made is the daemon's.
    settings.add_filter("container:[0-9a-f]{64}", "container:AGENT");
    // Owner: host, boot, process and its start.
    settings.add_filter(r#""dev\.testbed\.owner": "[^"]*""#, r#""dev.testbed.owner": "OWNER""#);
    for name in PROFILES {
        let bench = Bench::new(Script::default(), host(2)).await;
        let live = bench.up(&stack(name)).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        let requests = bench.requests();
        live.down().await.unwrap();
        assert_eq!(bench.fake.left(), Vec::<String>::new());
        settings.bind(|| insta::assert_json_snapshot!(format!("requests_{name}"), requests));
    }
}

#[tokio::test]
async fn every_gpu_profile_comes_up_on_hosts_with_one_two_and_eight_gpus_or_says_what_it_lacks() {
    let mut told = String::new();
    for gpus in [1, 2, 8] {
        let facts = host(gpus);
        for name in PROFILES {
            let unmet = environment(name).unmet(&facts);
            let bench = Bench::new(Script::default(), facts.clone()).await;
            let outcome = match bench.up(&stack(name)).await {
                Ok(live) => {
                    let own =
                        |body: &Value| Some(body["HostConfig"]["DeviceRequests"][0]["DeviceIDs"].clone());
                    let requests = bench.requests();
                    let given: Vec<String> = requests
                        .iter()
                        .filter_map(|(service, body)| Some((service, own(body)?)))
                        .filter_map(|(service, ids)| {
                            Some(format!(
                                "{service} {}",
                                ids[0]
                                    .as_str()?
                                    .trim_start_matches("GPU-00000000-0000-0000-0000-00000000000")
                            ))
                        })
                        .collect();
                    live.down().await.unwrap();
                    assert_eq!(unmet, None, "{name} on {gpus}");
                    given.join(", ")
                }
                Err(error) => {
                    assert!(unmet.is_some(), "{name} on {gpus}: {error}");
                    error.to_string()
                }
            };
            told += &format!("{gpus} {name}: {outcome}\n");
        }
    }
    insta::assert_snapshot!(told);
}

#[tokio::test]
async fn stacks_at_the_same_time_have_different_gpus() {
    let bench = Bench::new(Script::default(), host(2)).await;
    let (first, mut second) = (stack("vllm-agg"), stack("vllm-agg"));
    second.profile = "vllm-agg-too".to_owned();
    let one = bench.up(&first).await.unwrap();
    let two = bench.up(&second).await.unwrap();
    let ids: Vec<Value> = bench
        .fake
        .received()
        .into_iter()
        .map(|request| request.body["HostConfig"]["DeviceRequests"][0]["DeviceIDs"][0].clone())
        .filter(|id| !id.is_null())
        .collect();
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0], ids[1]);
    let mut third = stack("vllm-agg");
    third.profile = "vllm-agg-as-well".to_owned();
    let refused = bench.up(&third).await.unwrap_err().to_string();
    assert!(refused.contains("GPU 0 is another stack's; GPU 1 is another stack's"), "{refused}");
    one.down().await.unwrap();
    bench.up(&third).await.unwrap().down().await.unwrap();
    two.down().await.unwrap();
}

#[tokio::test]
async fn an_engine_that_accepts_a_request_and_gives_nothing_is_found_out() {
    let none = Behaviour { gpus: Some(Vec::new()), ..Behaviour::default() };
    let script = Script { services: [("worker-0".to_owned(), none)].into(), ..Script::default() };
    let bench = Bench::new(script, host(1)).await;
    let error = bench.up(&stack("vllm-agg")).await.unwrap_err();
    insta::assert_snapshot!(error, @"stack `vllm-agg` did not come up: `worker-0` was to have GPU 0 (`GPU-00000000-0000-0000-0000-000000000000`), and has none: the engine accepted the request and gave nothing");
    assert!(error.hint().unwrap().contains("nvidia-ctk"), "{:?}", error.hint());
    assert_eq!(bench.fake.left(), Vec::<String>::new());
}

#[tokio::test]
async fn a_host_without_gpus_is_told_before_anything_is_made() {
    let bench = Bench::new(Script::default(), Facts::default()).await;
    let error = bench.up(&stack("vllm-agg")).await.unwrap_err();
    insta::assert_snapshot!(error, @"stack `vllm-agg` does not get its GPUs: `worker-0` reserves GPUs, and this host has none that can be asked");
    assert!(bench.requests().is_empty());
}

#[tokio::test]
async fn an_image_that_wants_a_newer_driver_is_refused_before_anything_is_made_with_both_versions() {
    let variables =
        vec!["PATH=/usr/bin", "NVIDIA_REQUIRE_CUDA=cuda>=13.2 brand=tesla,driver>=535,driver<536"];
    let bench = Bench::new(Script { variables, ..Script::default() }, host(1)).await;
    let mut stack = stack("vllm-agg");
    for service in stack.services.values_mut() {
        service.image_reference = "vllm:1".to_owned();
    }
    let error = bench.up(&stack).await.unwrap_err();
    insta::assert_snapshot!(error, @"`worker-0` of stack `vllm-agg` is not started: its image `vllm:1` wants `cuda>=13.2`, and driver 580.95.05 of this host serves CUDA 13.1; its other alternative is not met either");
    assert!(error.hint().unwrap().contains("NVIDIA_DISABLE_REQUIRE"), "{:?}", error.hint());
    assert!(bench.requests().is_empty());
    // Whoever knows better says so.
    let worker = stack.services.get_mut("worker-0").unwrap();
    worker.environment.insert("NVIDIA_DISABLE_REQUIRE".to_owned(), "1".to_owned());
    bench.up(&stack).await.unwrap().down().await.unwrap();
}
