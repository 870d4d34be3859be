//! `nvidia-smi`: a program of the driver that tells what its library tells, in tables.

use std::time::Duration;

use testbed_model::gpu::Accelerators;
use testbed_model::gpu::smi::{self, Tables};

use crate::host::process::Program;

/// Its name.
pub(super) const PROGRAM: &str = "nvidia-smi";

/// Where Windows keeps it, which is on nobody's PATH.
pub(super) const WINDOWS: &str = "/usr/lib/wsl/lib/nvidia-smi";

/// Asks for everything at once, or says in one line why there is no answer.
pub(super) async fn ask(program: &str, patience: Duration) -> Result<Accelerators, String> {
    let [gpus, processes, summary, list] = smi::QUESTIONS.map(|arguments| {
        let program = Program::new(program).args(arguments.iter().copied());
        async move { answer(&program, patience).await }
    });
    let (gpus, processes, summary, list) = tokio::join!(gpus, processes, summary, list);
    smi::read(&Tables {
        gpus: &gpus?,
        // Older ones do not know every question; what they do not tell is left out.
        processes: &processes.unwrap_or_default(),
        summary: &summary.unwrap_or_default(),
        list: &list.unwrap_or_default(),
    })
    .map_err(|error| error.to_string())
}

async fn answer(program: &Program, patience: Duration) -> Result<String, String> {
    let captured = super::within(patience, program).await?;
    if captured.ended.is_success() {
        Ok(String::from_utf8_lossy(&captured.stdout).into_owned())
    } else {
        Err(super::end_of(&captured))
    }
}
