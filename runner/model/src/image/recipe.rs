//! Recipes: how an image is made, layer by layer, the same for every architecture.

use std::collections::BTreeMap;
use std::str::FromStr;

use globset::{GlobBuilder, GlobMatcher};
use serde::Serialize;

use crate::document::{Fields, Item, from_toml};
use crate::image::{ImageConfig, ImagePath, Mode};
use crate::span::Fault;

/// A recipe.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Recipe {
    /// How its containers start.
    pub config: ImageConfig,
    /// Its layers, lowest first.
    pub layers: Vec<Layer>,
}

/// A layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Layer {
    /// Files of Debian packages.
    Debian(DebianLayer),
    /// Python wheels.
    Wheels(WheelsLayer),
    /// Files of the project.
    Files(FilesLayer),
    /// Python's compiled code for the layers below.
    Bytecode(BytecodeLayer),
}

/// Files of Debian packages with all that they depend on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DebianLayer {
    /// Debian's release, such as `bookworm`.
    pub suite: String,
    /// mmdebstrap's variant. `extract` unpacks packages without executing their scripts.
    pub variant: String,
    /// Packages.
    pub packages: Vec<String>,
    /// Globs of what stays; everything, if there is none.
    pub keep: Vec<String>,
    /// Globs of what goes, also from what is to be kept.
    pub exclude: Vec<String>,
}

/// Python wheels, installed side by side into one folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WheelsLayer {
    /// The requirement file, from the folder of images.
    pub requirements: String,
    /// The folder in the image.
    pub target: ImagePath,
    /// Python's version, such as `3.11`.
    pub python: String,
    /// The minor version of the C library 2.N in the image, which decides what wheels can run.
    pub glibc_minor: u32,
    /// Globs of what goes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
}

/// Files of the project, and folders and links that git would not keep.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FilesLayer {
    /// The folder to copy, from the folder of images.
    pub from: Option<String>,
    /// Where its content goes.
    pub to: ImagePath,
    /// Modes of single files and folders. A file that is not named has 0755 if it can be executed, else 0644.
    pub modes: BTreeMap<ImagePath, Mode>,
    /// Folders to make, with their modes.
    pub folders: BTreeMap<ImagePath, Mode>,
    /// Symbolic links to make, with their targets.
    pub links: BTreeMap<ImagePath, String>,
}

/// Python's compiled code, made by the image's own interpreter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BytecodeLayer {
    /// The interpreter in the image.
    pub interpreter: ImagePath,
    /// Folders whose modules are compiled.
    pub paths: Vec<ImagePath>,
}

const TOP_KEYS: [&str; 3] = ["schema", "config", "layer"];
const CONFIG_KEYS: [&str; 6] = ["user", "env", "entrypoint", "cmd", "workdir", "labels"];
const KINDS: [(&str, LayerReader); 4] =
    [("debian", debian), ("wheels", wheels), ("files", files), ("bytecode", bytecode)];

type LayerReader = fn(&mut Fields<'_>) -> Result<(Layer, &'static [&'static str]), Fault>;

impl Recipe {
    /// Reads a recipe file.
    pub fn parse(file: &str, text: &str) -> Result<Self, Fault> {
        let document = from_toml(file, text)?;
        let mut top = document.item().fields()?;
        let schema = top.require("schema")?;
        if schema.integer::<u32>()? != 1 {
            return Err(schema.fault("must be 1, the only format there is"));
        }
        let config = top.take("config").map(|item| config(&item)).transpose()?.unwrap_or_default();
        let layers = top.require("layer")?.items()?.iter().map(layer).collect::<Result<_, _>>()?;
        top.finish(&TOP_KEYS)?;
        Ok(Self { config, layers })
    }
}

impl Layer {
    /// The kind in one word.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Debian(_) => "debian",
            Self::Wheels(_) => "wheels",
            Self::Files(_) => "files",
            Self::Bytecode(_) => "bytecode",
        }
    }

    /// What makes the layer, in one line, for messages and for the image's history.
    pub fn describe(&self) -> String {
        match self {
            Self::Debian(debian) => format!("debian {}: {}", debian.suite, debian.packages.join(" ")),
            Self::Wheels(wheels) => format!("wheels {} in {}", wheels.requirements, wheels.target),
            Self::Files(files) => match &files.from {
                Some(from) => format!("files {from} in {}", files.to),
                None => "files".to_owned(),
            },
            Self::Bytecode(code) => {
                let paths: Vec<String> = code.paths.iter().map(ImagePath::to_string).collect();
                format!("bytecode {}", paths.join(" "))
            }
        }
    }
}

