//! A container engine that keeps no containers, on a unix socket: it does what a real one does to its own books, and
//! what a real one does not do on demand.

mod lane;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Query, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use testbed_engine::agent::watch::message::{Order, Report};
use testbed_engine::stack::AGENT_SERVICE;
use testbed_model::id::label;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::time::sleep;

const TIME: &str = "2026-11-21T14:30:05.000000000Z";

/// What a fake does besides what any engine does.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// How services behave, by name; others answer probes at once and live on.
    pub services: BTreeMap<String, Behaviour>,
    /// How long each answer takes.
    pub latency: Duration,
    /// The API version that it offers.
    pub api: Option<&'static str>,
    /// Variables of every image.
    pub variables: Vec<&'static str>,
    /// The cases that pytest finds in every suite.
    pub cases: Vec<TestCase>,
}

/// A case as a suite has it.
#[derive(Clone, Debug, Default)]
pub struct TestCase {
    /// `file::name`.
    pub id: &'static str,
    /// Its markers, as the plugin tells them.
    pub marks: Value,
    /// What it fails with, if it does.
    pub fails: Option<&'static str>,
}

impl TestCase {
    fn file(&self) -> &str {
        self.id.split("::").next().unwrap_or_default()
    }
}

/// Something that goes wrong.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Method and a part of the path, for containers with the service's name in place of the id.
    pub request: (Method, &'static str),
    /// How often; then it works.
    pub times: usize,
    /// What happens.
    pub what: What,
}

#[derive(Clone, Copy, Debug)]
pub enum What {
    /// Nothing is done, and this is the answer.
    Refuse(u16, &'static str),
    /// Nothing is done, and the connection ends.
    Drop,
    /// It is done, and the connection ends before the answer.
    DropAnswer,
    /// It is done, later.
    Delay(Duration),
}

/// How a service behaves once it runs.
#[derive(Clone, Debug, Default)]
pub struct Behaviour {
    /// What it says to probes, for ever, if it does not answer as hoped.
    pub answer: Option<&'static str>,
    /// After how long it ends, with which code.
    pub exit: Option<(Duration, i64)>,
    /// Whether its end was for lack of memory.
    pub oom_killed: bool,
    /// What it logs at its start.
    pub log: Vec<&'static str>,
    /// Which GPUs its container turns out to have, in place of those that were asked for.
    pub gpus: Option<Vec<&'static str>>,
}

/// A request as it was received.
#[derive(Clone, Debug)]
pub struct Received {
    pub method: Method,
    pub path: String,
    pub body: Value,
}

pub struct FakeDaemon {
    books: Arc<Books>,
    runtime: Option<Runtime>,
    folder: tempfile::TempDir,
}

#[derive(Debug)]
struct Books {
    script: Script,
    open: Mutex<Open>,
    /// Counts changes, so that streams know when to look again.
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Open {
    received: Vec<Received>,
    faults_used: HashMap<usize, usize>,
    containers: BTreeMap<String, Container>,
    networks: BTreeMap<String, Value>,
    volumes: BTreeMap<String, Value>,
    events: Vec<Value>,
    /// How many containers there ever were.
    created: usize,
}

#[derive(Clone, Debug)]
struct Container {
    name: String,
    service: String,
    network: String,
    labels: Value,
    running: bool,
    exit: Option<(i64, bool)>,
    /// What was asked for as GPUs: as many are found inside.
    gpus: usize,
}

impl FakeDaemon {
    pub fn start(script: Script) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (changes, _) = watch::channel(0);
        let books = Arc::new(Books { script, open: Mutex::default(), changes });
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let app = Router::new().fallback(receive).with_state(Arc::clone(&books));
        let socket = folder.path().join("engine.sock");
        let listener = {
            let _inside = runtime.enter();
            UnixListener::bind(socket).unwrap()
        };
        runtime.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { books, runtime: Some(runtime), folder }
    }

    pub fn address(&self) -> String {
        format!("unix://{}", self.folder.path().join("engine.sock").display())
    }

    /// Names of everything that exists.
    pub fn left(&self) -> Vec<String> {
        let open = self.books.open.lock().unwrap();
        let containers = open.containers.values().map(|container| container.name.clone());
        containers.chain(open.networks.keys().cloned()).chain(open.volumes.keys().cloned()).collect()
    }

    pub fn received(&self) -> Vec<Received> {
        self.books.open.lock().unwrap().received.clone()
    }

