//! A player that acts as a suite's tool: it tells events, prints, asks for control, and ends in bad ways.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Duration;

use testbed_engine::exec::job::EVENTS_VARIABLE;

/// Does one thing after the other.
pub fn act(acts: &[&str]) -> ExitCode {
    for act in acts {
        let (verb, rest) = act.split_once(' ').unwrap_or((act, ""));
        match verb {
            "tell" => tell(rest),
            "print" => println!("{rest}"),
            "wait" => std::thread::sleep(Duration::from_millis(rest.parse().unwrap())),
            "ask" => println!("{}", ask(rest)),
            "reach" => println!("{rest} {}", if serves(rest) { "answers" } else { "does not answer" }),
            "look" => look(),
            "stubborn" => ignore_requests_to_end(),
            "eat" => return super::play::play("eat", &[]),
            "crash" => std::process::abort(),
            "mortal" => return live_until_slain(),
            "slay" => slay(rest),
            _ => panic!("cannot {act}"),
        }
    }
    ExitCode::SUCCESS
}

fn tell(event: &str) {
    let descriptor = std::env::var(EVENTS_VARIABLE).unwrap();
    let mut pipe = OpenOptions::new().write(true).open(format!("/proc/self/fd/{descriptor}")).unwrap();
    pipe.write_all(format!("{event}\n").as_bytes()).unwrap();
}

fn ask(request: &str) -> String {
    let mut stream = UnixStream::connect("/data/control.sock").unwrap();
    stream.write_all(format!("{request}\n").as_bytes()).unwrap();
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).unwrap();
    answer.trim_end().to_owned()
}

fn serves(host: &str) -> bool {
    super::play::tcp(&format!("{host}:{}", super::site::PORT)) != "not reached: unknown name"
}

const SLAIN: &[u8] = b"bye!";

/// Serves until somebody asks for its end, and ends badly.
fn live_until_slain() -> ExitCode {
    let listener = TcpListener::bind(("0.0.0.0", super::site::PORT)).unwrap();
    let mut asked = [0; SLAIN.len()];
    let slain = |stream: std::io::Result<TcpStream>| stream.unwrap().read_exact(&mut asked).is_ok();
    listener.incoming().map(slain).find(|slain| *slain);
    println!("slain");
    ExitCode::from(7)
}

fn slay(host: &str) {
    let address = super::play::address(&format!("{host}:{}", super::site::PORT)).unwrap();
    TcpStream::connect(address).unwrap().write_all(SLAIN).unwrap();
}

/// A thread that takes SIGTERM and does nothing about it.
fn ignore_requests_to_end() {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).unwrap();
            sender.send(()).unwrap();
            while term.recv().await.is_some() {}
        });
    });
    receiver.recv().unwrap();
}

/// Says what it finds around itself.
fn look() {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let field = |key: &str| {
        let line = status.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    let privileges = if field("NoNewPrivs:") == "1" { "refused" } else { "possible" };
    let (uid, gid, capabilities) = (field("Uid:"), field("Gid:"), field("CapEff:"));
    println!("uid {uid} gid {gid}, capabilities {capabilities}, new privileges {privileges}");
    let folder = std::env::current_dir().unwrap();
    println!("in {}: {}", folder.display(), fs::read_to_string("deep/file").unwrap());
    for path in ["/work/new", "/work/deep/file", "/tmp/new", "/data/new", "/mnt/project/new", "/new"] {
        println!("write {path}: {}", if fs::write(path, "x").is_ok() { "yes" } else { "no" });
    }
    let devices = fs::read_to_string("/proc/net/dev").unwrap();
    let names: Vec<&str> = devices.lines().filter_map(|line| Some(line.split_once(':')?.0.trim())).collect();
    println!("interfaces: {}", names.join(" "));
    let environment: BTreeMap<String, String> = std::env::vars().collect();
    let shown = ["HOME", "HOSTNAME", "LANG", "PYTHONHASHSEED", "TMPDIR", "TZ", "WORD"];
    let pairs: Vec<String> = shown.iter().map(|name| format!("{name}={}", environment[*name])).collect();
    println!("{}", pairs.join(" "));
    let absent = ["CARGO_HOME", "USERPROFILE", "DOCKER_HOST"];
    let absent: Vec<&str> = absent.into_iter().filter(|name| !environment.contains_key(*name)).collect();
    println!("not set: {}", absent.join(" "));
}
