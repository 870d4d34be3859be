//! Layers of Debian packages, by mmdebstrap: as root, or as an ordinary user in a user namespace.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tar::EntryType;
use testbed_model::image::{DebianLayer, EPOCH, ImagePath, Mode, PackageSet, Sieve};

use super::error::ImageError;
use super::task::{Task, blocking, text_of};
use super::tree::{Content, Node, Tree};
use crate::host::files::Identity;
use crate::host::process::Program;

/// Where the hook leaves the packages' hashes: inside the root, the only place that it can write to in every mode.
const PACKAGES: &str = ".testbed-packages";

/// Executed when packages are downloaded and unpacked, with the root as its argument.
const HOOK: &str = r#"cd "$1"/var/cache/apt/archives && sha256sum *.deb > "$1"/.testbed-packages"#;

/// What mmdebstrap or a host leaves in a root and no image needs. Some of it differs from host to host.
const NEVER: [&str; 13] = [
    PACKAGES,
    "dev",
    "proc",
    "run",
    "sys",
    "tmp",
    "etc/apt",
    "etc/hostname",
    "etc/resolv.conf",
    "etc/dpkg/dpkg.cfg.d",
    "var/cache",
    "var/lib",
    "var/log",
];

/// Places where Debian itself says which archive it uses.
const SOURCES: [&str; 2] = ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"];

/// Makes the content of a layer, and says what packages it has.
pub async fn make(layer: &DebianLayer, task: &Task) -> Result<(Tree, PackageSet), ImageError> {
    let root = task.work.join("root.tar");
    task.execute("mmdebstrap", "debian packages", &program(layer, task, &root)?).await?;
    let (sieve, task) = (layer.sieve(), task.clone());
    blocking(move || read_root(&root, &sieve, &task)).await
}

fn program(layer: &DebianLayer, task: &Task, root: &Path) -> Result<Program, ImageError> {
    let mut args = vec![
        format!("--variant={}", layer.variant),
        format!("--architectures={}", task.architecture.docker()),
        format!("--include={}", layer.packages.join(",")),
        format!("--extract-hook={HOOK}"),
        // A mirror may lag behind its own date. Signatures are checked all the same.
        "--aptopt=Acquire::Check-Valid-Until \"false\"".to_owned(),
        "--aptopt=Acquire::Retries \"3\"".to_owned(),
        layer.suite.clone(),
        text_of(root)?,
    ];
    if let Some(sources) = own_sources(&layer.suite) {
        args.push(text_of(&sources)?);
    }
    let program = Program::new("mmdebstrap")
        .args(args)
        .with("SOURCE_DATE_EPOCH", EPOCH.to_string())
        .with("LC_ALL", "C");
    // Beside the layer there is room for it, and a killed one is cleared away. In a user namespace the user that it then
    // is could not enter a private folder, and the system's place for temporary files has to do.
    Ok(if Identity::own().is_root() { program.with("TMPDIR", text_of(&task.work)?) } else { program })
}

/// The host's own list of sources, where the host is Debian of the same release: it knows the nearest archive. Otherwise
/// mmdebstrap's default holds.
fn own_sources(suite: &str) -> Option<PathBuf> {
    SOURCES.iter().map(PathBuf::from).find(|path| {
        fs::read_to_string(path).is_ok_and(|text| {
            text.lines()
                .filter(|line| !line.trim_start().starts_with('#'))
                .any(|line| line.split_whitespace().any(|word| word == suite))
        })
    })
}

/// Reads the root's tar: what the sieve keeps, where in the tar it is, and the packages.
fn read_root(root: &Path, sieve: &Sieve, task: &Task) -> Result<(Tree, PackageSet), ImageError> {
    let unreadable = |source| ImageError::File { doing: "read", path: root.to_owned(), source };
    let mut reader = RootReader {
        archive: root.into(),
        sieve,
        tree: Tree::new(),
        places: HashMap::new(),
        packages: String::new(),
    };
    let mut archive = tar::Archive::new(File::open(root).map_err(unreadable)?);
    for entry in archive.entries().map_err(unreadable)? {
        reader.entry(&mut entry.map_err(unreadable)?).map_err(|what| task.content(what))?;
    }
    let packages = PackageSet::from_sums(&reader.packages)
        .filter(|packages| !packages.0.is_empty())
        .ok_or_else(|| task.content("mmdebstrap did not say which packages it unpacked"))?;
    Ok((reader.tree, packages))
}

