//! A recipe with a project's own dependencies on top: wheels in a folder of their own, Debian packages beside the base's.

use crate::image::{BytecodeLayer, DebianLayer, ImagePath, Layer, Recipe, WheelsLayer};

/// Where a project's wheels are.
pub const OWN_TARGET: &str = "/opt/project";

/// Where programs are looked for in an image that says nothing of it.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// What a project adds to a recipe.
#[derive(Clone, Copy, Debug, Default)]
pub struct Addition<'a> {
    /// Requirement files, each of which becomes a layer.
    pub requirements: &'a [String],
    /// Debian packages.
    pub packages: &'a [String],
}

/// Why something cannot be added to a recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotExtend {
    /// It has no wheels, so nothing says for which Python they would be.
    #[error("has no Python packages, so no requirements can be added to it")]
    NoPython,
    /// It has no layer of Debian packages.
    #[error("has no Debian packages, so none can be added to it")]
    NoDebian,
    /// Its layer of Debian packages is a selection of files.
    #[error("keeps only a few files of its Debian packages, so none can be added to it")]
    Sifted,
}

impl Recipe {
    /// The recipe with an addition. Layers that the addition does not concern stay as they are, and so do their hashes.
    ///
    /// Packages join those of the base in its own layer, where they and all that they depend on are resolved together: a layer
    /// over it could only be told from the base's when both are unpacked, and would bring files of the base a second time.
    pub fn extended(&self, addition: Addition<'_>) -> Result<Self, CannotExtend> {
        let mut recipe = self.clone();
        if !addition.packages.is_empty() {
            let debian = recipe.layers.iter_mut().find_map(|layer| match layer {
                Layer::Debian(debian) => Some(debian),
                _ => None,
            });
            join(debian.ok_or(CannotExtend::NoDebian)?, addition.packages)?;
        }
        if !addition.requirements.is_empty() {
            recipe.layers.extend(self.own_python(addition.requirements)?);
            let env = &mut recipe.config.env;
            let path = env.get("PATH").map_or(PATH, String::as_str);
            let path = format!("{OWN_TARGET}/bin:{path}");
            let modules = env.get("PYTHONPATH").filter(|path| !path.is_empty());
            let modules =
                modules.map_or_else(|| OWN_TARGET.to_owned(), |path| format!("{OWN_TARGET}:{path}"));
            env.insert("PATH".to_owned(), path);
            env.insert("PYTHONPATH".to_owned(), modules);
        }
        Ok(recipe)
    }

    /// Layers of wheels for the Python that the base's own wheels are for, and of their compiled code.
    fn own_python(&self, requirements: &[String]) -> Result<Vec<Layer>, CannotExtend> {
        let of_base = self.layers.iter().rev().find_map(|layer| match layer {
            Layer::Wheels(wheels) => Some(wheels),
            _ => None,
        });
        let of_base = of_base.ok_or(CannotExtend::NoPython)?;
        let compiled = self.layers.iter().rev().find_map(|layer| match layer {
            Layer::Bytecode(code) => Some(code.interpreter.clone()),
            _ => None,
        });
        let interpreter = compiled.unwrap_or_else(|| plain(&format!("usr/bin/python{}", of_base.python)));
        let target = plain(OWN_TARGET);
        let wheels = requirements.iter().map(|file| {
            Layer::Wheels(WheelsLayer {
                requirements: file.clone(),
                target: target.clone(),
                python: of_base.python.clone(),
                glibc_minor: of_base.glibc_minor,
                exclude: Vec::new(),
            })
        });
        let code = Layer::Bytecode(BytecodeLayer { interpreter, paths: vec![target.clone()] });
        Ok(wheels.chain([code]).collect())
    }
}

fn join(debian: &mut DebianLayer, packages: &[String]) -> Result<(), CannotExtend> {
    if !debian.keep.is_empty() {
        return Err(CannotExtend::Sifted);
    }
    for package in packages {
        if !debian.packages.contains(package) {
            debian.packages.push(package.clone());
        }
    }
    Ok(())
}

