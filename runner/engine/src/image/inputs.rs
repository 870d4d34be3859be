//! Reading the folder of images: the lock, recipes, and everything else that decides what an image holds.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use testbed_model::image::{
    Architecture, Archived, ContentHash, FilesLayer, ImageLock, ImageName, ImagePath, ImageSource, InputFile,
    Layer, LayerInputs, PackageLock, PackageSet, Pulled, Recipe, Target, WheelsLayer, image_hash, layer_hash,
    parse_requirements, repository,
};
use testbed_model::nearest::did_you_mean;
use testbed_model::span::{Fault, Place};

use super::error::ImageError;
use super::tree::{Found, Node, Tree, scan};

/// The lock's file name in the folder of images.
pub const LOCK: &str = "images.lock.json";
/// The file of expected Debian packages in the folder of images.
pub const PACKAGES: &str = "packages.lock.json";

/// An image of the lock with all that was read for it.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// To be pulled.
    Pulled(Pulled),
    /// To be loaded from an archive.
    Loaded(Archived),
    /// To be built.
    Built(Box<Blueprint>),
}

/// A recipe with its hashes.
#[derive(Clone, Debug)]
pub struct Blueprint {
    /// The recipe.
    pub recipe: Recipe,
    /// The hash of each layer.
    pub layers: Vec<ContentHash>,
    /// The image's hash.
    pub content: ContentHash,
    /// The packages that are expected, if that is recorded.
    pub packages: Option<PackageSet>,
    /// What the daemon calls it, without a tag.
    pub repository: String,
    /// What it is on top of, where it is a project's own.
    pub extension: Option<Extension>,
}

/// What an image of a project's own is made from besides the folder of images.
#[derive(Clone, Debug)]
pub struct Extension {
    /// The project's root.
    pub root: PathBuf,
    /// The image of the lock that it starts from.
    pub base: ImageName,
    /// How many of its layers, from the lowest, stand where the base has them. The others name files of the project.
    pub shared: usize,
}

impl Blueprint {
    /// The folder from which a layer names files.
    pub fn folder<'a>(&'a self, layer: usize, images: &'a Path) -> &'a Path {
        match &self.extension {
            Some(extension) if layer >= extension.shared => &extension.root,
            _ => images,
        }
    }
}

/// Reads the lock and what it names.
pub fn read(folder: &Path, architecture: Architecture) -> Result<BTreeMap<ImageName, Wanted>, ImageError> {
    let lock_path = folder.join(LOCK);
    let text = fs::read_to_string(&lock_path).map_err(ImageError::file("read", &lock_path))?;
    let lock = ImageLock::parse(&shown(&lock_path), &text)?;
    let packages = read_packages(folder)?;
    let mut images = BTreeMap::new();
    for (name, source) in lock.images {
        let wanted = match source {
            ImageSource::Build(recipe) => {
                let expected = packages.expected(&name, architecture).cloned();
                Wanted::Built(Box::new(blueprint(folder, &name, &recipe, architecture, expected)?))
            }
            ImageSource::Pull(pulled) => Wanted::Pulled(pulled),
            ImageSource::Load(archived) => Wanted::Loaded(archived),
        };
        images.insert(name, wanted);
    }
    Ok(images)
}

/// Reads the expected packages; none, if the file is not there.
pub fn read_packages(folder: &Path) -> Result<PackageLock, ImageError> {
    let path = folder.join(PACKAGES);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(PackageLock::default()),
        Err(error) => return Err(ImageError::file("read", &path)(error)),
    };
    let fault = |line: usize, column: usize, message: &str| {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let place = Place { file: shown(&path), line: number(line), column: number(column) };
        Fault::new(place, &text, message).with_hint("make it again: `testbed images build --fresh --record`")
    };
    let lock: PackageLock = serde_json::from_str(&text).map_err(|error| {
        let words = error.to_string();
        let message = words.split(" at line ").next().unwrap_or_default();
        fault(error.line(), error.column().max(1), message)
    })?;
    if lock.schema == 1 {
        Ok(lock)
    } else {
        Err(fault(1, 1, "`schema` must be 1, the only format there is").into())
    }
}

/// The name in the lock that a text stands for.
pub fn known<'a, T>(
    images: &'a BTreeMap<ImageName, T>,
    name: &str,
) -> Result<(&'a ImageName, &'a T), ImageError> {
    images.iter().find(|(known, _)| known.as_str() == name).ok_or_else(|| ImageError::Unknown {
        name: name.to_owned(),
        hint: did_you_mean(name, images.keys().map(ImageName::as_str).collect::<Vec<_>>()),
    })
}

