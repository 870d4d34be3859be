//! What a case asks of the host by its markers, against what is here.

use super::Mark;
use crate::facts::Facts;

/// What is asked for and not here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What the case needs: `2 GPUs`.
    pub needs: String,
    /// What is here: `none`.
    pub has: String,
}

/// Markers that ask for something that no facts of a host speak of yet.
const ELSEWHERE: [(&str, &str); 3] =
    [("h100", "an H100"), ("k8s", "a Kubernetes cluster"), ("slurm", "a Slurm cluster")];

/// What of a case's hardware markers (`gpu_2`, `gpus_needed_2`, `xpu_1`, `h100`, `k8s`) a host does not have.
pub fn missing(marks: &[Mark], facts: &Facts) -> Option<Missing> {
    let counted = |prefix: &str| {
        let number = |mark: &Mark| mark.name.strip_prefix(prefix)?.parse::<u32>().ok();
        marks.iter().filter_map(number).max()
    };
    let gpus = counted("gpu_").max(counted("gpus_needed_")).unwrap_or_default();
    if gpus > facts.gpus {
        return Some(Missing { needs: units(gpus, "GPU"), has: units(facts.gpus, "GPU") });
    }
    if let Some(xpus) = counted("xpu_").filter(|xpus| *xpus > 0) {
        return Some(Missing { needs: units(xpus, "Intel XPU"), has: "none".to_owned() });
    }
    let named = |mark: &Mark| ELSEWHERE.iter().find(|(name, _)| *name == mark.name);
    let (_, needs) = marks.iter().find_map(named)?;
    let has = if facts.gpus == 0 { "none".to_owned() } else { units(facts.gpus, "GPU") };
    Some(Missing { needs: (*needs).to_owned(), has })
}

fn units(count: u32, unit: &str) -> String {
    match count {
        0 => "none".to_owned(),
        1 => format!("1 {unit}"),
        count => format!("{count} {unit}s"),
    }
}
