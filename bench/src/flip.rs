//! Services that know to the microsecond when they begin to serve: the bench itself, in a stack of its own making.
//!
//! Each refuses with 503 until a moment of its own, stamps that moment, and serves. So the truth is exact, and no second
//! observer disturbs the first.

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use testbed_engine::host::clock::{Clock, now};
use testbed_model::event::{Event, Stamped};
use testbed_model::stack::Stack;
use tokio::net::TcpListener;

use crate::bench::Bench;
use crate::error::BenchError;
use crate::narrative::{Narrative, untold};
use crate::phases::milliseconds;

const PORT: u16 = 8000;

/// What a service writes into its log when it begins to serve, before the moment.
const SERVING: &str = "serving since";

/// So many services are in the stack.
const SERVICES: u64 = 8;

/// They begin to serve so many milliseconds after their start.
const EARLIEST_MS: u64 = 200;
const SPREAD_MS: u64 = 1500;

/// Strides that have no factor in common with the spread: moments do not repeat from round to round.
const ROUND_STRIDE: u64 = 977;
const SERVICE_STRIDE: u64 = 433;

/// Serves from so many milliseconds after the start on, until the container is killed. Returns the exit code.
pub async fn serve(after_ms: u64) -> u8 {
    let serving = Arc::new(AtomicBool::new(false));
    let app = Router::new()
        .route(
            "/health",
            get(|State(serving): State<Arc<AtomicBool>>| async move { answer(&serving, "well") }),
        )
        .route(
            "/v1/chat/completions",
            post(|State(serving): State<Arc<AtomicBool>>| async move {
                answer(&serving, r#"{"choices":[{"index":0}],"usage":{"completion_tokens":1}}"#)
            }),
        )
        .with_state(Arc::clone(&serving));
    let Ok(listener) = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).await else { return 1 };
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(after_ms)).await;
        // Stamped before, so that the moment is never later than the truth.
        let since_us = now().as_microsecond();
        serving.store(true, Ordering::SeqCst);
        crate::say(&format!("{SERVING} {since_us}"));
    });
    u8::from(axum::serve(listener, app).await.is_err())
}

fn answer(serving: &AtomicBool, good: &'static str) -> (StatusCode, &'static str) {
    if serving.load(Ordering::SeqCst) {
        (StatusCode::OK, good)
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not yet")
    }
}

/// A configuration of Testbed's with the stack of such services in it.
#[derive(Debug)]
pub struct FlipStack {
    root: PathBuf,
}

impl FlipStack {
    /// Writes the configuration. Images and the base layer are the checkout's own.
    pub fn prepare(bench: &Bench, stack: &Stack) -> Result<Self, BenchError> {
        let root = bench.folder.path().join("flip");
        let write = || {
            for folder in ["envs", "compose", "bin"] {
                fs::create_dir_all(root.join(folder))?;
            }
            fs::copy(&bench.own, root.join("bin/bench"))?;
            fs::copy(bench.root.join("envs/default.toml"), root.join("envs/default.toml"))?;
            fs::write(root.join("envs/flip.toml"), "stack = \"compose/flip.yaml\"\n")?;
            std::os::unix::fs::symlink(bench.root.join("images"), root.join("images"))
        };
        write().map_err(BenchError::host("write a configuration"))?;
        let any = stack.services.values().next().map_or("", |service| service.image.as_str()).to_owned();
        let flip = Self { root };
        flip.write_compose(&any, 0)?;
        Ok(flip)
    }

    fn write_compose(&self, image: &str, round: u64) -> Result<(), BenchError> {
        let path = self.root.join("compose/flip.yaml");
        fs::write(&path, compose(image, round))
            .map_err(BenchError::host(format!("write `{}`", path.display())))
    }

    /// Brings the stack up once, and gives the milliseconds from each service's moment to Testbed's event, and from the
    /// last one's moment to the stack's.
    pub async fn round(&self, bench: &Bench, stack: &Stack, round: usize) -> Result<Vec<f64>, BenchError> {
        let any = stack.services.values().next().map_or("", |service| service.image.as_str());
        self.write_compose(any, u64::try_from(round).unwrap_or_default())?;
        let clock = Clock::start();
        let up = bench.testbed(["up", "flip", "--once", "--json", "--root", &self.root.to_string_lossy()]);
        let (running, lines) = up.in_folder(&self.root).start(&bench.endings)?;
        let told = Narrative::new(lines, clock).whole().await;
        let (status, said) = running.end().await?;
        if !status.success() {
            let program = "testbed up".to_owned();
            return Err(BenchError::Program { program, ended: status.to_string(), said });
        }
        delays(&told).ok_or_else(|| untold("every service's beginning", &said))
    }
}

