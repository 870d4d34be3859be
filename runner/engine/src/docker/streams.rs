//! What goes into a container and what comes out of it.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;

use bollard::container::LogOutput;
use bollard::query_parameters::{AttachContainerOptionsBuilder, LogsOptionsBuilder};
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt};
use jiff::Timestamp;
use tokio::io::AsyncWrite;

use super::Daemon;
use super::container::short;
use super::error::{self, DaemonError};
use super::spec::ContainerId;

/// Which of a process's two outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StdStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Output in pieces as they came; a piece may end in the middle of a line.
pub type Chunks = BoxStream<'static, Result<(StdStream, Bytes), DaemonError>>;

/// Output in whole lines, each stream's in order.
pub type Lines = BoxStream<'static, Result<LogLine, DaemonError>>;

/// A container's standard streams, from the moment of attaching on.
pub struct Attached {
    /// Its standard input, if it was created with [`super::Stdin::Attached`]; dropping it ends the input.
    pub input: Pin<Box<dyn AsyncWrite + Send>>,
    /// Its output; ends when the container does.
    pub output: Chunks,
}

impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attached").finish_non_exhaustive()
    }
}

/// A line of a container's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Where the process wrote it.
    pub stream: StdStream,
    /// When the daemon received its first piece.
    pub at: Timestamp,
    /// The line without its end; what is not UTF-8 is replaced.
    pub line: String,
}

impl Daemon {
    /// Attaches to a created container, before its start, so that nothing is missed.
    pub async fn attach(&self, id: &ContainerId) -> Result<Attached, DaemonError> {
        let doing = format!("attach to container `{}`", short(id));
        let options =
            AttachContainerOptionsBuilder::default().stdin(true).stdout(true).stderr(true).stream(true);
        let response = self.client.attach_container(&id.0, Some(options.build())).await;
        let attached = response.map_err(|e| error::doing(doing.as_str(), &e))?;
        let output = attached.output.map(move |item| match item {
            Ok(output) => Ok(chunk(output)),
            Err(e) => Err(error::doing(doing.as_str(), &e)),
        });
        Ok(Attached { input: attached.input, output: output.boxed() })
    }

    /// All lines of a container's log from `since` on, then those that come, until the container ends.
    pub fn follow_logs(&self, id: &ContainerId, since: Option<Timestamp>) -> Lines {
        let mut options =
            LogsOptionsBuilder::default().stdout(true).stderr(true).timestamps(true).follow(true);
        // The daemon takes whole seconds only: what is too early is left out here.
        if let Some(second) = since.and_then(|since| i32::try_from(since.as_second()).ok()) {
            options = options.since(second);
        }
        let lines = self.log_lines(id, options.build());
        let late = move |line: &Result<LogLine, DaemonError>| match (line, since) {
            (Ok(line), Some(since)) => line.at >= since,
            _ => true,
        };
        lines.filter(move |line| std::future::ready(late(line))).boxed()
    }

    /// The last lines of a container's log, oldest first.
    pub async fn last_logs(&self, id: &ContainerId, count: usize) -> Result<Vec<LogLine>, DaemonError> {
        let options = LogsOptionsBuilder::default().stdout(true).stderr(true).timestamps(true);
        let mut lines = self.log_lines(id, options.tail(&count.to_string()).build());
        let mut last = Vec::new();
        while let Some(line) = lines.next().await {
            last.push(line?);
        }
        Ok(last)
    }

    fn log_lines(&self, id: &ContainerId, options: bollard::query_parameters::LogsOptions) -> Lines {
        let doing = format!("read the log of container `{}`", short(id));
        let frames = self.client.logs(&id.0, Some(options));
        // A log that can not be followed any further still has its last, unfinished lines.
        let pieces = frames.map(Some).chain(stream::once(std::future::ready(None)));
        let lines = pieces.scan(LineJoiner::default(), move |joiner, piece| {
            let lines = match piece {
                Some(Ok(output)) => {
                    let (stream, bytes) = chunk(output);
                    joiner.push(stream, &bytes).into_iter().map(Ok).collect()
                }
                Some(Err(e)) => vec![Err(error::doing(doing.as_str(), &e))],
                None => joiner.finish().into_iter().map(Ok).collect(),
            };
            std::future::ready(Some(stream::iter(lines)))
        });
        lines.flatten().boxed()
    }
}

pub(super) fn chunk(output: LogOutput) -> (StdStream, Bytes) {
    match output {
        LogOutput::StdErr { message } => (StdStream::Stderr, message),
        LogOutput::StdOut { message } | LogOutput::StdIn { message } | LogOutput::Console { message } => {
            (StdStream::Stdout, message)
        }
    }
}

