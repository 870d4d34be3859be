//! Layers of Python's compiled code, made by the image's own interpreter.
//!
//! Containers are read-only, so code that is not compiled in the image is compiled at every start. The interpreter is
//! taken out of the layers below and started through their own loader, so neither the host's Python nor the daemon takes
//! part. Compiling executes nothing of what is compiled.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tar::EntryType;
use testbed_model::image::{Architecture, BytecodeLayer, ImagePath, Mode};

use super::error::ImageError;
use super::task::{Task, blocking, text_of};
use super::tree::{Found, Node, Tree, scan};
use crate::host::process::Program;

/// Compiles folders below a root as if the root were `/`: one thread, in order, checked by nothing at run time.
const SCRIPT: &str = "\
import compileall, py_compile, sys
root, *folders = sys.argv[1:]
for folder in folders:
    compileall.compile_dir(
        root + folder, maxlevels=64, force=True, quiet=2, workers=1, stripdir=root, prependdir='/',
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
";

/// Makes the content of a layer from the layers below it, lowest first.
pub async fn make(layer: &BytecodeLayer, below: Vec<PathBuf>, task: &Task) -> Result<Tree, ImageError> {
    let root = task.folder("root")?;
    task.tell("bytecode: taking the interpreter out of its layer");
    let unpacking = Unpacking::new(layer, task, &root);
    blocking(move || below.iter().try_for_each(|tar| unpacking.unpack(tar))).await?;
    task.execute("the image's Python", "bytecode", &program(layer, task, &root)?).await?;
    let (paths, task) = (layer.paths.clone(), task.clone());
    blocking(move || collect(&root, &paths, &task)).await
}

/// The loader is started by its path, with the libraries of the root, and with an environment that holds nothing of the
/// host's.
fn program(layer: &BytecodeLayer, task: &Task, root: &Path) -> Result<Program, ImageError> {
    let text = text_of(root)?;
    let architecture = task.architecture;
    let libraries =
        [format!("lib/{}", architecture.triplet()), format!("usr/lib/{}", architecture.triplet())];
    let loader = libraries.iter().map(|folder| root.join(folder).join(architecture.loader()));
    let loader = loader.into_iter().find(|path| path.exists()).ok_or_else(|| {
        task.content(format!("the layers below have no loader `{}`", architecture.loader()))
    })?;
    let interpreter = root.join(layer.interpreter.as_str());
    if !interpreter.exists() {
        return Err(task.content(format!("the layers below have no `{}`", layer.interpreter)));
    }
    let libraries: Vec<String> = libraries.iter().map(|folder| format!("{text}/{folder}")).collect();
    let mut args = vec![
        "-i".to_owned(),
        "LC_ALL=C".to_owned(),
        "PYTHONHASHSEED=0".to_owned(),
        // What the interpreter itself imports must not be written as it is imported.
        "PYTHONDONTWRITEBYTECODE=1".to_owned(),
        format!("PYTHONHOME={text}/usr"),
        text_of(&loader)?,
        "--library-path".to_owned(),
        libraries.join(":"),
        text_of(&interpreter)?,
        "-S".to_owned(),
        "-s".to_owned(),
        "-c".to_owned(),
        SCRIPT.to_owned(),
        text,
    ];
    args.extend(layer.paths.iter().map(ImagePath::to_string));
    Ok(Program::new("env").args(args))
}

/// Takes what compiling needs out of layers: the interpreter, libraries, Python's own modules, the folders to compile.
struct Unpacking {
    root: PathBuf,
    wanted: Vec<ImagePath>,
    libraries: Vec<ImagePath>,
    task: Task,
}

impl Unpacking {
    fn new(layer: &BytecodeLayer, task: &Task, root: &Path) -> Self {
        let path = |text: &str| ImagePath::parse(text).unwrap_or_default();
        let triplet = Architecture::triplet(task.architecture);
        let mut wanted = layer.paths.clone();
        wanted.push(layer.interpreter.clone());
        // The interpreter's name is that of its folder of modules, wherever its link `python3` points to.
        if let Some(version) = layer.interpreter.file_name().strip_prefix("python") {
            wanted.push(path(&format!("usr/lib/python{version}")));
        }
        Self {
            root: root.to_owned(),
            wanted,
            libraries: vec![path(&format!("lib/{triplet}")), path(&format!("usr/lib/{triplet}"))],
            task: task.clone(),
        }
    }

    fn wants(&self, path: &ImagePath) -> bool {
        let is_library = path.parent().is_some_and(|parent| self.libraries.contains(&parent));
        is_library || self.wanted.iter().any(|wanted| path.is_within(wanted))
    }

    fn unpack(&self, tar: &Path) -> Result<(), ImageError> {
        let unreadable = |source| ImageError::File { doing: "read", path: tar.to_owned(), source };
        let mut archive = tar::Archive::new(File::open(tar).map_err(unreadable)?);
        for entry in archive.entries().map_err(unreadable)? {
            let mut entry = entry.map_err(unreadable)?;
            let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap_or_default();
            let path = ImagePath::parse(&path).map_err(|error| self.task.content(error))?;
            if self.wants(&path) {
                self.take(&mut entry, &path)?;
            }
        }
        Ok(())
    }

    /// Paths have been parsed and links are only ever relative and inside, so nothing is written outside of the root.
    fn take(&self, entry: &mut tar::Entry<'_, File>, path: &ImagePath) -> Result<(), ImageError> {
        let target = self.root.join(path.as_str());
        let unwritable = |source| ImageError::File { doing: "write", path: target.clone(), source };
        let parent = target.parent().unwrap_or(&self.root);
        fs::create_dir_all(parent).map_err(unwritable)?;
        match entry.header().entry_type() {
            EntryType::Regular => {
                let mut file = File::create(&target).map_err(unwritable)?;
                std::io::copy(entry, &mut file).map_err(unwritable)?;
                let mode = entry.header().mode().map_err(unwritable)?;
                file.set_permissions(fs::Permissions::from_mode(mode | 0o600)).map_err(unwritable)
            }
            EntryType::Symlink | EntryType::Link => {
                let is_hard = entry.header().entry_type() == EntryType::Link;
                let Some(link) =
                    entry.link_name_bytes().and_then(|link| String::from_utf8(link.into_owned()).ok())
                else {
                    return Ok(());
                };
                if is_hard {
                    let first = ImagePath::parse(&link).map_err(|error| self.task.content(error))?;
                    return fs::hard_link(self.root.join(first.as_str()), &target).map_err(unwritable);
                }
                // A link between versions of one library; one that leaves its folder is of no use to the interpreter.
                if link.contains('/') {
                    return Ok(());
                }
                std::os::unix::fs::symlink(&link, &target).map_err(unwritable)
            }
            _ => Ok(()),
        }
    }
}

/// The compiled files, without what they were compiled from.
fn collect(root: &Path, paths: &[ImagePath], task: &Task) -> Result<Tree, ImageError> {
    let mut tree = Tree::new();
    let mut sources = 0_usize;
    let mut done = BTreeSet::new();
    for folder in paths {
        let place = root.join(folder.as_str());
        if !place.is_dir() {
            return Err(task.content(format!("the layers below have no folder `{folder}` to compile")));
        }
        let found =
            scan(&place).map_err(|(path, source)| ImageError::File { doing: "read", path, source })?;
        for Found { path, node, .. } in found {
            let is_compiled = path.parent().is_some_and(|parent| parent.file_name() == "__pycache__");
            let at = folder.join(&path);
            match node {
                // Folders to compile may lie in one another.
                Node::File { .. } if is_compiled && done.contains(&at) => {}
                Node::File { size, content, .. } if is_compiled && path.extension() == Some("pyc") => {
                    done.insert(at.clone());
                    let node = Node::File { mode: Mode::FILE, size, content };
                    tree.put(at, node).map_err(|error| task.content(error))?;
                }
                Node::File { .. } if path.extension() == Some("py") => sources += 1,
                _ => {}
            }
        }
    }
    // Packages bring a few files that are not meant for this Python, and templates.
    if done.len() * 10 < sources * 9 || done.is_empty() {
        return Err(task.content(format!("only {} of {sources} Python files could be compiled", done.len())));
    }
    Ok(tree)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use testbed_model::image::{Architecture, BytecodeLayer, ImagePath, Mode};
    use tokio_util::sync::CancellationToken;

    use super::{Task, Unpacking, collect, program};
    use crate::events::Events;
    use crate::host::clock::Clock;
    use crate::image::layer_tar;
    use crate::image::tree::{Node, Tree};

    fn path(text: &str) -> ImagePath {
        ImagePath::parse(text).unwrap()
    }

    fn task(work: &Path) -> Task {
        Task {
            image: "tests".parse().unwrap(),
            architecture: Architecture::Amd64,
            work: work.to_owned(),
            events: Events::channel(Clock::start()).0,
            cancel: CancellationToken::new(),
        }
    }

    fn layer() -> BytecodeLayer {
        BytecodeLayer { interpreter: path("/usr/bin/python3.11"), paths: vec![path("/opt/x")] }
    }

    #[test]
    fn only_what_compiling_needs_is_taken_out() {
        let folder = tempfile::tempdir().unwrap();
        let mut tree = Tree::new();
        for file in
            ["usr/bin/python3.11", "usr/bin/gcc", "usr/lib/python3.11/os.py", "opt/x/a.py", "opt/y/b.py"]
        {
            tree.put_bytes(path(file), Mode::PROGRAM, b"x").unwrap();
        }
        tree.put_bytes(path("/lib/x86_64-linux-gnu/libz.so.1.2"), Mode::FILE, b"z").unwrap();
        tree.put(path("/lib/x86_64-linux-gnu/libz.so.1"), Node::Link("libz.so.1.2".into())).unwrap();
        tree.put(path("/opt/x/out"), Node::Link("/etc/passwd".into())).unwrap();
        let tar = folder.path().join("layer.tar");
        layer_tar::write(&tree, fs::File::create(&tar).unwrap()).unwrap();
        let root = folder.path().join("root");
        Unpacking::new(&layer(), &task(folder.path()), &root).unpack(&tar).unwrap();
        for (file, there) in [
            ("usr/bin/python3.11", true),
            ("usr/bin/gcc", false),
            ("usr/lib/python3.11/os.py", true),
            ("opt/x/a.py", true),
            ("opt/y/b.py", false),
            ("lib/x86_64-linux-gnu/libz.so.1", true),
            ("opt/x/out", false),
        ] {
            assert_eq!(root.join(file).symlink_metadata().is_ok(), there, "{file}");
        }
    }

    #[test]
    fn layers_without_an_interpreter_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = program(&layer(), &task(folder.path()), folder.path()).unwrap_err();
        assert!(error.to_string().contains("no loader `ld-linux-x86-64.so.2`"), "{error}");
        let libraries = folder.path().join("lib/x86_64-linux-gnu");
        fs::create_dir_all(&libraries).unwrap();
        fs::write(libraries.join("ld-linux-x86-64.so.2"), "").unwrap();
        let error = program(&layer(), &task(folder.path()), folder.path()).unwrap_err();
        assert!(error.to_string().contains("no `/usr/bin/python3.11`"), "{error}");
    }

    #[test]
    fn compiled_files_are_collected_and_a_failed_compilation_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("opt/x/__pycache__");
        fs::create_dir_all(&at).unwrap();
        fs::write(folder.path().join("opt/x/a.py"), "").unwrap();
        let paths = [path("/opt/x")];
        let error = collect(folder.path(), &paths, &task(folder.path())).unwrap_err();
        assert!(error.to_string().contains("only 0 of 1 Python files"), "{error}");
        fs::write(at.join("a.cpython-311.pyc"), "code").unwrap();
        let tree = collect(folder.path(), &paths, &task(folder.path())).unwrap();
        assert!(tree.get(&path("/opt/x/__pycache__/a.cpython-311.pyc")).is_some());
        assert!(tree.get(&path("/opt/x/a.py")).is_none());
    }
}
