//! The stack by docker-compose with the same file: without `depends_on`, and with health conditions that are checked each
//! second.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::{Stream, StreamExt, pin_mut};
use serde_json::{Map, Value, json};
use testbed_engine::host::clock::{Clock, now};
use testbed_model::id::label;
use testbed_model::stack::{Probe, Service, Stack};
use tokio::time::timeout;

use crate::bench::Bench;
use crate::chat::Asker;
use crate::error::BenchError;
use crate::process::Program;

const PROGRAM: &str = "docker-compose";

/// Where the bench is mounted to be the health check.
const CHECK: &str = "/testbed/check";

/// The place of the service that is asked, from the end of the range.
const ASKED: u32 = 2;

/// For the asked service's start, in seconds.
const DEADLINE: u64 = 60;

/// How services wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// Not at all: all start at once.
    Not,
    /// Until what the file names under `depends_on` is healthy.
    Healthy,
}

/// The same file as docker-compose resolves it, without `depends_on`.
#[derive(Clone, Debug)]
pub struct Composition {
    file: PathBuf,
}

/// What one round took, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// From the start of `docker-compose up` to the first chat.
    pub up_us: u64,
    /// The whole of `docker-compose down`.
    pub down_us: u64,
}

impl Composition {
    /// Has docker-compose resolve the stack's file, with the images that Testbed uses, and takes `depends_on` out.
    pub async fn prepare(bench: &Bench, stack: &Stack) -> Result<Self, BenchError> {
        let images = stack.services.values().map(|service| {
            let variable = format!("TESTBED_IMAGE_{}", service.image.to_uppercase().replace('-', "_"));
            (variable, service.image_reference.clone())
        });
        let source = bench.root.join(&stack.source);
        let config = Program::new(Path::new(PROGRAM), ["-f", &source.to_string_lossy(), "config"]);
        let text = config.with(images).output(&bench.endings).await?;
        let file = bench.folder.path().join("plain.yaml");
        write(&file, &without_key(&text, "depends_on"))?;
        Ok(Self { file })
    }

    /// Brings the stack up, asks for a chat, and tears it down.
    pub async fn round(
        &self,
        bench: &Bench,
        stack: &Stack,
        waiting: Waiting,
        label: &str,
    ) -> Result<Round, BenchError> {
        let asker = Asker::new(&stack.ready, bench.address_from_end(ASKED)?)?;
        let project = bench.name(label);
        let added = bench.folder.path().join(format!("{label}.json"));
        write(&added, &additions(bench, stack, waiting, label)?.to_string())?;
        let compose = |arguments: &[&str]| {
            let (file, added) = (self.file.to_string_lossy(), added.to_string_lossy());
            let all =
                ["-p", &project, "-f", &file, "-f", &added].into_iter().chain(arguments.iter().copied());
            Program::new(Path::new(PROGRAM), all)
        };
        let starts = starts(bench, label, &stack.ready.service);
        let clock = Clock::start();
        let answer = async {
            started(starts, &stack.ready.service).await?;
            asker.first_answer().await?;
            Ok(clock.elapsed_us())
        };
        let up = async { compose(&["up", "-d"]).output(&bench.endings).await };
        let (up_us, _) = tokio::try_join!(answer, up)?;
        let clock = Clock::start();
        compose(&["down", "--timeout", "0", "--volumes"]).output(&bench.endings).await?;
        Ok(Round { up_us, down_us: clock.elapsed_us() })
    }
}

/// What is laid over the file: the bench's labels and network, Testbed's limits where the file says none, and the waiting.
fn additions(bench: &Bench, stack: &Stack, waiting: Waiting, label: &str) -> Result<Value, BenchError> {
    let mut services = Map::new();
    let awaited = awaited(stack);
    for (name, service) in &stack.services {
        let mut added = json!({
            "labels": bench.labels_of(label, name),
            "pids_limit": service.limits.pids,
            "memswap_limit": service.limits.memory_bytes,
        });
        if *name == stack.ready.service {
            added["networks"] = json!({ "default": { "ipv4_address": bench.address_from_end(ASKED)? } });
        }
        if waiting == Waiting::Healthy {
            add_waiting(&mut added, bench, service, awaited.contains(name.as_str()))?;
        }
        services.insert(name.clone(), added);
    }
    let network = json!({
        "internal": true,
        "labels": bench.labels(label),
        "ipam": { "config": [{ "subnet": bench.subnet.to_string() }] },
    });
    Ok(json!({ "services": services, "networks": { "default": network } }))
}

