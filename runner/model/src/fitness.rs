//! Which GPUs are fit for a need, and why others are not.

use std::fmt;

use crate::document::bytes_text;
use crate::gpu::{Accelerators, Gpu, GpuProcess};
use crate::version::Version;

/// Errors of the driver (XID) after which a GPU serves nobody until it is reset, with what they mean
/// (<https://docs.nvidia.com/deploy/xid-errors/>).
pub const FATAL_XIDS: [(u32, &str); 8] = [
    (48, "double-bit memory error"),
    (62, "internal micro-controller halted"),
    (64, "memory rows could not be retired"),
    (79, "fallen off the bus"),
    (95, "uncontained memory error"),
    (119, "the GPU's system processor does not answer"),
    (120, "the GPU's system processor failed"),
    (140, "unrecovered memory error"),
];

const GIB: u64 = 1 << 30;

/// Which part of what a card is sold with its driver may keep.
const SPARE_PART: u64 = 64;

/// What is needed of each GPU.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// Memory that nobody else uses, in bytes.
    pub vram_bytes: u64,
    /// How much less of it will do.
    pub spare_bytes: u64,
    /// The least compute capability.
    pub compute_capability: Option<Version>,
    /// Part of the product's name, in any case: `h100`.
    pub name: Option<String>,
}

/// Why a GPU is not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It is of another kind.
    Kind {
        /// What is needed.
        needs: String,
        /// What it is.
        has: String,
    },
    /// It cannot compute what is needed.
    Capability {
        /// What is needed.
        needs: Version,
        /// What it can.
        has: (u32, u32),
    },
    /// It is divided, and a whole one is needed.
    Divided {
        /// Into so many parts.
        parts: usize,
    },
    /// It has too little memory, whoever uses it.
    TooSmall {
        /// Bytes needed.
        needs: u64,
        /// Bytes in all.
        has: u64,
    },
    /// The memory that it has is in use.
    Occupied {
        /// Bytes needed.
        needs: u64,
        /// Bytes that are free.
        free: u64,
        /// Who holds the rest, as far as it is known.
        holders: Vec<GpuProcess>,
    },
    /// Its driver reported an error after which it serves nobody.
    Broken {
        /// Number of the error.
        xid: u32,
        /// What it means.
        meaning: &'static str,
    },
}

impl Need {
    /// Memory in the sizes that cards are sold with. Their drivers keep some of it: a card of 8GiB tells 8188MiB, an H100 of 80GiB 81559MiB, an
    /// A100 of 40GiB 40536MiB.
    pub const fn as_sold(vram_bytes: u64) -> Self {
        Self { vram_bytes, spare_bytes: vram_bytes / SPARE_PART, compute_capability: None, name: None }
    }

    const fn least_bytes(&self) -> u64 {
        self.vram_bytes.saturating_sub(self.spare_bytes)
    }
}

/// Why a GPU is not fit for a need; none where it is. Of several reasons the one that takes most to mend.
pub fn unfit(gpu: &Gpu, need: &Need) -> Option<Unfit> {
    if let Some(name) = need.name.as_ref().filter(|name| !is_called(gpu, name)) {
        return Some(Unfit::Kind { needs: name.clone(), has: gpu.name.clone() });
    }
    let capability = capability_text(gpu.compute_capability).parse::<Version>().ok();
    if let Some(needs) = need.compute_capability.as_ref().filter(|needs| capability.as_ref() < Some(needs)) {
        return Some(Unfit::Capability { needs: needs.clone(), has: gpu.compute_capability });
    }
    if gpu.memory_bytes < need.least_bytes() {
        return Some(Unfit::TooSmall { needs: need.vram_bytes, has: gpu.memory_bytes });
    }
    if let Some((xid, meaning)) = gpu.xids.iter().find_map(|xid| fatal(*xid)) {
        return Some(Unfit::Broken { xid, meaning });
    }
    if let Some(parts) = &gpu.mig {
        return Some(Unfit::Divided { parts: parts.len() });
    }
    (gpu.free_bytes() < need.least_bytes()).then(|| Unfit::Occupied {
        needs: need.vram_bytes,
        free: gpu.free_bytes(),
        holders: gpu.processes.clone(),
    })
}

/// GPUs that are fit for a need, in the order of their indices.
pub fn fit<'a>(accelerators: &'a Accelerators, need: &Need) -> Vec<&'a Gpu> {
    accelerators.gpus.iter().filter(|gpu| unfit(gpu, need).is_none()).collect()
}

/// What an error of the driver means, where it is one after which a GPU serves nobody.
pub fn fatal(xid: u32) -> Option<(u32, &'static str)> {
    FATAL_XIDS.into_iter().find(|(number, _)| *number == xid)
}

/// A compute capability as it is written: `9.0`.
pub fn capability_text((major, minor): (u32, u32)) -> String {
    format!("{major}.{minor}")
}

/// What there is of memory, in words that nobody has to count: gibibytes with one digit behind the point, rounded down.
pub fn memory_text(bytes: u64) -> String {
    sized(bytes, u128::from(bytes) * 10 / u128::from(GIB))
}

