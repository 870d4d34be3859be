//! What `nvidia-smi` prints, as values.

use super::{Accelerators, Ecc, Gpu, GpuProcess, MigDevice, Source};

/// What it is asked, in the order of [`Tables`]: the GPUs, the processes, the versions, the parts of divided GPUs.
pub const QUESTIONS: [&[&str]; 4] = [
    &[
        "--query-gpu=index,uuid,name,pci.bus_id,memory.total,memory.used,compute_cap,mig.mode.current,ecc.mode.current,ecc.errors.uncorrected.volatile.total,driver_version",
        "--format=csv,noheader,nounits",
    ],
    &["--query-compute-apps=gpu_uuid,pid,used_memory", "--format=csv,noheader,nounits"],
    &["-q", "-d", "COMPUTE"],
    &["-L"],
];

/// What it answered.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tables<'t> {
    /// A line for each GPU.
    pub gpus: &'t str,
    /// A line for each process on a GPU.
    pub processes: &'t str,
    /// Pairs of names and values, the versions among them.
    pub summary: &'t str,
    /// GPUs, each with its parts below it.
    pub list: &'t str,
}

/// What was printed is not what is expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the line `{line}` is not understood: {what}")]
pub struct SmiError {
    line: String,
    what: &'static str,
}

/// Reads the answers.
pub fn read(tables: &Tables<'_>) -> Result<Accelerators, SmiError> {
    let lines = tables.gpus.lines().filter(|line| !line.trim().is_empty());
    // A driver without GPUs says so in words.
    let lines = lines.filter(|line| !line.starts_with("No devices"));
    let rows: Vec<(Gpu, String)> = lines
        .map(|line| gpu(line).map_err(|what| SmiError { line: line.to_owned(), what }))
        .collect::<Result<_, _>>()?;
    let driver =
        rows.first().map(|(_, driver)| driver.clone()).or_else(|| value_of(tables.summary, "Driver Version"));
    let mut gpus: Vec<Gpu> = rows.into_iter().map(|(gpu, _)| gpu).collect();
    for (uuid, process) in tables.processes.lines().filter_map(process) {
        if let Some(gpu) = gpus.iter_mut().find(|gpu| gpu.uuid == uuid) {
            gpu.processes.push(process);
        }
    }
    divide(&mut gpus, tables.list);
    Ok(Accelerators {
        source: Source::NvidiaSmi,
        driver: driver.unwrap_or_default(),
        cuda: value_of(tables.summary, "CUDA Version").unwrap_or_default(),
        gpus,
    })
}

fn gpu(line: &str) -> Result<(Gpu, String), &'static str> {
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    let [index, uuid, name, bus, total, used, capability, mig, ecc, uncorrected, driver] = fields.as_slice()
    else {
        return Err("eleven values are expected");
    };
    let capability = capability.split_once('.').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    let gpu = Gpu {
        index: index.parse().map_err(|_| "the index is no number")?,
        uuid: (*uuid).to_owned(),
        name: (*name).to_owned(),
        bus: known(bus).map(str::to_owned),
        memory_bytes: mebibytes(total).ok_or("the memory is no number")?,
        used_bytes: mebibytes(used).unwrap_or_default(),
        compute_capability: capability.ok_or("the compute capability is none")?,
        mig: (*mig == "Enabled").then(Vec::new),
        ecc: known(ecc).map(|state| Ecc {
            enabled: state == "Enabled",
            uncorrected: uncorrected.parse().unwrap_or_default(),
        }),
        xids: Vec::new(),
        processes: Vec::new(),
    };
    Ok((gpu, (*driver).to_owned()))
}

/// A process, with the identity of its GPU.
fn process(line: &str) -> Option<(&str, GpuProcess)> {
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    let [uuid, pid, used] = fields.as_slice() else { return None };
    Some((uuid, GpuProcess { pid: pid.parse().ok()?, name: None, memory_bytes: mebibytes(used) }))
}

