//! Descriptions of devices by the Container Device Interface: which names a file gives to containers' devices
//! (<https://github.com/cncf-tags/container-device-interface/blob/main/SPEC.md>).

use crate::document::from_yaml;
use crate::span::Fault;

/// Where engines look for descriptions when nothing says otherwise.
pub const FOLDERS: [&str; 2] = ["/etc/cdi", "/var/run/cdi"];

/// Endings of the files that engines read there.
pub const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// The devices that a description names in full: `nvidia.com/gpu=0`. What the description says of them besides is the engine's.
pub fn devices(file: &str, text: &str) -> Result<Vec<String>, Fault> {
    let document = from_yaml(file, text)?;
    let mut fields = document.item().fields()?;
    let kind = fields.require("kind")?;
    let kind = kind.full_text()?;
    let Some(devices) = fields.take("devices").filter(|devices| !devices.is_null()) else {
        return Ok(Vec::new());
    };
    let name = |device: &crate::document::Item<'_>| {
        let name = device.fields()?.require("name")?;
        // An index is often written without quotes.
        Ok(format!("{kind}={}", name.text_or_number()?))
    };
    devices.items()?.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::devices;

    const YAML: &str = "---\ncdiVersion: 0.5.0\ncontainerEdits:\n  deviceNodes:\n  - path: /dev/nvidiactl\n  hooks:\n  - args: [nvidia-cdi-hook, chmod, --mode, \"755\"]\n    hookName: createContainer\ndevices:\n- containerEdits:\n    deviceNodes:\n    - path: /dev/nvidia0\n  name: \"0\"\n- containerEdits: {}\n  name: GPU-4f2c\n- name: all\nkind: nvidia.com/gpu\n";

    #[test]
    fn a_description_is_read_as_yaml_and_as_json() {
        assert_eq!(
            devices("nvidia.yaml", YAML).unwrap(),
            ["nvidia.com/gpu=0", "nvidia.com/gpu=GPU-4f2c", "nvidia.com/gpu=all"]
        );
        let json = r#"{"cdiVersion": "0.6.0", "kind": "vendor.com/net", "devices": [{"name": "a", "containerEdits": {}}]}"#;
        assert_eq!(devices("net.json", json).unwrap(), ["vendor.com/net=a"]);
        assert_eq!(devices("none.yaml", "kind: a.com/b\ndevices:\n").unwrap(), [""; 0]);
    }

    #[test]
    fn a_description_that_is_none_is_refused_with_its_place() {
        for (text, told) in [
            ("", "the file is empty"),
            ("cdiVersion: 0.5.0\n", "the key `kind` is missing"),
            ("kind: a/b\ndevices: 3\n", "`devices` must be a list"),
            ("kind: a/b\ndevices: [{}]\n", "the key `name` is missing"),
        ] {
            let fault = devices("x.yaml", text).unwrap_err();
            assert!(fault.to_string().contains(told), "{fault}");
        }
    }

    proptest! {
        #[test]
        fn every_device_begins_with_its_kind(text in "(kind|devices|name|: |- |a|\n|  |\\[|\\{|.){0,20}") {
            if let Ok(devices) = devices("x.yaml", &text) {
                prop_assert!(devices.iter().all(|device| device.contains('=')));
            }
        }
    }
}