/// What is needed of memory, in the same words, rounded up.
pub fn needed_text(bytes: u64) -> String {
    sized(bytes, (u128::from(bytes) * 10).div_ceil(u128::from(GIB)))
}

fn sized(bytes: u64, tenths: u128) -> String {
    if bytes < GIB {
        return bytes_text(bytes >> 20 << 20);
    }
    match (tenths / 10, tenths % 10) {
        (whole, 0) => format!("{whole}GiB"),
        (whole, tenth) => format!("{whole}.{tenth}GiB"),
    }
}

/// Why GPUs are not fit for a need, what is the same of several said once.
pub fn reasons(accelerators: &Accelerators, need: &Need) -> Vec<String> {
    // GPUs of one host are mostly alike.
    let mut reasons: Vec<(String, Vec<u32>)> = Vec::new();
    for gpu in &accelerators.gpus {
        let Some(unfit) = unfit(gpu, need) else { continue };
        let reason = unfit.to_string();
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, indices)) => indices.push(gpu.index),
            None => reasons.push((reason, vec![gpu.index])),
        }
    }
    reasons.iter().map(|(reason, indices)| format!("{} {reason}", subject(indices))).collect()
}

/// GPUs as the subject of a sentence.
pub fn subject(indices: &[u32]) -> String {
    match indices {
        [one] => format!("GPU {one}"),
        many => format!("each of GPUs {}", many.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")),
    }
}

fn is_called(gpu: &Gpu, name: &str) -> bool {
    gpu.name.to_lowercase().contains(&name.to_lowercase())
}

impl Unfit {
    /// What mends it, where something but another GPU does.
    pub fn mend(&self) -> Option<String> {
        match self {
            Self::Kind { .. } | Self::Capability { .. } | Self::TooSmall { .. } => None,
            Self::Divided { .. } => {
                Some("make it whole again: `nvidia-smi -mig 0 -i INDEX`, as root".to_owned())
            }
            Self::Occupied { holders, .. } => Some(match largest_first(holders).first() {
                Some(holder) => {
                    format!("end what holds it, such as process {}, if it is yours to end", holder.pid)
                }
                None => "find out who holds it: `nvidia-smi` in the namespace of the host".to_owned(),
            }),
            Self::Broken { .. } => {
                Some("reset it: `nvidia-smi --gpu-reset -i INDEX`, or start the host again".to_owned())
            }
        }
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind { needs, has } => write!(f, "is `{has}`, not one of `{needs}`"),
            Self::Capability { needs, has } => {
                write!(f, "has compute capability {}, and {needs} is needed", capability_text(*has))
            }
            Self::Divided { parts: 0 } => f.write_str("is switched to MIG, and a whole GPU is needed"),
            Self::Divided { parts } => write!(f, "is divided by MIG into {parts}, and a whole GPU is needed"),
            Self::TooSmall { needs, has } => {
                write!(f, "has {} of memory, and {} is needed", memory_text(*has), needed_text(*needs))
            }
            Self::Occupied { needs, free, holders } => {
                write!(
                    f,
                    "has {} of memory free, and {} is needed",
                    memory_text(*free),
                    needed_text(*needs)
                )?;
                match held_by(holders) {
                    Some(holders) => write!(f, "; held by {holders}"),
                    None => f.write_str("; who holds the rest is not told"),
                }
            }
            Self::Broken { xid, meaning } => write!(f, "reported XID {xid}, {meaning}"),
        }
    }
}

