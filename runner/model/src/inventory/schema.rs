//! Every key that a simulated inventory can have, as one table: the JSON Schema and the reference page are made from it, and the
//! reader knows no other.

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text that is not empty.
    Name,
    /// A list of texts.
    Names,
    /// A whole number.
    Count,
    /// A whole number, at least 1.
    Number,
    /// A list of whole numbers.
    Counts,
    /// A truth value.
    Boolean,
    /// A size such as `80GiB`.
    Size,
    /// A size, or `unlimited`.
    Limit,
    /// A whole number, or `unlimited`.
    CountLimit,
    /// A version such as `12.8`.
    Version,
    /// Major and minor number of a compute capability.
    Capability,
    /// A processor architecture.
    Architecture,
    /// `Docker` or `Podman`.
    Engine,
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Path of names: `[]` stands for each item of a list.
    pub path: &'static [&'static str],
    /// What it takes.
    pub kind: Kind,
    /// Whether its table must hold it.
    pub required: bool,
    /// What it means.
    pub meaning: &'static str,
}

const fn key(path: &'static [&'static str], kind: Kind, meaning: &'static str) -> Key {
    Key { path, kind, required: false, meaning }
}

const fn required(path: &'static [&'static str], kind: Kind, meaning: &'static str) -> Key {
    Key { path, kind, required: true, meaning }
}

/// Every key, in the order of the reference page.
#[rustfmt::skip]
pub const KEYS: &[Key] = &[
    key(&["host", "cores"], Kind::Number, "processor cores"),
    key(&["host", "memory"], Kind::Size, "memory"),
    key(&["host", "architecture"], Kind::Architecture, "processor architecture"),
    key(&["host", "kernel"], Kind::Name, "kernel release"),
    key(&["host", "shm"], Kind::Size, "size of `/dev/shm`"),
    key(&["host", "clock_synchronised"], Kind::Boolean, "whether something keeps the clock in time"),
    key(&["host", "disk", "path"], Kind::Name, "folder of records and caches"),
    required(&["host", "disk", "free"], Kind::Size, "room that is left there"),
    key(&["host", "disk", "total"], Kind::Size, "room in all; what is free without it"),
    key(&["host", "limits", "nofile"], Kind::CountLimit, "most open files of a process"),
    key(&["host", "limits", "memlock"], Kind::Limit, "most memory of a process that stays out of swap"),
    key(&["host", "limits", "stack"], Kind::Limit, "largest stack of a process"),

    key(&["daemon", "name"], Kind::Engine, "container engine; with it no engine is asked by `plan` and `doctor`"),
    key(&["daemon", "version"], Kind::Name, "its version"),
    key(&["daemon", "api_version"], Kind::Name, "its API version"),
    key(&["daemon", "storage_driver"], Kind::Name, "its storage driver"),
    key(&["daemon", "cgroup_version"], Kind::Name, "its control group version, `1` or `2`"),
    key(&["daemon", "runtimes"], Kind::Names, "container runtimes that it offers"),
    key(&["daemon", "default_runtime"], Kind::Name, "runtime of a container that names none"),
    key(&["daemon", "cdi_devices"], Kind::Names, "devices that it knows by CDI, such as `nvidia.com/gpu=0`"),
    key(&["daemon", "cdi_spec_dirs"], Kind::Names, "folders where it looks for descriptions of devices"),
    key(&["daemon", "gpu_hook"], Kind::Boolean, "whether `nvidia-container-runtime-hook` is installed"),
    key(&["daemon", "address_ranges"], Kind::Names, "ranges of addresses that its networks use"),
    key(&["daemon", "disk", "path"], Kind::Name, "folder of its images and containers"),
    required(&["daemon", "disk", "free"], Kind::Size, "room that is left there"),
    key(&["daemon", "disk", "total"], Kind::Size, "room in all; what is free without it"),

    required(&["driver", "version"], Kind::Version, "version of the NVIDIA driver; with this table, the GPUs are those of this file alone"),
    required(&["driver", "cuda"], Kind::Version, "newest CUDA version that it serves"),

    key(&["gpu", "[]", "count"], Kind::Number, "how many GPUs are just so; 1 without it"),
    required(&["gpu", "[]", "name"], Kind::Name, "product name, such as `NVIDIA H100 80GB HBM3`"),
    required(&["gpu", "[]", "memory"], Kind::Size, "memory"),
    key(&["gpu", "[]", "used"], Kind::Size, "memory in use; what its processes hold without it"),
    required(&["gpu", "[]", "compute_capability"], Kind::Capability, "compute capability, such as `\"9.0\"`"),
    key(&["gpu", "[]", "uuid"], Kind::Name, "identity; made of the index without it"),
    key(&["gpu", "[]", "ecc"], Kind::Boolean, "whether error correction is on; a GPU without the key has none"),
    key(&["gpu", "[]", "uncorrected_errors"], Kind::Count, "memory errors that could not be corrected"),
    key(&["gpu", "[]", "xids"], Kind::Counts, "errors of the driver (XID) in the kernel's log"),
    key(&["gpu", "[]", "mig_mode"], Kind::Boolean, "whether it can be divided by MIG; true where it has parts"),
    required(&["gpu", "[]", "mig", "[]", "profile"], Kind::Name, "kind of a part, such as `3g.40gb`"),
    required(&["gpu", "[]", "mig", "[]", "memory"], Kind::Size, "memory of the part"),
    key(&["gpu", "[]", "mig", "[]", "uuid"], Kind::Name, "identity of the part; made of the index without it"),
    required(&["gpu", "[]", "process", "[]", "pid"], Kind::Number, "number of a process that holds memory of the GPU"),
    key(&["gpu", "[]", "process", "[]", "name"], Kind::Name, "its program"),
    key(&["gpu", "[]", "process", "[]", "memory"], Kind::Size, "what it holds"),
];

/// What the tables are for, in the order of the reference page.
pub const TABLES: [(&str, &str); 6] = [
    ("[host]", "The machine. What is not said is as it is here."),
    ("[daemon]", "The container engine. What is not said is as the engine says, where one is asked."),
    (
        "[driver]",
        "The NVIDIA driver. Without this table a file with `gpu = []` stands for a host without GPUs.",
    ),
    ("[[gpu]]", "The GPUs, in the order of their indices."),
    ("[[gpu.mig]]", "Parts that a GPU is divided into."),
    ("[[gpu.process]]", "Processes that hold memory of a GPU."),
];

/// A file that shows them.
pub const EXAMPLE: &str = include_str!("example.toml");

/// The keys of one table.
pub fn names_of(table: &[&str]) -> Vec<&'static str> {
    let mut names: Vec<&str> = KEYS
        .iter()
        .filter(|key| key.path.starts_with(table))
        .filter_map(|key| key.path.get(table.len()).copied())
        .filter(|name| *name != "[]")
        .collect();
    names.dedup();
    names
}