fn blueprint(
    folder: &Path,
    name: &ImageName,
    recipe: &str,
    architecture: Architecture,
    packages: Option<PackageSet>,
) -> Result<Blueprint, ImageError> {
    let path = folder.join(recipe);
    let text = input_text(&path, LOCK)?;
    let recipe_file = shown(&path);
    let recipe = Recipe::parse(&recipe_file, &text)?;
    let mut layers = Vec::new();
    for layer in &recipe.layers {
        let inputs = match layer {
            Layer::Debian(_) => LayerInputs::Packages(packages.clone()),
            Layer::Wheels(wheels) => {
                LayerInputs::Requirements(requirements_hash(folder, wheels, &recipe_file, architecture)?)
            }
            Layer::Files(files) => {
                LayerInputs::Files(input_files(&files_tree(folder, files, &recipe_file)?, &recipe_file)?)
            }
            Layer::Bytecode(_) => LayerInputs::Layers(layers.clone()),
        };
        layers.push(layer_hash(architecture, layer, &inputs));
    }
    let content = image_hash(name, architecture, &recipe, &layers);
    Ok(Blueprint { recipe, layers, content, packages, repository: repository(name), extension: None })
}

fn requirements_hash(
    folder: &Path,
    wheels: &WheelsLayer,
    recipe: &str,
    architecture: Architecture,
) -> Result<ContentHash, ImageError> {
    let path = folder.join(&wheels.requirements);
    let text = input_text(&path, recipe)?;
    parse_requirements(&shown(&path), &text, &Target { python: &wheels.python, architecture })?;
    Ok(ContentHash::of_bytes(text.as_bytes()))
}

/// The content of a layer of files.
pub fn files_tree(folder: &Path, layer: &FilesLayer, recipe: &str) -> Result<Tree, ImageError> {
    let wrong = |path: &Path, problem: String| ImageError::Input {
        path: path.to_owned(),
        wanted_by: format!("`{recipe}`"),
        problem,
    };
    let mut tree = Tree::new();
    let put = |tree: &mut Tree, path: ImagePath, node: Node| {
        tree.put(path, node).map_err(|error| wrong(folder, format!("makes no layer: {error}")))
    };
    if let Some(from) = &layer.from {
        let source = folder.join(from);
        if !source.is_dir() {
            return Err(wrong(&source, "is not a folder".to_owned()));
        }
        let found =
            scan(&source).map_err(|(path, source)| ImageError::File { doing: "read", path, source })?;
        for Found { path, node, .. } in found {
            let at = layer.to.join(&path);
            let node = with_mode(node, layer, &at);
            put(&mut tree, at, node)?;
        }
    }
    for (path, mode) in &layer.folders {
        put(&mut tree, path.clone(), Node::Folder(*mode))?;
    }
    for (path, target) in &layer.links {
        put(&mut tree, path.clone(), Node::Link(target.clone()))?;
    }
    if let Some(stray) = layer.modes.keys().find(|path| tree.get(path).is_none()) {
        return Err(wrong(folder, format!("has nothing for `{stray}`, whose mode is set")));
    }
    Ok(tree)
}

fn with_mode(node: Node, layer: &FilesLayer, path: &ImagePath) -> Node {
    match (node, layer.modes.get(path)) {
        (Node::Folder(_), Some(mode)) => Node::Folder(*mode),
        (Node::File { size, content, .. }, Some(mode)) => Node::File { mode: *mode, size, content },
        (node, _) => node,
    }
}

fn input_files(tree: &Tree, recipe: &str) -> Result<Vec<InputFile>, ImageError> {
    let mut files = Vec::new();
    for (path, node) in tree.iter() {
        let input = |mode, content, is_link| InputFile { path: path.clone(), mode, content, is_link };
        files.push(match node {
            Node::Folder(mode) => input(*mode, ContentHash::of_bytes(b""), false),
            Node::Link(target) => {
                input(testbed_model::image::Mode::LINK, ContentHash::of_bytes(target.as_bytes()), true)
            }
            Node::File { mode, size, content } => {
                let mut bytes = Vec::new();
                let read = content.open(*size).and_then(|mut source| source.read_to_end(&mut bytes));
                read.map_err(|error| ImageError::Input {
                    path: PathBuf::from(path.as_str()),
                    wanted_by: format!("`{recipe}`"),
                    problem: format!("cannot be read: {error}"),
                })?;
                input(*mode, ContentHash::of_bytes(&bytes), false)
            }
        });
    }
    Ok(files)
}

fn input_text(path: &Path, wanted_by: &str) -> Result<String, ImageError> {
    fs::read_to_string(path).map_err(|error| {
        let problem = match error.kind() {
            io::ErrorKind::NotFound => "is not there".to_owned(),
            _ => format!("cannot be read: {error}"),
        };
        ImageError::Input { path: path.to_owned(), wanted_by: format!("`{wanted_by}`"), problem }
    })
}