/// Who holds memory, the largest first.
pub fn held_by(holders: &[GpuProcess]) -> Option<String> {
    let told = |holder: &&GpuProcess| {
        let who = match &holder.name {
            Some(name) => format!("`{name}` (process {})", holder.pid),
            None => format!("process {}", holder.pid),
        };
        match holder.memory_bytes {
            Some(bytes) => format!("{who}: {}", memory_text(bytes)),
            None => who,
        }
    };
    let all: Vec<String> = largest_first(holders).iter().map(told).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

fn largest_first(holders: &[GpuProcess]) -> Vec<&GpuProcess> {
    let mut holders: Vec<&GpuProcess> = holders.iter().collect();
    holders.sort_by_key(|holder| (std::cmp::Reverse(holder.memory_bytes), holder.pid));
    holders
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{GIB, Need, fit, memory_text, needed_text, unfit};
    use crate::gpu::tests::{gpu, host};
    use crate::gpu::{Gpu, GpuProcess, MigDevice};

    fn need(gibibytes: u64) -> Need {
        Need { vram_bytes: gibibytes * GIB, ..Need::default() }
    }

    fn told(gpu: &Gpu, need: &Need) -> String {
        unfit(gpu, need)
            .map_or_else(|| "fit".to_owned(), |it| format!("{it}; {}", it.mend().unwrap_or_default()))
    }

    #[test]
    fn each_reason_is_told_with_both_numbers_and_what_mends_it() {
        let whole = gpu(0, "NVIDIA H100 80GB HBM3", 80);
        let part =
            MigDevice { uuid: "MIG-1".to_owned(), profile: "3g.40gb".to_owned(), memory_bytes: 40 * GIB };
        let divided = Gpu { mig: Some(vec![part.clone(), part]), ..whole.clone() };
        let holder = |pid, name: Option<&str>, bytes| GpuProcess {
            pid,
            name: name.map(str::to_owned),
            memory_bytes: bytes,
        };
        let holders = vec![holder(7, None, None), holder(4711, Some("python3"), Some(30 * GIB))];
        let held = Gpu { used_bytes: 31 * GIB + (5 << 20), processes: holders, ..whole.clone() };
        let silent = Gpu { processes: Vec::new(), ..held.clone() };
        let lost = Gpu { xids: vec![31, 79], ..whole.clone() };
        let old = Need { compute_capability: Some("10.0".parse().unwrap()), ..need(1) };
        let other = Need { name: Some("b200".to_owned()), ..need(1) };
        let lines = [
            told(&whole, &need(80)),
            told(&whole, &need(96)),
            told(&whole, &old),
            told(&whole, &other),
            told(&divided, &need(16)),
            told(&Gpu { mig: Some(Vec::new()), ..whole.clone() }, &need(16)),
            told(&held, &need(64)),
            told(&silent, &need(64)),
            told(&held, &need(48)),
            told(&lost, &need(1)),
        ];
        let lines = lines.map(|line| line.trim_end_matches("; ").to_owned());
        insta::assert_snapshot!(lines.join("\n"), @r"
        fit
        has 80GiB of memory, and 96GiB is needed
        has compute capability 9.0, and 10.0 is needed
        is `NVIDIA H100 80GB HBM3`, not one of `b200`
        is divided by MIG into 2, and a whole GPU is needed; make it whole again: `nvidia-smi -mig 0 -i INDEX`, as root
        is switched to MIG, and a whole GPU is needed; make it whole again: `nvidia-smi -mig 0 -i INDEX`, as root
        has 48.9GiB of memory free, and 64GiB is needed; held by `python3` (process 4711): 30GiB, process 7; end what holds it, such as process 4711, if it is yours to end
        has 48.9GiB of memory free, and 64GiB is needed; who holds the rest is not told; find out who holds it: `nvidia-smi` in the namespace of the host
        fit
        reported XID 79, fallen off the bus; reset it: `nvidia-smi --gpu-reset -i INDEX`, or start the host again
        ");
    }

    #[test]
    fn a_card_has_what_it_is_sold_with_and_a_measured_need_is_exact() {
        for (gibibytes, told) in [(8, 8188), (40, 40_536), (80, 81_559), (16, 16_376), (141, 143_771)] {
            let card = Gpu { memory_bytes: told << 20, ..gpu(0, "GPU", 0) };
            assert_eq!(unfit(&card, &Need::as_sold(gibibytes * GIB)), None, "{gibibytes}");
            assert!(unfit(&card, &need(gibibytes)).is_some(), "{gibibytes}");
        }
        let busy = Gpu { memory_bytes: 8188 << 20, used_bytes: 300 << 20, ..gpu(0, "GPU", 0) };
        insta::assert_snapshot!(unfit(&busy, &Need::as_sold(8 * GIB)).unwrap(), @"has 7.7GiB of memory free, and 8GiB is needed; who holds the rest is not told");
        let smaller = Gpu { memory_bytes: 15_360 << 20, ..gpu(0, "Tesla T4", 0) };
        insta::assert_snapshot!(unfit(&smaller, &Need::as_sold(16 * GIB)).unwrap(), @"has 15GiB of memory, and 16GiB is needed");
    }

    #[test]
    fn an_error_of_a_program_breaks_no_gpu_and_a_name_is_found_in_any_case() {
        let gpu = Gpu { xids: vec![13, 31, 43, 94], ..gpu(0, "NVIDIA H100 80GB HBM3", 80) };
        assert_eq!(unfit(&gpu, &Need { name: Some("h100".to_owned()), ..need(8) }), None);
    }

    #[test]
    fn sizes_are_told_without_counting() {
        let nineteen = 20_615_843_020;
        for (bytes, has, needed) in [
            (0, "0B", "0B"),
            (512 << 20, "512MiB", "512MiB"),
            (81_559 << 20, "79.6GiB", "79.7GiB"),
            (80 * GIB, "80GiB", "80GiB"),
            (nineteen, "19.1GiB", "19.2GiB"),
            (GIB + 1, "1GiB", "1.1GiB"),
        ] {
            assert_eq!((memory_text(bytes).as_str(), needed_text(bytes).as_str()), (has, needed));
        }
    }

    proptest! {
        #[test]
        fn whoever_is_fit_for_more_is_fit_for_less(total in 1_u64..200, used in 0_u64..200, more in 0_u64..200, less in 0_u64..200) {
            let gpu = Gpu { used_bytes: used * GIB, ..gpu(0, "GPU", total) };
            let gpus = host(vec![gpu]);
            let (less, more) = (less.min(more), less.max(more));
            prop_assert!(fit(&gpus, &need(more)).len() <= fit(&gpus, &need(less)).len());
        }
    }
}