/// Joins the pieces of a log into lines. The daemon cuts a long line into pieces of 16 KiB and puts a time before each.
#[derive(Debug, Default)]
struct LineJoiner {
    unfinished: HashMap<StdStream, (Timestamp, BytesMut)>,
}

impl LineJoiner {
    fn push(&mut self, stream: StdStream, piece: &[u8]) -> Option<LogLine> {
        let (at, text) = split_time(piece);
        let (ended, text) = match text.strip_suffix(b"\n") {
            Some(text) => (true, text),
            None => (false, text),
        };
        let entry = self.unfinished.entry(stream).or_insert_with(|| (at, BytesMut::new()));
        entry.1.extend_from_slice(text);
        if !ended {
            return None;
        }
        let (at, bytes) = self.unfinished.remove(&stream)?;
        Some(line(stream, at, &bytes))
    }

    fn finish(&mut self) -> Vec<LogLine> {
        let unfinished = self.unfinished.drain().filter(|(_, (_, bytes))| !bytes.is_empty());
        unfinished.map(|(stream, (at, bytes))| line(stream, at, &bytes)).collect()
    }
}

fn line(stream: StdStream, at: Timestamp, bytes: &[u8]) -> LogLine {
    let text = String::from_utf8_lossy(bytes);
    LogLine { stream, at, line: text.strip_suffix('\r').unwrap_or(&text).to_owned() }
}

/// Splits `2026-11-21T14:30:05.123456789Z text`; a piece without a time keeps all of its text.
fn split_time(piece: &[u8]) -> (Timestamp, &[u8]) {
    let space = piece.iter().position(|byte| *byte == b' ');
    let time = space.and_then(|space| {
        let text = std::str::from_utf8(&piece[..space]).ok()?;
        Some((text.parse().ok()?, &piece[space + 1..]))
    });
    time.unwrap_or((Timestamp::UNIX_EPOCH, piece))
}

/// Splits pieces of output into lines.
pub fn lines_of(chunks: Chunks) -> impl Stream<Item = Result<(StdStream, String), DaemonError>> {
    let pieces = chunks.map(Some).chain(stream::once(std::future::ready(None)));
    let unfinished: HashMap<StdStream, BytesMut> = HashMap::new();
    let lines = pieces.scan(unfinished, |unfinished, piece| {
        let lines = match piece {
            Some(Ok((stream, bytes))) => {
                let rest = unfinished.entry(stream).or_default();
                rest.extend_from_slice(&bytes);
                let mut lines = Vec::new();
                while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                    let whole = rest.split_to(end + 1);
                    lines.push(Ok((stream, String::from_utf8_lossy(&whole[..end]).into_owned())));
                }
                lines
            }
            Some(Err(e)) => vec![Err(e)],
            None => {
                let rests = unfinished.drain().filter(|(_, rest)| !rest.is_empty());
                rests
                    .map(|(stream, rest)| Ok((stream, String::from_utf8_lossy(&rest).into_owned())))
                    .collect()
            }
        };
        std::future::ready(Some(stream::iter(lines)))
    });
    lines.flatten()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::{StreamExt, stream};

    use super::{LineJoiner, StdStream, lines_of};

    const TIME: &str = "2026-11-21T14:30:05.123456789Z";

    #[test]
    fn a_line_cut_into_pieces_is_joined_and_keeps_its_first_time() {
        let mut joiner = LineJoiner::default();
        let later = "2026-11-21T14:30:06.000000000Z";
        assert_eq!(joiner.push(StdStream::Stdout, format!("{TIME} one, ").as_bytes()), None);
        assert_eq!(joiner.push(StdStream::Stderr, format!("{TIME} other").as_bytes()), None);
        let line = joiner.push(StdStream::Stdout, format!("{later} two\r\n").as_bytes()).unwrap();
        assert_eq!((line.line.as_str(), line.at.to_string().as_str()), ("one, two", TIME));
        let rest = joiner.finish();
        assert_eq!(rest.len(), 1);
        assert_eq!((rest[0].stream, rest[0].line.as_str()), (StdStream::Stderr, "other"));
    }

    #[test]
    fn an_empty_line_is_a_line() {
        let mut joiner = LineJoiner::default();
        assert_eq!(joiner.push(StdStream::Stdout, format!("{TIME} \n").as_bytes()).unwrap().line, "");
        assert!(joiner.finish().is_empty());
    }

    #[tokio::test]
    async fn chunks_split_anywhere_become_the_same_lines() {
        let text = b"first\nsecond line\n\nlast";
        for size in 1..text.len() {
            let chunks = text.chunks(size).map(|c| Ok((StdStream::Stdout, Bytes::from_static(c))));
            let lines: Vec<_> = lines_of(stream::iter(chunks).boxed()).map(|l| l.unwrap().1).collect().await;
            assert_eq!(lines, ["first", "second line", "", "last"], "chunks of {size}");
        }
    }
}
