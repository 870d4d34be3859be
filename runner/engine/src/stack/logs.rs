//! Every line that a service logs, from its first start on, as events.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt;
use jiff::{SignedDuration, Timestamp};
use testbed_model::event::Event;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::docker::{ContainerId, Daemon};
use crate::events::Events;

/// A follower ends with its container; longer than this only a stuck daemon takes.
const LAST_LINES: Duration = Duration::from_secs(2);

/// The followers of a stack's logs, one a service.
#[derive(Debug, Default)]
pub struct LogFollowers {
    services: BTreeMap<String, Follower>,
}

#[derive(Debug)]
struct Follower {
    starts: UnboundedSender<()>,
    task: JoinHandle<()>,
}

impl LogFollowers {
    /// Follows a container that has been started, also when it is not for the first time. From the first time counts what it
    /// logs after that moment; without one, all.
    pub fn follow(
        &mut self,
        (daemon, events): (&Daemon, &Events),
        (stack, service): (&str, &str),
        id: &ContainerId,
        since: Option<Timestamp>,
    ) {
        let follower = self.services.entry(service.to_owned()).or_insert_with(|| {
            let (starts, started) = unbounded_channel();
            let (stack, service) = (stack.to_owned(), service.to_owned());
            let task = tokio::spawn(follow(
                daemon.clone(),
                events.clone(),
                stack,
                service,
                id.clone(),
                started,
                since,
            ));
            Follower { starts, task }
        });
        // A follower that is gone has nobody to tell; that happens at teardown only.
        let _ = follower.starts.send(());
    }

    /// Follows no service any more, though they go on.
    pub async fn let_go(self) {
        for Follower { task, .. } in self.services.into_values() {
            task.abort();
            // Only when the task is gone does it hold no handle to emit events.
            let _ = task.await;
        }
    }

    /// Waits until the last line of an ended container has been passed on.
    pub fn last_lines(&mut self, service: &str) -> impl Future<Output = ()> + use<> {
        let follower = self.services.remove(service);
        async move {
            if let Some(Follower { starts, mut task }) = follower {
                drop(starts);
                if timeout(LAST_LINES, &mut task).await.is_err() {
                    task.abort();
                }
            }
        }
    }
}

async fn follow(
    daemon: Daemon,
    events: Events,
    stack: String,
    service: String,
    id: ContainerId,
    mut starts: UnboundedReceiver<()>,
    mut since: Option<Timestamp>,
) {
    while starts.recv().await.is_some() {
        // Docker Engine 20.10 can end the stream before the last line of a container that ends quickly, so it is asked
        // once more for what is left.
        for _ in 0..2 {
            let mut lines = daemon.follow_logs(&id, since);
            while let Some(line) = lines.next().await {
                match line {
                    Ok(line) => {
                        // What was passed on is not asked for again. The latest time counts, for lines of standard output
                        // and standard error can come in another order than they were written in.
                        since = since.max(line.at.checked_add(SignedDuration::from_nanos(1)).ok());
                        let (stack, service) = (stack.clone(), service.clone());
                        events.emit_written(Event::ServiceLog { stack, service, line: line.line }, line.at);
                    }
                    Err(e) if e.is_not_found() => return,
                    Err(e) => {
                        let message = format!("the log of `{service}` in stack `{stack}` is not whole: {e}");
                        events.emit(Event::Warning { message, hint: None });
                        break;
                    }
                }
            }
        }
    }
}
