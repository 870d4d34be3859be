//! The unix socket through which a case asks for a change of its stack.
//!
//! One connection carries requests and their answers, a JSON object a line each. The agent passes a request on under a
//! number and gives the connection what comes back under that number.

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

type Object = Map<String, Value>;

/// A request and where its answer goes.
type Asked = (Object, oneshot::Sender<Object>);

/// Requests that came, and those that wait for an answer.
#[derive(Debug)]
pub(super) struct Control {
    asked: UnboundedReceiver<Asked>,
    waiting: HashMap<u64, oneshot::Sender<Object>>,
    next: u64,
    /// Keeps the channel open where there is no socket, so that waiting for a request never ends.
    _sender: UnboundedSender<Asked>,
}

impl Control {
    /// Listens at a path, if the stack offers control.
    pub(super) fn listen(path: Option<&str>) -> Result<Self, String> {
        let (sender, asked) = unbounded_channel();
        if let Some(path) = path {
            let listener = UnixListener::bind(path)
                .map_err(|error| format!("cannot listen at the control socket `{path}`: {error}"))?;
            tokio::spawn(accept(listener, sender.clone()));
        }
        Ok(Self { asked, waiting: HashMap::new(), next: 0, _sender: sender })
    }

    /// Waits for the next request and gives it with its number.
    pub(super) async fn request(&mut self) -> (u64, Object) {
        loop {
            match self.asked.recv().await {
                Some((request, answer)) => {
                    self.next += 1;
                    self.waiting.insert(self.next, answer);
                    return (self.next, request);
                }
                None => std::future::pending().await,
            }
        }
    }

    /// Gives the asking case its answer. A case that is gone does not hear it.
    pub(super) fn reply(&mut self, id: u64, answer: Object) {
        if let Some(waiting) = self.waiting.remove(&id) {
            let _ = waiting.send(answer);
        }
    }
}

async fn accept(listener: UnixListener, sender: UnboundedSender<Asked>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(converse(stream, sender.clone()));
    }
}

async fn converse(stream: UnixStream, sender: UnboundedSender<Asked>) {
    let (input, mut output) = stream.into_split();
    let mut lines = BufReader::new(input).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let answer = match serde_json::from_str::<Object>(&line) {
            Ok(request) => ask(request, &sender).await,
            Err(error) => refusal(&format!("the request is not a JSON object: {error}")),
        };
        let mut line = Value::Object(answer).to_string();
        line.push('\n');
        if output.write_all(line.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn ask(request: Object, sender: &UnboundedSender<Asked>) -> Object {
    let (answer, answered) = oneshot::channel();
    let gone = || refusal("the run is ending");
    if sender.send((request, answer)).is_err() {
        return gone();
    }
    answered.await.unwrap_or_else(|_| gone())
}

fn refusal(error: &str) -> Object {
    Object::from_iter([("ok".to_owned(), json!(false)), ("error".to_owned(), json!(error))])
}
