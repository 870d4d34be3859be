//! GPUs of this host: asked of the driver's library in a process of its own, or else of `nvidia-smi`.
//!
//! The runner is linked statically, and a C library that it loads brings the host's own C runtime along: where the two do not
//! fit, or where the driver is broken, that ends or hangs the process. So the one that asks is not the one that needs the answer.

mod nvml;
mod smi;

use std::path::{Path, PathBuf};
use std::time::Duration;

use testbed_model::document::parse_duration;
use testbed_model::gpu::{Accelerators, kernel_log};
use tokio_util::sync::CancellationToken;

use super::environment;
use super::process::{Captured, Ended, ProcessError, Program};

pub use nvml::answer;

/// Names the driver's library, instead of the places where it usually is.
pub const LIBRARY: &str = "TESTBED_NVML";

/// How long the driver may take to answer, as a duration. Without a process that keeps it awake it is loaded anew, which
/// takes seconds for each GPU.
const PATIENCE: &str = "TESTBED_NVML_TIMEOUT";

/// The same where nothing else is said.
const USUAL_PATIENCE: Duration = Duration::from_secs(20);

/// What is there where a driver is loaded: its control device, its place in `/proc`, and the device that Windows passes on.
const SIGNS: [&str; 3] = ["/dev/nvidiactl", "/proc/driver/nvidia/version", "/dev/dxg"];

/// Where distributions, cloud providers, Windows and NixOS keep the driver's library.
const PLACES: [&str; 7] = [
    "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1",
    "/usr/lib/aarch64-linux-gnu/libnvidia-ml.so.1",
    "/usr/lib64/libnvidia-ml.so.1",
    "/usr/lib/libnvidia-ml.so.1",
    "/usr/local/nvidia/lib64/libnvidia-ml.so.1",
    "/usr/lib/wsl/lib/libnvidia-ml.so.1",
    "/run/opengl-driver/lib/libnvidia-ml.so.1",
];

/// The runner itself, also where its file has been replaced since it was started.
const RUNNER: &str = "/proc/self/exe";

/// What was found out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The GPUs and their driver; none where there is no driver, or nobody could be asked.
    pub accelerators: Option<Accelerators>,
    /// What went wrong, in one line.
    pub trouble: Option<String>,
}

/// How the driver is asked.
#[derive(Clone, Debug)]
struct Asking {
    /// The process that loads the library and answers.
    asker: Program,
    /// `nvidia-smi`; none where it is not installed.
    smi: Option<String>,
    patience: Duration,
}

/// Asks for the GPUs of this host. Where there is no sign of a driver nothing is started, and the answer costs nothing.
pub async fn gather() -> Found {
    let named = environment::variable(LIBRARY);
    let library = named.clone().or_else(|| existing(&PLACES).map(str::to_owned));
    if library.is_none() && existing(&SIGNS).is_none() {
        return Found::default();
    }
    let patience = environment::variable(PATIENCE).and_then(|text| parse_duration(&text));
    let patience = patience.map_or(USUAL_PATIENCE, Duration::from_millis);
    let smi = super::process::find(smi::PROGRAM)
        .or_else(|| Some(PathBuf::from(smi::WINDOWS)).filter(|path| path.is_file()));
    let smi = smi.map(|path| path.to_string_lossy().into_owned());
    let asker = Program::new(RUNNER).args(["agent", "gpus"]).args(library);
    let mut found = Asking { asker, smi, patience }.ask().await;
    if let Some(accelerators) = &mut found.accelerators {
        accelerators.name_processes(program_of);
        if !accelerators.gpus.is_empty() {
            accelerators.note_errors(&kernel_log::xids(&super::kernel_log::read()));
        }
    }
    found
}

impl Asking {
    async fn ask(&self) -> Found {
        let failed = match nvml::ask(&self.asker, self.patience).await {
            Ok(answer) => {
                let trouble = (!answer.troubles.is_empty()).then(|| answer.troubles.join("; "));
                return Found { accelerators: Some(answer.accelerators), trouble };
            }
            Err(failed) => failed,
        };
        let Some(program) = &self.smi else {
            return Found {
                accelerators: None,
                trouble: Some(format!("NVML: {failed}; `nvidia-smi` is not installed")),
            };
        };
        match smi::ask(program, self.patience).await {
            Ok(accelerators) => {
                let trouble = Some(format!("NVML: {failed}; `nvidia-smi` was asked instead"));
                Found { accelerators: Some(accelerators), trouble }
            }
            Err(also) => {
                Found { accelerators: None, trouble: Some(format!("NVML: {failed}; `nvidia-smi`: {also}")) }
            }
        }
    }
}

