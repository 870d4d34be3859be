//! What `nvidia-smi` prints and the kernel logs of GPUs: no more GPUs than lines, in whichever table.
#![no_main]

use libfuzzer_sys::fuzz_target;
use testbed_fuzz::parts;
use testbed_model::gpu::kernel_log;
use testbed_model::gpu::smi::{Tables, read};

fuzz_target!(|input: &str| {
    let (gpus, rest) = parts(input);
    let (processes, rest) = parts(rest);
    let (list, log) = parts(rest);
    let errors = kernel_log::xids(log);
    assert!(errors.len() <= log.lines().count());
    if let Ok(mut found) = read(&Tables { gpus, processes, summary: log, list }) {
        assert!(found.gpus.len() <= gpus.lines().count());
        found.note_errors(&errors);
        found.name_processes(|pid| Some(pid.to_string()));
    }
});
