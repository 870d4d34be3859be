//! The processor architectures that images are made for, and the names that others give to them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// `x86_64`, in Debian's and Docker's words `amd64`.
    Amd64,
    /// `aarch64`, in Debian's and Docker's words `arm64`.
    Arm64,
}

/// An architecture for which there are no images.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no image can be made for the architecture `{0}` (known: `x86_64`, `aarch64`)")]
pub struct UnknownArchitecture(pub String);

impl Architecture {
    /// Docker's and Debian's name.
    pub const fn docker(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// The kernel's and Python's name.
    pub const fn machine(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }

    /// Debian's folder of libraries, such as `x86_64-linux-gnu`.
    pub const fn triplet(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-linux-gnu",
            Self::Arm64 => "aarch64-linux-gnu",
        }
    }

    /// The dynamic loader's file name inside the folder of libraries.
    pub const fn loader(self) -> &'static str {
        match self {
            Self::Amd64 => "ld-linux-x86-64.so.2",
            Self::Arm64 => "ld-linux-aarch64.so.1",
        }
    }

    /// The platform tags of Python wheels that run on a C library of `glibc` 2.N, best first.
    pub fn wheel_platforms(self, glibc_minor: u32) -> Vec<String> {
        let machine = self.machine();
        let mut tags: Vec<String> =
            (5..=glibc_minor).rev().map(|minor| format!("manylinux_2_{minor}_{machine}")).collect();
        let old: &[&str] = match self {
            Self::Amd64 => &["manylinux2014", "manylinux2010", "manylinux1"],
            Self::Arm64 => &["manylinux2014"],
        };
        tags.extend(old.iter().map(|name| format!("{name}_{machine}")));
        tags.push(format!("linux_{machine}"));
        tags
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.docker())
    }
}

impl FromStr for Architecture {
    type Err = UnknownArchitecture;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "x86_64" | "amd64" => Ok(Self::Amd64),
            "aarch64" | "arm64" => Ok(Self::Arm64),
            _ => Err(UnknownArchitecture(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Architecture;

    #[test]
    fn both_spellings_name_one_architecture() {
        for (kernel, docker) in [("x86_64", "amd64"), ("aarch64", "arm64")] {
            let parsed: Architecture = kernel.parse().unwrap();
            assert_eq!(parsed, docker.parse().unwrap());
            assert_eq!((parsed.machine(), parsed.docker()), (kernel, docker));
        }
    }

    #[test]
    fn an_architecture_without_images_is_named() {
        let error = "riscv64".parse::<Architecture>().unwrap_err();
        assert!(error.to_string().contains("`riscv64`"), "{error}");
    }

    #[test]
    fn wheels_for_the_newest_library_come_first() {
        let tags = Architecture::Arm64.wheel_platforms(36);
        assert_eq!(tags.first().unwrap(), "manylinux_2_36_aarch64");
        assert!(tags.contains(&"manylinux_2_17_aarch64".to_owned()));
        assert!(!tags.contains(&"manylinux1_aarch64".to_owned()));
    }
}
