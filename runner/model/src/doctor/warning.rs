//! What keeps no profile from running, and yet should be looked at.

use super::Trouble;
use crate::facts::{Disk, Facts};
use crate::fitness::{fatal, held_by, memory_text};
use crate::gpu::Gpu;

const GIB: u64 = 1 << 30;

/// Memory of a GPU that is in use before anything was started: more than a desktop takes.
const LEFT_OVER: u64 = GIB;

/// Room below which records do not fit for long.
const LITTLE_FOR_RECORDS: u64 = 2 * GIB;

/// Room below which the next image may not fit.
const LITTLE_FOR_IMAGES: u64 = 10 * GIB;

/// Shared memory below which workers on several GPUs of a host have too little to exchange data through.
const LITTLE_SHM: u64 = GIB;

/// Open files below which a router with its workers runs out of connections.
const FEW_FILES: u64 = 4096;

/// Warnings, those of GPUs first.
pub fn warnings(facts: &Facts) -> Vec<Trouble> {
    let mut warnings = Vec::new();
    if let Some(trouble) = &facts.gpu_trouble {
        let hint =
            "`nvidia-smi` shows what the driver answers; start the host again after an update of the driver";
        warnings.push(warning(format!("GPUs could not be asked as they should be: {trouble}"), hint));
    }
    for gpu in facts.accelerators.iter().flat_map(|accelerators| &accelerators.gpus) {
        of_gpu(gpu, &mut warnings);
    }
    if facts.host.clock_synchronised == Some(false) {
        let hint = "switch on a time service, such as systemd-timesyncd or chrony: times of hosts cannot be compared otherwise";
        warnings.push(warning("nothing keeps the clock of this host in time".to_owned(), hint));
    }
    if let Some(disk) = facts.host.disk.as_ref().filter(|disk| disk.free_bytes < LITTLE_FOR_RECORDS) {
        warnings.push(warning(room(disk, "records and caches"), "remove old runs below `.testbed/runs`"));
    }
    let engine = facts.daemon.as_ref().and_then(|daemon| daemon.disk.as_ref());
    if let Some(disk) = engine.filter(|disk| disk.free_bytes < LITTLE_FOR_IMAGES) {
        let hint = "remove images and containers that nobody needs: `docker system df` says what there is";
        warnings.push(warning(room(disk, "images and containers"), hint));
    }
    if let Some(bytes) = facts.host.shm_bytes.filter(|bytes| facts.gpus > 0 && *bytes < LITTLE_SHM) {
        let hint =
            "mount it larger, as `mount -o remount,size=8G /dev/shm` does, for what shares it with the host";
        warnings.push(warning(format!("`/dev/shm` of this host has only {}", memory_text(bytes)), hint));
    }
    let files = facts.host.limits.and_then(|limits| limits.nofile);
    if let Some(files) = files.filter(|files| *files < FEW_FILES) {
        let hint = "raise it, as `ulimit -n 65536` or /etc/security/limits.conf do";
        warnings.push(warning(format!("a process may open only {files} files"), hint));
    }
    warnings
}

fn of_gpu(gpu: &Gpu, warnings: &mut Vec<Trouble>) {
    let index = gpu.index;
    if gpu.used_bytes >= LEFT_OVER {
        let (used, total) = (memory_text(gpu.used_bytes), memory_text(gpu.memory_bytes));
        let holders = held_by(&gpu.processes).map_or_else(
            || "who holds it is not told: a process of a container, or one that ended badly".to_owned(),
            |holders| format!("held by {holders}"),
        );
        let hint = match gpu.processes.first() {
            Some(_) => "end what holds it, if it is yours to end",
            None => "`fuser -v /dev/nvidia*`, as root, says who has it open",
        };
        warnings.push(warning(format!("{used} of {total} of GPU {index} is in use: {holders}"), hint));
    }
    if let Some(ecc) = gpu.ecc.filter(|ecc| ecc.uncorrected > 0) {
        let errors = if ecc.uncorrected == 1 { "error" } else { "errors" };
        let message =
            format!("GPU {index} counts {} memory {errors} that could not be corrected", ecc.uncorrected);
        warnings.push(warning(message, "reset it; where they come back the GPU has to be replaced"));
    }
    let mut xids = gpu.xids.clone();
    xids.sort_unstable();
    xids.dedup();
    for xid in xids {
        let (what, hint) = match fatal(xid) {
            Some((_, meaning)) => {
                (format!(", {meaning}"), "reset it, or start the host again; then run its diagnosis")
            }
            None => (
                String::new(),
                "look it up at https://docs.nvidia.com/deploy/xid-errors/: most are errors of programs",
            ),
        };
        let times = gpu.xids.iter().filter(|it| **it == xid).count();
        let often = if times > 1 { format!(" {times} times") } else { String::new() };
        warnings.push(warning(format!("GPU {index} reported XID {xid}{often}{what}"), hint));
    }
}

