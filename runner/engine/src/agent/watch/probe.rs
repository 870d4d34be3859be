//! One question to one service.

use std::error::Error;
use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use reqwest::{Client, Response};
use serde_json::{Value, json};
use testbed_model::stack::Probe;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::host::web;

/// Enough of an answer's body for a message.
const EXCERPT: usize = 160;

/// Where a service does not even refuse, its address is not there yet; asking again soon finds out sooner than waiting.
const CONNECT_PATIENCE: Duration = Duration::from_millis(250);

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// What was hoped for.
    Hoped(String),
    /// Something else, or a refusal.
    Other(String),
    /// Nothing in time.
    None,
}

/// Somebody who asks. Cloning is cheap; clones share connections.
#[derive(Clone, Debug)]
pub struct Prober {
    client: Client,
}

impl Prober {
    /// One that knows nobody yet.
    pub fn new() -> Result<Self, reqwest::Error> {
        let client =
            web::unencrypted().no_proxy().connect_timeout(CONNECT_PATIENCE).tcp_nodelay(true).build()?;
        Ok(Self { client })
    }

    /// Its connections, for other questions.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Asks once.
    pub async fn ask(&self, address: Ipv4Addr, probe: &Probe, patience: Duration) -> Answer {
        let asking = async {
            match probe {
                Probe::Tcp { port } => tcp(address, *port).await,
                Probe::Http { port, path, contains } => {
                    self.http(&format!("http://{address}:{port}{path}"), contains.as_deref()).await
                }
                Probe::Chat { port, model } => {
                    self.chat(&format!("http://{address}:{port}/v1/chat/completions"), model).await
                }
            }
        };
        timeout(patience, asking).await.unwrap_or(Answer::None)
    }

    async fn http(&self, url: &str, contains: Option<&str>) -> Answer {
        let (status, body) = match read(self.client.get(url).send().await).await {
            Ok(answer) => answer,
            Err(other) => return other,
        };
        if status != 200 {
            return Answer::Other(words(status, &body));
        }
        match contains {
            Some(text) if !body.contains(text) => {
                Answer::Other(format!("{}, without `{text}`", words(status, &body)))
            }
            _ => Answer::Hoped(words(status, &body)),
        }
    }

    async fn chat(&self, url: &str, model: &str) -> Answer {
        let question = json!({
            "model": model,
            "messages": [{ "role": "user", "content": "ready?" }],
            "max_tokens": 1,
            "stream": false,
        });
        let (status, body) = match read(self.client.post(url).json(&question).send().await).await {
            Ok(answer) => answer,
            Err(other) => return other,
        };
        let tokens = serde_json::from_str::<Value>(&body).ok().and_then(|body| {
            let counted = body.pointer("/usage/completion_tokens")?.as_u64()?;
            body.pointer("/choices/0")?.is_object().then_some(counted)
        });
        match tokens {
            Some(1) if status == 200 => Answer::Hoped("200 chat completion of one token".to_owned()),
            Some(tokens @ 2..) if status == 200 => {
                Answer::Hoped(format!("200 chat completion of {tokens} tokens"))
            }
            _ => Answer::Other(words(status, &body)),
        }
    }
}

async fn tcp(address: Ipv4Addr, port: u16) -> Answer {
    match timeout(CONNECT_PATIENCE, TcpStream::connect((address, port))).await {
        Ok(Ok(_)) => Answer::Hoped("connection accepted".to_owned()),
        Ok(Err(e)) => Answer::Other(io_words(&e)),
        Err(_) => Answer::None,
    }
}

async fn read(response: Result<Response, reqwest::Error>) -> Result<(u16, String), Answer> {
    let response = response.map_err(|e| failed(&e))?;
    let status = response.status().as_u16();
    let body = response.text().await.map_err(|e| failed(&e))?;
    Ok((status, body))
}

