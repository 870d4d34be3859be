//! What an image demands of driver and GPUs, by variables such as `NVIDIA_REQUIRE_CUDA`.
//!
//! NVIDIA's runtime refuses a container whose demand is not met. Where GPUs get in by another way nobody asks, and the program inside
//! fails much later. The syntax is that of NVIDIA's container toolkit: alternatives between spaces, of which one has to hold, each of
//! constraints between commas, which all have to
//! (<https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/docker-specialized.html>).

use std::collections::BTreeMap;
use std::fmt;

use crate::fitness::capability_text;
use crate::gpu::{Accelerators, Gpu};
use crate::version::Version;

/// What variables with a demand begin with.
const PREFIX: &str = "NVIDIA_REQUIRE_";

/// The variable that switches all of them off, and the words that do, as Go reads them.
const SWITCH: &str = "NVIDIA_DISABLE_REQUIRE";
const ON: [&str; 6] = ["1", "t", "T", "true", "TRUE", "True"];

/// What one variable demands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    alternatives: Vec<Vec<Constraint>>,
}

/// One constraint.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Constraint {
    text: String,
    /// None where nothing can be said of it: brands, what is unknown, and what cannot be read.
    judged: Option<(Subject, Operator, Version)>,
}

/// What a constraint is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Cuda,
    Driver,
    Capability,
}

/// How a version is held against another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    NotEqual,
    NotMore,
    NotLess,
    Equal,
    Less,
    More,
}

/// Operators as they are written, the longer ones first.
const OPERATORS: [(&str, Operator); 6] = [
    ("!=", Operator::NotEqual),
    ("<=", Operator::NotMore),
    (">=", Operator::NotLess),
    ("=", Operator::Equal),
    ("<", Operator::Less),
    (">", Operator::More),
];

/// A demand that is not met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// The constraint that fails, of the first alternative: `cuda>=13.0`.
    pub wants: String,
    /// What is here in its place.
    pub has: String,
    /// Further alternatives, none of which holds.
    pub others: usize,
}

impl Demand {
    /// Reads a demand. What cannot be read demands nothing.
    pub fn parse(text: &str) -> Self {
        let alternative = |text: &str| -> Vec<Constraint> {
            text.split(',').filter(|part| !part.is_empty()).map(Constraint::parse).collect()
        };
        let alternatives = text.split_ascii_whitespace().map(alternative);
        Self { alternatives: alternatives.filter(|constraints| !constraints.is_empty()).collect() }
    }

    /// Why a GPU under a driver does not meet it; none where it does, or where that cannot be told.
    pub fn unmet(&self, accelerators: &Accelerators, gpu: &Gpu) -> Option<Unmet> {
        let failing = self.alternatives.iter().map(|constraints| {
            constraints.iter().find(|constraint| constraint.holds(accelerators, gpu) == Some(false))
        });
        let failed: Option<Vec<&Constraint>> = failing.collect();
        let failed = failed?;
        let first = failed.first()?;
        let (subject, _, _) = first.judged.as_ref()?;
        let has = subject.told(accelerators, gpu);
        Some(Unmet { wants: first.text.clone(), has, others: failed.len() - 1 })
    }
}

impl Constraint {
    fn parse(text: &str) -> Self {
        let judged = || {
            let (name, rest) = text.split_at_checked(text.find(['<', '>', '=', '!'])?)?;
            let subject = match name {
                "cuda" => Subject::Cuda,
                "driver" => Subject::Driver,
                "arch" => Subject::Capability,
                _ => return None,
            };
            let (sign, operator) = OPERATORS.into_iter().find(|(sign, _)| rest.starts_with(sign))?;
            Some((subject, operator, rest.strip_prefix(sign)?.parse().ok()?))
        };
        Self { text: text.to_owned(), judged: judged() }
    }

