//! The image's own description, as the daemon keeps it: configuration, layers, labels, and one fixed time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::image::Architecture;

/// The time of everything in an image, in seconds since 1970. A fixed one makes an image's id follow from its content.
pub const EPOCH: u64 = 1_700_000_000;
/// The same as text.
pub const CREATED: &str = "2023-11-14T22:13:20Z";

/// Label keys of images.
pub mod label {
    /// The image's name in the lock.
    pub const NAME: &str = "dev.testbed.image";
    /// The content hash of recipe and inputs.
    pub const CONTENT: &str = "dev.testbed.content";
    /// The Debian packages inside, as [`crate::image::PackageSet::label`] writes them.
    pub const PACKAGES: &str = "dev.testbed.packages";
}

/// How a container of the image starts, unless it is told otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// `uid:gid`.
    pub user: Option<String>,
    /// Environment.
    pub env: BTreeMap<String, String>,
    /// Program.
    pub entrypoint: Option<Vec<String>>,
    /// Arguments.
    pub cmd: Option<Vec<String>>,
    /// Working folder.
    pub workdir: Option<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// An image's description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageLayout {
    /// Architecture.
    pub architecture: Architecture,
    /// Configuration with all labels.
    pub config: ImageConfig,
    /// Of each layer in order: what made it, and its content's digest, `sha256:...`.
    pub layers: Vec<(String, String)>,
}

impl ImageLayout {
    /// The bytes whose sha256 is the image's id.
    pub fn to_bytes(&self) -> Vec<u8> {
        let config = &self.config;
        let mut settings = serde_json::Map::new();
        let mut set = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                settings.insert(key.to_owned(), value);
            }
        };
        let env: Vec<String> = config.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        set("Cmd", config.cmd.as_ref().map(|cmd| json!(cmd)));
        set("Entrypoint", config.entrypoint.as_ref().map(|entrypoint| json!(entrypoint)));
        set("Env", (!env.is_empty()).then(|| json!(env)));
        set("Labels", (!config.labels.is_empty()).then(|| json!(config.labels)));
        set("User", config.user.as_ref().map(|user| json!(user)));
        set("WorkingDir", config.workdir.as_ref().map(|workdir| json!(workdir)));
        let history: Vec<Value> = self
            .layers
            .iter()
            .map(|(made_by, _)| json!({"created": CREATED, "created_by": made_by}))
            .collect();
        let diff_ids: Vec<&str> = self.layers.iter().map(|(_, digest)| digest.as_str()).collect();
        json!({
            "architecture": self.architecture.docker(),
            "config": settings,
            "created": CREATED,
            "history": history,
            "os": "linux",
            "rootfs": {"diff_ids": diff_ids, "type": "layers"},
        })
        .to_string()
        .into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{ImageConfig, ImageLayout};
    use crate::image::Architecture;

    #[test]
    fn the_description_has_sorted_keys_and_one_time() {
        let layout = ImageLayout {
            architecture: Architecture::Amd64,
            config: ImageConfig {
                user: Some("10001:10001".into()),
                env: BTreeMap::from([("B".into(), "2".into()), ("A".into(), "1".into())]),
                entrypoint: Some(vec!["/bin/x".into()]),
                ..ImageConfig::default()
            },
            layers: vec![("debian".into(), "sha256:00".into())],
        };
        assert_eq!(
            String::from_utf8(layout.to_bytes()).unwrap(),
            concat!(
                r#"{"architecture":"amd64","config":{"Entrypoint":["/bin/x"],"Env":["A=1","B=2"],"#,
                r#""User":"10001:10001"},"created":"2023-11-14T22:13:20Z","history":[{"created":"#,
                r#""2023-11-14T22:13:20Z","created_by":"debian"}],"os":"linux","rootfs":{"diff_ids":"#,
                r#"["sha256:00"],"type":"layers"}}"#
            )
        );
    }

    #[test]
    fn what_is_not_said_is_not_written() {
        let layout = ImageLayout {
            architecture: Architecture::Arm64,
            config: ImageConfig::default(),
            layers: Vec::new(),
        };
        let value: serde_json::Value = serde_json::from_slice(&layout.to_bytes()).unwrap();
        assert_eq!(value["config"], serde_json::json!({}));
        assert_eq!(value["architecture"], "arm64");
    }
}