/// A path that is written here or made of a version, neither of which can be wrong.
fn plain(text: &str) -> ImagePath {
    ImagePath::parse(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Addition, CannotExtend, OWN_TARGET};
    use crate::image::{Architecture, ContentHash, ImagePath, Layer, LayerInputs, Recipe, layer_hash};

    fn recipe(name: &str) -> Recipe {
        let text = match name {
            "tests" => include_str!("../../../../images/recipes/tests.toml"),
            "dynamo" => include_str!("../../../../images/recipes/dynamo.toml"),
            _ => include_str!("../../../../images/recipes/nats.toml"),
        };
        Recipe::parse(name, text).unwrap()
    }

    fn names(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn requirements_go_on_top_and_leave_every_layer_of_the_base_as_it_is() {
        let base = recipe("tests");
        let requirements = names(&["requirements/a.txt", "b.txt"]);
        let extended = base.extended(Addition { requirements: &requirements, packages: &[] }).unwrap();
        let (shared, own) = extended.layers.split_at(base.layers.len());
        assert_eq!(shared, base.layers);
        let hash = |layer: &Layer| {
            layer_hash(Architecture::Amd64, layer, &LayerInputs::Requirements(ContentHash::of_bytes(b"")))
        };
        assert!(shared.iter().zip(&base.layers).all(|(one, other)| hash(one) == hash(other)));
        let described: Vec<String> = own.iter().map(Layer::describe).collect();
        assert_eq!(
            described,
            [
                "wheels requirements/a.txt in /opt/project",
                "wheels b.txt in /opt/project",
                "bytecode /opt/project"
            ]
        );
        let Layer::Wheels(wheels) = &own[0] else { panic!() };
        assert_eq!((wheels.python.as_str(), wheels.glibc_minor), ("3.11", 36));
    }

    #[test]
    fn what_the_project_brings_is_found_before_what_the_base_has() {
        let requirements = names(&["a.txt"]);
        let addition = Addition { requirements: &requirements, packages: &[] };
        let env = recipe("tests").extended(addition).unwrap().config.env;
        assert!(env["PATH"].starts_with("/opt/project/bin:/opt/tests/bin:"), "{}", env["PATH"]);
        assert_eq!(env["PYTHONPATH"], OWN_TARGET);
        let mut base = recipe("dynamo");
        base.config.env.insert("PYTHONPATH".to_owned(), "/srv".to_owned());
        base.config.env.remove("PATH");
        let env = base.extended(addition).unwrap().config.env;
        assert_eq!(env["PYTHONPATH"], "/opt/project:/srv");
        assert_eq!(env["PATH"], "/opt/project/bin:/usr/local/bin:/usr/bin:/bin");
    }

    #[test]
    fn packages_join_those_of_the_base_in_its_layer_each_once() {
        let base = recipe("tests");
        let packages = names(&["libnuma1", "curl"]);
        let extended = base.extended(Addition { requirements: &[], packages: &packages }).unwrap();
        assert_eq!(extended.layers.len(), base.layers.len());
        assert_eq!(extended.layers[1..], base.layers[1..]);
        let (Layer::Debian(old), Layer::Debian(new)) = (&base.layers[0], &extended.layers[0]) else {
            panic!()
        };
        assert_eq!(new.packages[..old.packages.len()], old.packages);
        assert_eq!(new.packages[old.packages.len()..], ["libnuma1"]);
        assert_eq!(extended.config, base.config);
    }

    #[test]
    fn a_base_without_what_is_added_to_is_refused() {
        let (requirements, packages) = (names(&["a.txt"]), names(&["libnuma1"]));
        let of_python = Addition { requirements: &requirements, packages: &[] };
        let of_debian = Addition { requirements: &[], packages: &packages };
        assert_eq!(recipe("nats").extended(of_python), Err(CannotExtend::NoPython));
        assert_eq!(recipe("nats").extended(of_debian), Err(CannotExtend::Sifted));
        assert_eq!(Recipe::default().extended(of_debian), Err(CannotExtend::NoDebian));
    }

    #[test]
    fn an_interpreter_that_the_base_does_not_name_is_that_of_its_wheels() {
        let mut base = recipe("tests");
        base.layers.retain(|layer| layer.kind() == "wheels");
        let requirements = names(&["a.txt"]);
        let extended = base.extended(Addition { requirements: &requirements, packages: &[] }).unwrap();
        let Some(Layer::Bytecode(code)) = extended.layers.last() else { panic!() };
        assert_eq!(code.interpreter, ImagePath::parse("/usr/bin/python3.11").unwrap());
    }
}