    fn holds(&self, accelerators: &Accelerators, gpu: &Gpu) -> Option<bool> {
        let (subject, operator, wanted) = self.judged.as_ref()?;
        let has = subject.of(accelerators, gpu)?;
        Some(match operator {
            Operator::NotEqual => has != *wanted,
            Operator::NotMore => has <= *wanted,
            Operator::NotLess => has >= *wanted,
            Operator::Equal => has == *wanted,
            Operator::Less => has < *wanted,
            Operator::More => has > *wanted,
        })
    }
}

impl Subject {
    fn of(self, accelerators: &Accelerators, gpu: &Gpu) -> Option<Version> {
        match self {
            Self::Cuda => Version::leading(&accelerators.cuda),
            Self::Driver => Version::leading(&accelerators.driver),
            Self::Capability => capability_text(gpu.compute_capability).parse().ok(),
        }
    }

    fn told(self, accelerators: &Accelerators, gpu: &Gpu) -> String {
        let Accelerators { driver, cuda, .. } = accelerators;
        match self {
            Self::Cuda => format!("driver {driver} of this host serves CUDA {cuda}"),
            Self::Driver => format!("this host has driver {driver}"),
            Self::Capability => {
                format!(
                    "GPU {} has compute capability {}",
                    gpu.index,
                    capability_text(gpu.compute_capability)
                )
            }
        }
    }
}

