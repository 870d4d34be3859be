//! The runner's end of the line to its watching agent.

use futures_util::{StreamExt, pin_mut};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::agent::watch::message::{Order, Report};
use crate::docker::{Attached, ContainerId, ContainerSpec, Daemon, DaemonError, StdStream, lines_of};

/// What comes over the line.
#[derive(Debug)]
pub enum Heard {
    /// The agent's container is there.
    Created(ContainerId),
    /// It runs.
    Started,
    /// The agent says something.
    Report(Report),
    /// The daemon did not let the agent come up.
    Refused(DaemonError),
    /// The agent has ended; these were its last words.
    Ended(String),
}

/// A line to an agent that is coming up. Orders can be given at once; they wait until it listens.
#[derive(Debug)]
pub struct AgentLink {
    orders: UnboundedSender<Order>,
    heard: UnboundedReceiver<Heard>,
    task: JoinHandle<()>,
}

impl AgentLink {
    /// Creates the agent's container at once, and starts it when it may.
    pub fn open(daemon: &Daemon, spec: ContainerSpec, may_start: watch::Receiver<bool>) -> Self {
        let (orders, ordered) = unbounded_channel();
        let (hearing, heard) = unbounded_channel();
        let daemon = daemon.clone();
        let task = tokio::spawn(async move {
            let last = match bring_up(&daemon, &spec, may_start, &hearing).await {
                Ok(Some(attached)) => Heard::Ended(talk(attached, ordered, &hearing).await),
                Ok(None) => return,
                Err(e) => Heard::Refused(e),
            };
            let _ = hearing.send(last);
        });
        Self { orders, heard, task }
    }

    /// Gives an order.
    pub fn order(&self, order: Order) {
        // An agent that is gone is reported on the way back.
        let _ = self.orders.send(order);
    }

    /// What comes next; none when nothing will come any more.
    pub async fn next(&mut self) -> Option<Heard> {
        self.heard.recv().await
    }

    /// Hangs up, and returns once no request to the daemon is under way; what was heard meanwhile comes back.
    pub async fn close(self) -> Vec<Heard> {
        let Self { orders, mut heard, task } = self;
        drop(orders);
        let mut rest = Vec::new();
        while let Some(heard) = heard.recv().await {
            rest.push(heard);
        }
        let _ = task.await;
        rest
    }
}

async fn bring_up(
    daemon: &Daemon,
    spec: &ContainerSpec,
    mut may_start: watch::Receiver<bool>,
    hearing: &UnboundedSender<Heard>,
) -> Result<Option<Attached>, DaemonError> {
    let id = daemon.create_container(spec).await?;
    let _ = hearing.send(Heard::Created(id.clone()));
    let attached = daemon.attach(&id).await?;
    // Nobody will let it start any more: the bring-up was given up.
    if may_start.wait_for(|may| *may).await.is_err() {
        return Ok(None);
    }
    daemon.start(&id).await?;
    let _ = hearing.send(Heard::Started);
    Ok(Some(attached))
}

/// Passes orders and reports on until the agent ends or the runner hangs up. Returns the agent's last words.
async fn talk(
    attached: Attached,
    mut orders: UnboundedReceiver<Order>,
    hearing: &UnboundedSender<Heard>,
) -> String {
    let Attached { mut input, output } = attached;
    let lines = lines_of(output);
    pin_mut!(lines);
    let mut last_words = String::new();
    loop {
        tokio::select! {
            order = orders.recv() => {
                let Some(order) = order else { return last_words };
                let Ok(mut line) = serde_json::to_vec(&order) else { continue };
                line.push(b'\n');
                if input.write_all(&line).await.is_err() || input.flush().await.is_err() {
                    return last_words;
                }
            }
            line = lines.next() => match line {
                Some(Ok((StdStream::Stdout, line))) => match serde_json::from_str::<Report>(&line) {
                    Ok(report) => drop(hearing.send(Heard::Report(report))),
                    Err(_) => last_words = line,
                },
                Some(Ok((StdStream::Stderr, line))) => last_words = line,
                Some(Err(e)) => return e.to_string(),
                None => return last_words,
            },
        }
    }
}
