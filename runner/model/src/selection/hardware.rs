//! What a case asks of the host by its markers, against what is here.

use super::Mark;
use crate::facts::Facts;
use crate::fitness::{Need, fit, needed_text, reasons};

/// What is asked for and not here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What the case needs: `2 GPUs`.
    pub needs: String,
    /// What is here: `none`.
    pub has: String,
}

/// Markers that ask for something that no facts of a host speak of.
const ELSEWHERE: [(&str, &str); 2] = [("k8s", "a Kubernetes cluster"), ("slurm", "a Slurm cluster")];

/// Markers that ask for GPUs of a kind: part of their name.
const KINDS: [&str; 1] = ["h100"];

/// Markers that say how much memory of each GPU a case takes, with the bytes of one unit. Those that count tokens say nothing
/// of memory.
const VRAM: [(&str, f64); 4] = [
    ("profiled_vram_gib", GIB),
    ("requested_sglang_vram_gib", GIB),
    ("requested_trtllm_vram_gib", GIB),
    ("requested_vllm_kv_cache_bytes", 1.0),
];

const GIB: f64 = 1_073_741_824.0;

/// What of a case's hardware markers (`gpu_2`, `gpus_needed_2`, `xpu_1`, `h100`, `k8s`, `profiled_vram_gib(19.2)`) a host does
/// not have. A GPU that is divided, broken or occupied is none that the case could use.
pub fn missing(marks: &[Mark], facts: &Facts) -> Option<Missing> {
    let counted = |prefix: &str| {
        let number = |mark: &Mark| mark.name.strip_prefix(prefix)?.parse::<u32>().ok();
        marks.iter().filter_map(number).max()
    };
    let count = counted("gpu_").max(counted("gpus_needed_")).unwrap_or_default();
    let kind = KINDS.into_iter().find(|kind| marks.iter().any(|mark| mark.name == *kind));
    let vram_bytes = marks.iter().filter_map(vram).max().unwrap_or_default();
    // Whoever takes memory of a GPU needs one, whatever else is said.
    let count = if vram_bytes > 0 || kind.is_some() { count.max(1) } else { count };
    let need = Need { vram_bytes, name: kind.map(str::to_owned), ..Need::default() };
    if let Some(missing) = gpus(count, &need, facts) {
        return Some(missing);
    }
    if let Some(xpus) = counted("xpu_").filter(|xpus| *xpus > 0) {
        return Some(Missing { needs: units(xpus, "Intel XPU"), has: "none".to_owned() });
    }
    let named = |mark: &Mark| ELSEWHERE.iter().find(|(name, _)| *name == mark.name);
    let (_, needs) = marks.iter().find_map(named)?;
    Some(Missing { needs: (*needs).to_owned(), has: units(facts.gpus, "GPU") })
}

fn gpus(count: u32, need: &Need, facts: &Facts) -> Option<Missing> {
    if facts.gpus < count {
        return Some(Missing { needs: needed(count, need), has: units(facts.gpus, "GPU") });
    }
    let Some(accelerators) = &facts.accelerators else {
        // So many GPUs, of which nothing else is known: none of them is of a certain kind.
        let unknown = need.name.is_some();
        return unknown.then(|| Missing { needs: needed(count, need), has: units(facts.gpus, "GPU") });
    };
    let fit = u32::try_from(fit(accelerators, need).len()).unwrap_or(u32::MAX);
    (fit < count).then(|| {
        let how_many = if fit == 0 { "none that fits".to_owned() } else { units(fit, "GPU") };
        Missing {
            needs: needed(count, need),
            has: format!("{how_many}: {}", reasons(accelerators, need).join("; ")),
        }
    })
}

/// GPUs as a person asks for them.
fn needed(count: u32, need: &Need) -> String {
    let kind = need.name.as_deref().map(str::to_uppercase);
    let gpus = match (&kind, count) {
        (None, count) => units(count, "GPU"),
        (Some(kind), 1) => format!("an {kind}"),
        (Some(kind), count) => format!("{count} {kind}s"),
    };
    match need.vram_bytes {
        0 => gpus,
        bytes => format!("{gpus} with {} of memory free", needed_text(bytes)),
    }
}