/// A path as messages show it.
fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use testbed_model::hint::Hint as _;
    use testbed_model::image::Architecture;

    use super::{Wanted, known, read};
    use crate::image::error::ImageError;

    const RECIPE: &str =
        "schema = 1\n[[layer]]\nkind = \"files\"\nfrom = \"files/base\"\nfolders = { \"/tmp\" = \"1777\" }\n";

    fn project(recipe: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("files/base/etc")).unwrap();
        fs::write(root.join("files/base/etc/passwd"), "root").unwrap();
        fs::write(root.join("agent.toml"), recipe).unwrap();
        fs::write(
            root.join("images.lock.json"),
            r#"{"schema": 1, "images": {"agent": {"build": {"recipe": "agent.toml"}}}}"#,
        )
        .unwrap();
        folder
    }

    fn content(root: &Path) -> String {
        let images = read(root, Architecture::Amd64).unwrap();
        match known(&images, "agent").unwrap().1 {
            Wanted::Built(blueprint) => blueprint.content.hex(),
            _ => panic!(),
        }
    }

    #[test]
    fn the_hash_follows_bytes_and_modes_and_not_times_or_places() {
        use std::os::unix::fs::PermissionsExt as _;
        let (one, two) = (project(RECIPE), project(RECIPE));
        let before = content(one.path());
        assert_eq!(before, content(two.path()));
        let passwd = two.path().join("files/base/etc/passwd");
        fs::set_permissions(&passwd, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(before, content(two.path()), "git does not keep this mode");
        fs::set_permissions(&passwd, fs::Permissions::from_mode(0o755)).unwrap();
        assert_ne!(before, content(two.path()));
        fs::write(one.path().join("files/base/etc/passwd"), "other").unwrap();
        assert_ne!(before, content(one.path()));
    }

    #[test]
    fn expected_packages_count() {
        let debian = "schema = 1\n[[layer]]\nkind = \"debian\"\nsuite = \"bookworm\"\npackages = [\"a\"]\n";
        let folder = project(debian);
        let before = content(folder.path());
        let sum = "a".repeat(64);
        let lock =
            format!(r#"{{"schema": 1, "images": {{"agent": {{"amd64": {{"a": "1 sha256:{sum}"}}}}}}}}"#);
        fs::write(folder.path().join("packages.lock.json"), lock).unwrap();
        assert_ne!(before, content(folder.path()));
    }

    #[test]
    fn a_wrong_package_lock_names_its_place() {
        let folder = project(RECIPE);
        fs::write(folder.path().join("packages.lock.json"), "{\n \"schema\": 1,\n \"imags\": {}}").unwrap();
        let error = read(folder.path(), Architecture::Amd64).unwrap_err();
        assert!(error.to_string().contains("packages.lock.json:3:"), "{error}");
        assert!(error.to_string().contains("unknown field `imags`"), "{error}");
    }

    #[test]
    fn what_a_recipe_names_must_be_there() {
        let check = |recipe: &str, part: &str| {
            let folder = project(recipe);
            let error = read(folder.path(), Architecture::Amd64).unwrap_err();
            assert!(matches!(error, ImageError::Input { .. }), "{error}");
            assert!(error.to_string().contains(part), "{error}");
        };
        check("schema = 1\n[[layer]]\nkind = \"files\"\nfrom = \"files/none\"\n", "is not a folder");
        check(
            "schema = 1\n[[layer]]\nkind = \"wheels\"\nrequirements = \"none.txt\"\ntarget = \"/opt\"\npython = \"3.11\"\nglibc = \"2.36\"\n",
            "none.txt`, which",
        );
        check(
            "schema = 1\n[[layer]]\nkind = \"files\"\nfrom = \"files/base\"\nmodes = { \"/etc/shadow\" = \"0600\" }\n",
            "`/etc/shadow`, whose mode is set",
        );
    }

    #[test]
    fn an_unknown_image_offers_the_nearest_name() {
        let folder = project(RECIPE);
        let images = read(folder.path(), Architecture::Amd64).unwrap();
        let error = known(&images, "agnet").unwrap_err();
        assert_eq!(error.to_string(), "there is no image `agnet` in the lock");
        assert_eq!(error.hint().unwrap(), "did you mean `agent`?");
    }

    #[test]
    fn the_projects_own_recipes_are_read() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../images");
        for architecture in [Architecture::Amd64, Architecture::Arm64] {
            let images = read(&root, architecture).unwrap();
            for name in ["agent", "dynamo", "etcd", "nats", "tests"] {
                assert!(matches!(known(&images, name).unwrap().1, Wanted::Built(_)), "{name}");
            }
        }
    }
}