fn failed(error: &reqwest::Error) -> Answer {
    if error.is_timeout() {
        return Answer::None;
    }
    let mut cause: &dyn Error = error;
    loop {
        if let Some(io) = cause.downcast_ref::<io::Error>()
            && io.raw_os_error().is_some()
        {
            return Answer::Other(io_words(io));
        }
        match cause.source() {
            Some(source) => cause = source,
            None => return Answer::Other(cause.to_string()),
        }
    }
}

/// `connection refused` instead of `Connection refused (os error 111)`.
fn io_words(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split_once(" (os error").map_or(text.as_str(), |(words, _)| words);
    text.to_lowercase()
}

fn words(status: u16, body: &str) -> String {
    let line = body.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut excerpt: String = line.chars().take(EXCERPT).collect();
    if excerpt.len() < line.len() {
        excerpt.push('…');
    }
    format!("{status} {excerpt}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use axum::Router;
    use axum::routing::{get, post};
    use testbed_model::stack::Probe;

    use super::{Answer, Prober};

    const LOOPBACK: Ipv4Addr = Ipv4Addr::LOCALHOST;
    const PATIENCE: Duration = Duration::from_secs(5);

    async fn serve(app: Router) -> u16 {
        let listener = tokio::net::TcpListener::bind((LOOPBACK, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        port
    }

    async fn ask(probe: Probe) -> Answer {
        Prober::new().unwrap().ask(LOOPBACK, &probe, PATIENCE).await
    }

    fn http(port: u16, path: &str, contains: Option<&str>) -> Probe {
        Probe::Http { port, path: path.to_owned(), contains: contains.map(str::to_owned) }
    }

    #[tokio::test]
    async fn a_status_a_body_and_a_missing_text_are_told_apart() {
        let app = Router::new()
            .route("/ok", get(|| async { "all\n  well" }))
            .route("/not", get(|| async { (axum::http::StatusCode::SERVICE_UNAVAILABLE, "not yet") }));
        let port = serve(app).await;
        assert_eq!(ask(http(port, "/ok", None)).await, Answer::Hoped("200 all well".to_owned()));
        assert_eq!(ask(http(port, "/ok", Some("well"))).await, Answer::Hoped("200 all well".to_owned()));
        assert_eq!(
            ask(http(port, "/ok", Some("tiny"))).await,
            Answer::Other("200 all well, without `tiny`".to_owned())
        );
        assert_eq!(ask(http(port, "/not", None)).await, Answer::Other("503 not yet".to_owned()));
        assert_eq!(ask(Probe::Tcp { port }).await, Answer::Hoped("connection accepted".to_owned()));
    }

    #[tokio::test]
    async fn a_closed_port_refuses() {
        let listener = tokio::net::TcpListener::bind((LOOPBACK, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let refused = Answer::Other("connection refused".to_owned());
        assert_eq!(ask(Probe::Tcp { port }).await, refused);
        assert_eq!(ask(http(port, "/", None)).await, refused);
    }

    #[tokio::test]
    async fn a_chat_counts_only_with_a_token() {
        let answer = |tokens: u64| {
            let body = format!(r#"{{"choices":[{{"index":0}}],"usage":{{"completion_tokens":{tokens}}}}}"#);
            post(move || async move { body })
        };
        for (tokens, hoped) in [(0, false), (1, true), (3, true)] {
            let port = serve(Router::new().route("/v1/chat/completions", answer(tokens))).await;
            let answer = ask(Probe::Chat { port, model: "tiny".to_owned() }).await;
            assert_eq!(matches!(answer, Answer::Hoped(_)), hoped, "{tokens}: {answer:?}");
        }
    }

    #[tokio::test]
    async fn silence_is_no_answer() {
        let app = Router::new().route("/", get(|| async { std::future::pending::<&str>().await }));
        let port = serve(app).await;
        let answer =
            Prober::new().unwrap().ask(LOOPBACK, &http(port, "/", None), Duration::from_millis(50)).await;
        assert_eq!(answer, Answer::None);
    }
}