fn room(disk: &Disk, whose: &str) -> String {
    let (free, total) = (memory_text(disk.free_bytes), memory_text(disk.total_bytes));
    format!("only {free} of {total} are free for {whose} at `{}`", disk.path)
}

fn warning(message: String, hint: &str) -> Trouble {
    Trouble { message, hint: Some(hint.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::warnings;
    use crate::facts::{DaemonFacts, Disk, Facts, HostFacts, ProcessLimits};
    use crate::gpu::tests::{gpu, host};
    use crate::gpu::{Ecc, Gpu, GpuProcess};

    #[test]
    fn a_host_in_order_warns_of_nothing() {
        let disk =
            |free: u64| Some(Disk { path: "/x".to_owned(), free_bytes: free << 30, total_bytes: 99 << 30 });
        let limits = ProcessLimits { nofile: Some(1 << 20), ..ProcessLimits::default() };
        let host = HostFacts {
            disk: disk(50),
            shm_bytes: Some(64 << 30),
            limits: Some(limits),
            clock_synchronised: Some(true),
        };
        let accelerators =
            crate::gpu::tests::host(vec![Gpu { used_bytes: 4 << 20, ..gpu(0, "NVIDIA L4", 23) }]);
        let facts = Facts {
            gpus: 1,
            accelerators: Some(accelerators),
            daemon: Some(DaemonFacts { disk: disk(50), ..DaemonFacts::default() }),
            host,
            ..Facts::default()
        };
        assert_eq!(warnings(&facts), []);
        assert_eq!(warnings(&Facts::default()), [], "what is not known is no reason to warn");
    }

    #[test]
    fn everything_that_should_be_looked_at_is_told() {
        let disk =
            |path: &str| Some(Disk { path: path.to_owned(), free_bytes: 1 << 30, total_bytes: 99 << 30 });
        let holder = GpuProcess { pid: 4711, name: Some("python3".to_owned()), memory_bytes: Some(30 << 30) };
        let held =
            Gpu { used_bytes: 31 << 30, processes: vec![holder], ..gpu(0, "NVIDIA H100 80GB HBM3", 80) };
        let silent = Gpu { processes: Vec::new(), ..held.clone() };
        let ecc = Some(Ecc { enabled: true, uncorrected: 3 });
        let broken = Gpu {
            index: 2,
            ecc,
            xids: vec![31, 79, 31],
            used_bytes: 0,
            processes: Vec::new(),
            ..held.clone()
        };
        let facts = Facts {
            gpus: 3,
            accelerators: Some(host(vec![held, Gpu { index: 1, ..silent }, broken])),
            gpu_trouble: Some("NVML: it crashed with signal 11; `nvidia-smi` was asked instead".to_owned()),
            daemon: Some(DaemonFacts { disk: disk("/var/lib/docker"), ..DaemonFacts::default() }),
            host: HostFacts {
                disk: disk("/p/.testbed"),
                shm_bytes: Some(64 << 20),
                limits: Some(ProcessLimits { nofile: Some(1024), ..ProcessLimits::default() }),
                clock_synchronised: Some(false),
            },
            ..Facts::default()
        };
        let told: Vec<String> =
            warnings(&facts).into_iter().map(|it| format!("{}; {}", it.message, it.hint.unwrap())).collect();
        insta::assert_snapshot!(told.join("\n"), @r"
        GPUs could not be asked as they should be: NVML: it crashed with signal 11; `nvidia-smi` was asked instead; `nvidia-smi` shows what the driver answers; start the host again after an update of the driver
        31GiB of 80GiB of GPU 0 is in use: held by `python3` (process 4711): 30GiB; end what holds it, if it is yours to end
        31GiB of 80GiB of GPU 1 is in use: who holds it is not told: a process of a container, or one that ended badly; `fuser -v /dev/nvidia*`, as root, says who has it open
        GPU 2 counts 3 memory errors that could not be corrected; reset it; where they come back the GPU has to be replaced
        GPU 2 reported XID 31 2 times; look it up at https://docs.nvidia.com/deploy/xid-errors/: most are errors of programs
        GPU 2 reported XID 79, fallen off the bus; reset it, or start the host again; then run its diagnosis
        nothing keeps the clock of this host in time; switch on a time service, such as systemd-timesyncd or chrony: times of hosts cannot be compared otherwise
        only 1GiB of 99GiB are free for records and caches at `/p/.testbed`; remove old runs below `.testbed/runs`
        only 1GiB of 99GiB are free for images and containers at `/var/lib/docker`; remove images and containers that nobody needs: `docker system df` says what there is
        `/dev/shm` of this host has only 64MiB; mount it larger, as `mount -o remount,size=8G /dev/shm` does, for what shares it with the host
        a process may open only 1024 files; raise it, as `ulimit -n 65536` or /etc/security/limits.conf do
        ");
    }
}
