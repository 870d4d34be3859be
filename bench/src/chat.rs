//! The question that decides for every contestant alike: does a chat completion of one token come back?

use std::net::Ipv4Addr;
use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};
use testbed_engine::host::web;
use testbed_model::stack::{Probe, Ready};
use tokio::time::{sleep, timeout};

use crate::error::BenchError;

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(20);

/// For one answer; the address may still be about to appear.
const PATIENCE: Duration = Duration::from_secs(5);
const CONNECT_PATIENCE: Duration = Duration::from_millis(250);

/// For the whole stack, in seconds.
const DEADLINE: u64 = 90;

/// Somebody who asks from the host.
#[derive(Clone, Debug)]
pub struct Asker {
    client: Client,
    url: String,
    model: String,
}

impl Asker {
    /// Asks what the stack's own ready probe asks, at an address of the bench's choice.
    pub fn new(ready: &Ready, address: Ipv4Addr) -> Result<Self, BenchError> {
        let Probe::Chat { port, model } = &ready.probe else {
            return Err(BenchError::Missing {
                message: "the stack is not ready by a chat".to_owned(),
                hint: "measure a profile whose stack says `ready: {chat: ...}`",
            });
        };
        let client =
            web::unencrypted().no_proxy().connect_timeout(CONNECT_PATIENCE).tcp_nodelay(true).build();
        let client = client.map_err(|e| BenchError::Missing {
            message: format!("no HTTP client: {e}"),
            hint: "check the host's resolver configuration",
        })?;
        Ok(Self { client, url: format!("http://{address}:{port}/v1/chat/completions"), model: model.clone() })
    }

    /// Asks until an answer with a token came back.
    pub async fn first_answer(&self) -> Result<(), BenchError> {
        let asking = async {
            while !self.ask().await {
                sleep(PAUSE).await;
            }
        };
        let late = |_| BenchError::Late { what: "the first chat".to_owned(), seconds: DEADLINE };
        timeout(Duration::from_secs(DEADLINE), asking).await.map_err(late)
    }

    async fn ask(&self) -> bool {
        let question = json!({
            "model": self.model,
            "messages": [{ "role": "user", "content": "ready?" }],
            "max_tokens": 1,
        });
        let asked = self.client.post(&self.url).json(&question).timeout(PATIENCE).send().await;
        let Ok(answer) = asked else { return false };
        let good = answer.status() == 200;
        let Ok(body) = answer.text().await else { return false };
        good && has_token(&body)
    }
}

/// Whether the answer counts at least one token.
pub fn has_token(body: &str) -> bool {
    let body = serde_json::from_str::<Value>(body).unwrap_or_default();
    body.pointer("/usage/completion_tokens").and_then(Value::as_u64).is_some_and(|tokens| tokens > 0)
}

#[cfg(test)]
mod tests {
    use super::has_token;

    #[test]
    fn only_an_answer_with_a_token_counts() {
        assert!(has_token(r#"{"usage":{"completion_tokens":1}}"#));
        assert!(!has_token(r#"{"usage":{"completion_tokens":0}}"#));
        assert!(!has_token(r#"{"error":"model not found"}"#));
        assert!(!has_token("not JSON"));
    }
}