/// The least that health conditions need: who is waited for is checked, by a small static program that asks what Testbed
/// asks, and who waits says so.
fn add_waiting(
    added: &mut Value,
    bench: &Bench,
    service: &Service,
    is_awaited: bool,
) -> Result<(), BenchError> {
    if is_awaited {
        added["healthcheck"] = json!({
            "test": ["CMD", CHECK, "check", question(service)?],
            "interval": "1s",
            "timeout": "1s",
            "retries": 60,
        });
        added["volumes"] = json!([format!("{}:{CHECK}:ro", bench.own.display())]);
    }
    if !service.depends_on.is_empty() {
        let healthy = |name: &String| (name.clone(), json!({ "condition": "service_healthy" }));
        added["depends_on"] = service.depends_on.keys().map(healthy).collect::<Map<_, _>>().into();
    }
    Ok(())
}

fn question(service: &Service) -> Result<String, BenchError> {
    let probe = service.probe.as_ref().and_then(|probe: &Probe| serde_json::to_string(probe).ok());
    probe.ok_or_else(|| BenchError::Missing {
        message: format!("service `{}` is waited for and has no probe", service.name),
        hint: "give it `x-testbed: {probe: ...}` in the compose file",
    })
}

/// The services that others name under `depends_on`.
fn awaited(stack: &Stack) -> BTreeSet<&str> {
    stack.services.values().flat_map(|service| service.depends_on.keys()).map(String::as_str).collect()
}

/// The daemon's events of one service's start in one round, from now on.
fn starts(
    bench: &Bench,
    round: &str,
    service: &str,
) -> impl Stream<Item = Result<EventMessage, bollard::errors::Error>> + use<> {
    let labels = [(label::PROFILE, round), (label::SERVICE, service)];
    let own = bench.labels(round);
    let own = own.get(label::RUN).map(|run| format!("{}={run}", label::RUN));
    let labels = labels.iter().map(|(key, value)| format!("{key}={value}")).chain(own).collect();
    let filters =
        [("type", vec!["container".to_owned()]), ("event", vec!["start".to_owned()]), ("label", labels)];
    let now = now();
    let since = format!("{}.{:09}", now.as_second(), now.subsec_nanosecond());
    bench.engine.events(Some(EventsOptionsBuilder::default().since(&since).filters(&filters.into()).build()))
}

/// Waits for the service's start: before it, its address would not even refuse.
async fn started(
    starts: impl Stream<Item = Result<EventMessage, bollard::errors::Error>>,
    service: &str,
) -> Result<(), BenchError> {
    pin_mut!(starts);
    match timeout(Duration::from_secs(DEADLINE), starts.next()).await {
        Ok(Some(Ok(_))) => Ok(()),
        Ok(Some(Err(e))) => Err(BenchError::engine("report what happens")(e)),
        Ok(None) | Err(_) => {
            Err(BenchError::Late { what: format!("the start of `{service}`"), seconds: DEADLINE })
        }
    }
}

fn write(path: &Path, text: &str) -> Result<(), BenchError> {
    std::fs::write(path, text).map_err(BenchError::host(format!("write `{}`", path.display())))
}

/// A YAML text in block style without any entry of this key: its line, and the lines below it that are indented deeper or
/// are items of its list.
fn without_key(text: &str, key: &str) -> String {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut kept = String::new();
    let mut inside = None;
    for line in text.lines() {
        let belongs = |start: usize| {
            indent(line) > start || (indent(line) == start && line.trim_start().starts_with("- "))
        };
        if inside.is_some_and(belongs) {
            continue;
        }
        inside = None;
        if line.trim_start().strip_prefix(key).is_some_and(|rest| rest.starts_with(':')) {
            inside = Some(indent(line));
            continue;
        }
        kept.push_str(line);
        kept.push('\n');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::without_key;

    #[test]
    fn a_key_goes_with_all_that_is_below_it() {
        let text =
            "a:\n  depends_on:\n    b:\n      condition: x\n  image: i\nb:\n  depends_on: [a]\n  image: j\n";
        assert_eq!(without_key(text, "depends_on"), "a:\n  image: i\nb:\n  image: j\n");
    }

    #[test]
    fn a_list_at_the_same_indent_goes_too() {
        let text = "a:\n  depends_on:\n  - b\n  - c\n  command:\n  - d\n";
        assert_eq!(without_key(text, "depends_on"), "a:\n  command:\n  - d\n");
    }

    #[test]
    fn a_key_that_only_begins_alike_stays() {
        let text = "a:\n  depends_on_x: 1\n  environment:\n    A: depends_on\n";
        assert_eq!(without_key(text, "depends_on"), text);
    }
}
