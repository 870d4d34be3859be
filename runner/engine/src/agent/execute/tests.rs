//! The agent on this host, with the shell as its tool: everything besides being the first process.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::{Voice, run};
use crate::exec::job::{EventPipe, Job, OnFailure, Order, Output, ProjectCopy, Said, Step, StepEnd, Stream};

/// A writer whose content can be read while it is written to.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Heard {
    fn said(&self) -> Vec<Said> {
        let bytes = self.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits until something was said for which `found` holds.
    async fn wait(&self, found: impl Fn(&Said) -> bool) {
        for _ in 0..500 {
            if self.said().iter().any(&found) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never said: {:?}", self.said());
    }
}

fn shell(id: &str, script: &str) -> Step {
    let argv = ["sh", "-c", script].map(str::to_owned).to_vec();
    Step { id: id.to_owned(), argv, ..Step::default() }
}

fn job(folder: &Path, steps: Vec<Step>) -> Job {
    Job { folder: folder.display().to_string(), steps, grace_ms: 300, ..Job::default() }
}

/// A job at work: its orders, what it says, and its exit code to wait for.
fn begin(job: Job) -> (UnboundedSender<Order>, Heard, tokio::task::JoinHandle<i32>) {
    let ((jobs, job_receiver), (orders, order_receiver)) = (unbounded_channel(), unbounded_channel());
    jobs.send(job).unwrap();
    let heard = Heard::default();
    let task = tokio::spawn(run(job_receiver, order_receiver, Voice::new(heard.clone())));
    (orders, heard, task)
}

async fn finished(job: Job) -> (Vec<Said>, i32) {
    let (_orders, heard, task) = begin(job);
    let code = tokio::time::timeout(Duration::from_secs(20), task).await.unwrap().unwrap();
    (heard.said(), code)
}

fn lines(said: &[Said]) -> Vec<&str> {
    said.iter()
        .filter_map(|said| match said {
            Said::Line { line, .. } => Some(line.as_str()),
            _ => None,
        })
        .collect()
}

fn ends(said: &[Said]) -> Vec<(&str, &StepEnd)> {
    said.iter()
        .filter_map(|said| match said {
            Said::StepFinished { step, end, .. } => Some((step.as_str(), end)),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn a_job_copies_writes_sets_up_and_executes_in_order() {
    let (project, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(project.path().join("a"), "content").unwrap();
    let at = |name: &str| scratch.path().join(name).display().to_string();
    let job = Job {
        project: Some(ProjectCopy {
            from: project.path().display().to_string(),
            to: scratch.path().display().to_string(),
            files: vec!["a".to_owned()],
        }),
        folders: vec![at("made")],
        files: BTreeMap::from([(at("etc/facts.json"), "{}".to_owned())]),
        environment: BTreeMap::from([("WORD".to_owned(), "said".to_owned())]),
        setup: vec![vec!["touch".to_owned(), "made/by-setup".to_owned()]],
        ..job(
            scratch.path(),
            vec![shell("one", "cat a; echo; ls made; cat etc/facts.json; echo; echo $WORD")],
        )
    };
    let (said, code) = finished(job).await;
    assert_eq!(code, 0);
    assert!(matches!(said[0], Said::Prepared { files: 1, bytes: 7, .. }), "{said:?}");
    assert_eq!(lines(&said), ["content", "by-setup", "{}", "said"]);
    assert_eq!(said.last(), Some(&Said::Exit { code: 0 }));
}

#[tokio::test]
async fn a_tool_is_found_in_the_folders_in_front_of_path() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let tool = folder.path().join("only-here");
    fs::write(&tool, "#!/bin/sh\necho found\n").unwrap();
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
    let path = vec![folder.path().display().to_string()];
    let (said, code) =
        finished(Job { path, ..job(folder.path(), vec![shell("x", "only-here && cat /dev/null")]) }).await;
    assert_eq!((lines(&said), code), (vec!["found"], 0));
}

#[tokio::test]
async fn modules_are_found_in_folders_in_front_of_what_the_suite_says() {
    let folder = tempfile::tempdir().unwrap();
    let mut job = job(folder.path(), vec![shell("x", "echo $PYTHONPATH")]);
    job.environment.insert("PYTHONPATH".to_owned(), "src:lib".to_owned());
    job.python_path = vec!["/plugin".to_owned()];
    let (said, _) = finished(job).await;
    assert!(lines(&said)[0].starts_with("/plugin:src:lib"), "{said:?}");
}

#[tokio::test]
async fn merged_output_keeps_its_order_and_split_output_its_streams() {
    let folder = tempfile::tempdir().unwrap();
    let script = "for i in 1 2 3; do echo out $i; echo err $i >&2; done";
    let (said, _) = finished(job(folder.path(), vec![shell("x", script)])).await;
    assert_eq!(lines(&said), ["out 1", "err 1", "out 2", "err 2", "out 3", "err 3"]);
    let split = Step { output: Output::Split, ..shell("x", script) };
    let (said, _) = finished(job(folder.path(), vec![split])).await;
    let err = Said::Line { stream: Stream::Err, line: "err 2".to_owned() };
    assert!(said.contains(&err), "{said:?}");
}

#[tokio::test]
async fn events_come_through_their_own_descriptor_and_what_is_none_is_shown_as_output() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"exec 7>/proc/self/fd/$TESTBED_EVENTS_FD; echo '{"event":"started"}' >&7; echo oops >&7; printf '{"event":"last"}' >&7"#;
    let step = Step { events: EventPipe::Open, ..shell("x", script) };
    let (said, _) = finished(job(folder.path(), vec![step])).await;
    let events: Vec<_> = said.iter().filter(|said| matches!(said, Said::Event { .. })).collect();
    assert_eq!(events.len(), 2, "{said:?}");
    assert_eq!(events[1], &Said::Event { event: json!({"event": "last"}) });
    assert_eq!(lines(&said), ["oops"]);
}

#[tokio::test]
async fn a_failed_step_is_followed_by_the_next_unless_it_says_stop() {
    let folder = tempfile::tempdir().unwrap();
    let stop = Step { on_failure: OnFailure::Stop, ..shell("b", "exit 4") };
    let (said, code) =
        finished(job(folder.path(), vec![shell("a", "kill -9 $$"), stop, shell("c", "true")])).await;
    assert_eq!(ends(&said), [("a", &StepEnd::Signal(9)), ("b", &StepEnd::Code(4))]);
    assert_eq!(code, 4);
}

#[tokio::test]
async fn a_tool_that_is_not_there_and_a_setup_that_fails_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let absent = Step { id: "x".to_owned(), argv: vec!["no-such-tool".to_owned()], ..Step::default() };
    let (said, code) = finished(job(folder.path(), vec![absent])).await;
    let why = "there is no program `no-such-tool`".to_owned();
    assert_eq!(ends(&said)[0].1, &StepEnd::NotStarted(why), "{said:?}");
    assert_eq!(code, 127);
    let nowhere = folder.path().join("none").display().to_string();
    let (said, _) =
        finished(Job { folder: nowhere.clone(), ..job(folder.path(), vec![shell("x", "true")]) }).await;
    assert_eq!(ends(&said)[0].1, &StepEnd::NotStarted(format!("there is no folder `{nowhere}`")), "{said:?}");
    let setup = vec![vec!["sh".to_owned(), "-c".to_owned(), "echo why >&2; exit 1".to_owned()]];
    let (said, code) =
        finished(Job { setup, ..job(folder.path(), vec![shell("never", "echo never")]) }).await;
    assert!(
        matches!(&said[0], Said::Failed { message } if message.ends_with("exit code 1: why")),
        "{said:?}"
    );
    assert_eq!((code, lines(&said).len()), (125, 0));
}

#[tokio::test]
async fn a_step_that_takes_too_long_is_ended_and_the_next_one_runs() {
    let folder = tempfile::tempdir().unwrap();
    // It ignores the polite request, and so does its child.
    let slow = Step { timeout_ms: Some(100), ..shell("slow", "trap '' TERM; sleep 30") };
    let (said, _) = finished(job(folder.path(), vec![slow, shell("next", "echo next")])).await;
    assert_eq!(ends(&said), [("slow", &StepEnd::TimedOut), ("next", &StepEnd::Code(0))]);
    assert_eq!(lines(&said), ["next"]);
}

#[tokio::test]
async fn a_cancel_ends_the_tool_and_all_that_would_follow() {
    let folder = tempfile::tempdir().unwrap();
    let steps =
        vec![shell("a", "trap 'echo bye; exit 0' TERM; echo up; sleep 30 & wait"), shell("b", "true")];
    let (orders, heard, task) = begin(job(folder.path(), steps));
    heard.wait(|said| matches!(said, Said::Line { line, .. } if line == "up")).await;
    orders.send(Order::Cancel).unwrap();
    assert_eq!(task.await.unwrap(), 143);
    let said = heard.said();
    assert_eq!(ends(&said), [("a", &StepEnd::Cancelled)]);
    assert_eq!(lines(&said), ["up", "bye"]);
}

#[tokio::test]
async fn when_nobody_is_left_to_give_orders_the_tool_ends_too() {
    let folder = tempfile::tempdir().unwrap();
    let (orders, heard, task) = begin(job(folder.path(), vec![shell("a", "echo up; sleep 30")]));
    heard.wait(|said| matches!(said, Said::Line { .. })).await;
    drop(orders);
    assert_eq!(task.await.unwrap(), 143);
}

#[tokio::test]
async fn a_process_left_behind_holds_nothing_up_and_does_not_survive() {
    let folder = tempfile::tempdir().unwrap();
    let (said, code) =
        finished(job(folder.path(), vec![shell("a", "(sleep 3; touch survived) & echo done")])).await;
    assert_eq!((lines(&said), code), (vec!["done"], 0));
    tokio::time::sleep(Duration::from_millis(3200)).await;
    assert!(!folder.path().join("survived").exists());
}

#[tokio::test]
async fn a_control_request_is_passed_on_and_its_answer_comes_back() {
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("control.sock");
    let job = Job {
        control: Some(socket.display().to_string()),
        ..job(folder.path(), vec![shell("a", "echo up; sleep 30")])
    };
    let (orders, heard, task) = begin(job);
    heard.wait(|said| matches!(said, Said::Line { .. })).await;
    let (input, mut output) = tokio::net::UnixStream::connect(&socket).await.unwrap().into_split();
    let mut answers = BufReader::new(input).lines();
    output.write_all(b"{\"op\":\"stop\",\"service\":\"worker-1\"}\n").await.unwrap();
    heard.wait(|said| matches!(said, Said::Control { id: 1, request } if request["op"] == "stop")).await;
    let answer = Map::from_iter([("ok".to_owned(), Value::Bool(true))]);
    orders.send(Order::Reply { id: 1, answer }).unwrap();
    assert_eq!(answers.next_line().await.unwrap().unwrap(), r#"{"ok":true}"#);
    output.write_all(b"nonsense\n").await.unwrap();
    assert!(answers.next_line().await.unwrap().unwrap().contains("not a JSON object"));
    orders.send(Order::Cancel).unwrap();
    task.await.unwrap();
}