impl DebianLayer {
    /// Says of a path whether it belongs to the layer.
    pub fn sieve(&self) -> Sieve {
        Sieve::of(&self.keep, &self.exclude)
    }
}

impl WheelsLayer {
    /// Says of a path whether it belongs to the layer.
    pub fn sieve(&self) -> Sieve {
        Sieve::of(&[], &self.exclude)
    }
}

/// What of a root filesystem or of a folder of wheels stays.
#[derive(Clone, Debug)]
pub struct Sieve {
    keep: Vec<GlobMatcher>,
    exclude: Vec<GlobMatcher>,
}

impl Sieve {
    fn of(keep: &[String], exclude: &[String]) -> Self {
        // The globs have been compiled once when the recipe was read, so none is dropped here.
        let compile = |globs: &[String]| globs.iter().filter_map(|glob| matcher(glob)).collect();
        Self { keep: compile(keep), exclude: compile(exclude) }
    }

    /// Whether a file or link stays.
    pub fn keeps(&self, path: &ImagePath) -> bool {
        let text = path.to_string();
        let any = |globs: &[GlobMatcher]| globs.iter().any(|glob| glob.is_match(&text));
        (self.keep.is_empty() || any(&self.keep)) && !any(&self.exclude)
    }

    /// Whether a folder stays although nothing in it does.
    pub fn keeps_empty_folders(&self) -> bool {
        self.keep.is_empty()
    }
}

fn matcher(glob: &str) -> Option<GlobMatcher> {
    crate::glob::compile(glob, GlobBuilder::new(glob).literal_separator(true)).ok()
}

fn layer(item: &Item<'_>) -> Result<Layer, Fault> {
    let mut fields = item.fields()?;
    let read = fields.require("kind")?.word(&KINDS)?;
    let (layer, known) = read(&mut fields)?;
    fields.finish(known)?;
    Ok(layer)
}

fn config(item: &Item<'_>) -> Result<ImageConfig, Fault> {
    let mut fields = item.fields()?;
    let text = |item: Item<'_>| item.full_text().map(str::to_owned);
    let config = ImageConfig {
        user: fields.take("user").map(text).transpose()?,
        env: fields.take("env").map(|item| text_map(&item)).transpose()?.unwrap_or_default(),
        entrypoint: fields.take("entrypoint").map(|item| item.texts()).transpose()?,
        cmd: fields.take("cmd").map(|item| item.texts()).transpose()?,
        workdir: fields.take("workdir").map(text).transpose()?,
        labels: fields.take("labels").map(|item| text_map(&item)).transpose()?.unwrap_or_default(),
    };
    fields.finish(&CONFIG_KEYS)?;
    Ok(config)
}

fn debian(fields: &mut Fields<'_>) -> Result<(Layer, &'static [&'static str]), Fault> {
    let word = |item: Item<'_>| {
        let text = item.full_text()?;
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte));
        if plain { Ok(text.to_owned()) } else { Err(item.fault(format!("cannot be `{text}`"))) }
    };
    let packages = fields.require("packages")?;
    let layer = DebianLayer {
        suite: word(fields.require("suite")?)?,
        variant: fields.take("variant").map(word).transpose()?.unwrap_or_else(|| "extract".to_owned()),
        packages: packages.items()?.into_iter().map(word).collect::<Result<_, _>>()?,
        keep: globs(fields, "keep")?,
        exclude: globs(fields, "exclude")?,
    };
    if layer.packages.is_empty() {
        return Err(packages.fault("must not be empty"));
    }
    Ok((Layer::Debian(layer), &["kind", "suite", "variant", "packages", "keep", "exclude"]))
}

