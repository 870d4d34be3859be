//! The agent that looks which GPUs its container has: device files, and what the driver says of those. An engine may accept a request
//! for GPUs and give none, and only inside can that be seen.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use testbed_model::grant::SeenGpus;

/// Where the driver describes GPUs.
const DRIVER: &str = "/proc/driver/nvidia/gpus";

/// Looks and tells, as one line of JSON. Returns the process's exit code.
pub fn main() -> u8 {
    let seen = look(Path::new("/dev"), Path::new(DRIVER));
    let told = serde_json::to_vec(&seen).map(|mut line| {
        line.push(b'\n');
        std::io::stdout().lock().write_all(&line)
    });
    u8::from(!matches!(told, Ok(Ok(()))))
}

/// What is there. A driver that describes GPUs whose device files are missing describes other containers' GPUs.
fn look(devices: &Path, driver: &Path) -> SeenGpus {
    let mut minors: Vec<u32> =
        entries(devices).iter().filter_map(|name| name.strip_prefix("nvidia")?.parse().ok()).collect();
    minors.sort_unstable();
    let described: Vec<(u32, String)> = entries(driver)
        .iter()
        .filter_map(|gpu| fs::read_to_string(driver.join(gpu).join("information")).ok())
        .filter_map(|text| {
            let value = |key: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(key))?;
                Some(line.trim_start_matches(':').trim().to_owned())
            };
            Some((value("Device Minor")?.parse().ok()?, value("GPU UUID")?))
        })
        .collect();
    let uuid = |minor: &u32| described.iter().find(|(of, _)| of == minor).map(|(_, uuid)| uuid.clone());
    // The driver answers `GPU-????????` where it has not looked yet.
    let uuids = minors.iter().filter_map(uuid).filter(|uuid| !uuid.contains('?')).collect();
    SeenGpus { devices: minors.iter().map(|minor| format!("nvidia{minor}")).collect(), uuids }
}

fn entries(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::look;

    #[test]
    fn device_files_count_and_the_driver_names_them() {
        let root = tempfile::tempdir().unwrap();
        let (devices, driver) = (root.path().join("dev"), root.path().join("gpus"));
        fs::create_dir_all(&devices).unwrap();
        for name in ["nvidia3", "nvidia0", "nvidiactl", "nvidia-uvm", "null"] {
            fs::write(devices.join(name), "").unwrap();
        }
        for (bus, minor, uuid) in
            [("a", 0, "GPU-0"), ("b", 3, "GPU-????????-????-????-????-????????????"), ("c", 7, "GPU-7")]
        {
            fs::create_dir_all(driver.join(bus)).unwrap();
            let text = format!("Model: \t\t NVIDIA H200\nGPU UUID: \t {uuid}\nDevice Minor: \t {minor}\n");
            fs::write(driver.join(bus).join("information"), text).unwrap();
        }
        let seen = look(&devices, &driver);
        assert_eq!(seen.devices, ["nvidia0", "nvidia3"]);
        assert_eq!(seen.uuids, ["GPU-0"]);
    }

    #[test]
    fn nothing_is_nothing() {
        let root = tempfile::tempdir().unwrap();
        let seen = look(&root.path().join("dev"), &root.path().join("gpus"));
        assert!(seen.devices.is_empty() && seen.uuids.is_empty());
    }
}