struct RootReader<'a> {
    archive: Arc<Path>,
    sieve: &'a Sieve,
    tree: Tree,
    /// Every file of the tar, also those that do not stay: a hard link may name one.
    places: HashMap<ImagePath, Node>,
    packages: String,
}

impl RootReader<'_> {
    fn entry(&mut self, entry: &mut tar::Entry<'_, File>) -> Result<(), String> {
        let path = path_of(&entry.path_bytes())?;
        let words = |error: std::io::Error| format!("`{path}` in mmdebstrap's tar cannot be read: {error}");
        let mode = Mode::of(entry.header().mode().map_err(words)?);
        let node = match entry.header().entry_type() {
            EntryType::Directory => Node::Folder(mode),
            EntryType::Symlink => Node::Link(link_of(entry)?),
            EntryType::Link => {
                let target = path_of(link_of(entry)?.as_bytes())?;
                let known = self.places.get(&target).cloned();
                known.ok_or_else(|| format!("`{path}` is a hard link to `{target}`, which is not there"))?
            }
            EntryType::Regular | EntryType::Continuous => Node::File {
                mode,
                size: entry.size(),
                content: Content::Within {
                    archive: Arc::clone(&self.archive),
                    offset: entry.raw_file_position(),
                },
            },
            // Devices and pipes: the engine makes the ones that a container needs.
            _ => return Ok(()),
        };
        if path.as_str() == PACKAGES {
            return entry.read_to_string(&mut self.packages).map(drop).map_err(words);
        }
        if matches!(node, Node::File { .. }) {
            self.places.insert(path.clone(), node.clone());
        }
        if self.stays(&path, &node) {
            self.tree.put(path, node).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn stays(&self, path: &ImagePath, node: &Node) -> bool {
        let never =
            NEVER.iter().any(|never| ImagePath::parse(never).is_ok_and(|never| path.is_within(&never)));
        let is_folder = matches!(node, Node::Folder(_));
        !never
            && !path.is_root()
            && (!is_folder || self.sieve.keeps_empty_folders())
            && self.sieve.keeps(path)
    }
}

fn path_of(bytes: &[u8]) -> Result<ImagePath, String> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| format!("the file name `{}` is not text", String::from_utf8_lossy(bytes)))?;
    ImagePath::parse(text).map_err(|error| error.to_string())
}