    /// Puts something into the books that nobody asked for.
    pub fn plant(&self, kind: &str, name: &str, labels: &Value) {
        let mut open = self.books.open.lock().unwrap();
        match kind {
            "container" => {
                let container = Container {
                    name: name.to_owned(),
                    service: name.to_owned(),
                    network: String::new(),
                    labels: labels.clone(),
                    running: true,
                    exit: None,
                    gpus: 0,
                };
                open.containers.insert(name.to_owned(), container);
            }
            "network" => drop(open.networks.insert(name.to_owned(), labels.clone())),
            _ => drop(open.volumes.insert(name.to_owned(), labels.clone())),
        }
    }

    /// Has a service's container end.
    pub fn end(&self, service: &str, code: i64) {
        let mut open = self.books.open.lock().unwrap();
        let found = open.containers.iter().find(|(_, container)| container.service == service);
        let Some(id) = found.map(|(id, _)| id.clone()) else { return };
        self.books.end_container(&mut open, &id, code, false);
    }

    /// Ends every connection and answers no more.
    pub fn vanish(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for FakeDaemon {
    fn drop(&mut self) {
        self.vanish();
    }
}

impl Books {
    fn event(&self, open: &mut Open, id: &str, action: &str, code: Option<i64>) {
        let Some(container) = open.containers.get(id) else { return };
        let mut attributes = json!({ label::SERVICE: container.service });
        if let Some(code) = code {
            attributes["exitCode"] = json!(code.to_string());
        }
        let actor = json!({ "ID": id, "Attributes": attributes });
        open.events.push(json!({ "Type": "container", "Action": action, "Actor": actor, "timeNano": 1 }));
        self.changes.send_modify(|count| *count += 1);
    }

    fn end_container(&self, open: &mut Open, id: &str, code: i64, oom_killed: bool) {
        let Some(container) = open.containers.get_mut(id) else { return };
        if container.running {
            container.running = false;
            container.exit = Some((code, oom_killed));
            self.event(open, id, "die", Some(code));
        }
    }

    /// The path with the service's name in place of a container's id.
    fn readable(&self, path: &str) -> String {
        let open = self.open.lock().unwrap();
        let mut path = path.to_owned();
        for (id, container) in &open.containers {
            path = path.replace(id.as_str(), &container.service);
        }
        path
    }

    fn fault(&self, method: &Method, path: &str) -> Option<What> {
        let mut open = self.open.lock().unwrap();
        let fits = |fault: &Fault| fault.request.0 == *method && path.contains(fault.request.1);
        for (index, fault) in self.script.faults.iter().enumerate().filter(|(_, fault)| fits(fault)) {
            let used = open.faults_used.entry(index).or_default();
            if *used < fault.times {
                *used += 1;
                return Some(fault.what);
            }
        }
        None
    }
}

/// Ends the connection without a word: the server drops a connection whose handler does not come back.
fn hang_up() -> ! {
    std::panic::resume_unwind(Box::new("hang up"))
}

async fn receive(State(books): State<Arc<Books>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let path = parts
        .uri
        .path()
        .split_once("/v1.")
        .map_or(parts.uri.path(), |(_, rest)| rest.split_once('/').map_or("", |(_, rest)| rest));
    let path = path.trim_start_matches('/').to_owned();
    let readable = books.readable(&path);
    let named = match parts.uri.query() {
        Some(query) if readable == "containers/create" => format!("{readable}?{query}"),
        _ => readable,
    };
    let value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let received = Received { method: parts.method.clone(), path: named.clone(), body: value };
    books.open.lock().unwrap().received.push(received);
    sleep(books.script.latency).await;
    let fault = books.fault(&parts.method, &named);
    match fault {
        Some(What::Refuse(status, message)) => return refuse(status, message),
        Some(What::Drop) => hang_up(),
        Some(What::Delay(delay)) => sleep(delay).await,
        Some(What::DropAnswer) | None => {}
    }
    let answer = answer(&books, Request::from_parts(parts, Body::from(body.clone())), &path, &body);
    if matches!(fault, Some(What::DropAnswer)) {
        hang_up();
    }
    answer
}

fn refuse(status: u16, message: &str) -> Response {
    (StatusCode::from_u16(status).unwrap(), axum::Json(json!({ "message": message }))).into_response()
}

fn done() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

fn told(value: Value) -> Response {
    axum::Json(value).into_response()
}

fn answer(books: &Arc<Books>, request: Request, path: &str, body: &Bytes) -> Response {
    let value: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let method = request.method().clone();
    let query = Query::<HashMap<String, String>>::try_from_uri(request.uri()).unwrap().0;
    let segments: Vec<&str> = path.split('/').collect();
    match (method.as_str(), segments.as_slice()) {
        ("GET", ["version"]) => {
            told(json!({ "Version": "20.10.0", "ApiVersion": books.script.api.unwrap_or("1.41") }))
        }
        ("GET", ["events"]) => events(books),
        ("POST", ["networks", "create"]) => {
            let name = value["Name"].as_str().unwrap().to_owned();
            books.open.lock().unwrap().networks.insert(name.clone(), value["Labels"].clone());
            told(json!({ "Id": name, "Warning": "" }))
        }
        ("DELETE", ["networks", name]) => remove_network(books, name),
        ("POST", ["volumes", "create"]) => {
            let name = value["Name"].as_str().unwrap().to_owned();
            books.open.lock().unwrap().volumes.entry(name.clone()).or_insert(value["Labels"].clone());
            told(volume(&name, &value["Labels"]))
        }
        ("DELETE", ["volumes", name]) => match books.open.lock().unwrap().volumes.remove(*name) {
            Some(_) => done(),
            None => refuse(404, "no such volume"),
        },
        ("POST", ["containers", "create"]) => create(books, &query, &value),
        ("POST", ["containers", id, "attach"]) => attach(books, request, id),
        ("POST", ["containers", id, "start"]) => start(books, id),
        ("POST", ["containers", id, "exec"]) => {
            (StatusCode::CREATED, axum::Json(json!({ "Id": id }))).into_response()
        }
        ("POST", ["exec", id, "start"]) => look(books, request, id),
        ("POST", ["containers", id, "kill" | "stop"]) => kill(books, id),
        ("DELETE", ["containers", id]) => remove(books, id),
        ("GET", ["info"]) => told(json!({
            "Driver": "overlay2", "CgroupVersion": "2", "DefaultRuntime": "runc", "Runtimes": { "runc": {}, "nvidia": {} },
        })),
        ("GET", ["images", .., "json"]) => {
            told(json!({ "Id": image_id(path), "Config": { "Env": books.script.variables } }))
        }
        ("POST", ["images", .., "tag"]) => StatusCode::CREATED.into_response(),
        ("GET", ["distribution", .., "json"]) => {
            let digest = format!("sha256:{}", "0".repeat(64));
            told(json!({ "Descriptor": { "digest": digest }, "Platforms": [] }))
        }
        ("GET", ["containers", id, "logs"]) => logs(books, id, query.contains_key("tail")),
        ("GET", ["containers", id, "json"]) if *id != "json" => state(books, id),
        ("GET", ["containers", "json"]) => told(list(books, &query, "containers")),
        ("GET", ["networks"]) => told(list(books, &query, "networks")),
        ("GET", ["volumes"]) => told(json!({ "Volumes": list(books, &query, "volumes"), "Warnings": [] })),
        _ => refuse(404, &format!("the fake knows no {method} {path}")),
    }
}

/// An id that goes with the name: every image is there.
fn image_id(path: &str) -> String {
    let name: String = path.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{:0>64.64}", name.chars().rev().collect::<String>())
}

fn volume(name: &str, labels: &Value) -> Value {
    json!({ "Name": name, "Driver": "local", "Mountpoint": "", "Labels": labels, "Options": {}, "Scope": "local" })
}

fn create(books: &Arc<Books>, query: &HashMap<String, String>, body: &Value) -> Response {
    let mut open = books.open.lock().unwrap();
    let name = query["name"].clone();
    if open.containers.values().any(|container| container.name == name) {
        return refuse(409, "Conflict. The container name is already in use");
    }
    open.created += 1;
    let id = format!("{:064x}", 0x00C0_FFEE + open.created);
    // As the real one does: a volume that is not there is made, without anybody's labels.
    for mount in body["HostConfig"]["Mounts"].as_array().into_iter().flatten() {
        if mount["Type"] == "volume" {
            let source = mount["Source"].as_str().unwrap().to_owned();
            open.volumes.entry(source).or_insert(Value::Null);
        }
    }
    let container = Container {
        name,
        service: body["Labels"][label::SERVICE].as_str().unwrap_or_default().to_owned(),
        network: body["HostConfig"]["NetworkMode"].as_str().unwrap_or_default().to_owned(),
        labels: body["Labels"].clone(),
        running: false,
        exit: None,
        gpus: body["HostConfig"]["DeviceRequests"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|request| request["DeviceIDs"].as_array().map_or(0, Vec::len))
            .sum(),
    };
    open.containers.insert(id.clone(), container);
    (StatusCode::CREATED, axum::Json(json!({ "Id": id, "Warnings": [] }))).into_response()
}

fn start(books: &Arc<Books>, id: &str) -> Response {
    let mut open = books.open.lock().unwrap();
    let Some(container) = open.containers.get(id).cloned() else { return refuse(404, "no such container") };
    match container.network.strip_prefix("container:") {
        Some(host) if !open.containers.get(host).is_some_and(|host| host.running) => {
            return refuse(409, &format!("cannot join the network of a non running container: {host}"));
        }
        None if container.network != "none" && !open.networks.contains_key(&container.network) => {
            return refuse(404, &format!("network {} not found", container.network));
        }
        _ => {}
    }
    open.containers.get_mut(id).unwrap().running = true;
    books.event(&mut open, id, "start", None);
    let behaviour = books.script.services.get(&container.service).cloned().unwrap_or_default();
    if let Some((after, code)) = behaviour.exit {
        let (books, id) = (Arc::clone(books), id.to_owned());
        tokio::spawn(async move {
            sleep(after).await;
            books.end_container(&mut books.open.lock().unwrap(), &id, code, behaviour.oom_killed);
        });
    }
    done()
}

fn kill(books: &Arc<Books>, id: &str) -> Response {
    let mut open = books.open.lock().unwrap();
    match open.containers.get(id) {
        None => refuse(404, "no such container"),
        Some(container) if !container.running => refuse(409, "the container is not running"),
        Some(_) => {
            books.end_container(&mut open, id, 137, false);
            done()
        }
    }
}

fn remove(books: &Arc<Books>, id: &str) -> Response {
    let mut open = books.open.lock().unwrap();
    books.end_container(&mut open, id, 137, false);
    books.event(&mut open, id, "destroy", None);
    match open.containers.remove(id) {
        Some(_) => done(),
        None => refuse(404, "no such container"),
    }
}

fn remove_network(books: &Arc<Books>, name: &str) -> Response {
    let mut open = books.open.lock().unwrap();
    if open.containers.values().any(|container| container.running && container.network == name) {
        return refuse(403, "network has active endpoints");
    }
    match open.networks.remove(name) {
        Some(_) => done(),
        None => refuse(404, "no such network"),
    }
}

fn state(books: &Arc<Books>, id: &str) -> Response {
    let open = books.open.lock().unwrap();
    let Some(container) = open.containers.get(id) else { return refuse(404, "no such container") };
    let (code, oom_killed) = container.exit.unwrap_or_default();
    let status = if container.running { "running" } else { "exited" };
    told(json!({ "Id": id, "State": {
        "Status": status, "Running": container.running, "ExitCode": code, "OOMKilled": oom_killed,
    } }))
}

fn list(books: &Arc<Books>, query: &HashMap<String, String>, kind: &str) -> Value {
    let filters: Value =
        query.get("filters").map(|text| serde_json::from_str(text).unwrap()).unwrap_or_default();
    let wanted: Vec<String> = serde_json::from_value(filters["label"].clone()).unwrap_or_default();
    let fits = |labels: &Value| {
        wanted.iter().all(|wanted| match wanted.split_once('=') {
            Some((key, value)) => labels[key] == value,
            None => labels.get(wanted).is_some(),
        })
    };
    let open = books.open.lock().unwrap();
    match kind {
        "containers" => open
            .containers
            .iter()
            .filter(|(_, container)| fits(&container.labels))
            .map(|(id, container)| {
                let state = if container.running { "running" } else { "exited" };
                json!({ "Id": id, "Names": [format!("/{}", container.name)], "Labels": container.labels, "State": state })
            })
            .collect(),
        "networks" => open
            .networks
            .iter()
            .filter(|(_, labels)| fits(labels))
            .map(|(name, labels)| json!({ "Id": name, "Name": name, "Labels": labels }))
            .collect(),
        _ => open
            .volumes
            .iter()
            .filter(|(_, labels)| fits(labels))
            .map(|(name, labels)| volume(name, labels))
            .collect(),
    }
}

fn events(books: &Arc<Books>) -> Response {
    let state = (Arc::clone(books), books.changes.subscribe(), 0);
    let lines = stream::unfold(state, |(books, mut changes, seen)| async move {
        loop {
            let fresh: Vec<String> = {
                let open = books.open.lock().unwrap();
                open.events[seen..].iter().map(|event| format!("{event}\n")).collect()
            };
            if !fresh.is_empty() {
                let seen = seen + fresh.len();
                return Some((Ok::<_, std::io::Error>(fresh.concat()), (books, changes, seen)));
            }
            changes.changed().await.ok()?;
        }
    });
    Body::from_stream(lines).into_response()
}

fn frame(stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&[stream, 0, 0, 0], length.as_slice(), payload].concat()
}

/// The log so far; who follows it is kept until the container ends.
fn logs(books: &Arc<Books>, id: &str, tail: bool) -> Response {
    let service = {
        let open = books.open.lock().unwrap();
        let Some(container) = open.containers.get(id) else { return refuse(404, "no such container") };
        container.service.clone()
    };
    let lines =
        books.script.services.get(&service).map(|behaviour| behaviour.log.clone()).unwrap_or_default();
    let frames: Vec<u8> =
        lines.iter().flat_map(|line| frame(1, format!("{TIME} {line}\n").as_bytes())).collect();
    if tail {
        return Body::from(frames).into_response();
    }
    let (books, id) = (Arc::clone(books), id.to_owned());
    let pieces = stream::unfold(Some(frames), move |frames| {
        let (books, id) = (Arc::clone(&books), id.clone());
        async move {
            if let Some(frames) = frames {
                return Some((Ok::<_, std::io::Error>(frames), None));
            }
            let mut changes = books.changes.subscribe();
            let runs =
                || books.open.lock().unwrap().containers.get(&id).is_some_and(|container| container.running);
            while runs() {
                changes.changed().await.ok()?;
            }
            None
        }
    });
    Body::from_stream(pieces).into_response()
}

fn attach(books: &Arc<Books>, request: Request, id: &str) -> Response {
    let service = {
        let open = books.open.lock().unwrap();
        let Some(container) = open.containers.get(id) else { return refuse(404, "no such container") };
        container.service.clone()
    };
    let is_lane = service.starts_with("lane ");
    assert!(is_lane || service == AGENT_SERVICE, "nobody else is attached to");
    let (books, id) = (Arc::clone(books), id.to_owned());
    tokio::spawn(async move {
        let Ok(upgraded) = hyper::upgrade::on(request).await else { return };
        let (input, output) = tokio::io::split(TokioIo::new(upgraded));
        if is_lane {
            lane::play(&books, BufReader::new(input), output).await;
            books.end_container(&mut books.open.lock().unwrap(), &id, 0, false);
        } else {
            play_agent(&books, &id, BufReader::new(input), output).await;
        }
    });
    (StatusCode::SWITCHING_PROTOCOLS, [(header::CONNECTION, "Upgrade"), (header::UPGRADE, "tcp")])
        .into_response()
}

/// The agent in a container looks which GPUs it has: as many as were asked for, or what the script says.
fn look(books: &Arc<Books>, request: Request, id: &str) -> Response {
    let container = books.open.lock().unwrap().containers[id].clone();
    let behaviour = books.script.services.get(&container.service);
    let asked: Vec<String> = (0..container.gpus).map(|minor| format!("nvidia{minor}")).collect();
    let devices = match behaviour.and_then(|behaviour| behaviour.gpus.clone()) {
        Some(devices) => devices.into_iter().map(str::to_owned).collect(),
        None => asked,
    };
    tokio::spawn(async move {
        let Ok(upgraded) = hyper::upgrade::on(request).await else { return };
        let line = format!("{}\n", json!({ "devices": devices, "uuids": [] }));
        let _ = TokioIo::new(upgraded).write_all(&frame(1, line.as_bytes())).await;
    });
    (StatusCode::SWITCHING_PROTOCOLS, [(header::CONNECTION, "Upgrade"), (header::UPGRADE, "tcp")])
        .into_response()
}

/// The agent answers what it is asked as the script says, until its container ends.
async fn play_agent(
    books: &Arc<Books>,
    id: &str,
    input: impl tokio::io::AsyncBufRead + Unpin,
    mut output: impl tokio::io::AsyncWrite + Unpin,
) {
    let mut lines = input.lines();
    let mut changes = books.changes.subscribe();
    loop {
        let line = tokio::select! {
            line = lines.next_line() => line,
            _ = changes.changed() => {
                let open = books.open.lock().unwrap();
                if open.containers.get(id).is_some_and(|agent| agent.exit.is_none()) { continue }
                return;
            }
        };
        let Ok(Some(line)) = line else { return };
        let Ok(Order::Ask(question)) = serde_json::from_str(&line) else { continue };
        let service = question.id.strip_prefix("service/").unwrap_or_default();
        let answer = books.script.services.get(service).and_then(|behaviour| behaviour.answer);
        let report = match answer {
            Some(answer) => Report::Answer { id: question.id, answer: answer.to_owned() },
            None => Report::Success { id: question.id, answer: "200".to_owned(), window_us: 1 },
        };
        let mut line = serde_json::to_vec(&report).unwrap();
        line.push(b'\n');
        if output.write_all(&frame(1, &line)).await.is_err() {
            return;
        }
    }
}
