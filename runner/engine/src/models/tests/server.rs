//! A server that answers as Hugging Face does, or worse.

use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{Response, StatusCode};
use futures_util::stream;
use sha2::{Digest as _, Sha256};
use tokio::task::JoinHandle;

use super::WEIGHTS;
use crate::host::clock;

/// What the server does with one question.
#[derive(Clone, Debug)]
pub enum Answer {
    /// What was asked for, and ranges of it.
    Good,
    /// These bytes instead.
    Bytes(String),
    /// 429 with this `Retry-After`; `DATE` is one second from now.
    Later(String),
    /// So many bytes, and then the connection ends.
    Cut(usize),
    /// The file has another tag now.
    OtherTag,
    /// Everything, whatever range was asked for.
    NoRanges,
    /// Nothing but this status.
    Status(u16),
    /// The same path on another server.
    Redirect(String),
    /// Itself.
    Loop,
    /// What was asked for, with this hash told beside it.
    Linked(String),
    /// What was asked for, after a while.
    Slow(Duration),
    /// More and more bytes, without a word of how many.
    Endless,
}

/// One question.
#[derive(Clone, Debug)]
pub struct Asked {
    pub number: usize,
    pub path: String,
    pub range: Option<String>,
    pub if_range: Option<String>,
    pub token: Option<String>,
    /// All of its headers.
    pub headers: String,
}

/// The server, for as long as the value lives.
pub struct Server {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    serving: JoinHandle<io::Result<()>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Server {
    pub async fn start(decide: impl Fn(&Asked) -> Answer + Clone + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let all = Arc::clone(&asked);
        let app = Router::new().fallback(move |request: Request| {
            let (all, decide) = (Arc::clone(&all), decide.clone());
            async move {
                let asked = understood(&request, &all);
                answered(&asked, decide(&asked)).await
            }
        });
        let serving = tokio::spawn(async move { axum::serve(listener, app).await });
        Self { port, asked, serving }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub fn paths(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.path).collect()
    }
}

pub fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn understood(request: &Request, all: &Mutex<Vec<Asked>>) -> Asked {
    let mut all = all.lock().unwrap();
    let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let asked = Asked {
        number: all.len(),
        path: request.uri().path().to_owned(),
        range: header("range"),
        if_range: header("if-range"),
        token: header("authorization"),
        headers: request
            .headers()
            .iter()
            .map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap()))
            .collect(),
    };
    all.push(asked.clone());
    asked
}

async fn answered(asked: &Asked, answer: Answer) -> Response<Body> {
    let content = if asked.path.ends_with("config.json") { "{}" } else { WEIGHTS };
    let from = asked.range.as_deref().map_or(0, |range| {
        range.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap().parse::<usize>().unwrap()
    });
    let empty = |status: u16| Response::builder().status(status).body(Body::empty()).unwrap();
    match answer {
        Answer::Good => part(content, from, asked),
        Answer::Slow(pause) => {
            tokio::time::sleep(pause).await;
            part(content, from, asked)
        }
        Answer::Bytes(bytes) => part(&bytes, from, asked),
        Answer::NoRanges => part(content, 0, asked),
        Answer::OtherTag => {
            Response::builder().header("etag", "\"other\"").body(Body::from(content)).unwrap()
        }
        Answer::Cut(count) => {
            let first = Bytes::copy_from_slice(&content.as_bytes()[from..from + count]);
            // The pause lets the bytes arrive before the connection breaks.
            let chunks = stream::unfold(Some(first), |first| async move {
                match first {
                    Some(first) if first.is_empty() => None,
                    Some(first) => Some((Ok(first), None)),
                    None => {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        Some((Err(io::Error::other("cut")), Some(Bytes::new())))
                    }
                }
            });
            head(content, from).body(Body::from_stream(chunks)).unwrap()
        }
        Answer::Later(value) => {
            let value = if value == "DATE" { httpdate::fmt_http_date(soon()) } else { value };
            Response::builder().status(429).header("retry-after", value).body(Body::empty()).unwrap()
        }
        Answer::Status(status) => empty(status),
        Answer::Endless => {
            let chunks = stream::repeat_with(|| Ok::<_, io::Error>(Bytes::from_static(&[b'x'; 4096])));
            Response::builder().body(Body::from_stream(chunks)).unwrap()
        }
        Answer::Redirect(to) => {
            let location = format!("{to}{}?Signature=x", asked.path);
            Response::builder().status(302).header("location", location).body(Body::empty()).unwrap()
        }
        Answer::Loop => {
            Response::builder().status(307).header("location", "/again").body(Body::empty()).unwrap()
        }
        Answer::Linked(hash) => {
            let mut response = part(content, from, asked);
            response.headers_mut().insert("x-linked-etag", format!("\"{hash}\"").parse().unwrap());
            response
        }
    }
}

/// One second from now.
fn soon() -> SystemTime {
    let now = u64::try_from(clock::now().as_second()).unwrap();
    SystemTime::UNIX_EPOCH + Duration::from_secs(now + 1)
}

fn head(content: &str, from: usize) -> axum::http::response::Builder {
    let length = content.len() - from;
    let builder = Response::builder()
        .header("etag", format!("\"{}\"", sha256(content)))
        .header("content-length", length);
    if from == 0 {
        return builder;
    }
    let range = format!("bytes {from}-{}/{}", content.len() - 1, content.len());
    builder.status(StatusCode::PARTIAL_CONTENT).header("content-range", range)
}

fn part(content: &str, from: usize, asked: &Asked) -> Response<Body> {
    let is_current = asked.if_range.as_ref().is_none_or(|tag| *tag == format!("\"{}\"", sha256(content)));
    let from = if is_current && from < content.len() { from } else { 0 };
    head(content, from).body(Body::from(content[from..].to_owned())).unwrap()
}