/// Bytes of each GPU's memory that a marker asks for.
fn vram(mark: &Mark) -> Option<u64> {
    let (_, unit) = VRAM.iter().find(|(name, _)| *name == mark.name)?;
    let number = mark.args.first().or_else(|| mark.kwargs.values().next())?.as_f64()?;
    let bytes = (number * unit).floor();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "neither negative nor too large"
    )]
    (1.0..1e18).contains(&bytes).then_some(bytes as u64)
}

fn units(count: u32, unit: &str) -> String {
    match count {
        0 => "none".to_owned(),
        1 => format!("1 {unit}"),
        count => format!("{count} {unit}s"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::missing;
    use crate::facts::Facts;
    use crate::gpu::tests::{gpu, host};
    use crate::gpu::{Gpu, GpuProcess};
    use crate::selection::Mark;

    fn marks(marks: &[(&str, Value)]) -> Vec<Mark> {
        let mark = |(name, argument): &(&str, Value)| Mark {
            name: (*name).to_owned(),
            args: if argument.is_null() { Vec::new() } else { vec![argument.clone()] },
            ..Mark::default()
        };
        marks.iter().map(mark).collect()
    }

    fn facts(gpus: Vec<Gpu>) -> Facts {
        Facts { gpus: u32::try_from(gpus.len()).unwrap(), accelerators: Some(host(gpus)), ..Facts::default() }
    }

    fn told(asked: &[(&str, Value)], facts: &Facts) -> String {
        missing(&marks(asked), facts)
            .map_or_else(|| "runs".to_owned(), |it| format!("needs {}, has {}", it.needs, it.has))
    }

    #[test]
    fn each_skip_says_what_it_needs_and_what_is_here() {
        let none = Facts::default();
        let small = facts(vec![gpu(0, "NVIDIA GeForce RTX 4060", 8)]);
        let holder = GpuProcess { pid: 7, name: Some("python3".to_owned()), memory_bytes: Some(70 << 30) };
        let held =
            Gpu { used_bytes: 70 << 30, processes: vec![holder], ..gpu(1, "NVIDIA H100 80GB HBM3", 80) };
        let two = facts(vec![gpu(0, "NVIDIA H100 80GB HBM3", 80), held]);
        let divided = facts(vec![Gpu { mig: Some(Vec::new()), ..gpu(0, "NVIDIA H100 80GB HBM3", 80) }]);
        let vram = ("profiled_vram_gib", json!(19.2));
        let lines = [
            told(&[("gpu_1", Value::Null)], &none),
            told(&[("gpu_0", Value::Null), ("profiled_vram_gib", json!(0))], &none),
            told(&[("gpus_needed_2", Value::Null)], &small),
            told(&[("gpu_1", Value::Null), vram.clone()], &none),
            told(&[("gpu_1", Value::Null), vram.clone()], &small),
            told(&[("requested_vllm_kv_cache_bytes", json!(1_119_388_000_u64))], &small),
            told(&[("requested_sglang_vram_gib", json!("much"))], &none),
            told(&[("requested_sglang_kv_tokens", json!(2048))], &none),
            told(&[("gpu_2", Value::Null), vram.clone()], &two),
            told(&[("gpu_1", Value::Null), vram], &two),
            told(&[("gpu_2", Value::Null)], &two),
            told(&[("h100", Value::Null)], &small),
            told(&[("h100", Value::Null), ("gpu_2", Value::Null)], &two),
            told(&[("h100", Value::Null)], &none),
            told(&[("gpu_1", Value::Null)], &divided),
            told(&[("xpu_2", Value::Null)], &two),
            told(&[("k8s", Value::Null)], &two),
        ];
        insta::assert_snapshot!(lines.join("\n"), @r"
        needs 1 GPU, has none
        runs
        needs 2 GPUs, has 1 GPU
        needs 1 GPU with 19.2GiB of memory free, has none
        needs 1 GPU with 19.2GiB of memory free, has none that fits: GPU 0 has 8GiB of memory, and 19.2GiB is needed
        runs
        runs
        runs
        needs 2 GPUs with 19.2GiB of memory free, has 1 GPU: GPU 1 has 10GiB of memory free, and 19.2GiB is needed; held by `python3` (process 7): 70GiB
        runs
        runs
        needs an H100, has none that fits: GPU 0 is `NVIDIA GeForce RTX 4060`, not one of `h100`
        runs
        needs an H100, has none
        needs 1 GPU, has none that fits: GPU 0 is switched to MIG, and a whole GPU is needed
        needs 2 Intel XPUs, has none
        needs a Kubernetes cluster, has 2 GPUs
        ");
    }
}