fn link_of(entry: &tar::Entry<'_, File>) -> Result<String, String> {
    let bytes = entry.link_name_bytes().ok_or("a link in mmdebstrap's tar has no target")?;
    String::from_utf8(bytes.into_owned()).map_err(|_| "a link's target is not text".to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use tar::{Builder, EntryType, Header};
    use testbed_model::image::{Architecture, DebianLayer, ImagePath, Mode, PackageSet};
    use tokio_util::sync::CancellationToken;

    use super::{PACKAGES, Task, Tree, read_root};
    use crate::events::Events;
    use crate::host::clock::Clock;
    use crate::image::error::ImageError;
    use crate::image::layer_tar;
    use crate::image::tree::Node;

    const SUMS: &[u8] =
        b"c24fe4eb8e60d8632d72ed104cce7c92cff200847c897dc8ba764b6c47b519e0  libc6_2.36-9_amd64.deb\n";

    fn header(kind: EntryType, mode: u32, size: u64) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size);
        header
    }

    fn read(entries: &[(EntryType, &str, &str)], keep: &[&str]) -> Result<(Tree, PackageSet), ImageError> {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root.tar");
        let mut builder = Builder::new(File::create(&root).unwrap());
        for (kind, path, content) in entries {
            match kind {
                EntryType::Link | EntryType::Symlink => {
                    builder.append_link(&mut header(*kind, 0o777, 0), path, content).unwrap();
                }
                EntryType::Regular => {
                    let mut header = header(*kind, 0o4755, content.len() as u64);
                    builder.append_data(&mut header, path, content.as_bytes()).unwrap();
                }
                _ => builder.append_data(&mut header(*kind, 0o755, 0), path, std::io::empty()).unwrap(),
            }
        }
        builder
            .append_data(&mut header(EntryType::Regular, 0o644, SUMS.len() as u64), PACKAGES, SUMS)
            .unwrap();
        builder.finish().unwrap();
        let layer = DebianLayer {
            suite: "bookworm".into(),
            variant: "extract".into(),
            packages: vec!["x".into()],
            keep: keep.iter().map(|&glob| glob.to_owned()).collect(),
            exclude: vec!["/usr/share/**".into()],
        };
        let task = Task {
            image: "x".parse().unwrap(),
            architecture: Architecture::Amd64,
            work: folder.path().to_owned(),
            events: Events::channel(Clock::start()).0,
            cancel: CancellationToken::new(),
        };
        let made = read_root(&root, &layer.sieve(), &task)?;
        // What was found can be written while its archive is there.
        layer_tar::write(&made.0, std::io::sink()).unwrap();
        Ok(made)
    }

    fn paths(tree: &Tree) -> Vec<&str> {
        tree.iter().map(|(path, _)| path.as_str()).collect()
    }

    #[test]
    fn what_a_host_leaves_devices_and_excluded_files_do_not_stay() {
        let (tree, packages) = read(
            &[
                (EntryType::Directory, "./dev/", ""),
                (EntryType::Char, "./dev/null", ""),
                (EntryType::Regular, "./etc/hostname", "host"),
                (EntryType::Regular, "./etc/passwd", "root"),
                (EntryType::Regular, "./usr/share/man/x", "man"),
                (EntryType::Directory, "./srv/", ""),
            ],
            &[],
        )
        .unwrap();
        assert_eq!(paths(&tree), ["", "etc", "etc/passwd", "srv"]);
        assert_eq!(packages.0["libc6"].version, "2.36-9");
    }

    #[test]
    fn set_user_bits_do_not_stay() {
        let (tree, _) = read(&[(EntryType::Regular, "./usr/bin/su", "x")], &[]).unwrap();
        let node = tree.get(&ImagePath::parse("usr/bin/su").unwrap()).unwrap();
        assert!(matches!(node, Node::File { mode: Mode::PROGRAM, .. }));
    }

    #[test]
    fn only_what_is_to_be_kept_stays_without_empty_folders() {
        let (tree, _) = read(
            &[
                (EntryType::Directory, "./srv/", ""),
                (EntryType::Regular, "./usr/bin/a", "a"),
                (EntryType::Regular, "./usr/bin/b", "b"),
                (EntryType::Symlink, "./lib64/ld.so", "/lib/ld.so"),
            ],
            &["/usr/bin/a", "/lib64/*"],
        )
        .unwrap();
        assert_eq!(paths(&tree), ["", "lib64", "lib64/ld.so", "usr", "usr/bin", "usr/bin/a"]);
    }

    #[test]
    fn a_hard_link_stays_without_the_file_that_it_was_made_of() {
        let (tree, _) = read(
            &[
                (EntryType::Regular, "./usr/bin/a", "content"),
                (EntryType::Link, "./usr/bin/b", "./usr/bin/a"),
            ],
            &["/usr/bin/b"],
        )
        .unwrap();
        let node = tree.get(&ImagePath::parse("usr/bin/b").unwrap()).unwrap();
        assert!(matches!(node, Node::File { size: 7, .. }));
    }

    #[test]
    fn a_hard_link_to_nothing_is_an_error() {
        let error = read(&[(EntryType::Link, "./a", "./b")], &[]).unwrap_err();
        assert!(error.to_string().contains("`/a` is a hard link to `/b`"), "{error}");
    }
}
