//! What is there: of each image of the lock, how it can be had and whether the daemon has it as it should be.

use std::fmt;

use serde::Serialize;
use testbed_model::image::{Drift, ImageName, label};

use super::error::ImageError;
use super::inputs::Wanted;
use super::{Images, reference_of};
use crate::docker::{Daemon, ImageFacts};

/// How an image can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// From a registry.
    Pull,
    /// From an archive.
    Load,
    /// From a recipe.
    Build,
}

/// An image of the lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Name in the lock.
    pub name: String,
    /// How it can be had.
    pub way: Way,
    /// What the daemon calls it.
    pub reference: String,
    /// Its id in the daemon; none if it is not there.
    pub id: Option<String>,
    /// Its size in the daemon in bytes.
    pub size: Option<u64>,
}

/// Whether an image is there as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// It is.
    Present,
    /// It is, and its Debian packages are not the ones that were recorded.
    Drifted {
        /// How they differ.
        drift: Drift,
    },
    /// Nothing has its name.
    Missing,
    /// Something else has its name.
    Differs {
        /// What is wrong with it.
        what: String,
    },
}

/// The verdict on one image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Name in the lock.
    pub name: String,
    /// What the daemon calls it.
    pub reference: String,
    /// The verdict.
    #[serde(flatten)]
    pub verdict: Verdict,
}

impl Verdict {
    /// Whether a run can use the image.
    pub const fn is_usable(&self) -> bool {
        matches!(self, Self::Present | Self::Drifted { .. })
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pull => "pull",
            Self::Load => "load",
            Self::Build => "build",
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Present => f.write_str("present"),
            Self::Drifted { drift } => write!(f, "present, with other packages than recorded: {drift}"),
            Self::Missing => f.write_str("missing"),
            Self::Differs { what } => write!(f, "differs: {what}"),
        }
    }
}

impl Images {
    /// All images of the lock, and whether the daemon has them.
    pub async fn list(&self, daemon: &Daemon) -> Result<Vec<Listed>, ImageError> {
        let mut listed = Vec::new();
        for (name, wanted) in &self.wanted {
            let reference = reference_of(name, wanted);
            let facts = daemon.image(&reference).await?;
            listed.push(Listed {
                name: name.to_string(),
                way: match wanted {
                    Wanted::Pulled(_) => Way::Pull,
                    Wanted::Loaded(_) => Way::Load,
                    Wanted::Built(_) => Way::Build,
                },
                reference,
                id: facts.as_ref().map(|facts| facts.id.clone()),
                size: facts.map(|facts| facts.size),
            });
        }
        Ok(listed)
    }

    /// Compares what the daemon has under the images' names with what the lock asks for. Without names: all that have one
    /// there.
    pub async fn verify<S: AsRef<str>>(
        &self,
        daemon: &Daemon,
        names: &[S],
    ) -> Result<Vec<Verified>, ImageError> {
        let selected = if names.is_empty() { self.wanted.iter().collect() } else { self.select(names)? };
        let mut verified = Vec::new();
        for (name, wanted) in selected {
            let reference = reference_of(name, wanted);
            let verdict = match daemon.image(&reference).await? {
                Some(facts) => verdict(name, wanted, &facts),
                None if names.is_empty() => continue,
                None => Verdict::Missing,
            };
            verified.push(Verified { name: name.to_string(), reference, verdict });
        }
        Ok(verified)
    }
}

/// The name of an image that was built holds its content hash, which its label must repeat: a name can be given to
/// anything. An image that was loaded has its id for that.
fn verdict(name: &ImageName, wanted: &Wanted, facts: &ImageFacts) -> Verdict {
    let label = |key: &str| facts.labels.get(key).map_or("", String::as_str);
    match wanted {
        Wanted::Pulled(_) => Verdict::Present,
        Wanted::Loaded(archived) if facts.id == archived.id.as_str() => Verdict::Present,
        Wanted::Loaded(archived) => {
            Verdict::Differs { what: format!("its id is {}, and should be {}", facts.id, archived.id) }
        }
        Wanted::Built(blueprint) => {
            let content = blueprint.content.hex();
            if label(label::NAME) != name.as_str() || label(label::CONTENT) != content {
                let found = match (label(label::NAME), label(label::CONTENT)) {
                    ("", _) | (_, "") => "it was not built by Testbed".to_owned(),
                    (name, content) => format!("it is `{name}` of content {content}"),
                };
                return Verdict::Differs { what: found };
            }
            match blueprint.packages.as_ref().and_then(|expected| Drift::of(expected, label(label::PACKAGES)))
            {
                Some(drift) => Verdict::Drifted { drift },
                None => Verdict::Present,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use testbed_model::image::{Archived, ContentHash, Held, ImageName, PackageSet, Recipe, label};

    use super::{Verdict, verdict};
    use crate::docker::ImageFacts;
    use crate::image::inputs::{Blueprint, Wanted};

    fn nats() -> ImageName {
        "nats".parse().unwrap()
    }

    fn built() -> (Wanted, String) {
        let content = ContentHash::of_bytes(b"nats");
        let sum = "a".repeat(64);
        let packages = PackageSet::from_sums(&format!("{sum}  libc6_1_amd64.deb")).unwrap();
        let blueprint = Blueprint {
            recipe: Recipe::default(),
            layers: Vec::new(),
            content,
            packages: Some(packages),
            repository: "testbed/nats".to_owned(),
            extension: None,
        };
        (Wanted::Built(Box::new(blueprint)), content.hex())
    }

    fn facts(labels: &[(&str, &str)]) -> ImageFacts {
        let labels: BTreeMap<String, String> =
            labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        ImageFacts { id: "sha256:1".into(), size: 1, labels, ..ImageFacts::default() }
    }

    #[test]
    fn an_image_with_the_labels_of_its_recipe_is_present() {
        let (wanted, content) = built();
        let found = facts(&[(label::NAME, "nats"), (label::CONTENT, &content), (label::PACKAGES, "libc6=1")]);
        assert_eq!(verdict(&nats(), &wanted, &found), Verdict::Present);
    }

    #[test]
    fn other_packages_than_recorded_are_drift() {
        let (wanted, content) = built();
        let found = facts(&[(label::NAME, "nats"), (label::CONTENT, &content), (label::PACKAGES, "libc6=2")]);
        let verdict = verdict(&nats(), &wanted, &found);
        assert!(verdict.is_usable());
        assert_eq!(
            verdict.to_string(),
            "present, with other packages than recorded: `libc6` is 2, expected 1"
        );
    }

    #[test]
    fn a_name_given_to_something_else_is_noticed() {
        let (wanted, content) = built();
        for found in [
            facts(&[]),
            facts(&[(label::NAME, "etcd"), (label::CONTENT, &content)]),
            facts(&[(label::NAME, "nats"), (label::CONTENT, "00")]),
        ] {
            let verdict = verdict(&nats(), &wanted, &found);
            assert!(matches!(verdict, Verdict::Differs { .. }), "{verdict}");
            assert!(!verdict.is_usable());
        }
    }

    #[test]
    fn a_loaded_image_has_the_id_of_the_lock() {
        let digest = format!("sha256:{}", "b".repeat(64));
        let wanted =
            Wanted::Loaded(Archived { held: Held::Archive("nats.tar".into()), id: digest.parse().unwrap() });
        let mut found = facts(&[]);
        assert!(matches!(verdict(&nats(), &wanted, &found), Verdict::Differs { .. }));
        found.id = digest;
        assert_eq!(verdict(&nats(), &wanted, &found), Verdict::Present);
    }
}