/// The first demand of a container's environment that one of its GPUs does not meet.
pub fn unmet<'g>(
    environment: &BTreeMap<String, String>,
    accelerators: &Accelerators,
    gpus: impl IntoIterator<Item = &'g Gpu>,
) -> Option<Unmet> {
    if environment.get(SWITCH).is_some_and(|text| ON.contains(&text.as_str())) {
        return None;
    }
    let demands: Vec<Demand> = environment
        .iter()
        .filter(|(name, _)| name.starts_with(PREFIX))
        .map(|(_, text)| Demand::parse(text))
        .collect();
    gpus.into_iter().find_map(|gpu| demands.iter().find_map(|demand| demand.unmet(accelerators, gpu)))
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`, and {}", self.wants, self.has)?;
        match self.others {
            0 => Ok(()),
            1 => f.write_str("; its other alternative is not met either"),
            others => write!(f, "; none of its {others} other alternatives is met either"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::{Demand, unmet};
    use crate::gpu::Accelerators;
    use crate::gpu::tests::{gpu, host};

    /// As NVIDIA's images of CUDA 12.8 have it, shortened.
    const IMAGE: &str = "cuda>=12.8 brand=unknown,driver>=470,driver<471 brand=tesla,driver>=535,driver<536";

    fn driver(driver: &str, cuda: &str) -> Accelerators {
        let all = host(vec![gpu(0, "NVIDIA H100 80GB HBM3", 80)]);
        Accelerators { driver: driver.to_owned(), cuda: cuda.to_owned(), ..all }
    }

    fn told(variables: &[(&str, &str)], accelerators: &Accelerators) -> String {
        let environment: BTreeMap<String, String> =
            variables.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        unmet(&environment, accelerators, &accelerators.gpus)
            .map_or_else(|| "met".to_owned(), |unmet| unmet.to_string())
    }

    #[test]
    fn a_driver_that_is_too_old_is_told_with_both_versions() {
        let cuda = |text| [("NVIDIA_REQUIRE_CUDA", text)];
        let lines = [
            told(&cuda(IMAGE), &driver("580.65.06", "13.0")),
            told(&cuda(IMAGE), &driver("560.35.03", "12.6")),
            // Which brand a GPU is of is not known: it may be the one.
            told(&cuda(IMAGE), &driver("535.247.01", "12.2")),
            told(&cuda("cuda>=13.0"), &driver("570.86.15", "12.8")),
            told(&cuda("cuda>=12.8,driver>=575"), &driver("570.86.15", "12.8")),
            told(&cuda("arch>=10.0 arch=8.0"), &driver("580.65.06", "13.0")),
            told(&cuda("brand=tesla"), &driver("580.65.06", "13.0")),
            told(&cuda("cuda>13.0"), &driver("580.65.06", "13.0")),
            told(&cuda("cuda!=13.0,cuda<=13.0"), &driver("580.65.06", "13.0")),
        ];
        insta::assert_snapshot!(lines.join("\n"), @r"
        met
        `cuda>=12.8`, and driver 560.35.03 of this host serves CUDA 12.6; none of its 2 other alternatives is met either
        met
        `cuda>=13.0`, and driver 570.86.15 of this host serves CUDA 12.8
        `driver>=575`, and this host has driver 570.86.15
        `arch>=10.0`, and GPU 0 has compute capability 9.0; its other alternative is not met either
        met
        `cuda>13.0`, and driver 580.65.06 of this host serves CUDA 13.0
        `cuda!=13.0`, and driver 580.65.06 of this host serves CUDA 13.0
        ");
    }

    #[test]
    fn all_variables_count_unless_they_are_switched_off() {
        let old = driver("535.247.01", "12.2");
        let two = [("NVIDIA_REQUIRE_CUDA", "cuda>=12.0"), ("NVIDIA_REQUIRE_OTHER", "driver>=550")];
        assert_eq!(told(&two, &old), "`driver>=550`, and this host has driver 535.247.01");
        for (word, off) in [("1", true), ("true", true), ("0", false), ("yes", false), ("", false)] {
            let told = told(&[two[0], two[1], ("NVIDIA_DISABLE_REQUIRE", word)], &old);
            assert_eq!(told == "met", off, "{word}: {told}");
        }
    }

    #[test]
    fn what_cannot_be_read_demands_nothing() {
        let old = driver("1.0", "1.0");
        for text in ["", " ", ",", "cuda", "cuda>=", "cuda>=x", "cuda=>13", "memory>=80", ">=13", "cuda~13"] {
            assert_eq!(told(&[("NVIDIA_REQUIRE_CUDA", text)], &old), "met", "{text}");
        }
    }

    fn constraint() -> impl Strategy<Value = String> {
        (
            prop::sample::select(vec!["cuda", "driver", "arch", "brand", "x"]),
            prop::sample::select(vec!["=", "!=", "<", "<=", ">", ">=", "~"]),
            prop::sample::select(vec!["1", "9.0", "12.8", "13.0", "570", "580.65.06", "tesla"]),
        )
            .prop_map(|(name, operator, value)| format!("{name}{operator}{value}"))
    }

    fn demand() -> impl Strategy<Value = String> {
        prop::collection::vec(prop::collection::vec(constraint(), 1..4), 1..4).prop_map(|alternatives| {
            let alternatives: Vec<String> =
                alternatives.iter().map(|constraints| constraints.join(",")).collect();
            alternatives.join(" ")
        })
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in ".{0,40}") {
            let host = driver("580.65.06", "13.0");
            let _ = Demand::parse(&text).unmet(&host, &host.gpus[0]);
        }

        #[test]
        fn one_more_alternative_never_takes_away_and_one_more_constraint_never_gives(one in demand(), other in demand()) {
            let host = driver("570.86.15", "12.8");
            let refused = |text: &str| Demand::parse(text).unmet(&host, &host.gpus[0]).is_some();
            prop_assert_eq!(refused(&format!("{one} {other}")), refused(&one) && refused(&other));
            let last = one.rsplit(' ').next().unwrap();
            let first = other.split(' ').next().unwrap();
            prop_assert_eq!(refused(&format!("{last},{first}")), refused(last) || refused(first));
        }

        #[test]
        fn an_operator_and_its_opposite_never_agree(value in prop::sample::select(vec!["12.7", "12.8", "12.8.0", "12.9", "1"])) {
            let host = driver("570.86.15", "12.8");
            let refused = |operator: &str| Demand::parse(&format!("cuda{operator}{value}")).unmet(&host, &host.gpus[0]).is_some();
            for (operator, opposite) in [("=", "!="), ("<", ">="), (">", "<=")] {
                prop_assert_ne!(refused(operator), refused(opposite));
            }
        }
    }
}
