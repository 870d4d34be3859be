//! What the bench does inside containers: it asks services, once as a health check, or as tightly as possible to learn the
//! moment from which they serve. It shares nothing with Testbed's own watching agent.

use std::net::Ipv4Addr;
use std::time::Duration;

use reqwest::Client;
use serde::{Deserialize, Serialize};
use serde_json::json;
use testbed_engine::host::clock::now;
use testbed_engine::host::web;
use testbed_model::stack::Probe;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::{sleep, timeout};

use crate::chat::has_token;

/// Between an answer in vain and the next question.
const PAUSE: Duration = Duration::from_millis(2);

/// For one answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// For a connection. A service's address exists before it is asked, so a connection is made or refused at once.
const CONNECT_PATIENCE: Duration = Duration::from_millis(100);

/// What the prober is to ask, one JSON object a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// Name of the question.
    pub id: String,
    /// Whom.
    pub address: Ipv4Addr,
    /// What.
    pub probe: Probe,
}

/// When a service began to serve, as narrowly as it was seen, by the wall clock that all containers of a host share, in
/// microseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// Name of the question.
    pub id: String,
    /// When the first question was asked.
    pub first_us: i64,
    /// When the last question that was answered in vain was asked: at that moment the service did not serve yet. None if
    /// the first question was answered well.
    pub in_vain_us: Option<i64>,
    /// When the good answer was there.
    pub served_us: i64,
    /// How many questions it took.
    pub questions: u32,
}

/// Asks one question of this container's own service. Returns the exit code.
pub async fn check(question: &str) -> u8 {
    let Ok(probe) = serde_json::from_str(question) else { return 2 };
    let Some(client) = client() else { return 2 };
    u8::from(!serves(&client, Ipv4Addr::LOCALHOST, &probe).await)
}

/// Answers the questions that come in on standard input with sightings on standard output, until the input ends.
pub async fn probe() -> u8 {
    let Some(client) = client() else { return 2 };
    let (sender, mut sightings) = unbounded_channel();
    let writer = tokio::spawn(async move {
        let mut output = tokio::io::stdout();
        while let Some(sighting) = sightings.recv().await {
            let Ok(mut line) = serde_json::to_vec(&sighting) else { continue };
            line.push(b'\n');
            if output.write_all(&line).await.is_err() || output.flush().await.is_err() {
                return;
            }
        }
    });
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Ok(question) = serde_json::from_str(&line) {
            tokio::spawn(watch(client.clone(), question, sender.clone()));
        }
    }
    writer.abort();
    0
}

async fn watch(client: Client, question: Question, sightings: UnboundedSender<Sighting>) {
    let first_us = now().as_microsecond();
    let mut in_vain_us = None;
    let mut questions = 0;
    loop {
        let asked_us = now().as_microsecond();
        questions += 1;
        if serves(&client, question.address, &question.probe).await {
            let served_us = now().as_microsecond();
            // Nobody listens any more: the input ends as well.
            let _ = sightings.send(Sighting { id: question.id, first_us, in_vain_us, served_us, questions });
            return;
        }
        in_vain_us = Some(asked_us);
        sleep(PAUSE).await;
    }
}

fn client() -> Option<Client> {
    web::unencrypted().no_proxy().connect_timeout(CONNECT_PATIENCE).tcp_nodelay(true).build().ok()
}

async fn serves(client: &Client, address: Ipv4Addr, probe: &Probe) -> bool {
    let asking = async {
        match probe {
            Probe::Tcp { port } => TcpStream::connect((address, *port)).await.is_ok(),
            Probe::Http { port, path, contains } => {
                let answer = client.get(format!("http://{address}:{port}{path}")).send().await;
                let body = good_body(answer).await;
                body.is_some_and(|body| contains.as_ref().is_none_or(|text| body.contains(text)))
            }
            Probe::Chat { port, model } => {
                let question = json!({
                    "model": model,
                    "messages": [{ "role": "user", "content": "ready?" }],
                    "max_tokens": 1,
                });
                let url = format!("http://{address}:{port}/v1/chat/completions");
                let body = good_body(client.post(url).json(&question).send().await).await;
                body.is_some_and(|body| has_token(&body))
            }
        }
    };
    timeout(PATIENCE, asking).await.unwrap_or(false)
}

async fn good_body(answer: Result<reqwest::Response, reqwest::Error>) -> Option<String> {
    let answer = answer.ok()?;
    let good = answer.status() == 200;
    let body = answer.text().await.ok()?;
    good.then_some(body)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use testbed_engine::host::clock::now;
    use testbed_model::stack::Probe;
    use tokio::net::TcpListener;
    use tokio::sync::mpsc::unbounded_channel;

    use super::{Question, Sighting, check, client, watch};

    #[test]
    fn messages_are_lines_that_read_back() {
        let sighting =
            Sighting { id: "nats".to_owned(), first_us: 0, in_vain_us: Some(1), served_us: 2, questions: 3 };
        let line = serde_json::to_string(&sighting).unwrap();
        assert_eq!(serde_json::from_str::<Sighting>(&line).unwrap(), sighting);
    }

    #[tokio::test]
    async fn a_sighting_lies_around_the_moment_of_listening() {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let (sender, mut sightings) = unbounded_channel();
        let question =
            Question { id: "a".to_owned(), address: Ipv4Addr::LOCALHOST, probe: Probe::Tcp { port } };
        let watching = tokio::spawn(watch(client().unwrap(), question, sender));
        tokio::time::sleep(Duration::from_millis(30)).await;
        let before = now().as_microsecond();
        let _listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        let after = now().as_microsecond();
        let sighting = sightings.recv().await.unwrap();
        watching.await.unwrap();
        assert!(sighting.in_vain_us.unwrap() <= after, "{sighting:?} {before} {after}");
        assert!(sighting.served_us >= before, "{sighting:?} {before} {after}");
        assert!(sighting.questions > 1);
    }

    #[tokio::test]
    async fn a_check_that_cannot_be_read_is_not_a_refusal() {
        assert_eq!(check("nonsense").await, 2);
        assert_eq!(check(r#"{"tcp":{"port":1}}"#).await, 1);
    }
}
