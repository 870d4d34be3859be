//! The players: what this binary does inside the containers of its tests.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::any;

use crate::site::PORT;

/// How long a player tries to reach somebody.
const PATIENCE: Duration = Duration::from_millis(1500);

/// A query for the address of `example.com`, recursion desired.
const QUERY: &[u8] =
    b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01";

pub fn play(role: &str, arguments: &[&str]) -> ExitCode {
    match (role, arguments) {
        ("serve", []) => serve(),
        ("serve", [first, count]) => {
            (first.parse().unwrap()..count.parse().unwrap()).for_each(|n: u32| println!("line {n}"));
            serve();
        }
        ("echo", []) => echo(),
        ("names", []) => answer_names(),
        ("die", [after_ms, code]) => {
            println!("about to end");
            eprintln!("with code {code}");
            sleep(Duration::from_millis(after_ms.parse().unwrap()));
            return ExitCode::from(code.parse::<u8>().unwrap());
        }
        ("eat", []) => eat(),
        ("long-line", []) => {
            println!("{}", "x".repeat(100_000));
            eprintln!("an error");
            print!("unfinished");
            std::io::stdout().flush().unwrap();
        }
        ("write", [path, text]) => std::fs::write(path, text).unwrap(),
        ("read", [path]) => println!("{}", std::fs::read_to_string(path).unwrap()),
        ("status", []) => status(),
        ("tcp", [target]) => println!("{}", tcp(target)),
        ("udp", [target]) => println!("{}", udp(target)),
        ("resolve", []) => resolve(),
        ("check", []) => return check(),
        _ => panic!("no such role: {role} {arguments:?}"),
    }
    ExitCode::SUCCESS
}

/// Answers every request like a chat of one token, and like a health check.
fn serve() {
    println!("serving");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let chat = r#"{"choices":[{"index":0}],"usage":{"completion_tokens":1}}"#;
    let app = Router::new().fallback(any(move || async move { chat }));
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::bind(("0.0.0.0", PORT)).await.unwrap();
        let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).unwrap();
        tokio::select! {
            served = async { axum::serve(listener, app).await } => served.unwrap(),
            _ = term.recv() => println!("asked to end"),
        }
    });
}

/// Returns what it is sent, over TCP and UDP.
fn echo() {
    let udp = UdpSocket::bind(("0.0.0.0", PORT)).unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = udp.recv_from(&mut buffer) {
            udp.send_to(&buffer[..length], from).unwrap();
        }
    });
    let listener = std::net::TcpListener::bind(("0.0.0.0", PORT)).unwrap();
    println!("serving");
    for mut stream in listener.incoming().flatten() {
        let mut buffer = [0; 4];
        // Who only looks whether somebody listens says nothing.
        if stream.read_exact(&mut buffer).is_ok() {
            stream.write_all(&buffer).unwrap();
        }
    }
}

/// Answers every question for a name with one address.
fn answer_names() {
    let socket = UdpSocket::bind(("0.0.0.0", 53)).unwrap();
    println!("serving");
    let mut buffer = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        let mut answer = buffer[..length].to_vec();
        (answer[2], answer[3], answer[7]) = (0x81, 0x80, 1);
        answer.truncate(QUERY.len());
        answer[8..12].fill(0);
        answer.extend_from_slice(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x00\x00\x01");
        socket.send_to(&answer, from).unwrap();
    }
}

/// Takes memory until there is none.
fn eat() {
    println!("eating");
    let mut eaten = Vec::new();
    loop {
        eaten.push(vec![1_u8; 1 << 20]);
        std::hint::black_box(&eaten);
    }
}

/// What the kernel says of this process, and what it may write.
fn status() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    for key in ["Uid:", "Gid:", "CapEff:", "CapBnd:", "NoNewPrivs:", "Seccomp:"] {
        println!("{}", status.lines().find(|line| line.starts_with(key)).unwrap().replace('\t', " "));
    }
    for path in ["/file", "/tmp/file", "/data/file"] {
        println!("write {path}: {}", std::fs::write(path, "x").is_ok());
    }
    let threads = (0..200).map_while(|_| std::thread::Builder::new().spawn(|| sleep(PATIENCE)).ok()).count();
    println!("threads limited: {}", threads < 100);
}

pub fn address(target: &str) -> Option<SocketAddr> {
    // Names are looked up in the hosts file by hand: a static binary brings no name service along.
    let (host, port) = target.rsplit_once(':')?;
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let listed = hosts.lines().find(|line| line.split_whitespace().skip(1).any(|name| name == host));
    let host = listed.and_then(|line| line.split_whitespace().next()).unwrap_or(host);
    format!("{host}:{port}").to_socket_addrs().ok()?.next()
}

/// Whether somebody echoes over TCP.
pub fn tcp(target: &str) -> String {
    let reach = || -> std::io::Result<()> {
        let address = address(target).ok_or_else(|| std::io::Error::other("unknown name"))?;
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"ping")?;
        stream.read_exact(&mut [0; 4])
    };
    outcome(reach())
}

/// Whether somebody echoes over UDP.
fn udp(target: &str) -> String {
    let reach = || -> std::io::Result<()> {
        let address = address(target).ok_or_else(|| std::io::Error::other("unknown name"))?;
        let socket = UdpSocket::bind(("0.0.0.0", 0))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.send_to(b"ping", address)?;
        socket.recv_from(&mut [0; 4]).map(drop)
    };
    outcome(reach())
}

fn outcome(reached: std::io::Result<()>) -> String {
    match reached {
        Ok(()) => "reached".to_owned(),
        Err(e) => format!("not reached: {e}"),
    }
}

/// What the container's name server says of a name outside, and how long that takes.
fn resolve() {
    let configuration = std::fs::read_to_string("/etc/resolv.conf").unwrap();
    let server = configuration.lines().find_map(|line| line.strip_prefix("nameserver ")).unwrap();
    let socket = UdpSocket::bind(("0.0.0.0", 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let clock = Instant::now();
    socket.send_to(QUERY, (server, 53)).unwrap();
    let mut answer = [0; 512];
    let verdict = match socket.recv_from(&mut answer) {
        Ok(_) if answer[7] > 0 => "resolved".to_owned(),
        Ok(_) => format!("code {}", answer[3] & 0x0F),
        Err(e) => format!("no answer: {e}"),
    };
    println!("{verdict}");
    println!("fast: {}", clock.elapsed() < Duration::from_secs(1));
}

/// A health check that succeeds the second time.
fn check() -> ExitCode {
    match std::fs::File::create_new("/tmp/checked") {
        Ok(_) => ExitCode::FAILURE,
        Err(_) => ExitCode::SUCCESS,
    }
}
