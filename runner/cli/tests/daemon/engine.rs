//! The daemon, asked past the command: over its socket, with nothing of the product in between.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::{Value, json};

/// The label that every object of a run carries.
const RUN: &str = "dev.testbed.run";

/// The label that names the process an object belongs to.
const OWNER: &str = "dev.testbed.owner";

/// What one request to the daemon gave.
struct Answer {
    status: u16,
    body: String,
}

/// One request over one connection, in the version of HTTP in which an answer ends with the connection.
fn request(method: &str, path: &str) -> Answer {
    let address = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
    let text = format!("{method} /v1.41{path} HTTP/1.0\r\nHost: engine\r\nContent-Length: 0\r\n\r\n");
    let limit = Some(Duration::from_mins(2));
    let answer = if let Some(socket) = address.strip_prefix("unix://") {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(limit).unwrap();
        exchange(stream, &text)
    } else {
        let stream = TcpStream::connect(address.trim_start_matches("tcp://")).unwrap();
        stream.set_read_timeout(limit).unwrap();
        exchange(stream, &text)
    };
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split_whitespace().nth(1).and_then(|status| status.parse().ok());
    Answer { status: status.unwrap_or_else(|| panic!("no status: {head}")), body: body.to_owned() }
}

fn exchange(mut stream: impl Read + Write, text: &str) -> String {
    stream.write_all(text.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn get(path: &str) -> Value {
    let Answer { status, body } = request("GET", path);
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

/// Removes every image of a repository.
pub fn remove_images(repository: &str) {
    let found = get(&format!("/images/json?{}", filters(&json!({ "reference": [repository] }))));
    let images = found.as_array().into_iter().flatten();
    for tag in images.filter_map(|image| image["RepoTags"].as_array()).flatten() {
        request("DELETE", &format!("/images/{}", tag.as_str().unwrap_or_default()));
    }
}

/// Filters as a part of a request's path.
fn filters(filters: &Value) -> String {
    let mut out = String::from("filters=");
    for byte in filters.to_string().bytes() {
        if byte.is_ascii_alphanumeric() {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").unwrap();
        }
    }
    out
}

/// Containers, networks and volumes with a label, each as its name and its labels.
fn labelled(label: &str) -> Vec<(String, Value)> {
    let only = filters(&json!({ "label": [label] }));
    let containers = get(&format!("/containers/json?all=1&{only}"));
    let networks = get(&format!("/networks?{only}"));
    let volumes = get(&format!("/volumes?{only}"));
    let lists = [
        ("container", &containers, "Names"),
        ("network", &networks, "Name"),
        ("volume", &volumes["Volumes"], "Name"),
    ];
    let objects = lists.into_iter().flat_map(|(kind, list, name)| {
        let entries = list.as_array().cloned().unwrap_or_default();
        entries.into_iter().map(move |entry| {
            let name = match &entry[name] {
                Value::Array(names) => names.first().cloned().unwrap_or_default(),
                name => name.clone(),
            };
            (format!("{kind} {}", name.as_str().unwrap_or_default()), entry["Labels"].clone())
        })
    });
    objects.collect()
}

/// What a run left.
pub fn left_by_run(run: &str) -> Vec<String> {
    labelled(&format!("{RUN}={run}")).into_iter().map(|(name, _)| name).collect()
}

/// What a process of this host left, whatever it was running.
pub fn left_by_process(pid: u32) -> Vec<String> {
    let of_process = |labels: &Value| {
        let owner = labels[OWNER].as_str().unwrap_or_default();
        owner.split(':').nth(1) == Some(pid.to_string().as_str())
    };
    labelled(OWNER).into_iter().filter(|(_, labels)| of_process(labels)).map(|(name, _)| name).collect()
}

/// The container of a run's service.
pub fn container(run: &str, service: &str) -> String {
    let labels = json!({ "label": [format!("{RUN}={run}"), format!("dev.testbed.service={service}")] });
    let found = get(&format!("/containers/json?all=1&{}", filters(&labels)));
    found[0]["Id"].as_str().unwrap_or_else(|| panic!("no container of `{service}`: {found}")).to_owned()
}

/// Kills a container as nobody of the run would.
pub fn kill(container: &str) {
    let answer = request("POST", &format!("/containers/{container}/kill"));
    assert_eq!(answer.status, 204, "{}", answer.body);
}

/// Sends a container's first process a signal, as nobody of the run would.
pub fn signal(container: &str, signal: &str) {
    let answer = request("POST", &format!("/containers/{container}/kill?signal={signal}"));
    assert_eq!(answer.status, 204, "{}", answer.body);
}

/// When the container of a run's service died, in seconds since the epoch, as the daemon itself tells it.
pub fn died(run: &str, service: &str, since: f64) -> f64 {
    let labels = [format!("{RUN}={run}"), format!("dev.testbed.service={service}")];
    let only = filters(&json!({ "type": ["container"], "event": ["die"], "label": labels }));
    let Answer { status, body } =
        request("GET", &format!("/events?since={since:.0}&until={:.0}&{only}", now() + 1.0));
    assert_eq!(status, 200, "{body}");
    let first = body.lines().next().unwrap_or_else(|| panic!("`{service}` never died"));
    let event: Value = serde_json::from_str(first).unwrap();
    #[allow(clippy::cast_precision_loss, reason = "microseconds are more than enough")]
    let seconds = event["timeNano"].as_i64().unwrap() as f64 / 1e9;
    seconds
}

/// Seconds since the epoch.
pub fn now() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64()
}
