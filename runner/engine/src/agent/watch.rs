//! The agent that watches a stack from inside its network: it asks services the questions that it is given until they
//! answer, and answers questions for names that do not exist, so that nobody waits for a name server out of reach.
//!
//! One JSON object a line each way: [`Order`]s come in on standard input, [`Report`]s go out on standard output. It ends
//! when its input does, unless it was told to stay.

pub mod dns;
pub mod message;
mod metrics;
mod pace;
mod probe;

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::AbortHandle;

use crate::host::clock::Clock;
use message::{Order, Question, Report, STAY};
use pace::{Change, Pace};
use probe::{Answer, Prober};

/// Executes the agent until its input ends. Returns the process's exit code.
pub async fn main(arguments: Vec<String>) -> u8 {
    let (reports, written) = unbounded_channel();
    let writer = tokio::spawn(write_reports(written));
    let mut names = tokio::spawn(dns::serve(reports.clone()));
    if read_orders(&reports).await.is_err() {
        return 1;
    }
    if arguments.iter().any(|argument| argument == STAY) {
        // Names are answered for as long as the container lives.
        let _ = (&mut names).await;
    }
    drop(reports);
    names.abort();
    let _ = writer.await;
    0
}

async fn read_orders(reports: &UnboundedSender<Report>) -> io::Result<()> {
    let prober = Prober::new().map_err(io::Error::other)?;
    let mut asked: HashMap<String, AbortHandle> = HashMap::new();
    let mut looked: HashMap<String, AbortHandle> = HashMap::new();
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let stopped = match serde_json::from_str::<Order>(&line) {
            Ok(Order::Ask(question)) => {
                let id = question.id.clone();
                let asking = tokio::spawn(ask(prober.clone(), question, reports.clone()));
                asked.insert(id, asking.abort_handle())
            }
            Ok(Order::Forget { id }) => asked.remove(&id),
            Ok(Order::Look { id, address, port }) => {
                let looking = metrics::look(id.clone(), address, port, prober.client(), reports.clone());
                looked.insert(id, tokio::spawn(looking).abort_handle())
            }
            Err(e) => {
                let _ = reports.send(Report::Trouble { message: format!("order not understood: {e}") });
                None
            }
        };
        if let Some(stopped) = stopped {
            stopped.abort();
        }
    }
    for asking in asked.into_values().chain(looked.into_values()) {
        asking.abort();
    }
    Ok(())
}

/// Asks until the answer is the one hoped for, and reports answers that differ from the one before.
async fn ask(prober: Prober, question: Question, reports: UnboundedSender<Report>) {
    let clock = Clock::start();
    let mut pace = Pace::default();
    let mut change = Change::default();
    let mut failed_at_us = 0;
    loop {
        let asked_at_us = clock.elapsed_us();
        match prober.ask(question.address, &question.probe, pace.patience()).await {
            Answer::Hoped(answer) => {
                let window_us = clock.elapsed_us().saturating_sub(failed_at_us);
                let _ = reports.send(Report::Success { id: question.id, answer, window_us });
                return;
            }
            Answer::Other(answer) => {
                failed_at_us = asked_at_us;
                if change.is_news(&answer) {
                    let _ = reports.send(Report::Answer { id: question.id.clone(), answer });
                }
            }
            Answer::None => {
                failed_at_us = asked_at_us;
                pace.be_patient();
                let answer = "no answer in time".to_owned();
                if change.is_news(&answer) {
                    let _ = reports.send(Report::Answer { id: question.id.clone(), answer });
                }
            }
        }
        tokio::time::sleep(pace.pause()).await;
    }
}

async fn write_reports(mut reports: UnboundedReceiver<Report>) {
    let mut output = tokio::io::stdout();
    while let Some(report) = reports.recv().await {
        let Ok(mut line) = serde_json::to_vec(&report) else { continue };
        line.push(b'\n');
        // Nobody listens any more: the input will end as well.
        if output.write_all(&line).await.is_err() || output.flush().await.is_err() {
            return;
        }
    }
}

/// How long one question may take before it is asked again.
const SHORTEST_PATIENCE: Duration = Duration::from_secs(2);

/// A real engine may need this long for its first answer.
const LONGEST_PATIENCE: Duration = Duration::from_mins(1);