/// Executes a program that may hang, also so that no signal ends it: then it is left behind.
async fn within(patience: Duration, program: &Program) -> Result<Captured, String> {
    const TO_END: Duration = Duration::from_secs(3);
    let cancel = CancellationToken::new();
    let work = program.capture(&cancel);
    tokio::pin!(work);
    let late = format!("no answer within {}", patience_text(patience));
    let ended = tokio::select! {
        ended = &mut work => ended,
        () = tokio::time::sleep(patience) => {
            cancel.cancel();
            // Dropping what is left of it sends the last signal.
            let _ = tokio::time::timeout(TO_END, &mut work).await;
            return Err(late);
        }
    };
    match ended {
        Ok(captured) => Ok(captured),
        Err(ProcessError::Cancelled { .. }) => Err(late),
        Err(error) => Err(error.to_string()),
    }
}

fn patience_text(patience: Duration) -> String {
    testbed_model::document::duration_text(u64::try_from(patience.as_millis()).unwrap_or(u64::MAX))
}

/// How a program that gave no answer ended, with the last thing that it said.
fn end_of(captured: &Captured) -> String {
    let said = [&captured.stderr, &captured.stdout].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let last = said.iter().find_map(|text| text.lines().map(str::trim).rfind(|line| !line.is_empty()));
    let how = match captured.ended {
        Ended::Code(0) => "no answer".to_owned(),
        Ended::Code(code) => format!("exit code {code}"),
        Ended::Signal(signal) => format!("it crashed with signal {signal}"),
    };
    match last {
        Some(line) => format!("{how}: {}", line.chars().take(200).collect::<String>()),
        None => how,
    }
}

fn existing<'p>(paths: &[&'p str]) -> Option<&'p str> {
    paths.iter().copied().find(|path| Path::new(path).exists())
}

/// The program of a process, as its command line names it. Only that: arguments may hold secrets.
fn program_of(pid: u32) -> Option<String> {
    let read = |file: &str| std::fs::read(format!("/proc/{pid}/{file}")).ok();
    let line = read("cmdline").unwrap_or_default();
    let first = line.split(|byte| *byte == 0 || byte.is_ascii_whitespace()).next().unwrap_or_default();
    let first = String::from_utf8_lossy(first).into_owned();
    let name = first.rsplit('/').next().unwrap_or_default().to_owned();
    if !name.is_empty() {
        return Some(name);
    }
    let short = String::from_utf8_lossy(&read("comm")?).trim().to_owned();
    (!short.is_empty()).then_some(short)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Asking, Found, program_of};
    use crate::host::process::Program;

    fn asking(script: &str) -> Asking {
        Asking {
            asker: Program::new("sh").args(["-c", script]),
            smi: None,
            patience: Duration::from_millis(300),
        }
    }

    async fn trouble(script: &str) -> String {
        let Found { accelerators, trouble } = asking(script).ask().await;
        assert_eq!(accelerators, None);
        trouble.unwrap()
    }

    #[tokio::test]
    async fn an_asker_that_crashes_or_talks_nonsense_is_one_line_of_trouble() {
        for (script, told) in [
            ("kill -SEGV $$", "NVML: it crashed with signal 11; `nvidia-smi` is not installed"),
            ("echo hello", "NVML: no answer: hello; `nvidia-smi` is not installed"),
            ("echo '{\"answer\": 3}'", "NVML: no answer: {\"answer\": 3}; `nvidia-smi` is not installed"),
            ("echo broken >&2; exit 4", "NVML: exit code 4: broken; `nvidia-smi` is not installed"),
            (
                "echo '{\"error\":\"driver not loaded\"}'",
                "NVML: driver not loaded; `nvidia-smi` is not installed",
            ),
        ] {
            assert_eq!(trouble(script).await, told);
        }
    }

    #[tokio::test]
    #[allow(clippy::disallowed_methods, reason = "the time that it takes is what is tested")]
    async fn an_asker_that_hangs_is_ended_also_where_it_does_not_want_to() {
        let began = Instant::now();
        assert_eq!(
            trouble("exec sleep 60").await,
            "NVML: no answer within 300ms; `nvidia-smi` is not installed"
        );
        assert_eq!(
            trouble("trap '' TERM; while :; do sleep 60; done").await,
            "NVML: no answer within 300ms; `nvidia-smi` is not installed"
        );
        assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    }

    #[test]
    fn a_process_is_told_by_its_program_alone() {
        let own = program_of(std::process::id()).unwrap();
        assert!(own.starts_with("testbed_engine") && !own.contains('/'), "{own}");
        assert_eq!(program_of(u32::MAX), None);
    }
}