fn compose(image: &str, round: u64) -> String {
    let mut text = format!(
        "x-testbed: {{ready: {{chat: {{service: flip-0, port: {PORT}, model: flip}}}}}}\nservices:\n"
    );
    for service in 0..SERVICES {
        let after_ms = EARLIEST_MS + (round * ROUND_STRIDE + service * SERVICE_STRIDE) % SPREAD_MS;
        let entry = [
            format!("  flip-{service}:"),
            format!("    image: testbed/{image}"),
            format!("    entrypoint: [/bench/bench, serve, '{after_ms}']"),
            "    command: []".to_owned(),
            "    user: '10001:10001'".to_owned(),
            "    volumes: ['../bin:/bench:ro']".to_owned(),
            format!("    x-testbed: {{probe: {{http: {{port: {PORT}, path: /health}}}}}}"),
        ];
        text.push_str(&entry.join("\n"));
        text.push('\n');
    }
    text
}

/// From each service's own word to Testbed's event, and for the stack from the last word; none if one is missing.
fn delays(told: &[Stamped]) -> Option<Vec<f64>> {
    let mut delays = Vec::new();
    let mut last_us = i64::MIN;
    for service in 0..SERVICES {
        let name = format!("flip-{service}");
        let since_us = told.iter().find_map(|stamped| match &stamped.event {
            Event::ServiceLog { service, line, .. } if *service == name => moment(line),
            _ => None,
        })?;
        let known_us = at(told, |e| matches!(e, Event::ServiceReady { service, .. } if *service == name))?;
        last_us = last_us.max(since_us);
        delays.push(difference(since_us, known_us));
    }
    let ready_us = at(told, |e| matches!(e, Event::StackReady { .. }))?;
    delays.push(difference(last_us, ready_us));
    Some(delays)
}

fn moment(line: &str) -> Option<i64> {
    line.strip_prefix(SERVING)?.trim().parse().ok()
}

fn at(told: &[Stamped], is_it: impl Fn(&Event) -> bool) -> Option<i64> {
    told.iter().find(|stamped| is_it(&stamped.event)).map(|stamped| stamped.at.as_microsecond())
}

/// Milliseconds between two moments in microseconds.
pub fn difference(from_us: i64, to_us: i64) -> f64 {
    let length = milliseconds(to_us.abs_diff(from_us));
    if to_us < from_us { -length } else { length }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;
    use testbed_model::compose::parse;
    use testbed_model::event::{Event, Stamped};

    use super::{SERVICES, compose, delays, difference};

    #[test]
    fn the_stack_is_one_that_testbed_reads() {
        let file = parse("compose/flip.yaml", &compose("etcd", 3), &BTreeMap::new()).unwrap();
        assert_eq!(u64::try_from(file.services.len()), Ok(SERVICES));
        assert!(file.services.values().all(|service| service.probe.is_some()));
    }

    #[test]
    fn moments_differ_between_services_and_rounds() {
        assert_ne!(compose("etcd", 1), compose("etcd", 2));
    }

    #[test]
    fn a_difference_has_a_sign() {
        assert!((difference(1_000, 3_500) - 2.5).abs() < f64::EPSILON);
        assert!((difference(3_500, 1_000) + 2.5).abs() < f64::EPSILON);
    }

    #[test]
    fn each_service_counts_from_its_own_word_and_the_stack_from_the_last() {
        let stack = || "flip".to_owned();
        let event = |at_us, event| Stamped {
            seq: 0,
            at: Timestamp::from_microsecond(at_us).unwrap(),
            elapsed_us: 0,
            event,
        };
        let mut told = Vec::new();
        for index in 0..i64::try_from(SERVICES).unwrap() {
            let service = format!("flip-{index}");
            let since_us = 1_000_000 + index * 1000;
            let line = format!("serving since {since_us}");
            told.push(event(
                since_us + 9,
                Event::ServiceLog { stack: stack(), service: service.clone(), line },
            ));
            told.push(event(since_us + 5_000, Event::ServiceReady { stack: stack(), service }));
        }
        assert_eq!(delays(&told), None);
        told.push(event(1_027_000, Event::StackReady { stack: stack(), took_ms: 1 }));
        let mut expected = vec![5.0; usize::try_from(SERVICES).unwrap()];
        expected.push(20.0);
        assert_eq!(delays(&told), Some(expected));
    }
}