/// Gives divided GPUs their parts: `  MIG 3g.40gb     Device  0: (UUID: MIG-…)` below `GPU 0: NAME (UUID: GPU-…)`. The size is
/// in the name of the kind.
fn divide(gpus: &mut [Gpu], list: &str) {
    let mut at: Option<&str> = None;
    for line in list.lines() {
        let uuid =
            line.split_once("(UUID: ").and_then(|(_, rest)| rest.split_once(')')).map(|(uuid, _)| uuid);
        let Some(uuid) = uuid else { continue };
        let Some(rest) = line.trim_start().strip_prefix("MIG ") else {
            at = Some(uuid);
            continue;
        };
        let gpu = gpus.iter_mut().find(|gpu| Some(gpu.uuid.as_str()) == at);
        let (Some(parts), Some(profile)) =
            (gpu.and_then(|gpu| gpu.mig.as_mut()), rest.split_whitespace().next())
        else {
            continue;
        };
        let size = profile.split_once('.').map_or("", |(_, size)| size).trim_end_matches("gb");
        let memory_bytes = size.parse::<u64>().unwrap_or_default().saturating_mul(1 << 30);
        parts.push(MigDevice { uuid: uuid.to_owned(), profile: profile.to_owned(), memory_bytes });
    }
}

/// The value of a line `NAME : VALUE`.
fn value_of(text: &str, name: &str) -> Option<String> {
    let value = |line: &str| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    };
    text.lines().find_map(value)
}

/// What is not told stands in brackets: `[N/A]`, `[Not Supported]`.
fn known(text: &str) -> Option<&str> {
    (!text.is_empty() && !text.starts_with('[') && text != "N/A").then_some(text)
}

fn mebibytes(text: &str) -> Option<u64> {
    text.parse::<u64>().ok()?.checked_mul(1 << 20)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Tables, read};

    const TWO: &str = "0, GPU-aaa, NVIDIA H100 80GB HBM3, 00000000:3B:00.0, 81559, 4, 9.0, Disabled, Enabled, 2, 570.124.06\n\
        1, GPU-bbb, NVIDIA H100 80GB HBM3, 00000000:86:00.0, 81559, 66000, 9.0, Enabled, Enabled, 0, 570.124.06\n";
    const PROCESSES: &str = "GPU-bbb, 4711, 65996\nGPU-bbb, 4712, [N/A]\nGPU-ccc, 1, 1\n";
    const SUMMARY: &str = "\n==============NVSMI LOG==============\n\nTimestamp                                 : Sat Nov 21 22:00:00 2026\nDriver Version                            : 570.124.06\nCUDA Version                              : 12.8\n\nAttached GPUs                             : 2\n";
    const LIST: &str = "GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-aaa)\nGPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-bbb)\n  MIG 3g.40gb     Device  0: (UUID: MIG-111)\n  MIG 1g.10gb     Device  1: (UUID: MIG-222)\n";

    #[test]
    fn a_host_with_a_divided_gpu_is_read_whole() {
        let tables = Tables { gpus: TWO, processes: PROCESSES, summary: SUMMARY, list: LIST };
        let read = read(&tables).unwrap();
        insta::assert_json_snapshot!("a_host_with_a_divided_gpu", read);
    }

    #[test]
    fn what_a_consumer_card_does_not_have_is_left_out() {
        let line = "0, GPU-a, NVIDIA GeForce RTX 4060, 00000000:01:00.0, 8188, 300, 8.9, [N/A], [N/A], [N/A], 560.35.03";
        let gpu = &read(&Tables { gpus: line, ..Tables::default() }).unwrap().gpus[0];
        assert_eq!((gpu.mig.as_ref(), gpu.ecc, gpu.memory_bytes), (None, None, 8188 << 20));
    }

    #[test]
    fn a_driver_without_gpus_is_no_error_and_nonsense_is() {
        let none =
            read(&Tables { gpus: "No devices were found\n", summary: SUMMARY, ..Tables::default() }).unwrap();
        assert_eq!((none.gpus.len(), none.driver.as_str(), none.cuda.as_str()), (0, "570.124.06", "12.8"));
        for line in ["hello", "x, a, b, c, 1, 1, 9.0, d, e, 0, 1", "0, a, b, c, [N/A], 1, 9.0, d, e, 0, 1"] {
            assert!(read(&Tables { gpus: line, ..Tables::default() }).is_err(), "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_much(gpus in "([0-9]{1,22}|, |GPU-a|9\\.0|Enabled|\n|.){0,30}", list in "(GPU |MIG |\\(UUID: |GPU-a\\)|1g\\.[0-9]{1,20}gb|\n|.){0,20}") {
            if let Ok(found) = read(&Tables { gpus: &gpus, processes: &gpus, summary: &list, list: &list }) {
                prop_assert!(found.gpus.len() <= gpus.lines().count());
            }
        }
    }
}