fn wheels(fields: &mut Fields<'_>) -> Result<(Layer, &'static [&'static str]), Fault> {
    let python = fields.require("python")?;
    let version = python.full_text()?;
    if version.strip_prefix("3.").and_then(number::<u8>).is_none() {
        return Err(python.fault(format!("must be a version such as `3.11`, not `{version}`")));
    }
    let glibc = fields.require("glibc")?;
    let glibc_minor = glibc.full_text()?.strip_prefix("2.").and_then(number);
    let layer = WheelsLayer {
        requirements: relative(&fields.require("requirements")?)?,
        target: absolute(&fields.require("target")?)?,
        python: version.to_owned(),
        glibc_minor: glibc_minor.ok_or_else(|| glibc.fault("must be a version such as `2.36`"))?,
        exclude: globs(fields, "exclude")?,
    };
    Ok((Layer::Wheels(layer), &["kind", "requirements", "target", "python", "glibc", "exclude"]))
}

/// Digits alone: a number that is read may also have a sign, and these become parts of names.
fn number<N: FromStr>(text: &str) -> Option<N> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn files(fields: &mut Fields<'_>) -> Result<(Layer, &'static [&'static str]), Fault> {
    let layer = FilesLayer {
        from: fields.take("from").map(|item| relative(&item)).transpose()?,
        to: fields.take("to").map(|item| absolute(&item)).transpose()?.unwrap_or_default(),
        modes: path_map(fields, "modes", mode)?,
        folders: path_map(fields, "folders", mode)?,
        links: path_map(fields, "links", |item| item.full_text().map(str::to_owned))?,
    };
    if layer.from.is_none() && layer.folders.is_empty() && layer.links.is_empty() {
        return Err(fields.fault("the layer makes nothing: it has none of `from`, `folders`, `links`"));
    }
    Ok((Layer::Files(layer), &["kind", "from", "to", "modes", "folders", "links"]))
}

fn bytecode(fields: &mut Fields<'_>) -> Result<(Layer, &'static [&'static str]), Fault> {
    let paths = fields.require("paths")?;
    let layer = BytecodeLayer {
        interpreter: absolute(&fields.require("interpreter")?)?,
        paths: paths.items()?.iter().map(absolute).collect::<Result<_, _>>()?,
    };
    if layer.paths.is_empty() {
        return Err(paths.fault("must not be empty"));
    }
    Ok((Layer::Bytecode(layer), &["kind", "interpreter", "paths"]))
}

/// A path inside the image, written from its root.
fn absolute(item: &Item<'_>) -> Result<ImagePath, Fault> {
    let text = item.full_text()?;
    if !text.starts_with('/') {
        return Err(item.fault(format!("must start with `/`, and `{text}` does not")));
    }
    ImagePath::parse(text).map_err(|error| item.fault(format!("is wrong: {error}")))
}

/// A path below the folder of images.
fn relative(item: &Item<'_>) -> Result<String, Fault> {
    let text = item.full_text()?;
    if text.starts_with('/') {
        return Err(item.fault(format!("must be below the folder of images, and `{text}` is not")));
    }
    match ImagePath::parse(text) {
        Ok(path) => Ok(path.as_str().to_owned()),
        Err(_) => Err(item.fault(format!("must be below the folder of images, and `{text}` is not"))),
    }
}

fn mode(item: &Item<'_>) -> Result<Mode, Fault> {
    let text = item.full_text()?;
    Mode::parse(text).ok_or_else(|| {
        item.fault(format!("must be a mode such as `0755`, not `{text}`"))
            .with_hint("set-user and set-group bits are not supported")
    })
}

fn globs(fields: &mut Fields<'_>, key: &str) -> Result<Vec<String>, Fault> {
    let Some(list) = fields.take(key) else { return Ok(Vec::new()) };
    list.items()?
        .iter()
        .map(|item| {
            let text = item.full_text()?;
            match (text.starts_with('/'), matcher(text)) {
                (true, Some(_)) => Ok(text.to_owned()),
                (false, _) => Err(item.fault(format!("must start with `/`, and `{text}` does not"))),
                (true, None) => Err(item.fault(format!("is not a glob: `{text}`"))),
            }
        })
        .collect()
}

fn text_map(item: &Item<'_>) -> Result<BTreeMap<String, String>, Fault> {
    let mut map = BTreeMap::new();
    for (key, value) in item.fields()?.take_rest() {
        map.insert(key.to_owned(), value.text()?.to_owned());
    }
    Ok(map)
}

fn path_map<T>(
    fields: &mut Fields<'_>,
    key: &str,
    read: impl Fn(&Item<'_>) -> Result<T, Fault>,
) -> Result<BTreeMap<ImagePath, T>, Fault> {
    let mut map = BTreeMap::new();
    let Some(item) = fields.take(key) else { return Ok(map) };
    for (text, value) in item.fields()?.take_rest() {
        let path = ImagePath::parse(text).ok().filter(|_| text.starts_with('/'));
        let path =
            path.ok_or_else(|| value.fault(format!("must be a path from `/`, and `{text}` is not")))?;
        if map.insert(path, read(&value)?).is_some() {
            return Err(value.fault("names a path a second time"));
        }
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Layer, Recipe, WheelsLayer};
    use crate::image::{ImagePath, Mode};

    const WHOLE: &str = r#"
schema = 1

[config]
user = "10001:10001"
entrypoint = ["/usr/bin/python3"]
env = { HOME = "/data" }

[[layer]]
kind = "debian"
suite = "bookworm"
packages = ["python3.11", "libstdc++6"]
exclude = ["/usr/share/doc/*/*"]

[[layer]]
kind = "wheels"
requirements = "requirements/dynamo.txt"
target = "/opt/dynamo"
python = "3.11"
glibc = "2.36"

[[layer]]
kind = "files"
from = "files/base"
modes = { "/data" = "1777" }
folders = { "/data" = "1777" }
links = { "/usr/bin/cc" = "gcc" }

[[layer]]
kind = "bytecode"
interpreter = "/usr/bin/python3.11"
paths = ["/opt/dynamo"]
"#;

    fn message(text: &str) -> String {
        Recipe::parse("r.toml", text).unwrap_err().to_string()
    }

    /// A recipe with one layer of the given lines.
    fn one(lines: &str) -> String {
        format!("schema = 1\n[[layer]]\n{lines}\n")
    }

    #[test]
    fn a_whole_recipe_is_read_in_order() {
        let recipe = Recipe::parse("r.toml", WHOLE).unwrap();
        let kinds: Vec<&str> = recipe.layers.iter().map(Layer::kind).collect();
        assert_eq!(kinds, ["debian", "wheels", "files", "bytecode"]);
        let Layer::Files(files) = &recipe.layers[2] else { panic!() };
        assert_eq!(files.folders[&ImagePath::parse("/data").unwrap()], Mode::of(0o1777));
        let Layer::Debian(debian) = &recipe.layers[0] else { panic!() };
        assert_eq!(debian.variant, "extract");
    }

    #[test]
    fn an_unknown_key_names_file_line_column_and_the_key_that_was_meant() {
        let error = Recipe::parse(
            "r.toml",
            &one("kind = \"debian\"\nsuite = \"bookworm\"\npackages = [\"a\"]\nexlude = []"),
        )
        .unwrap_err();
        assert_eq!(error.to_string(), "r.toml:6:1: unknown key `exlude` in `layer[0]`");
        assert_eq!(error.hint.as_deref(), Some("did you mean `exclude`?"));
        assert_eq!(message("schema = 1\nlayer = []\ncfg = 1"), "r.toml:3:1: unknown key `cfg`");
    }

    #[test]
    fn a_key_of_another_kind_is_unknown() {
        let text = one("kind = \"bytecode\"\ninterpreter = \"/a\"\npaths = [\"/b\"]\nsuite = \"bookworm\"");
        assert!(message(&text).contains("r.toml:6:1: unknown key `suite`"), "{}", message(&text));
    }

    #[test]
    fn an_unknown_kind_offers_the_nearest() {
        let error = Recipe::parse("r.toml", &one("kind = \"weels\"")).unwrap_err();
        assert_eq!(error.to_string(), "r.toml:3:8: `layer[0].kind` cannot be `weels`");
        assert_eq!(error.hint.as_deref(), Some("did you mean `wheels`?"));
    }

    #[test]
    fn bad_values_are_refused_with_their_place() {
        let debian = "kind = \"debian\"\nsuite = \"bookworm\"\n";
        for (text, part) in [
            (one(&format!("{debian}packages = []")), "r.toml:5:12: `layer[0].packages` must not be empty"),
            (one(&format!("{debian}packages = [\"a b\"]")), "cannot be `a b`"),
            (one(&format!("{debian}packages = [\"--x;y\"]")), "cannot be `--x;y`"),
            (one(&format!("{debian}packages = [\"a\"]\nkeep = [\"usr/**\"]")), "must start with `/`"),
            (one(&format!("{debian}packages = [\"a\"]\nkeep = [\"/[\"]")), "is not a glob"),
            (one("kind = \"files\""), "the layer makes nothing"),
            (one("kind = \"files\"\nfrom = \"../etc\""), "must be below the folder of images"),
            (one("kind = \"files\"\nfrom = \"/etc\""), "must be below the folder of images"),
            (one("kind = \"files\"\nfolders = { \"/a\" = \"4755\" }"), "must be a mode such as `0755`"),
            (one("kind = \"files\"\nlinks = { \"/a/../b\" = \"c\" }"), "must be a path from `/`"),
            (one("kind = \"files\"\nlinks = { \"/a\" = \"c\", \"/a/\" = \"d\" }"), "a second time"),
            (one("kind = \"wheels\"\npython = \"3.+11\""), "must be a version such as `3.11`, not `3.+11`"),
            (
                one(
                    "kind = \"wheels\"\nrequirements = \"r\"\ntarget = \"/o\"\npython = \"3.11\"\nglibc = \"2.+36\"",
                ),
                "a version such as `2.36`",
            ),
            (one("kind = \"bytecode\"\npaths = [\"/a\"]"), "the key `interpreter` is missing"),
            ("schema = 2\nlayer = []".to_owned(), "r.toml:1:10: `schema` must be 1"),
            ("schema = 1".to_owned(), "the key `layer` is missing"),
            ("schema = ".to_owned(), "r.toml:1:10: not valid TOML"),
        ] {
            assert!(message(&text).contains(part), "{text}: {}", message(&text));
        }
    }

    #[test]
    fn a_sieve_keeps_what_is_named_and_drops_what_is_excluded() {
        let text = one(
            "kind = \"debian\"\nsuite = \"bookworm\"\npackages = [\"a\"]\nkeep = [\"/lib/*/libc.so.6\", \"/usr/**\"]\nexclude = [\"/usr/share/**\"]",
        );
        let Layer::Debian(debian) = Recipe::parse("r.toml", &text).unwrap().layers.remove(0) else {
            panic!()
        };
        let sieve = debian.sieve();
        for (path, kept) in [
            ("/lib/x86_64-linux-gnu/libc.so.6", true),
            ("/lib/a/b/libc.so.6", false),
            ("/usr/sbin/nats-server", true),
            ("/usr/share/doc/x", false),
            ("/etc/passwd", false),
        ] {
            assert_eq!(sieve.keeps(&ImagePath::parse(path).unwrap()), kept, "{path}");
        }
    }

    #[test]
    fn wheels_leave_out_what_is_excluded_and_nothing_else() {
        let lines = "kind = \"wheels\"\nrequirements = \"r\"\ntarget = \"/opt/x\"\npython = \"3.11\"\nglibc = \"2.36\"";
        let read = |text: &str| Recipe::parse("r.toml", &one(text)).map(|mut recipe| recipe.layers.remove(0));
        let wheels = |text: &str| {
            let Layer::Wheels(wheels) = read(text).unwrap() else { panic!() };
            wheels
        };
        let kept = |layer: &WheelsLayer, path: &str| layer.sieve().keeps(&ImagePath::parse(path).unwrap());
        let lean = wheels(&format!("{lines}\nexclude = [\"/opt/x/torch/include/**\", \"/opt/*/lib/*.a\"]"));
        for (path, stays) in [
            ("/opt/x/torch/include/a/b.h", false),
            ("/opt/x/lib/z.a", false),
            ("/opt/x/torch/lib/z.a", true),
            ("/opt/x/torch/__init__.py", true),
        ] {
            assert_eq!(kept(&lean, path), stays, "{path}");
        }
        assert!(kept(&wheels(lines), "/opt/x/torch/include/a/b.h"));
        // A layer that excludes nothing is written as before there was the key, so its hash is the same.
        assert!(!serde_json::to_string(&wheels(lines)).unwrap().contains("exclude"));
        let error = read(&format!("{lines}\nexclude = [\"torch\"]")).unwrap_err();
        assert!(error.to_string().contains("`layer[0].exclude[0]` must start with `/`"), "{error}");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "(\\[\\[layer\\]\\]\n|kind = \"(debian|files|wheels)\"\n|[a-z]{1,5} = [0-9\"a-z\\[\\]{}]{0,9}\n){0,8}") {
            let _ = Recipe::parse("r.toml", &text);
        }
    }
}
